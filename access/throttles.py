"""How often passwords may be tried: by peer against spraying, by account against guessing."""

from hashlib import sha256

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from access.peers import client_address


class PeerThrottle(SimpleRateThrottle):
    """Counts by the address of the peer."""

    scope = "peer"

    def get_cache_key(self, request: Request, view: APIView) -> str:
        """Return the key under which the request counts."""
        return _key(self.scope, client_address(request._request))


class AccountThrottle(SimpleRateThrottle):
    """Counts by the account that is tried, known or not: the answer tells nothing of it."""

    scope = "account"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        """Return the key under which the request counts; None when it names no account."""
        data = request.data
        username = data.get("username") if isinstance(data, dict) else None
        return _key(self.scope, username.casefold()) if isinstance(username, str) else None


def _key(scope: str, value: str) -> str:
    return f"throttle-{scope}-{sha256(value.encode()).hexdigest()}"
