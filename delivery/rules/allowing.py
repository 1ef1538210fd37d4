"""Which types of components and traits a tenant may use, and what of an app goes beyond. Pure.

What an app has already stays: a component keeps its type and its traits, and may be changed
otherwise. So a list that gets shorter stops nothing that runs and no new image of it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from delivery.rules.definitions import APP_KINDS, DefinitionKind
from delivery.rules.schema import Path
from delivery.rules.types import COMPONENT_TYPES, TRAIT_TYPES
from delivery.rules.workflow_types import STEP_TYPES
from reconcile.values import JSON

KNOWN: Mapping[DefinitionKind, tuple[str, ...]] = {
    DefinitionKind.COMPONENT: tuple(sorted(COMPONENT_TYPES)),
    DefinitionKind.TRAIT: tuple(sorted(TRAIT_TYPES)),
    DefinitionKind.STEP: tuple(STEP_TYPES),
}


# Where a list of each kind stands: columns of `TypeList`, and fields of the API.
COLUMNS: Mapping[DefinitionKind, str] = {
    DefinitionKind.COMPONENT: "components",
    DefinitionKind.TRAIT: "traits",
    DefinitionKind.STEP: "workflow_steps",
}


class Use(NamedTuple):
    """A component of this name uses a type, be it its own or that of a trait; or a step does."""

    kind: DefinitionKind
    component: str
    type: str

    def __str__(self) -> str:
        return f"{self.kind} type {self.type} ({self.component})"


@dataclass(frozen=True)
class Allowed:
    """The types that may be used, sorted by name: all of ours, and none that is published."""

    components: Sequence[str] = KNOWN[DefinitionKind.COMPONENT]
    traits: Sequence[str] = KNOWN[DefinitionKind.TRAIT]
    workflow_steps: Sequence[str] = KNOWN[DefinitionKind.STEP]

    def of(self, kind: DefinitionKind) -> Sequence[str]:
        """Those of a kind."""
        found: Sequence[str] = getattr(self, COLUMNS[kind])
        return found

    def narrowed(self, lists: Mapping[str, Sequence[str] | None]) -> "Allowed":
        """With lists of their own instead, by column; None leaves a kind as it is."""
        return replace(self, **{name: each for name, each in lists.items() if each is not None})

    def __or__(self, other: "Allowed") -> "Allowed":
        """What one of the two lets through."""
        return Allowed(
            **{
                column: sorted({*self.of(kind), *other.of(kind)})
                for kind, column in COLUMNS.items()
            }
        )

    def told(self, *kinds: DefinitionKind) -> str:
        """As people read it after "Use"."""
        listed = (f"the {kind}s {', '.join(self.of(kind)) or '(none)'}" for kind in kinds)
        return " and ".join(listed)

    def __str__(self) -> str:
        """What apps may be made of; steps of workflows where they are fewer than all."""
        steps = (DefinitionKind.STEP,) if self.workflow_steps != KNOWN[DefinitionKind.STEP] else ()
        return self.told(*APP_KINDS, *steps)


def list_fault(kind: DefinitionKind, types: object, published: Collection[str] = ()) -> str:
    """Say what is wrong with a list of allowed types, ours or published; empty when nothing is."""
    known = {*KNOWN[kind], *published}
    if not isinstance(types, list) or not all(isinstance(each, str) for each in types):
        return "Give a list of types."
    if unknown := sorted({*types} - known):
        return f"There is no {kind} type {unknown[0][:63]}. Use some of {', '.join(sorted(known))}."
    return ""


def beyond(spec: JSON, before: JSON, allowed: Allowed) -> dict[Path, Use]:
    """Return what a revision's spec uses although it may not and `before` did not, by its place.

    `before` is the spec of the revision that it follows, empty for the first one. Both are valid.
    """
    return _new(uses(spec), uses(before), allowed)


def steps_beyond(
    steps: Sequence[JSON], before: Sequence[JSON], allowed: Allowed
) -> dict[Path, Use]:
    """As `beyond`, of the steps of a workflow's version and of the one that it follows."""
    return _new(step_uses(steps), step_uses(before), allowed)


def step_uses(steps: Sequence[JSON]) -> Iterator[tuple[Path, Use]]:
    """Yield the type of each step with its place, sub-steps after their group."""
    for index, step in enumerate(steps):
        yield ("steps", index, "type"), Use(DefinitionKind.STEP, step["name"], step["type"])
        for number, sub in enumerate(step.get("subSteps", ())):
            place = ("steps", index, "subSteps", number, "type")
            yield place, Use(DefinitionKind.STEP, sub["name"], sub["type"])


def _new(
    found: Iterable[tuple[Path, Use]], before: Iterable[tuple[Path, Use]], allowed: Allowed
) -> dict[Path, Use]:
    known: Collection[Use] = {use for _, use in before}
    return {
        place: use
        for place, use in found
        if use not in known and use.type not in allowed.of(use.kind)
    }


def uses(spec: JSON) -> Iterator[tuple[Path, Use]]:
    """Yield every use of a type with its place; a trait that an override disables is none."""
    for index, component in enumerate(spec.get("components", ())):
        place: Path = ("components", index)
        name = component["name"]
        yield (*place, "type"), Use(DefinitionKind.COMPONENT, name, component["type"])
        yield from _traits(place, component)
    for number, override in enumerate(spec.get("overrides", ())):
        for index, change in enumerate(override.get("components", ())):
            yield from _traits(("overrides", number, "components", index), change)


def _traits(place: Path, declared: JSON) -> Iterator[tuple[Path, Use]]:
    for index, trait in enumerate(declared.get("traits", ())):
        if not trait.get("disable"):
            use = Use(DefinitionKind.TRAIT, declared["name"], trait["type"])
            yield (*place, "traits", index, "type"), use
