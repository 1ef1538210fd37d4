"""Which headers pass, in both directions. Pure.

Towards the API server an allow-list: whatever could name another identity, another client or
another connection is not on it, so it need not be known by name (threat A17).
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from access.proxy.answers import Refusal, Unauthorized

Headers = Sequence[tuple[str, str]]
Raw = Sequence[tuple[bytes, bytes]]

MAX_HEADERS = 100
MAX_BYTES = 32 * 1024
MAX_TOKEN = 8 * 1024

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_BEARER = re.compile(r"Bearer ([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)", re.IGNORECASE)
_ONCE = frozenset(
    (
        "authorization",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "sec-websocket-key",
        "sec-websocket-version",
        "transfer-encoding",
        "upgrade",
    )
)
_UP = frozenset(
    (
        "accept",
        "accept-encoding",
        "content-type",
        "if-modified-since",
        "if-none-match",
        "kubectl-command",
        "kubectl-session",
        "user-agent",
    )
)
_UP_IN_TUNNELS = frozenset(
    (
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "sec-websocket-version",
        "x-stream-protocol-version",
    )
)
# Hop by hop (RFC 9110, 7.6.1) or the server's own.
_NOT_DOWN = frozenset(
    (
        "alt-svc",
        "connection",
        "content-length",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-connection",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_UPGRADES = frozenset({"spdy/3.1", "websocket"})
_BEARER_PROTOCOL = "base64url.bearer.authorization.k8s.io"


def read_headers(raw: Raw) -> Headers:
    """Check what came and return it with lower-case names. Raises Refusal (400, 431).

    One request, one length: two lengths, or a length and chunks, are two requests to somebody.
    """
    if len(raw) > MAX_HEADERS or sum(len(name) + len(value) for name, value in raw) > MAX_BYTES:
        raise Refusal(431, "The headers are too large.")
    for name, value in raw:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise Refusal(400, "A header cannot be read.")
    found = [(name.decode().lower(), value.decode("latin-1").strip()) for name, value in raw]
    names = [name for name, _ in found]
    if any(names.count(name) > 1 for name in _ONCE):
        raise Refusal(400, "A header that may come once comes twice.")
    _refuse_bodies(dict(found))
    return found


def _refuse_bodies(found: dict[str, str]) -> None:
    length, coding = found.get("content-length"), found.get("transfer-encoding")
    if coding is not None and (length is not None or coding.lower() != "chunked"):
        raise Refusal(400, "The length of the body is told in two ways.")
    if length is not None and not (length.isascii() and length.isdigit() and len(length) < 12):
        raise Refusal(400, "The length of the body cannot be read.")
    if found.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(415, "Send the body as it is, without Content-Encoding.")


def bearer(headers: Headers) -> str:
    """Return the token. Raises Unauthorized when there is none in the one place it may be."""
    given = [value for name, value in headers if name == "authorization"]
    match = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
    if match is None or len(match[1]) > MAX_TOKEN:
        raise Unauthorized
    return match[1]


def upgrade(headers: Headers) -> str:
    """Return the protocol that the client wants to go on with, empty without any.

    Raises Refusal for one that the API server does not speak, and for a second identity among the
    protocols of a WebSocket.
    """
    wanted = next((value for name, value in headers if name == "upgrade"), "")
    if not wanted and "upgrade" not in _named(headers):
        return ""
    if wanted.lower() not in _UPGRADES or "upgrade" not in _named(headers):
        raise Refusal(400, "Only SPDY/3.1 and WebSocket can be upgraded to.")
    for name, value in headers:
        if name == "sec-websocket-protocol" and _BEARER_PROTOCOL in value.lower():
            raise Refusal(400, "Send the token in the Authorization header alone.")
    return wanted


def upwards(headers: Headers, token: str, *, tunnel: bool = False) -> list[tuple[str, str]]:
    """Return the headers for the API server: those of the allow-list and the client's own token.

    What Connection names belongs to the connection that it came on (RFC 9110, 7.6.1).
    """
    allowed = (_UP | _UP_IN_TUNNELS if tunnel else _UP) - set(_named(headers))
    passed = [(name, value) for name, value in headers if name in allowed]
    return [*passed, ("authorization", f"Bearer {token}")]


def downwards(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the headers of an API server's answer that are for the client."""
    found = [(name.lower(), value) for name, value in headers]
    hidden = _NOT_DOWN | set(_named(found))
    for name, value in found:
        if name not in hidden:
            yield name, value


def _named(headers: Headers) -> list[str]:
    """The names that Connection lists, over all of its lines."""
    lines = [value for name, value in headers if name == "connection"]
    return [word.strip().lower() for line in lines for word in line.split(",") if word.strip()]
