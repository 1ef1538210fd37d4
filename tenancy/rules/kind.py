"""A kind of restrictions, and how those are written that are lists of names or of words. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from reconcile.values import JSON
from tenancy.rules import merging, values
from tenancy.rules.values import MOST_ENTRIES, Problems

LABELS: JSON = {"type": "object", "additionalProperties": {"type": "string", "maxLength": 63}}


@dataclass(frozen=True)
class RuleKind:
    """A kind of restriction. `name` is its key below `restrictions`; `example` is a valid value.

    `schema` is JSON Schema (2020-12). `stricter` takes two values without problems and returns what
    satisfies both, or raises `tenancy.rules.merging.Contradiction`. `write` and `read` are there
    where people write the value as a text of its own sort.
    """

    name: str
    title: str
    summary: str
    schema: JSON
    example: Any
    problems: Callable[[object], Problems]
    stricter: Callable[[Any, Any], Any]
    write: Callable[[Any], str] | None = None
    read: Callable[[str], Any] | None = None

    def merge(self, given: Sequence[Any]) -> Any:
        """Return the strictest of one or more values without problems. Raises Contradiction."""
        return reduce(self.stricter, given)


def list_of(**items: object) -> JSON:
    """The schema of a list of texts, each as `items` says."""
    entries: JSON = {"type": "string", **items}
    return {"type": "array", "items": entries, "maxItems": MOST_ENTRIES, "uniqueItems": True}


def parts_of(**properties: JSON) -> JSON:
    """The schema of a value of parts, one of which has to be there."""
    return {
        "type": "object",
        "properties": properties,
        "minProperties": 1,
        "additionalProperties": False,
    }


def names_of(name: str, title: str, summary: str, *example: str) -> RuleKind:
    """A kind whose value is the list of names that are allowed."""
    schema = list_of(maxLength=253)
    return RuleKind(name, title, summary, schema, list(example), values.names, merging.lists)


def choice(name: str, title: str, summary: str, known: Sequence[str], example: str) -> RuleKind:
    """A kind whose value is some of the words that Kubernetes knows."""
    schema = list_of(enum=list(known))
    problems = values.choices(known)
    return RuleKind(name, title, summary, schema, [example], problems, merging.lists)
