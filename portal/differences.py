"""Differences as pages show them: found by filters, grouped by object, with what one may do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

from django.contrib.auth.models import User
from django.http import QueryDict
from django.utils import timezone

from reconcile.drift import MASK
from reconcile.models import Drift
from reconcile.models.drift import DriftQuerySet
from tenancy.drift import Act, Powers, drift_for, placement_of

MOST = 500
FILTERS = ("tenant", "cluster", "class", "age")
CLASSES = {
    Drift.Class.HUMAN: "a person",
    Drift.Class.AUTOSCALER: "an autoscaler",
    Drift.Class.CONTROLLER: "a controller",
    Drift.Class.MISSING: "missing object",
    Drift.Class.EXTRA: "undeclared object",
    Drift.Class.UNKNOWN: "unknown",
}
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
# (value, label, whether older than that, how long)
AGES = (
    ("last-hour", "in the last hour", False, _HOUR),
    ("last-day", "in the last day", False, _DAY),
    ("over-hour", "for more than an hour", True, _HOUR),
    ("over-day", "for more than a day", True, _DAY),
    ("over-week", "for more than a week", True, 7 * _DAY),
)


@dataclass(frozen=True)
class Difference:
    """One field that differs, with what the person may do about it."""

    drift: Drift
    may: frozenset[Act]

    @property
    def uids(self) -> list[str]:
        """What a decision about it names."""
        return [str(self.drift.uid)]

    @property
    def asked(self) -> bool:
        """Whether its repair is under way already."""
        return bool(self.drift.repair_requested_by)

    @property
    def deletes(self) -> bool:
        """Whether its repair deletes an object, which is confirmed before."""
        return self.drift.drift_class == Drift.Class.EXTRA

    @property
    def by(self) -> str:
        """Who or what changed it, in words."""
        return CLASSES[cast("Drift.Class", self.drift.drift_class)]


@dataclass
class Differing:
    """One object on one cluster with all of it that differs."""

    first: Drift
    fields: list[Difference] = field(default_factory=list)

    @property
    def key(self) -> str:
        """Tells it from the others on a page."""
        return str(self.first.uid)

    @property
    def owner(self) -> str:
        """What declared it, such as `App acme/shop/site`."""
        return placement_of(self.first)

    @property
    def owner_kind(self) -> str:
        """The kind of that, as paths have it."""
        return self.first.parent_kind.rpartition(".")[2]

    @property
    def since(self) -> datetime:
        """Since when any of it differs."""
        return min(each.drift.first_seen for each in self.fields)

    @property
    def uids(self) -> list[str]:
        """What decisions about all of it name."""
        return [str(each.drift.uid) for each in self.fields]

    @property
    def may(self) -> frozenset[Act]:
        """What the person may do about all of it."""
        return frozenset.intersection(*(each.may for each in self.fields))


def chosen(query: QueryDict) -> dict[str, str]:
    """Return the filters that a page was asked with; a blank one narrows nothing."""
    return {name: query.get(name, "").strip()[:63] for name in FILTERS}


def narrowed(user: User, wanted: Mapping[str, str]) -> DriftQuerySet:
    """Return what the person may see of what the filters find, over or not."""
    columns = {"tenant": "tenant", "cluster": "cluster", "class": "drift_class"}
    given = {column: wanted[name] for name, column in columns.items() if wanted[name]}
    rows = drift_for(user).filter(**given)
    for value, _, older, how_long in AGES:
        if value == wanted["age"]:
            moment = timezone.now() - how_long
            return rows.filter(**{"first_seen__lt" if older else "first_seen__gte": moment})
    return rows


def grouped(rows: Sequence[Drift], powers: Powers) -> list[Differing]:
    """Put fields of one object together; objects stay in the order of their first field."""
    found: dict[tuple[object, ...], Differing] = {}
    for drift in rows:
        key = (drift.work_id, drift.ref)
        found.setdefault(key, Differing(drift)).fields.append(judged(drift, powers))
    for each in found.values():
        each.fields.sort(key=lambda difference: difference.drift.path)
    return list(found.values())


def judged(drift: Drift, powers: Powers) -> Difference:
    """Return a difference with what the person may do and what makes sense."""
    acts = {act for act in Act if powers.may(act, drift)}
    if drift.whole or MASK in (drift.wanted, drift.found):
        acts.discard(Act.ACCEPT)
    return Difference(drift, frozenset(acts))
