"""Who calls: the proxy's own judgement of a token, before the cluster sees anything of it.

A token is verified with the keys that its cluster publishes (RFC 7515, 7517), issuer and audience
being those of KubeNova's own token there; it has to be bound to the Secret of a grant that is open
now. Where the keys cannot be had the cluster is asked (TokenReview). Either way the cluster's RBAC
decides what the call may do: the token goes on with it.
"""

import asyncio
import hashlib
import json
import time
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from typing import Any

import jwt
import structlog

from access.proxy.answers import Refusal, Unauthorized
from access.proxy.directory import Directory
from access.proxy.snapshot import Open
from access.proxy.upstream import Upstream
from clusters.intents import GRANTS_NAMESPACE
from clusters.kubeconfig import Credential
from reconcile.values import JSON

log = structlog.get_logger(__name__)

KEPT = 10.0  # seconds that a verified token needs no second look
_KEYS_LAST = 300.0
_KEYS_AT_MOST_EVERY = 10.0
_DOWN = 2.0
_KNOWN = 10_000
_ANSWER = 256 * 1024
_ALGORITHMS = {"RSA": ("RS256", "RS384", "RS512"), "EC": ("ES256", "ES384", "ES512")}
_SKEW = 30.0
_ACCOUNT = f"system:serviceaccount:{GRANTS_NAMESPACE}:"
_KEYS_PATH = "/openid/v1/jwks"
_KEYS_TYPE = "application/jwk-set+json"  # an API server refuses any other (406)
_REVIEW_PATH = "/apis/authentication.k8s.io/v1/tokenreviews"


@dataclass(frozen=True)
class Claims:
    """What a token of ours says: which grant, bound to which Secret, until when (since 1970)."""

    grant: str
    anchor: str
    anchor_uid: str
    expires_at: float


@dataclass
class _Keys:
    """The keys of a cluster by their ids, and when they were read (monotonic seconds)."""

    by_id: dict[str, jwt.PyJWK]
    read_at: float

    def stale(self, kid: str) -> bool:
        """Whether they are to be read anew: after a while, sooner for an id that is not there."""
        age = time.monotonic() - self.read_at
        return age > (_KEYS_LAST if kid in self.by_id else _KEYS_AT_MOST_EVERY)


