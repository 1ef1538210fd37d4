"""Request bodies: JSON alone, read strictly, bounded in size and depth (RFC 8259, RFC 7396)."""

import json
import math
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.parsers import BaseParser

from reconcile.refusals import Fault, Invalid, TooLarge

MAX_DEPTH = 32
MAX_INTEGER = 2**63 - 1


class JSONBodyParser(BaseParser):
    """Reads `application/json` in UTF-8.

    Refuses what JSON implementations read differently, or what a database cannot hold: duplicate
    keys, NaN and infinities, integers beyond 64 bits, NUL, lone surrogates, deep nesting.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the value of the body. Raises TooLarge, Invalid."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise TooLarge(f"A body may hold at most {limit} bytes.")
        return parse_json(body)


class MergePatchParser(JSONBodyParser):
    """Reads `application/merge-patch+json`, for PATCH alone."""

    media_type = "application/merge-patch+json"


def parse_json(body: bytes) -> Any:
    """Return the JSON value of `body`. Raises Invalid with what is wrong and where."""
    try:
        value = json.loads(
            body.decode(), object_pairs_hook=_object, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError:
        raise _invalid("encoding", "The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _invalid("json", f"The body is not JSON: {error.msg}, {where}.") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise _invalid("json", f"The body is not JSON that can be read safely: {error}.") from None
    _refuse_unstorable(value)
    return value


def merge_patch(target: object, patch: object) -> Any:
    """Apply a JSON merge patch (RFC 7396) and return the result; neither argument changes."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def pointer(*path: object) -> str:
    """Return the JSON pointer (RFC 6901) of a path of keys and indexes."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object holds the same key twice")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


def _refuse_unstorable(value: object) -> None:
    """Walk without recursion: the depth is the client's choice."""
    waiting: list[tuple[tuple[object, ...], object]] = [((), value)]
    while waiting:
        path, found = waiting.pop()
        if len(path) > MAX_DEPTH:
            raise _too_deep()
        if fault := _scalar_fault(found):
            raise _invalid("value", fault, pointer(*path))
        if isinstance(found, dict):
            waiting.extend(((*path, key), child) for key, child in found.items())
            # The last in is the first out: a bad key is found before it can join a pointer.
            waiting.extend(((*path, "(key)"), key) for key in found)
        elif isinstance(found, list):
            waiting.extend(((*path, index), child) for index, child in enumerate(found))


def _scalar_fault(value: object) -> str:
    if isinstance(value, str):
        if "\x00" in value:
            return "A string may not contain a NUL character."
        if any("\ud800" <= character <= "\udfff" for character in value):
            return "A string may not contain half of a surrogate pair."
    elif isinstance(value, float) and not math.isfinite(value):
        return "The number is too large."
    elif isinstance(value, int) and abs(value) > MAX_INTEGER:
        return "The number does not fit into 64 bits."
    return ""


def _too_deep() -> Invalid:
    return _invalid("depth", f"The body may be nested at most {MAX_DEPTH} levels deep.")


def _invalid(code: str, detail: str, where: str = "") -> Invalid:
    return Invalid("The body cannot be read.", errors=[Fault(code, detail, where)])
