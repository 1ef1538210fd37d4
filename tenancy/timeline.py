"""Which events a person may read, and how they tell of one object or of one request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q, QuerySet

from reconcile.finding import lookups_of
from reconcile.models import Event
from reconcile.models.declared import Declared
from tenancy.models import Project, Tenant

FORM = "kind/name or kind/uid, such as app/acme/shop/web or tenant/acme"
# What a step does in between: told in the timeline of a request, too much for a list of news.
STAGES = frozenset({"Requested", "Planned", "Applied", "Observed", "Interrupted"})


class UnknownObject(ValueError):
    """The text names no object; the message says how one is named."""


@dataclass(frozen=True)
class Moment:
    """An event of a timeline: `offset` seconds after its first, `took` seconds where it says so."""

    event: Event
    offset: float
    took: float | None


def events_for(user: User | AnonymousUser) -> QuerySet[Event]:
    """Return every event for operators, those of what they belong to for members, else none.

    Who belongs to a project alone reads of it, its placements and all that lives inside of it.
    """
    if not user.is_active:
        return Event.objects.none()
    if user.is_staff:
        return Event.objects.all()
    theirs = Q(tenant__in=Tenant.objects.visible_to(user).values("name"))
    projects = Project.objects.joined_by(user)
    for rows in projects.with_inside() if projects.exists() else ():
        theirs |= Q(object_uid__in=rows.values("uid")) | _placements_of(rows)
    return Event.objects.filter(theirs)


def _placements_of(rows: QuerySet[Any]) -> Q:
    if not hasattr(rows.model, "placements"):
        return Q(pk__in=())
    placements = rows.model.placements.rel.related_model
    inside = placements._default_manager.filter(**{f"{placements.parent_field}__in": rows})
    return Q(object_uid__in=inside.order_by().values("uid"))


def news(events: QuerySet[Event]) -> QuerySet[Event]:
    """Keep what is worth telling by itself, without the stages in between."""
    return events.exclude(reason__in=STAGES)


def moments(events: Sequence[Event]) -> list[Moment]:
    """Return events in their order with the time between them."""
    return [
        Moment(event, (event.at - events[0].at).total_seconds(), _took(event)) for event in events
    ]


def _took(event: Event) -> float | None:
    if "seconds" in event.data:
        return float(event.data["seconds"])
    return float(event.data["milliseconds"]) / 1000 if "milliseconds" in event.data else None


def about(events: QuerySet[Event], text: str) -> QuerySet[Event]:
    """Keep the events of one object and of its placements.

    `text` is a uid, `kind/uid` or `kind/name`; a short name stands for all that bear it. What is
    gone is still found by its name. Raises UnknownObject.
    """
    if uid := as_uid(text):
        return events.filter(object_uid=uid)
    kind, _, name = text.partition("/")
    known = _kinds()
    if kind not in known or not name:
        raise UnknownObject(f"Name it as {FORM}. Kinds: {', '.join(sorted(known))}.")
    rows = _rows(known[kind], name)
    if not rows.exists():
        return events.filter(_by_name(kind, name))
    return events.filter(Q(object_uid__in=rows.values("uid")) | _placements_of(rows))


def as_uid(text: str) -> UUID | None:
    """Read a uid; None where the text is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _kinds() -> dict[str, type[Declared]]:
    return {
        str(model._meta.model_name): model
        for model in apps.get_models()
        if issubclass(model, Declared)
    }


def _rows(model: type[Declared], name: str) -> QuerySet[Declared]:
    rows = model._default_manager.order_by()
    if uid := as_uid(name):
        return rows.filter(uid=uid)
    names, lookups = name.split("/"), lookups_of(model)
    if len(names) > len(lookups):
        raise UnknownObject(f"Name it as {FORM}.")
    return rows.filter(**dict(zip(lookups[-len(names) :], names, strict=True)))


def _by_name(kind: str, name: str) -> Q:
    if uid := as_uid(name):
        return Q(object_uid=uid)
    own = Q(name__endswith=f" {name}") | Q(name__endswith=f"/{name}")
    placed = Q(name__contains=f" {name} on ") | Q(name__contains=f"/{name} on ")
    return (Q(kind=kind) & own) | (Q(kind=f"{kind}placement") & placed)
