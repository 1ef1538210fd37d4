"""Which types of components and traits a tenant may use, and what of an app goes beyond. Pure.

What an app has already stays: a component keeps its type and its traits, and may be changed
otherwise. So a list that gets shorter stops nothing that runs and no new image of it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from delivery.rules.definitions import DefinitionKind
from delivery.rules.schema import Path
from delivery.rules.types import COMPONENT_TYPES, TRAIT_TYPES
from reconcile.values import JSON

KNOWN: Mapping[DefinitionKind, tuple[str, ...]] = {
    DefinitionKind.COMPONENT: tuple(sorted(COMPONENT_TYPES)),
    DefinitionKind.TRAIT: tuple(sorted(TRAIT_TYPES)),
}


class Use(NamedTuple):
    """A component of this name uses a type, be it its own or that of a trait."""

    kind: DefinitionKind
    component: str
    type: str

    def __str__(self) -> str:
        return f"{self.kind} type {self.type} ({self.component})"


@dataclass(frozen=True)
class Allowed:
    """The types that may be used, sorted by name."""

    components: Sequence[str] = KNOWN[DefinitionKind.COMPONENT]
    traits: Sequence[str] = KNOWN[DefinitionKind.TRAIT]

    def of(self, kind: DefinitionKind) -> Sequence[str]:
        """Those of a kind."""
        return self.components if kind is DefinitionKind.COMPONENT else self.traits

    def narrowed(self, components: Sequence[str] | None, traits: Sequence[str] | None) -> "Allowed":
        """With lists of their own instead; None leaves a kind as it is."""
        return Allowed(
            self.components if components is None else components,
            self.traits if traits is None else traits,
        )

    def __or__(self, other: "Allowed") -> "Allowed":
        """What one of the two lets through."""
        return Allowed(
            sorted({*self.components, *other.components}), sorted({*self.traits, *other.traits})
        )

    def __str__(self) -> str:
        """As people read it after "Use"."""
        listed = (f"the {kind}s {', '.join(self.of(kind)) or '(none)'}" for kind in DefinitionKind)
        return " and ".join(listed)


def list_fault(kind: DefinitionKind, types: object) -> str:
    """Say what is wrong with a list of allowed types; empty when nothing is."""
    if not isinstance(types, list) or not all(isinstance(each, str) for each in types):
        return "Give a list of types."
    if unknown := sorted({*types} - {*KNOWN[kind]}):
        return f"There is no {kind} type {unknown[0][:63]}. Use some of {', '.join(KNOWN[kind])}."
    return ""


def beyond(spec: JSON, before: JSON, allowed: Allowed) -> dict[Path, Use]:
    """Return what a revision's spec uses although it may not and `before` did not, by its place.

    `before` is the spec of the revision that it follows, empty for the first one. Both are valid.
    """
    known: Collection[Use] = {use for _, use in uses(before)}
    return {
        place: use
        for place, use in uses(spec)
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
