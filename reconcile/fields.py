"""Paths to the fields of an object, in three notations, and what lies at them. Pure.

A path is a tuple of elements in the notation of managedFields (Kubernetes API, FieldsV1): `f:spec`
for a field, `k:{"name":"web"}` for the item of a list by its keys, `v:"x"` for a member of a set,
`i:0` for an item by its place. For people it is `.spec.containers[name=web].image`, in rules it is
a JSON pointer (RFC 6901) whose token for an item is its place or its keys:
`/spec/containers/name=web/image`.
"""

import json
import re
from typing import Any

from reconcile.values import JSON

Path = tuple[str, ...]


class _Absent:
    """What lies where nothing is; equal to itself alone."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()

_PLAIN = re.compile(r"[\w-]+")
_VALUE = r'"(?:[^"\\]|\\.)*"|[^,\]\["=\']+'
_PAIRS = re.compile(rf"([\w-]+)=({_VALUE})(?:,|$)")
_SHOWN = re.compile(
    r"\.(?P<plain>[\w-]+)"
    r"|\['(?P<quoted>(?:[^'\\]|\\.)*)'\]"
    r"|\[(?P<place>\d+)\]"
    r'|\[=(?P<member>"(?:[^"\\]|\\.)*"|[^\]]+)\]'
    rf"|\[(?P<keys>[\w-]+=(?:{_VALUE})(?:,[\w-]+=(?:{_VALUE}))*)\]",
    re.DOTALL,
)


def of_field(name: str) -> str:
    """The element of a field."""
    return f"f:{name}"


def of_item(keys: JSON) -> str:
    """The element of a list's item that has these keys."""
    return f"k:{json.dumps(keys, sort_keys=True, separators=(',', ':'), ensure_ascii=False)}"


def keys_of(element: str) -> JSON:
    """The keys of an item's element; empty for any other. A cluster may send anything here."""
    if not element.startswith("k:"):
        return {}
    try:
        keys = json.loads(element[2:])
    except (ValueError, RecursionError):
        return {}
    return keys if isinstance(keys, dict) else {}


# --- For people.


def shown(path: Path) -> str:
    """Write a path for people; empty for the object itself."""
    return "".join(_shown(element) for element in path)


def _shown(element: str) -> str:
    if element.startswith("f:"):
        name = element[2:]
        if _PLAIN.fullmatch(name):
            return f".{name}"
        return "['" + name.replace("\\", "\\\\").replace("'", "\\'") + "']"
    if element.startswith("v:"):
        return f"[={element[2:]}]"
    keys = keys_of(element)
    return f"[{_told(keys)}]" if keys else f"[{element[2:]}]"


def _told(keys: JSON) -> str:
    return ",".join(f"{name}={_told_value(value)}" for name, value in keys.items())


def _told_value(value: object) -> str:
    """Strings as they are, unless they would be read as something else."""
    if isinstance(value, str) and re.fullmatch(_VALUE, value) and _read_value(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)


def _read_value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _read_keys(text: str) -> JSON:
    return {name: _read_value(value) for name, value in _PAIRS.findall(text)}


def parse(text: str) -> Path:
    """Read what `shown` writes. Raises ValueError for anything else."""
    path, at = [], 0
    while at < len(text):
        found = _SHOWN.match(text, at)
        if found is None:
            raise ValueError(f"{text!r} is no path of a field")
        path.append(_parsed(found))
        at = found.end()
    return tuple(path)


def _parsed(found: re.Match[str]) -> str:
    kind, text = found.lastgroup, found[found.lastgroup or 0]
    if kind == "quoted":
        return of_field(re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL))
    if kind == "keys":
        return of_item(_read_keys(text))
    return {"plain": "f:", "place": "i:", "member": "v:"}[kind or ""] + text


# --- In rules.


def pointer(path: Path) -> str:
    """Write a path as a JSON pointer; empty for the whole object."""
    return "".join(f"/{_token(e).replace('~', '~0').replace('/', '~1')}" for e in path)


def _token(element: str) -> str:
    if element.startswith("v:"):
        return f"={element[2:]}"
    keys = keys_of(element)
    return _told(keys) if keys else element[2:]


def at_pointer(text: str, *bodies: object) -> Path:
    """Read a JSON pointer; lists are told from maps by the first of `bodies` that reaches there.

    Raises ValueError for what is no pointer.
    """
    if text and not text.startswith("/"):
        raise ValueError(f"{text!r} is no JSON pointer: it has to begin with a slash")
    path: Path = ()
    for token in text.split("/")[1:]:
        token = token.replace("~1", "/").replace("~0", "~")
        found = next((body for body in bodies if body is not ABSENT), ABSENT)
        element = _element(token, found)
        path = (*path, element)
        bodies = tuple(_child(body, element) for body in bodies)
    return path


