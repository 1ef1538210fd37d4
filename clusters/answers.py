"""Turns what an API server answered into JSON or into the error that says what to do next.

Rules: Kubernetes API conventions (Status), with the exceptions a real API server was seen to make.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from reconcile.errors import (
    ClusterError,
    Conflict,
    FieldConflict,
    Forbidden,
    Missing,
    Refused,
    Unauthenticated,
    Unreachable,
    Waiting,
)
from reconcile.values import JSON

MAX_MESSAGE = 500
MAX_VALUES = 4_000_000  # a hostile answer of a few bytes a value would cost 30 times its size
_MAX_RETRY_AFTER = 600.0
_MAX_CAUSES = 200
_SHORTEST_SECRET = 4

_WARNINGS_READ, _MOST_WARNINGS = 16 * 1024, 20
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")

_BY_RBAC = 'is forbidden: User "'
# A policy that has not seen yet the ConfigMap of its parameters, which was written a moment ago.
_BY_PARAMETERS = "failed to configure binding: no params found"
# What Capsule says of a namespace as long as it does not know the tenant's owners yet.
_BY_CAPSULE = (
    "can not assign the desired namespace to a non-owned Tenant",
    "Unable to assign namespace to tenant",
    "only tenant owners can create tenant-owned namespaces",
)
_MANAGER = re.compile(r'conflict with "(?P<manager>(?:[^"\\]|\\.)*)"')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"|`([^`]*)`')
_UID_MOVED = re.compile(r"\bUID in (the )?precondition\b|\buid mismatch\b")
# Server-side apply answers 500 for what can never succeed: a schema error of the manifest.
_NEVER_FITS = ("failed to create typed patch object", "failed to convert new object")


class Throttled(Unreachable):
    """429: the server is alive and asks for less."""


class Expired(Unreachable):
    """410: the continue token or resourceVersion is too old; the list must be read anew."""


class Absent(Refused):
    """404 in the server's own JSON: the object, or on a write its namespace, does not exist."""


class UidMoved(Conflict):
    """409: the uid that was sent is not (or no longer) the object's."""


@dataclass(frozen=True)
class Answer:
    """What came back: headers with lower-case names, the body undecoded and complete."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class _Said:
    """The server's own words: `status` is its Status object, None when it sent plain text."""

    message: str
    status: JSON | None

    @property
    def details(self) -> JSON:
        details = (self.status or {}).get("details")
        return details if isinstance(details, dict) else {}

    @property
    def causes(self) -> list[JSON]:
        causes = self.details.get("causes")
        if not isinstance(causes, list):
            return []
        return [cause for cause in causes[:_MAX_CAUSES] if isinstance(cause, dict)]


def json_of(answer: Answer, secrets: Iterable[str] = ()) -> JSON:
    """Return the JSON object of a 2xx answer; raise the error of any other.

    `secrets` never appear in the message of the error.
    """
    if not 200 <= answer.status < 300:
        raise error_of(answer, secrets)
    body = answer.body
    if body.count(b",") + body.count(b"{") + body.count(b"[") > MAX_VALUES:
        raise Unreachable("the answer holds too many values")
    parsed = _json(body)
    if parsed is None:
        raise Unreachable("the answer is no JSON object: is this a Kubernetes API server?")
    return parsed


def _json(body: bytes) -> JSON | None:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def error_of(answer: Answer, secrets: Iterable[str] = ()) -> ClusterError:
    """Name a failed answer by what to do next (the table of the design, section 3)."""
    said = _said(answer, tuple(secrets))
    special: dict[int, Callable[[], ClusterError]] = {
        401: lambda: Unauthenticated(said.message),
        403: lambda: _forbidden(said),
        404: lambda: _not_found(said),
        409: lambda: _conflict(said),
        422: lambda: _invalid(said),
        410: lambda: Expired(said.message),
        429: lambda: _throttled(said, _retry_after(answer.headers)),
        500: lambda: _failed(said),
    }
    if answer.status in special:
        return special[answer.status]()
    if 400 <= answer.status < 500:
        return Refused(said.message)
    if 300 <= answer.status < 400:
        return Unreachable("the server redirects elsewhere: redirects are not followed")
    return Unreachable(said.message, retry_after=_retry_after(answer.headers))


