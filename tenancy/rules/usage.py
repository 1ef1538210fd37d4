"""What is used of a quota, as clusters report it, summed over the namespaces of a tenant."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from reconcile.values import JSON, Live, Ref
from tenancy.rules.quantities import legible, measure

FULL = 100
_MOST, _LONGEST = 100, 40


@dataclass(frozen=True)
class Usage:
    """One resource on one cluster: quantities, as Kubernetes writes them."""

    resource: str
    used: str
    hard: str

    @property
    def percent(self) -> int:
        """How much is used, rounded down; above 100 where a quota was lowered below its use."""
        used, hard = _value(self.used), _value(self.hard)
        if hard:
            return int(used * FULL / hard)
        return FULL if used else 0

    @property
    def text(self) -> str:
        """For people: `1.5 of 4`."""
        used, hard = _value(self.used), _value(self.hard)
        return f"{legible(used, self.resource)} of {legible(hard, self.resource)}"


def quota_facts(status: Mapping[str, JSON]) -> JSON:
    """Return the facts of a ResourceQuota's status: `{resource: {"hard", "used"}}` below `quota`.

    Empty as long as the cluster has not counted.
    """
    hard, used = _texts(status.get("hard")), _texts(status.get("used"))
    counted = {name: {"hard": hard[name], "used": used.get(name, "0")} for name in sorted(hard)}
    return {"quota": counted} if counted else {}


def is_counting(seen: Mapping[Ref, Live]) -> bool:
    """Whether a ResourceQuota was told something that its cluster does not count by yet."""
    return any(counts_by and counts_by != told for _, told, counts_by in _hards(seen))


def uncounted(seen: Mapping[Ref, Live]) -> set[Ref]:
    """The ResourceQuotas that their cluster does not count by yet, or has never counted by."""
    return {ref for ref, told, counts_by in _hards(seen) if told != counts_by}


def _hards(seen: Mapping[Ref, Live]) -> Iterator[tuple[Ref, object, object]]:
    """Each ResourceQuota with what it was told and what it counts by."""
    for ref, live in seen.items():
        if ref.kind.name == "ResourceQuota":
            told, status = live.body.get("spec") or {}, live.body.get("status") or {}
            yield ref, told.get("hard"), status.get("hard")


def _texts(found: object) -> dict[str, str]:
    """A cluster may answer anything: keep so many quantities, and no longer than they can be."""
    entries = list(found.items())[:_MOST] if isinstance(found, dict) else []
    return {str(name): value for name, value in entries if _is_short_text(value)}


def _is_short_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST


def usages(facts: JSON) -> list[Usage]:
    """Read the facts of one namespace, in the order of the resources."""
    counted = facts.get("quota", {})
    return [Usage(name, each["used"], each["hard"]) for name, each in sorted(counted.items())]


def total(quota: Mapping[str, str], namespaces: Iterable[JSON]) -> list[Usage]:
    """Sum the facts of a tenant's namespaces on one cluster against its whole quota there.

    A namespace counts once its cluster has reported.
    """
    used = dict.fromkeys(quota, Fraction(0))
    for facts in namespaces:
        for each in usages(facts):
            if each.resource in used:
                used[each.resource] += _value(each.used)
    return [Usage(name, _written(used[name]), quota[name]) for name in sorted(quota)]


def _value(text: str) -> Fraction:
    """A cluster may write what no quantity is: it counts as nothing."""
    try:
        return measure(text)
    except ValueError:
        return Fraction(0)


def _written(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    return f"{-(-value * 1000 // 1)}m"
