"""Server-side apply as an API server does it: field sets, merging, conflicts. Pure.

A path is a tuple of elements in the notation of managedFields (FieldsV1): `f:spec`,
`k:{"name":"web"}`, `v:"kubernetes"`, `.`. Lists of the built-in kinds are keyed as their OpenAPI
schemas say; all other lists, and the lists of custom resources, are atomic.
"""

import copy
import json
from collections.abc import Iterable, Iterator
from typing import Any

Path = tuple[str, ...]
Fields = frozenset[Path]

_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
    "secrets": ("name",),
    "conditions": ("type",),
    "ownerReferences": ("uid",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "matchConditions": ("name",),
    "variables": ("name",),
}
_PORTS = (("containerPort", "protocol"), ("port", "protocol"))
_DEFAULTS = {"protocol": "TCP"}
_SETS = {"finalizers"}
_ATOMIC = {
    "selector",
    "podSelector",
    "namespaceSelector",
    "objectSelector",
    "labelSelector",
    "scopeSelector",
    "nodeSelector",
    "roleRef",
    "fieldRef",
    "secretKeyRef",
    "configMapKeyRef",
}
_OWN_META = {
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "managedFields",
}
_ABSENT = object()


class Schema:
    """How the lists and maps of one kind merge; `builtin` is false for custom resources."""

    def __init__(self, *, builtin: bool = True) -> None:
        self.builtin = builtin

    def atomic(self, path: Path) -> bool:
        """Whether the map at the path is owned as a whole."""
        return self.builtin and bool(path) and path[-1].removeprefix("f:") in _ATOMIC

    def is_set(self, path: Path) -> bool:
        """Whether the list at the path is a set of scalars."""
        return bool(path) and path[-1].removeprefix("f:") in _SETS

    def element(self, path: Path, item: Any) -> str:
        """Return the element (`k:{…}`) of a list item; empty when the list is atomic."""
        if not self.builtin or not path or not isinstance(item, dict):
            return ""
        name = path[-1].removeprefix("f:")
        choices = _PORTS if name == "ports" else (_KEYS.get(name, ()),)
        for keys in choices:
            if keys and keys[0] in item:
                found = {key: item.get(key, _DEFAULTS.get(key)) for key in sorted(keys)}
                return f"k:{json.dumps(found, separators=(',', ':'))}"
        return ""

    def keyed(self, path: Path, items: Any) -> bool:
        """Whether the value at the path is a list whose items are owned one by one."""
        return (
            isinstance(items, list)
            and bool(items)
            and all(self.element(path, item) for item in items)
        )


def fields_of(schema: Schema, manifest: dict[str, Any]) -> Fields:
    """Return the paths that an apply of the manifest owns."""
    body = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind")}
    meta = body.get("metadata", {})
    body["metadata"] = {key: meta[key] for key in meta if key not in _OWN_META}
    if not body["metadata"]:
        del body["metadata"]
    return frozenset(_fields(schema, body, ())) - {()}


def _fields(schema: Schema, value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, dict) and value and not schema.atomic(path):
        for key, item in value.items():
            yield from _fields(schema, item, (*path, f"f:{key}"))
    elif schema.keyed(path, value):
        for item in value:
            below = (*path, schema.element(path, item))
            yield (*below, ".")
            yield from _fields(schema, item, below)
    elif schema.is_set(path) and isinstance(value, list):
        yield from ((*path, f"v:{json.dumps(item)}") for item in value)
    else:
        yield path


def merge(schema: Schema, old: Any, new: Any, path: Path = ()) -> Any:
    """Return `old` with everything that `new` says; what `new` does not name stays."""
    if isinstance(old, dict) and isinstance(new, dict) and not schema.atomic(path):
        merged = dict(old)
        for key, value in new.items():
            merged[key] = merge(schema, old.get(key), value, (*path, f"f:{key}"))
        return merged
    if schema.keyed(path, old) and schema.keyed(path, new):
        items = {schema.element(path, item): item for item in old}
        for item in new:
            element = schema.element(path, item)
            items[element] = merge(schema, items.get(element), item, (*path, element))
        return list(items.values())
    if schema.is_set(path) and isinstance(old, list) and isinstance(new, list):
        return [*old, *(item for item in new if item not in old)]
    return copy.deepcopy(new)


def value_at(schema: Schema, body: Any, path: Path) -> Any:
    """Return the value at a path, or a marker for "absent" that equals only itself."""
    value = body
    for depth, element in enumerate(path):
        if element == ".":
            return True
        value = _child(schema, value, path[:depth], element)
        if value is _ABSENT:
            return _ABSENT
    return value


def _child(schema: Schema, value: Any, path: Path, element: str) -> Any:
    if element.startswith("f:"):
        return value.get(element[2:], _ABSENT) if isinstance(value, dict) else _ABSENT
    if not isinstance(value, list):
        return _ABSENT
    if element.startswith("v:"):
        wanted = json.loads(element[2:])
        return wanted if wanted in value else _ABSENT
    return next((item for item in value if schema.element(path, item) == element), _ABSENT)


def remove(schema: Schema, body: dict[str, Any], path: Path) -> None:
    """Take what is at a path out of the body, and the maps and lists that it leaves empty."""
    if path and path[-1] == ".":
        path = path[:-1]
    parent = value_at(schema, body, path[:-1])
    found = value_at(schema, body, path)
    if parent is _ABSENT or found is _ABSENT:
        return
    if path[-1].startswith("f:"):
        del parent[path[-1][2:]]
    else:
        parent.remove(found)
    if not parent and len(path) > 2:
        remove(schema, body, path[:-1])


def removed_by(before: Fields, now: Fields, others: Iterable[Fields]) -> list[Path]:
    """Return what an apply gives up and nobody else owns; whole list items come first."""
    kept = frozenset().union(now, *others)
    gone = [path for path in before if path not in kept]
    whole = [path for path in gone if path[-1] == "." and not _below(path[:-1], kept)]
    return [*whole, *(path for path in gone if path[-1] != ".")]


def _below(path: Path, fields: Iterable[Path]) -> bool:
    return any(other[: len(path)] == path for other in fields)


def changed(schema: Schema, before: Any, after: Any, fields: Iterable[Path]) -> Fields:
    """Return those of the paths whose value is not the same in both bodies."""
    return frozenset(
        path
        for path in fields
        if path[-1] != "." and value_at(schema, before, path) != value_at(schema, after, path)
    )


def fields_v1(fields: Fields) -> dict[str, Any]:
    """Write a field set as managedFields hold it."""
    tree: dict[str, Any] = {}
    for path in sorted(fields):
        node = tree
        for element in path:
            node = node.setdefault(element, {})
    return tree


def spelled(path: Path) -> str:
    """Write a path as conflicts name it: `.spec.template.spec.containers[name="web"].image`."""
    return "".join(_spelled(element) for element in path)


def _spelled(element: str) -> str:
    if element.startswith("f:"):
        return f".{element[2:]}"
    if element.startswith("k:"):
        keys = json.loads(element[2:])
        return "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in keys.items()) + "]"
    return f"[={element[2:]}]"
