"""What holds for any value before a schema is asked: bounded, storable, without reserved keys.

Both walk without recursion, since the depth is the caller's choice.
"""

import math
import re
from collections.abc import Iterator

from delivery.rules.schema import Path, Problem
from reconcile.spelling import reserved, sentence

MAX_DEPTH = 16
MAX_CHARACTERS = 262_144
_MAX_INTEGER = 2**63 - 1
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def unsafe(listed: list[object], what: str = "Components") -> Problem | None:
    """Return the first reason why the value cannot be stored or read safely, None without any."""
    size = 0
    for path, value in _walk(listed):
        texts = [value, *value] if isinstance(value, dict) else [value]
        size += sum(len(text) for text in texts if isinstance(text, str)) + 1
        if len(path) > MAX_DEPTH:
            text = f"{what} may be nested at most {MAX_DEPTH} levels deep."
            return Problem(path[:2], "depth", text)
        if size > MAX_CHARACTERS:
            text = f"{what} may hold at most {MAX_CHARACTERS} characters in all."
            return Problem((), "too_large", text)
        if fault := next(filter(None, map(_scalar_fault, texts)), ""):
            return Problem(path, "value", fault)
    return None


def reserved_keys(components: object) -> Iterator[Problem]:
    """Yield the keys that steer a platform, wherever they stand (kubevela#7139 among others)."""
    for path, value in _walk(components):
        for key in value if isinstance(value, dict) else ():
            if reserved(key):
                text = sentence(key, "uses a reserved prefix")
                yield Problem((*path, key), "reserved", text)


def _walk(value: object) -> Iterator[tuple[Path, object]]:
    waiting: list[tuple[Path, object]] = [((), value)]
    while waiting:
        path, found = waiting.pop()
        yield path, found
        if isinstance(found, dict):
            waiting += [((*path, key), child) for key, child in found.items()]
        elif isinstance(found, list):
            waiting += [((*path, index), child) for index, child in enumerate(found)]


def _scalar_fault(value: object) -> str:
    if isinstance(value, str) and _UNSTORABLE.search(value):
        return "A text may hold neither NUL nor half of a surrogate pair."
    if isinstance(value, float) and not math.isfinite(value):
        return "This is not a number of JSON."
    if isinstance(value, int) and abs(value) > _MAX_INTEGER:
        return "The number does not fit into 64 bits."
    return ""
