"""YAML without its powers: mappings, lists and plain values, within limits.

No anchors (so no bombs), no tags (so no types), no duplicate keys (so no two readings), as many
documents as were asked for, UTF-8. Limits are checked on the event stream, before any value is
built.
"""

import re
from dataclasses import dataclass
from typing import TypeAlias

import yaml

Value: TypeAlias = "str | bool | int | float | list[Value] | dict[str, Value] | None"

MAX_DEPTH = 16
MAX_NODES = 10_000


@dataclass(frozen=True)
class Bounds:
    """How much YAML is read: levels of nesting, events of the parser, documents."""

    depth: int = MAX_DEPTH
    nodes: int = MAX_NODES
    documents: int = 1


_ONE = Bounds()

_STR = "tag:yaml.org,2002:str"
_NULL = "tag:yaml.org,2002:null"
_BOOL = "tag:yaml.org,2002:bool"
_INT = "tag:yaml.org,2002:int"
_NUMBERS = {_INT, "tag:yaml.org,2002:float"}
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?", re.ASCII)


class Malformed(ValueError):
    """`where` is a field path such as `users[0].user`, empty for the whole; `message` is why."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(message)
        self.where = where
        self.message = message


def load(raw: bytes, *, numbers: bool = False) -> Value:
    """Return the only document of `raw`. Raises Malformed.

    Dates stay text, and so do numbers unless they are asked for; then those of JSON are read.
    """
    return load_all(raw, _ONE, numbers=numbers)[0]


def load_all(raw: bytes, bounds: Bounds, *, numbers: bool = True) -> list[Value]:
    """Return every document of `raw`, at least one; an empty one is None. Raises Malformed."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("", "is not UTF-8 text") from None
    try:
        _check_events(text, bounds)
        nodes = list(yaml.compose_all(text, yaml.CSafeLoader))
    except yaml.YAMLError as error:
        raise Malformed("", f"is not valid YAML{_place(error)}") from None
    return [_build(node, "", numbers) for node in nodes] or [None]


def _place(error: yaml.YAMLError) -> str:
    """Name the line only: the text around it may be a secret."""
    mark = getattr(error, "problem_mark", None)
    return f": line {mark.line + 1}" if mark else ""


def _check_events(text: str, bounds: Bounds) -> None:
    depth = documents = 0
    for count, event in enumerate(yaml.parse(text, yaml.CSafeLoader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        documents += isinstance(event, yaml.DocumentStartEvent)
        _check_event(event)
        if depth > bounds.depth:
            raise Malformed("", f"is nested deeper than {bounds.depth} levels")
        if count > bounds.nodes:
            raise Malformed("", f"holds more than {bounds.nodes} values")
        if documents > bounds.documents:
            most = "one document" if bounds.documents == 1 else f"{bounds.documents} documents"
            raise Malformed("", f"holds more than {most}")


def _check_event(event: yaml.Event) -> None:
    place = f" in line {event.start_mark.line + 1}" if event.start_mark else ""
    if getattr(event, "anchor", None) is not None:
        raise Malformed("", f"holds an anchor or alias{place}: write values out")
    if isinstance(event, yaml.NodeEvent) and getattr(event, "tag", None) is not None:
        raise Malformed("", f"holds a tag{place}: remove it")


def _build(node: yaml.Node | None, path: str, numbers: bool) -> Value:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, numbers)
    if isinstance(node, yaml.SequenceNode):
        items = enumerate(node.value)
        return [_build(item, f"{path}[{index}]", numbers) for index, item in items]
    if not isinstance(node, yaml.ScalarNode) or node.tag == _NULL:
        return None
    if node.tag == _BOOL:
        return node.value.lower() in ("true", "yes", "on")
    return _number(node) if numbers else str(node.value)


def _number(node: yaml.ScalarNode) -> str | int | float:
    text = str(node.value)
    if node.tag not in _NUMBERS or not _JSON_NUMBER.fullmatch(text):
        return text
    return int(text) if node.tag == _INT else float(text)


def _mapping(node: yaml.MappingNode, path: str, numbers: bool) -> dict[str, Value]:
    built: dict[str, Value] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != _STR:
            raise Malformed(path, "has a key that is not text")
        key = str(key_node.value)
        where = f"{path}.{key}" if path else key
        if key in built:
            raise Malformed(where, "is given twice")
        built[key] = _build(value_node, where, numbers)
    return built
