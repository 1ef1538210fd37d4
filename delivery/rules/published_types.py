"""Types that operators publish, of components, traits and steps, and their schemas. Pure.

A schema is an operator's: of the keywords of JSON schema only those are taken that neither fetch
anything nor cost more the longer a text is (no `$ref`, no `pattern`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from delivery.rules.schema import Path, Problem
from delivery.rules.storable import unsafe
from delivery.rules.types import COMPONENT_TYPES, TRAIT_TYPES
from reconcile.values import JSON

_INSIDE = frozenset({"properties"})  # schemas by names
_LISTED = frozenset({"allOf", "anyOf", "oneOf"})
_ONE = frozenset({"items", "additionalProperties", "not"})
_PLAIN = frozenset(
    {
        *("$schema", "type", "title", "description", "default", "examples", "enum", "const"),
        *("required", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "format"),
        *("minProperties", "maxProperties"),
    }
)
# These a component of a published type can bear besides published traits.
BEARABLE = frozenset({"labels", "annotations"})


@dataclass(frozen=True)
class Published:
    """Published types by name, each with the schema of its properties, None where none is known."""

    components: Mapping[str, JSON | None] = field(default_factory=dict)
    traits: Mapping[str, JSON | None] = field(default_factory=dict)
    steps: Mapping[str, JSON | None] = field(default_factory=dict)


NOTHING = Published()


def unknown_types(components: object) -> bool:
    """Whether components use a type that is none of KubeNova's own, be it a published one."""
    return any(
        type_ not in known
        for component in (components if isinstance(components, list) else ())
        if isinstance(component, dict)
        for known, type_ in _types_of(component)
    )


def _types_of(component: JSON) -> Iterator[tuple[Mapping[str, JSON], str]]:
    traits = component.get("traits")
    yield COMPONENT_TYPES, str(component.get("type", "webservice"))
    for trait in traits if isinstance(traits, list) else ():
        if isinstance(trait, dict):
            yield TRAIT_TYPES, str(trait.get("type", "scaler"))


def parameter_problems(schema: object) -> Iterator[Problem]:
    """Yield what is wrong with the schema of a type's properties."""
    if not isinstance(schema, dict):
        yield Problem((), "object", "Use an object: a JSON schema.")
        return
    if danger := unsafe([schema]):
        texts = {"depth": "It is nested too deeply.", "too_large": "It is too large."}
        yield Problem(danger.path[1:], danger.code, texts.get(danger.code, danger.text))
        return
    found = list(_foreign(schema))
    yield from found
    if found:
        return
    if schema.get("type") != "object":
        yield Problem(("type",), "type", "Properties are an object: use the type object.")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = tuple(error.absolute_path)
        yield Problem(place, "schema", "This is no JSON schema (draft 2020-12).")


def _foreign(schema: JSON) -> Iterator[Problem]:
    """Yield the keywords that are not taken, wherever they stand."""
    waiting: list[tuple[Path, object]] = [((), schema)]
    while waiting:
        path, found = waiting.pop()
        if not isinstance(found, dict):
            continue  # true, false, or what is no schema at all
        for key, value in found.items():
            place = (*path, key)
            if key in _INSIDE and isinstance(value, dict):
                waiting += [((*place, name), each) for name, each in value.items()]
            elif key in _LISTED and isinstance(value, list):
                waiting += [((*place, index), each) for index, each in enumerate(value)]
            elif key in _ONE:
                waiting.append((place, value))
            elif key not in _PLAIN and key not in _INSIDE | _LISTED:
                yield Problem(place, "unknown", "This keyword is not taken here.")
