"""Reviews as an API server answers them: who am I, may I, is this token good, a new token."""

import datetime
import itertools
from collections.abc import Callable

from clusters.answers import Absent
from clusters.kinds import SECRET, SERVICE_ACCOUNT
from reconcile.errors import Refused
from reconcile.values import JSON, Ref
from tests.memory_store import Store

_SHORTEST = 600  # seconds; the API server refuses less
_USUAL = 3600


class Reviews:
    """`allow` decides access by the attributes of a review; `username` is who the caller is.

    Tokens live as long as their ServiceAccount and, when bound to one, their Secret.
    """

    def __init__(self, store: Store) -> None:
        self.username = "admin"
        self.allow: Callable[[JSON], bool] = lambda attributes: True
        self._store = store
        self._tokens: dict[str, tuple[Ref, str, Ref | None]] = {}
        self._numbers = itertools.count(1)

    def answer(self, body: JSON, path: str) -> JSON:
        """Return the body with its status. Raises Refused for a kind that is no review."""
        spec = body.get("spec") or {}
        kind = str(body.get("kind"))
        if kind.endswith("AccessReview"):
            attributes = spec.get("resourceAttributes") or spec.get("nonResourceAttributes") or {}
            return {**body, "status": {"allowed": self.allow(attributes)}}
        if kind == "SelfSubjectReview":
            return {**body, "status": {"userInfo": {"username": self.username}}}
        if kind == "TokenRequest":
            return {**body, "status": self._request(spec, path)}
        if kind == "TokenReview":
            return {**body, "status": self._review(str(spec.get("token", "")))}
        raise Refused(f"{kind} is no review")

    def _request(self, spec: JSON, path: str) -> JSON:
        namespace, name, _ = path.split("/")
        account = Ref(SERVICE_ACCOUNT, namespace, name)
        live = self._store.live(account)
        if live is None:
            raise Absent(f'serviceaccounts "{name}" not found')
        seconds = int(spec.get("expirationSeconds", _USUAL))
        if seconds < _SHORTEST:
            raise Refused("spec.expirationSeconds: may not specify less than 10 minutes")
        bound = spec.get("boundObjectRef")
        secret = Ref(SECRET, namespace, bound["name"]) if bound else None
        token = f"token-of-{namespace}.{name}.{next(self._numbers)}"  # the parts of a JWT
        self._tokens[token] = (account, live.uid, secret)
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
        return {"token": token, "expirationTimestamp": end.strftime("%Y-%m-%dT%H:%M:%SZ")}

    def _review(self, token: str) -> JSON:
        account, uid, secret = self._tokens.get(token, (None, "", None))
        live = self._store.live(account) if account else None
        alive = live is not None and live.uid == uid
        if account is None or not alive or (secret and not self._store.live(secret)):
            return {"authenticated": False, "error": "invalid bearer token"}
        username = f"system:serviceaccount:{account.namespace}:{account.name}"
        return {"authenticated": True, "user": {"username": username}}
