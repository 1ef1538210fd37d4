"""What is wrong with the components of an app, part by part.

Properties are data: nothing in them is ever evaluated, whatever template language it looks like.
"""

from collections.abc import Collection, Iterator, Mapping

from delivery.intents import Component
from delivery.rules.depending import dependency_problems
from delivery.rules.meaning import judged, meaning_problems, twice
from delivery.rules.published_types import NOTHING, Published
from delivery.rules.schema import Path, Problem, schema_problems, within
from delivery.rules.storable import reserved_keys, unsafe
from delivery.rules.types import COMPONENT, COMPONENT_TYPES, TRAIT_TYPES
from delivery.rules.volumes import made_by
from reconcile.spelling import name_fault
from reconcile.values import JSON

MAX_COMPONENTS = 30


def component_problems(
    components: object, known: Collection[int] = (), published: Published = NOTHING
) -> list[Problem]:
    """Return everything that is wrong with an app's `components`; empty when nothing is.

    What cannot be stored or read safely is reported alone, since it cannot be looked into. Those of
    the indexes `known` were found right by themselves before, and are judged with the others only.
    Types are ours, or `published`.
    """
    if not isinstance(components, list) or not components:
        return [Problem((), "required", "Give at least one component.")]
    if len(components) > MAX_COMPONENTS:
        text = f"An app may have at most {MAX_COMPONENTS} components."
        return [Problem((), "too_many", text)]
    if danger := unsafe(components):
        return [danger]
    found = [*reserved_keys(components)]
    valid: dict[int, JSON] = {}
    for index, component in enumerate(components):
        judged = () if index in known else _component(component, published)
        wrong = list(within((index,), judged))
        found += wrong
        if not wrong:
            valid[index] = component
    return list(first_of_each_place([*found, *_together(components), *_made_twice(valid)]))


def names_of(components: object) -> list[object]:
    """Return the name of each component, None where there is none that is a text."""
    listed = components if isinstance(components, list) else []
    names = [item.get("name") if isinstance(item, dict) else None for item in listed]
    return [name if isinstance(name, str) else None for name in names]


def _component(component: object, published: Published) -> Iterator[Problem]:
    """Its frame, then the schemas of its types, then what schemas cannot say."""
    frame = list(schema_problems(component, COMPONENT))
    yield from frame
    if frame or not isinstance(component, dict):
        return
    if fault := name_fault(component["name"]):
        yield Problem(("name",), "name", f"The name {fault}.")
    found = [
        *_typed(component, COMPONENT_TYPES, published.components, "component"),
        *within(("traits",), _traits(component.get("traits", []), published)),
    ]
    yield from found or meaning_problems(component)


def _typed(
    item: JSON, types: Mapping[str, JSON], published: Mapping[str, JSON | None], what: str
) -> Iterator[Problem]:
    schema = types.get(item["type"])
    if schema is None and item["type"] in published:
        schema = published[item["type"]] or {"type": "object"}
    if schema is None:
        text = f"There is no such {what} type. Use {', '.join(sorted(types))}."
        yield Problem(("type",), "type", text)
        return
    yield from within(("properties",), schema_problems(item.get("properties", {}), schema))


def _traits(traits: list[JSON], published: Published) -> Iterator[Problem]:
    for index, trait in enumerate(traits):
        yield from within((index,), _typed(trait, TRAIT_TYPES, published.traits, "trait"))
    yield from twice([trait["type"] for trait in traits], "type")


def _together(components: list[object]) -> Iterator[Problem]:
    """What concerns several components: their names, and who waits for whom."""
    names = names_of(components)
    waits = [item.get("dependsOn") if isinstance(item, dict) else None for item in components]
    yield from twice(names, "name")
    yield from dependency_problems(names, waits)


def _made_twice(components: Mapping[int, JSON]) -> Iterator[Problem]:
    """Two traits of an app that would write the same object; all of the components are valid."""
    seen: set[tuple[str, str]] = set()
    for index, declared in components.items():
        component = Component.of(declared)
        for kind, name, (_, trait, *rest) in made_by(judged(component)):
            if (kind, name) in seen:
                place = (index, "traits", list(component.traits).index(str(trait)), *rest)
                yield Problem(place, "repeated", "Another one is made by this name.")
            seen.add((kind, name))


def first_of_each_place(problems: list[Problem]) -> Iterator[Problem]:
    """A reserved key is also one that no schema knows: the first word on a place counts."""
    seen: set[Path] = set()
    for problem in problems:
        if problem.path not in seen:
            seen.add(problem.path)
            yield problem
