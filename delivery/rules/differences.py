"""What differs between two revisions of an app, field by field."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconcile.values import JSON

_KEYS = ("name", "type", "port")  # what tells the items of a list apart, where all have it


@dataclass(frozen=True)
class Difference:
    """One field. `path` has the keys down to it, items of lists by their name; None: not there."""

    path: tuple[str, ...]
    before: object
    after: object


def differences(before: JSON, after: JSON) -> list[Difference]:
    """Compare what two revisions hold: fields by name, items of lists in their order, old first."""
    return list(_between((), before, after))


def _between(path: tuple[str, ...], before: object, after: object) -> Iterator[Difference]:
    if _written(before) == _written(after):
        return
    old, new = _fields(before), _fields(after)
    if old is None or new is None or set(old) & set(new) == set() != set(old) | set(new):
        yield Difference(path, before, after)
        return
    found = [key for key in {**old, **new} if key not in old or key not in new]
    for key in _ordered(before, {**old, **new}):
        if key in found:
            yield Difference((*path, key), old.get(key), new.get(key))
        else:
            yield from _between((*path, key), old[key], new[key])
    if list(old) != list(new) and not found and isinstance(before, list):
        yield Difference(path, list(old), list(new))


def _ordered(value: object, names: Mapping[str, object]) -> list[str]:
    """Fields of maps by name: not every database keeps their order. Items of lists as they come."""
    return list(names) if isinstance(value, list) else sorted(names)


def _written(value: object) -> str:
    """As text: to Python, true equals 1."""
    return json.dumps(value, sort_keys=True)


def _fields(value: object) -> dict[str, object] | None:
    """A map as it is, a list of maps by what tells its items apart; None for anything else."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        return None
    for key in _KEYS:
        named = {str(item[key]): item for item in value if key in item}
        if len(named) == len(value):
            return named
    return None
