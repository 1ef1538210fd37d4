"""The strictest of what several sources ask for, and where each value comes from. Pure.

Deny wins, of allow-lists what all allow is left, of numbers the smaller counts. Two values that no
object can fulfil at once are a conflict: the one that came first stays, nothing is guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tenancy.rules.kinds import KINDS
from tenancy.rules.merging import Contradiction

Rules = Mapping[str, Any]
# Parts of values that say what is allowed.
_ALLOWING = (
    *("addresses", "allow", "classes", "source_ranges"),
    *("egress_cidrs", "ingress_cidrs", "namespaces", "ports"),
)


@dataclass(frozen=True)
class Source:
    """Who asks for restrictions; `name` is for people, such as `Tenant acme`."""

    name: str
    rules: Rules


@dataclass(frozen=True)
class Origin:
    """What one source says about one kind."""

    source: str
    value: Any


@dataclass(frozen=True)
class Conflict:
    """Sources that do not go together. `blocking`: no object can fulfil them at once.

    Otherwise they leave nothing that would be allowed, which somebody may have meant.
    """

    kind: str
    sources: tuple[str, ...]
    text: str
    blocking: bool

    def __str__(self) -> str:
        return f"{self.kind} of {' and '.join(self.sources)}: {self.text}"


@dataclass(frozen=True)
class Resolved:
    """The strictest values by kind, their origins by kind, and what does not go together."""

    rules: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, tuple[Origin, ...]] = field(default_factory=dict)
    conflicts: tuple[Conflict, ...] = ()


def resolve(sources: Sequence[Source]) -> Resolved:
    """Return what holds where all sources hold; each has rules without problems."""
    given: dict[str, list[Origin]] = {}
    for source in sources:
        for kind, value in source.rules.items():
            if kind in KINDS:
                given.setdefault(kind, []).append(Origin(source.name, value))
    rules: dict[str, Any] = {}
    conflicts: list[Conflict] = []
    for kind, origins in sorted(given.items()):
        rules[kind], found = _strictest(kind, origins)
        conflicts += found
    return Resolved(
        rules, {kind: tuple(each) for kind, each in sorted(given.items())}, (*conflicts,)
    )


def strictest(*rules: Rules) -> dict[str, Any]:
    """Return the strictest of several restrictions; what is alone stays exactly as it is."""
    found = [each for each in rules if each]
    if len(found) < 2:
        return dict(found[0]) if found else {}
    return resolve([Source("", each) for each in found]).rules


def _strictest(kind: str, origins: Sequence[Origin]) -> tuple[Any, list[Conflict]]:
    value, kept, conflicts = origins[0].value, [origins[0]], []
    for origin in origins[1:]:
        try:
            value = KINDS[kind].stricter(value, origin.value)
        except Contradiction as error:
            against = next((each for each in kept if not _agree(kind, each, origin)), kept[0])
            conflicts.append(Conflict(kind, (against.source, origin.source), str(error), True))
        else:
            kept.append(origin)
    if _allows_nothing(value) and not any(_allows_nothing(each.value) for each in kept):
        names = tuple(each.source for each in kept)
        text = "They have nothing in common: nothing at all is allowed."
        conflicts.append(Conflict(kind, names, text, False))
    return value, conflicts


def _agree(kind: str, one: Origin, other: Origin) -> bool:
    try:
        KINDS[kind].stricter(one.value, other.value)
    except Contradiction:
        return False
    return True


def _allows_nothing(value: Any) -> bool:
    return value == [] or (
        isinstance(value, Mapping) and any(value.get(part) == [] for part in _ALLOWING)
    )