def _said(answer: Answer, secrets: tuple[str, ...]) -> _Said:
    status = _json(answer.body)
    if status is not None and status.get("kind") != "Status":
        status = None
    text = status.get("message") if status else answer.body[:4096].decode(errors="replace")
    fallback = f"the server answered {answer.status} without a word"
    return _Said(clean(text if isinstance(text, str) else "", secrets) or fallback, status)


def _forbidden(said: _Said) -> ClusterError:
    terminating = "because it is being terminated" in said.message or any(
        cause.get("reason") == "NamespaceTerminating" for cause in said.causes
    )
    if terminating:
        return Waiting(said.message)
    soon = any(words in said.message for words in (_BY_RBAC, *_BY_CAPSULE))
    return Forbidden(said.message) if soon else Refused(said.message)


def _not_found(said: _Said) -> ClusterError:
    wordless = "the server could not find the requested resource" in said.message
    if said.status is None or (wordless and not said.details.get("name")):
        return Missing("the cluster does not serve this kind")
    return Absent(said.message)


def _conflict(said: _Said) -> Conflict:
    if _UID_MOVED.search(said.message):
        return UidMoved(said.message)
    fields = (
        _field(cause) for cause in said.causes if cause.get("reason") == "FieldManagerConflict"
    )
    return Conflict(said.message, tuple(field for field in fields if field))


def _invalid(said: _Said) -> ClusterError:
    """An apply with the uid of another object is told that a uid cannot change."""
    if any(cause.get("field") == "metadata.uid" for cause in said.causes):
        return UidMoved(said.message)
    return Forbidden(said.message) if _BY_PARAMETERS in said.message else Refused(said.message)


def _field(cause: JSON) -> FieldConflict | None:
    message, path = cause.get("message"), cause.get("field")
    found = _MANAGER.search(message) if isinstance(message, str) else None
    if not found or not isinstance(path, str):
        return None
    return FieldConflict(clean(_unquote(found["manager"])), clean(path))


def _unquote(text: str) -> str:
    """Undo Go's %q as far as JSON knows it; what it does not know stays as it is."""
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return text


def _throttled(said: _Said, after: float | None) -> ClusterError:
    if "storage is (re)initializing" in said.message:
        return Waiting(said.message, retry_after=after)
    return Throttled(said.message, retry_after=after)


def _failed(said: _Said) -> ClusterError:
    never = any(words in said.message for words in _NEVER_FITS)
    return Refused(said.message) if never else Unreachable(said.message)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After in its numeric form; the API server sends no dates."""
    value = headers.get("retry-after", "")
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        return None
    return min(float(value), _MAX_RETRY_AFTER)


def clean(text: str, secrets: Iterable[str] = ()) -> str:
    """Make a foreign text fit to be shown: masked, on one line, no control characters, short."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "…")
    text = " ".join(text[: MAX_MESSAGE * 8].split())
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 1]}…"


def warnings_of(answer: Answer, secrets: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the warnings of an answer (RFC 7234, 5.5), each once; `secrets` never appear."""
    found = _WARNING.finditer(answer.headers.get("warning", "")[:_WARNINGS_READ])
    hidden = tuple(secrets)
    told = dict.fromkeys(clean(_ESCAPED.sub(r"\1", match[1]), hidden) for match in found)
    return tuple(told)[:_MOST_WARNINGS]


def unquoted(error: ClusterError, keep: Collection[str]) -> ClusterError:
    """Take quoted values out of the message, for kinds whose values are secrets.

    `keep` names what may stay, such as the name of the object.
    """

    def mask(match: re.Match[str]) -> str:
        return match[0] if (match[1] or match[2]) in keep else '"…"'

    error.message = _QUOTED.sub(mask, error.message)
    error.args = (error.message,)
    return error


def secrets_in(body: JSON) -> list[str]:
    """Return what no message may repeat of a body: the data of a Secret, a token under review."""
    if body.get("kind") == "TokenReview":
        return [str((body.get("spec") or {}).get("token", ""))]
    if body.get("kind") != "Secret":
        return []
    encoded = [str(value) for value in (body.get("data") or {}).values()]
    plain = [str(value) for value in (body.get("stringData") or {}).values()]
    plain += [text for text in map(_decoded, encoded) if text]
    return encoded + plain + [base64.b64encode(text.encode()).decode() for text in plain]


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
