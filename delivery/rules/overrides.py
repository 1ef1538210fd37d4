"""What differs on some of an app's clusters: overrides of its components and environment. Pure.

An override applies to the clusters that it names and to those that carry all labels of its
selector, as a placement does. Where several apply, they do so in their order. Properties are merged
as a JSON merge patch does it (RFC 7396: maps by key, null takes away, lists are replaced), but for
`env`, which is merged by name; traits are merged by type.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce

from delivery.rules.environment import environment_problems, merged_variables, with_environment
from delivery.rules.meaning import twice
from delivery.rules.problems import component_problems, names_of
from delivery.rules.published_types import NOTHING, Published
from delivery.rules.schema import Path, Problem, schema_problems, within
from delivery.rules.shapes import BOOLEAN, LABEL, PAIRS, listed, obj
from delivery.rules.storable import unsafe
from delivery.rules.types import COMPONENT_TYPES
from reconcile.spelling import label_faults, sentence
from reconcile.values import JSON

MAX_OVERRIDES = 20
MAX_CHANGES = 100  # of components, in all overrides
_TEXT: JSON = {"type": "string"}
_MAP: JSON = {"type": "object"}
_TRAIT = obj(("type",), type=_TEXT, properties=_MAP, disable=BOOLEAN)
_COMPONENT = obj(("name",), name=_TEXT, properties=_MAP, traits=listed(_TRAIT, 20))
OVERRIDES = listed(
    obj(
        clusters=listed(LABEL, 200),
        selector=PAIRS,
        components=listed(_COMPONENT, 30),
        environment={"type": "array"},
    ),
    MAX_OVERRIDES,
)

# --- What they come to.


def matching(overrides: Sequence[JSON], cluster: str, labels: Mapping[str, str]) -> list[JSON]:
    """Return the overrides that apply to a cluster, in their order."""
    return [each for each in overrides if _applies(each, cluster, labels)]


def _applies(override: JSON, cluster: str, labels: Mapping[str, str]) -> bool:
    selector = override.get("selector", {})
    return cluster in override.get("clusters", ()) or bool(
        selector and selector.items() <= labels.items()
    )


def components_on(spec: JSON, cluster: str, labels: Mapping[str, str]) -> list[JSON]:
    """Return the components of a revision as they are wanted on a cluster with these labels.

    `spec` is what a revision holds. A component's own variables win over the environment.
    """
    found = matching(spec.get("overrides", ()), cluster, labels)
    variables = reduce(
        merged_variables,
        (each.get("environment", ()) for each in found),
        list(spec.get("environment", ())),
    )
    components = overridden(spec["components"], found)
    ours = [each["type"] in COMPONENT_TYPES for each in components]  # others may have no such thing
    return [
        with_environment(each, variables) if own else each
        for each, own in zip(components, ours, strict=True)
    ]


def overridden(components: Sequence[JSON], overrides: Iterable[JSON]) -> list[JSON]:
    """Return the components with these overrides, one after the other."""
    found = list(components)
    for override in overrides:
        changes = {each["name"]: each for each in override.get("components", ())}
        found = [_changed(each, changes.get(each["name"], {})) for each in found]
    return found


def _changed(component: JSON, change: JSON) -> JSON:
    found = dict(component)
    if properties := change.get("properties"):
        found["properties"] = _properties(component.get("properties", {}), properties)
    if traits := change.get("traits"):
        found["traits"] = _traits(component.get("traits", []), traits)
    return found


def _properties(before: JSON, change: JSON) -> JSON:
    found = _merged(before, {key: value for key, value in change.items() if key != "env"})
    own = change.get("env")
    if own is None:
        return {key: value for key, value in found.items() if key != "env" or "env" not in change}
    known = found.get("env", [])
    return {**found, "env": merged_variables(known, own) if _named(own) else own}


def _named(variables: object) -> bool:
    """Whether this can be merged; what is wrong with anything else is told of the result."""
    listed = variables if isinstance(variables, list) else [None]
    return all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in listed)


def _traits(before: Sequence[JSON], changes: Sequence[JSON]) -> list[JSON]:
    found = {trait["type"]: trait for trait in before}
    for change in changes:
        type_ = change["type"]
        if change.get("disable"):
            found.pop(type_, None)
            continue
        properties = found.get(type_, {}).get("properties", {})
        merged = _merged(properties, change.get("properties", {}))
        found[type_] = {"type": type_, "properties": merged}
    return list(found.values())


def _merged(before: JSON, change: JSON) -> JSON:
    """As RFC 7396 has it."""
    found = dict(before)
    for key, value in change.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, dict):
            inner = found.get(key)
            found[key] = _merged(inner if isinstance(inner, dict) else {}, value)
        else:
            found[key] = value
    return found


# --- What is wrong with them.


def override_problems(
    overrides: object, components: object, published: Published = NOTHING
) -> list[Problem]:
    """Return what is wrong with an app's `overrides`, each alone on valid `components`.

    What cannot be stored or read safely is reported alone.
    """
    if isinstance(overrides, list) and (danger := unsafe(overrides)):
        return [danger]
    found = list(schema_problems(overrides, OVERRIDES))
    if found or not isinstance(overrides, list):
        return found
    if sum(len(each.get("components", ())) for each in overrides) > MAX_CHANGES:
        text = f"Overrides may name at most {MAX_CHANGES} components in all."
        return [Problem((), "too_many", text)]
    known = components if isinstance(components, list) else []
    judged = not component_problems(components, (), published)
    for index, override in enumerate(overrides):
        wrong = [*_shape(override, names_of(known))]
        if not wrong and judged:
            wrong = together_problems(known, [override], published)
        found += within((index,), wrong)
    return found


def together_problems(
    components: list[JSON], overrides: Sequence[JSON], published: Published = NOTHING
) -> list[Problem]:
    """Return what is wrong with components once these overrides apply, seen from the last one."""
    merged = overridden(components, overrides)
    names = names_of(merged)
    same = [index for index, each in enumerate(merged) if each == components[index]]
    found = [
        Problem(_place(overrides[-1], names, merged, path), code, text)
        for path, code, text in component_problems(merged, same, published)
    ]
    return list({problem.path: problem for problem in reversed(found)}.values())[::-1]


def _shape(override: JSON, names: Sequence[object]) -> Iterator[Problem]:
    if not override.get("clusters") and not override.get("selector"):
        yield Problem((), "required", "Say where it applies: clusters, a selector, or both.")
    if not override.get("components") and not override.get("environment"):
        yield Problem((), "required", "Say what differs there: components, environment, or both.")
    for key, fault in label_faults(override.get("selector", {})).items():
        yield Problem(("selector", key) if key else ("selector",), "labels", sentence(key, fault))
    yield from within(("environment",), environment_problems(override.get("environment", [])))
    changes = override.get("components", [])
    yield from within(("components",), twice(names_of(changes), "name"))
    for index, change in enumerate(changes):
        yield from within(("components", index), _change(change, names))


def _change(change: JSON, names: Sequence[object]) -> Iterator[Problem]:
    if change["name"] not in names:
        yield Problem(("name",), "unknown", "The app has no such component.")
    traits = change.get("traits", [])
    yield from within(("traits",), twice([trait["type"] for trait in traits], "type"))
    for index, trait in enumerate(traits):
        if trait.get("disable") and trait.get("properties"):
            text = "A trait that is disabled has no properties."
            yield Problem(("traits", index, "properties"), "conflict", text)


def _place(override: JSON, names: Sequence[object], merged: Sequence[JSON], path: Path) -> Path:
    """Say where in the override the fault of a merged component comes from."""
    index = path[0] if path else None
    changes = names_of(override.get("components", []))
    if not isinstance(index, int) or names[index] not in changes:
        return ("components",)
    place = changes.index(names[index])
    return ("components", place, *_inside(override["components"][place], merged[index], path[1:]))


def _inside(change: JSON, merged: JSON, path: Path) -> Path:
    """As far down as the override itself goes."""
    match path:
        case ("traits", int(index), *rest):
            type_ = merged["traits"][index]["type"]
            types = [trait["type"] for trait in change.get("traits", [])]
            return ("traits", types.index(type_), *rest) if type_ in types else ()
        case ("properties", *_) if "properties" in change:
            return path
        case _:
            return ()
