"""What a step may send, and what it takes of the answer. Pure: nothing here sends anything.

Where a request goes is the operators' choice (`RequestTarget`), and is looked at when it is sent.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from delivery.rules.schema import Problem
from delivery.rules.shapes import KEY, LABEL, STRING, choice, listed, obj, text, whole
from reconcile.values import JSON

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
MAX_TOLD = 4096  # characters of a value that later steps may take
_HEADER = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}"  # a token of RFC 9110
_FROM_SECRET = obj(("secretKeyRef",), secretKeyRef=obj(("name", "key"), name=LABEL, key=KEY))
_VALUE: JSON = {
    "anyOf": [text(r"[\x20-\x7e]*", "a line of plain characters", 2_000), _FROM_SECRET],
    "description": "a line of plain characters, or secretKeyRef with the name and key of a secret",
}
REQUEST_PROPERTIES = obj(
    ("url",),
    url=text(r"[\x21-\x7e]{1,2000}", "a URL of http or https, in plain characters", 2_000),
    method=choice(*METHODS),
    header={"type": "object", "maxProperties": 20, "additionalProperties": _VALUE},
    body={"anyOf": [STRING, {"type": "object"}, {"type": "array"}]},
    expect=listed(whole(100, 599), 20, 1),
    valueFrom=text(r"(?:/[\x20-\x7e]*)?", "a JSON pointer such as /data/id", 300),
)
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>[/?][\x21-\x7e]*)?",
    re.ASCII,
)
# What proves who somebody is has no place in steps, which every member of a project reads.
_PROOFS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})
_OURS = frozenset(
    {"connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding"}
    | {"upgrade", "accept-encoding"}
)
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Place:
    """Where a request goes: `scheme`, `host` in lower case, `port`, and `path` with its query."""

    scheme: str
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


def place_of(url: str) -> Place | None:
    """Take a URL apart; None for one that a step may not ask. No user, no fragment, no IPv6."""
    match = _URL.fullmatch(url)
    if match is None or "#" in url or urlsplit(url).hostname != match["host"]:
        return None
    scheme, port = match["scheme"], int(match["port"] or PORTS[match["scheme"]])
    path = match["path"] or "/"
    path = path if path.startswith("/") else f"/{path}"
    return Place(scheme, match["host"], port, path) if 0 < port < 65_536 else None


def request_problems(properties: JSON) -> Iterator[Problem]:
    """Yield what is wrong with well-formed properties of a request."""
    if "url" in properties and place_of(properties["url"]) is None:
        told = "Use http:// or https://, a host in lower case, a port and path if need be."
        yield Problem(("url",), "url", f"{told} No user, no fragment.")
    for name, value in properties.get("header", {}).items():
        if not re.fullmatch(_HEADER, name, re.ASCII):
            yield Problem(("header", name), "name", "This is no name of a header.")
        elif name.lower() in _OURS:
            yield Problem(("header", name), "reserved", "KubeNova sets this header by itself.")
        elif name.lower() in _PROOFS and isinstance(value, str):
            told = "Every member reads the steps. Take this from a secret: secretKeyRef."
            yield Problem(("header", name), "plain", told)
    if properties.get("method", "GET") == "GET" and "body" in properties:
        yield Problem(("body",), "conflict", "A GET has no body.")


@dataclass(frozen=True)
class Heard:
    """An answer: its status, and at most so many bytes of its body."""

    status: int
    body: bytes


class Unexpected(ValueError):
    """The answer is none that the step takes; the text says why, and repeats nothing of it."""


def taken(properties: JSON, heard: Heard, secrets: Mapping[str, str]) -> JSON:
    """Return what the step tells of an answer: `status`, and `value` if it was asked for.

    `secrets` are the values that were sent. Raises Unexpected.
    """
    expected = properties.get("expect")
    good = heard.status in expected if expected else 200 <= heard.status < 300
    if not good:
        wanted = ", ".join(map(str, expected)) if expected else "2xx"
        raise Unexpected(f"It answered {heard.status}; {wanted} was expected.")
    if "valueFrom" not in properties:
        return {"status": heard.status}
    value = _at(properties["valueFrom"], heard.body)
    if isinstance(value, str) and any(secret and secret in value for secret in secrets.values()):
        raise Unexpected("The value at valueFrom repeats a secret that was sent.")
    return {"status": heard.status, "value": value}


def _at(pointer: str, body: bytes) -> str | int | bool:
    try:
        here: object = json.loads(body)
    except (ValueError, RecursionError):
        raise Unexpected("The answer is no JSON, so there is nothing at valueFrom.") from None
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(here, dict) and key in here:
            here = here[key]
        elif isinstance(here, list) and key.isdecimal() and len(key) < 7 and int(key) < len(here):
            here = here[int(key)]
        else:
            raise Unexpected("The answer has nothing at valueFrom.")
    if isinstance(here, str) and len(here) <= MAX_TOLD and "\x00" not in here:
        return here.encode(errors="replace").decode()
    if isinstance(here, int) and abs(here) < 2**53:
        return here
    raise Unexpected("At valueFrom is no text, whole number or boolean that could be taken.")


def sent_body(properties: JSON) -> bytes | None:
    """Return the bytes of the body: a text as it is, anything else as JSON; None without one."""
    if "body" not in properties:
        return None
    body = properties["body"]
    return (body if isinstance(body, str) else json.dumps(body)).encode()
