"""What must not reach a log or a trace: secrets are masked, control characters escaped.

Every value passes here on its way out, whoever wrote the line.
"""

import re
from collections.abc import Mapping

from structlog.typing import EventDict, WrappedLogger

MASK = "[masked]"

_NAMES = (
    "token|password|passwd|secret|kubeconfig|authorization|credential|cookie|api[-_]?key|"
    "private[-_]?key|client[-_]?key|key[-_]?data|ca[-_]?bundle"
)
_KEY = re.compile(rf"(?:{_NAMES})", re.IGNORECASE)
# Names that only sound like secrets: they say where, whether or how many.
_HARMLESS = re.compile(r"(?:_(?:file|name|id|type|path|expires|expiry|days|at|count)s?)$", re.I)
_SHAPES = re.compile(
    r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)"  # PEM, RFC 7468
    r"|(?<![\w-])eyJ[\w-]{8,4000}\.[\w-]{4,4000}(?:\.[\w-]{0,4000})?"  # JWT, RFC 7519
    r"|\bLS0tLS1CRUdJTi[\w+/=-]{16,}",  # PEM in base64, as kubeconfigs have it
    re.DOTALL,
)
# `token=…`, `"password": "…"`, `Authorization: Bearer …` inside of a text. After a colon only what
# is quoted, long or has a digit: "kubeconfig: exec is refused" is a sentence. Counts are bounded,
# so that matching stays linear in what strangers send.
_ASSIGNED = re.compile(
    rf"""(?P<name>(?:{_NAMES})[\w-]{{0,40}}["']?\s{{0,4}}"""
    r"""(?:=\s{0,4}|:\s{0,4}(?=["']|\S{20}|[^\s\d]{0,40}\d|Bearer\s|Basic\s)))"""
    r"""(?:(?:Bearer|Basic)\s+)?(?:"[^"]*"|'[^']*'|[^\s&,;"'})\]]+)""",
    re.IGNORECASE,
)
_PASSWORD = re.compile(r"(?P<name>\bpassw(?:or)?d\s{0,4}:\s{0,4})[^\s&,;\"'})\]]+", re.IGNORECASE)
_BEARER = re.compile(r"\b(Bearer|Basic)\s+(?=\S{0,80}[\d=])[\w.~+/=-]{8,}", re.IGNORECASE)
_USERINFO = re.compile(r"(://[^/\s:@]*):[^/\s@]+@")  # scheme://user:password@host
# C0 and C1 controls, line and paragraph separators, and marks that reorder text on a screen.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_CONTROL_IN_TRACEBACK = re.compile(_CONTROL.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))
_LONGEST_READ, _LONGEST = 65536, 8192  # characters


def is_secret_name(name: str) -> bool:
    """Tell whether a key of this name holds a secret."""
    return bool(_KEY.search(name)) and not _HARMLESS.search(name)


def mask_text(text: str) -> str:
    """Replace everything in `text` that looks like a secret, keep the rest."""
    text = _SHAPES.sub(MASK, text)
    text = _ASSIGNED.sub(rf"\g<name>{MASK}", text)
    text = _PASSWORD.sub(rf"\g<name>{MASK}", text)
    text = _BEARER.sub(rf"\1 {MASK}", text)
    return _USERINFO.sub(rf"\1:{MASK}@", text)


def masked(value: object, name: str = "") -> object:
    """Return `value` without secrets, `name` being the key it stands under.

    Mappings and sequences are walked; other objects go through their repr, so that no exotic type
    carries a secret past us. Numbers, booleans and None are kept.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if name and is_secret_name(name):
        return MASK
    if isinstance(value, Mapping):
        return {str(key): masked(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(item) for item in value]
    text = value if isinstance(value, str) else str(value)
    return _shorten(mask_text(_shorten(text, _LONGEST_READ)), _LONGEST)


def escaped(value: object) -> object:
    """Return `value` with control characters written out (`\\n`, `\\x1b`), keys included."""
    if isinstance(value, str):
        return _CONTROL.sub(_written_out, value)
    if isinstance(value, dict):
        return {_CONTROL.sub(_written_out, key): escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [escaped(item) for item in value]
    return value


def mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Processor: mask the secrets of a line."""
    return {key: masked(value, key) for key, value in event.items()}


def escape(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Processor: escape a line; a traceback keeps its line breaks and tabs."""
    traceback = event.pop("exception", None)
    line: EventDict = {
        _CONTROL.sub(_written_out, key): escaped(value) for key, value in event.items()
    }
    if traceback is not None:
        line["exception"] = _CONTROL_IN_TRACEBACK.sub(_written_out, str(traceback))
    return line


def _written_out(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape").decode()


def _shorten(text: str, longest: int) -> str:
    """Keep the beginning and the end: a traceback says at its end what happened."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]} … {len(text) - longest} characters left out … {text[-half:]}"