def _element(token: str, found: object) -> str:
    if isinstance(found, list):
        if token.isdigit():
            elements = items_of(found)
            place = int(token)
            return list(elements)[place] if elements and place < len(found) else f"i:{token}"
        if token.startswith("="):
            return f"v:{token[1:]}"
    keys = _read_keys(token)
    if keys and not isinstance(found, dict):
        return of_item(keys)
    return of_field(token)


# --- What lies at a path.


def items_of(value: object) -> dict[str, Any]:
    """The items of a list by their names; empty when these do not tell all of them apart."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        return {}
    names = [item.get("name") for item in value]
    if not all(isinstance(name, str) for name in names) or len({*names}) < len(names):
        return {}
    return {of_item({"name": item["name"]}): item for item in value}


def get(body: object, path: Path) -> Any:
    """Return what lies at the path, ABSENT when nothing does."""
    for element in path:
        body = _child(body, element)
        if body is ABSENT:
            return ABSENT
    return body


def _child(body: object, element: str) -> object:
    if isinstance(body, dict):
        return body.get(element[2:], ABSENT) if element.startswith("f:") else ABSENT
    place = place_in(body, element)
    return body[place] if isinstance(body, list) and place is not None else ABSENT


def place_in(body: object, element: str) -> int | None:
    """The place of a list's item; None when there is no such item."""
    if not isinstance(body, list) or element.startswith("f:"):
        return None
    if element.startswith("i:"):
        place = int(element[2:]) if element[2:].isdigit() else len(body)
        return place if place < len(body) else None
    if element.startswith("v:"):
        return next((at for at, item in enumerate(body) if _is_member(item, element)), None)
    keys = keys_of(element)
    return next((at for at, item in enumerate(body) if _has(item, keys)), None)


def _is_member(item: object, element: str) -> bool:
    return not isinstance(item, dict | list) and json.dumps(item) == element[2:]


def _has(item: object, keys: JSON) -> bool:
    """Whether an item has these keys; one that it does not name is at its default."""
    if not isinstance(item, dict):
        return False
    known = [key for key in keys if key in item]
    return bool(known) and all(item[key] == keys[key] for key in known)


def copied(value: Any) -> Any:
    """A copy in which nothing is shared, as after a way through JSON."""
    if isinstance(value, dict):
        return {key: copied(below) for key, below in value.items()}
    return [copied(below) for below in value] if isinstance(value, list) else value


def put(body: JSON, path: Path, value: object) -> JSON:
    """Return a copy with `value` at the path; ABSENT takes away what lies there.

    What the path leads through is made where it is missing. Raises ValueError where it cannot be.
    """
    if value is ABSENT:
        return without(body, path)
    changed: JSON = copied(body)
    here: Any = changed
    for element, below in zip(path, (*path[1:], ""), strict=True):
        last = below == ""
        child = _child(here, element)
        if child is ABSENT or last:
            fresh: Any = {} if below.startswith("f:") else []
            child = _set(here, element, copied(value) if last else fresh)
        here = child
    return changed


def _set(here: Any, element: str, value: Any) -> Any:
    if isinstance(here, dict) and element.startswith("f:"):
        here[element[2:]] = value
        return value
    if not isinstance(here, list) or element.startswith("f:"):
        raise ValueError(f"{_shown(element)} cannot be set here")
    if isinstance(value, dict):
        value = {**keys_of(element), **value}
    place = place_in(here, element)
    if place is None:
        here.append(value)
    else:
        here[place] = value
    return value


def without(body: JSON, path: Path) -> JSON:
    """Return a copy that lacks what lies at the path, and the maps and lists that this empties.

    The keys of a list's item stay: without them it would be another item.
    """
    changed: JSON = copied(body)
    if not path or (len(path) > 1 and path[-1][2:] in keys_of(path[-2])):
        return changed
    parent, found = get(changed, path[:-1]), get(changed, path)
    if parent is ABSENT or found is ABSENT:
        return changed
    if isinstance(parent, dict):
        del parent[path[-1][2:]]
    else:
        del parent[place_in(parent, path[-1]) or 0]
    stays = parent or path[:-1] in ((), (of_field("metadata"),))
    return changed if stays else without(changed, path[:-1])
