"""An app as YAML for Git: the same app is always the same text, whoever asks. Pure.

Keys have one order, what is as by default is left out, and texts of several lines are blocks, so
that a change of the app is a change of the lines that are about it.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import yaml

from reconcile.values import JSON

KIND = "App"
_COMPONENT = ("name", "type", "properties", "traits")
_EMPTY: tuple[object, ...] = ("", None, {}, [])


class BlockDumper(yaml.SafeDumper):
    """Writes no aliases, and texts of several lines as blocks."""

    def ignore_aliases(self, data: object) -> bool:
        """Write the same value out wherever it stands."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(value), style=style)


BlockDumper.add_representer(str, _text)
BlockDumper.add_multi_representer(StrEnum, _text)


def canonical(body: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Return one document: `body` in its order without what is as in `defaults`, kind first."""
    document: JSON = {"kind": KIND}
    for name, value in body.items():
        if value not in _EMPTY and not (name in defaults and value == defaults[name]):
            document[name] = _sorted(value)
    document["components"] = [_component(each) for each in body["components"]]
    return yaml.dump(
        document,
        Dumper=BlockDumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=10_000,  # a text that is folded would change its lines with every word
    )


def _component(declared: JSON) -> JSON:
    known = {key: declared[key] for key in _COMPONENT if key in declared}
    others = {key: declared[key] for key in sorted(set(declared) - set(_COMPONENT))}
    found = {key: _sorted(value) for key, value in {**known, **others}.items()}
    if "traits" in found:
        found["traits"] = [_first(trait, "type") for trait in found["traits"]]
    return {key: value for key, value in found.items() if value not in _EMPTY}


def _first(item: JSON, key: str) -> JSON:
    return {key: item[key], **{name: value for name, value in item.items() if name != key}}


def _sorted(value: object) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_sorted(each) for each in value]
    return value