class Doorkeeper:
    """Admits the bearers of open grants. One for all clusters."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._keys: dict[str, _Keys] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._failed: dict[str, tuple[float, Refusal]] = {}
        self._verified: OrderedDict[tuple[str, bytes], tuple[Claims, float]] = OrderedDict()

    async def admit(self, cluster: str, token: str, upstream: Upstream) -> Open:
        """Return the open grant that a token is of. Raises Unauthorized, Refusal (503)."""
        claims = await self._claims(cluster, token, upstream)
        if claims.expires_at <= time.time():
            raise Unauthorized(claims.grant)
        return await self._match(cluster, claims)

    async def _match(self, cluster: str, claims: Claims) -> Open:
        found = await self._directory.find(cluster, claims.grant, claims.anchor, claims.anchor_uid)
        if found is None:
            raise Unauthorized(claims.grant)
        return found

    async def _claims(self, cluster: str, token: str, upstream: Upstream) -> Claims:
        key = (cluster, hashlib.sha256(token.encode()).digest())
        known = self._verified.get(key)
        if known and known[1] > time.monotonic():
            return known[0]
        credential = self._directory.credentials.get(cluster)
        if credential is None:
            raise Unauthorized
        claims = await self._verify(cluster, token, credential, upstream)
        self._verified[key] = (claims, time.monotonic() + KEPT)
        if len(self._verified) > _KNOWN:
            self._verified.popitem(last=False)
        return claims

    async def _verify(
        self, cluster: str, token: str, credential: Credential, upstream: Upstream
    ) -> Claims:
        header, unverified = _peek(token)
        claims = _claims_in(unverified)
        key = await self._key(cluster, str(header.get("kid", "")), credential, upstream)
        if key is None:
            await self._known_at_all(cluster, claims)
            await self._review(token, claims, credential, upstream)
            return claims
        _verify_signature(token, header, key, credential)
        return claims

    async def _known_at_all(self, cluster: str, claims: Claims) -> None:
        """Raise Unauthorized for claims of nothing that is open: strangers make us ask nobody."""
        try:
            await self._match(cluster, claims)
        except Unauthorized:
            raise Unauthorized from None

    async def _key(
        self, cluster: str, kid: str, credential: Credential, upstream: Upstream
    ) -> jwt.PyJWK | None:
        """Return the key of that id; None where the cluster publishes none. Raises Unauthorized."""
        async with self._locks[cluster]:
            keys = self._keys.get(cluster)
            if keys is None or keys.stale(kid):
                keys = await self._new_keys(cluster, credential, upstream)
        if not keys.by_id:
            return None
        if kid not in keys.by_id:
            raise Unauthorized
        return keys.by_id[kid]

    async def _new_keys(self, cluster: str, credential: Credential, upstream: Upstream) -> _Keys:
        """Read the keys. Raises Refusal; of many calls that wait, one finds that nobody answers."""
        until, refusal = self._failed.get(cluster, (0.0, None))
        if refusal is not None and time.monotonic() < until:
            raise Refusal(refusal.status, refusal.message)
        try:
            return await self._read_keys(cluster, credential, upstream)
        except Refusal as error:
            self._failed[cluster] = (time.monotonic() + _DOWN, error)
            raise

    async def _read_keys(self, cluster: str, credential: Credential, upstream: Upstream) -> _Keys:
        headers = [("accept", _KEYS_TYPE), *_own(credential)]
        target = upstream.target(_KEYS_PATH)
        status, _, body = await upstream.read("GET", target, headers, _ANSWER)
        found = _keys_in(body) if status == 200 else {}
        if not found:
            log.warning("Cluster publishes no keys", cluster=cluster, status=status)
        self._keys[cluster] = keys = _Keys(found, time.monotonic())
        return keys

    async def _review(
        self, token: str, claims: Claims, credential: Credential, upstream: Upstream
    ) -> None:
        """Raise Unauthorized for a token that is dead there, Refusal if nobody says."""
        if not await self._reviewed(token, claims, credential, upstream):
            raise Unauthorized

    async def is_alive(self, cluster: str, token: str, upstream: Upstream) -> bool:
        """Ask the cluster about a token that was admitted once. Raises Refusal (503)."""
        credential = self._directory.credentials.get(cluster)
        if credential is None:
            raise Refusal(503, "The cluster is not known any more.")
        claims = _claims_in(_peek(token)[1])
        return await self._reviewed(token, claims, credential, upstream)

    async def _reviewed(
        self, token: str, claims: Claims, credential: Credential, upstream: Upstream
    ) -> bool:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token},
        }
        headers = [("content-type", "application/json"), *_own(credential)]
        target, sent = upstream.target(_REVIEW_PATH), json.dumps(body).encode()
        status, _, answer = await upstream.read("POST", target, headers, _ANSWER, sent)
        if status not in (200, 201):
            raise Refusal(503, "The cluster cannot tell whether the token is alive.")
        told = _object(answer).get("status")
        found = told if isinstance(told, dict) else {}
        user = found.get("user")
        name = user.get("username") if isinstance(user, dict) else ""
        return found.get("authenticated") is True and name == f"{_ACCOUNT}{claims.grant}"


def _own(credential: Credential) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {credential.token}")]


def _peek(token: str) -> tuple[JSON, JSON]:
    """Return header and claims, both not verified. Raises Unauthorized."""
    try:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise Unauthorized from None
    if not isinstance(claims, dict) or "crit" in header:
        raise Unauthorized
    return header, claims


def _claims_in(claims: JSON) -> Claims:
    """Read the claims of a token bound to a Secret of ours. Raises Unauthorized for all others."""
    private = _dict(claims.get("kubernetes.io"))
    account, secret = _dict(private.get("serviceaccount")), _dict(private.get("secret"))
    name, expires = account.get("name"), claims.get("exp")
    texts = (name, secret.get("name"), secret.get("uid"))
    if not all(isinstance(text, str) and 0 < len(text) <= 253 for text in texts):
        raise Unauthorized
    if private.get("namespace") != GRANTS_NAMESPACE or claims.get("sub") != f"{_ACCOUNT}{name}":
        raise Unauthorized
    if not isinstance(expires, int) or isinstance(expires, bool) or not 0 < expires < 2**40:
        raise Unauthorized
    return Claims(str(name), str(secret["name"]), str(secret["uid"]), float(expires))


def _verify_signature(token: str, header: JSON, key: jwt.PyJWK, credential: Credential) -> None:
    """Raise Unauthorized unless the cluster has signed the token for its own API server."""
    algorithm, allowed = header.get("alg"), _ALGORITHMS.get(key.key_type or "", ())
    if algorithm not in allowed:
        raise Unauthorized
    issuer, audience = _expected(credential)
    try:
        jwt.decode(
            token,
            key,
            algorithms=[str(algorithm)],
            audience=audience,
            issuer=issuer,
            leeway=_SKEW,
            options={
                "require": ["exp", "iat", "sub"],
                "verify_aud": audience is not None,
                "verify_iss": issuer is not None,
            },
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise Unauthorized from None


def _expected(credential: Credential) -> tuple[str | None, list[str] | None]:
    """Issuer and audience of KubeNova's own token, which it got from the cluster itself.

    None for one that is no JWT: then the API server alone judges them.
    """
    try:
        own = jwt.decode(credential.token or "", options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError):
        return None, None
    issuer, audience = own.get("iss"), own.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    return issuer if isinstance(issuer, str) else None, audiences or None


def _keys_in(body: bytes) -> dict[str, jwt.PyJWK]:
    """Return the usable keys of a JWK set by their ids."""
    found: dict[str, jwt.PyJWK] = {}
    entries = _object(body).get("keys")
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or entry.get("kty") not in _ALGORITHMS:
            continue
        try:
            found[str(entry.get("kid", ""))] = jwt.PyJWK(entry)
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
    return found


def _object(body: bytes) -> JSON:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return _dict(found)


def _dict(value: Any) -> JSON:
    return value if isinstance(value, dict) else {}
