"""What the proxy itself says: a Kubernetes Status, as API servers do. Pure."""

import json
from collections.abc import Mapping

from reconcile.values import JSON

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    408: "Timeout",
    410: "Expired",
    413: "RequestEntityTooLarge",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    502: "ServiceUnavailable",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class Refusal(Exception):
    """The proxy's own answer to a call: a status of HTTP and a sentence for people."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message = status, message
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """Return the Status as JSON."""
        return json.dumps(status_of(self.status, self.message)).encode()


class Unauthorized(Refusal):
    """The same for every reason: the answer tells a stranger nothing.

    `grant` is the name of one that has ended, for the audit log; known only of a genuine token.
    """

    def __init__(self, grant: str = "") -> None:
        super().__init__(401, "Unauthorized", {"WWW-Authenticate": 'Bearer realm="kubenova"'})
        self.grant = grant


def status_of(code: int, message: str) -> JSON:
    """Return a Status (Kubernetes API conventions) of a failure."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": _REASONS.get(code, "InternalError"),
        "code": code,
    }
