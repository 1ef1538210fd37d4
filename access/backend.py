"""Signing and verifying: simplejwt's tokens over our own key ring.

A token has no say in how it is verified: algorithm, keys, issuer and audience are ours, the header
may hold `alg`, `kid` and `typ` alone (so no `crit`, `jku`, `jwk`, `x5u`, …), and numbers must be
numbers. Sources: RFC 7515, RFC 7519, RFC 8725.
"""

import json
import time
from typing import Any

import jwt
from django.conf import settings
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError

from access.keys import key_ring
from reconcile.values import JSON

LEEWAY_SECONDS = 30
MAX_TOKEN_BYTES = 8192
_HEADER = frozenset(("alg", "kid", "typ"))
_REQUIRED = ("exp", "iat", "iss", "aud", "jti", "sub", "sid", "token_type")
_TEXTS = ("jti", "sub", "sid", "token_type")
_LONGEST_ID = 18  # digits: what every database can hold as a primary key
_LATEST = 253_402_300_799  # the last second of the year 9999: what a datetime can hold


class KeyRingBackend(TokenBackend):
    """Encodes with the ring's signing key, decodes with the key that `kid` names."""

    def __init__(self) -> None:
        super().__init__(
            settings.JWT_ALGORITHM,
            audience=settings.JWT_AUDIENCE,
            issuer=settings.JWT_ISSUER,
            leeway=LEEWAY_SECONDS,
        )

    def encode(self, payload: JSON) -> str:
        """Sign the claims, with issuer and audience added. Raises TokenBackendError."""
        key = key_ring().signer(self.algorithm, time.time())
        if key is None:
            raise TokenBackendError("No key signs yet.")
        claims = {**payload, "iss": self.issuer, "aud": self.audience}
        return jwt.encode(claims, key.private, self.algorithm, headers={"kid": key.kid})

    def decode(self, token: Any, verify: bool = True) -> JSON:
        """Return the claims of a valid token. Raises TokenBackendError for every other.

        `verify` cannot be switched off: unverified claims are nobody's business.
        """
        try:
            return self._decode(token if isinstance(token, str) else bytes(token).decode("ascii"))
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise TokenBackendError("Token is invalid") from None

    def _decode(self, token: str) -> JSON:
        if len(token) > MAX_TOKEN_BYTES:
            raise ValueError("too long")
        header = jwt.get_unverified_header(token)
        if set(header) != _HEADER or header["typ"] != "JWT" or header["alg"] != self.algorithm:
            raise ValueError("header")
        key = key_ring().find(self.algorithm, header["kid"])
        if key is None:
            raise ValueError("kid")
        claims = jwt.decode(
            token,
            key.public,
            algorithms=[self.algorithm],
            audience=self.audience,
            issuer=self.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": list(_REQUIRED), "strict_aud": True},
        )
        _refuse_odd(claims)
        _refuse_duplicates(token)
        return claims


def _refuse_odd(claims: JSON) -> None:
    for name in ("exp", "iat", "nbf"):
        value = claims.get(name, 0)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LATEST:
            raise ValueError(name)
    for name in _TEXTS:
        if not isinstance(claims[name], str) or not claims[name].isascii():
            raise ValueError(name)
    if not claims["sub"].isdigit() or len(claims["sub"]) > _LONGEST_ID:
        raise ValueError("sub")


def _refuse_duplicates(token: str) -> None:
    """Readers differ on which of two equal claims counts, so there may not be two."""
    for part in token.split(".")[:2]:
        json.loads(jwt.utils.base64url_decode(part), object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> JSON:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("duplicate")
    return dict(pairs)
