"""What happened: the activity of all that a person may see, and the timeline of one request."""

import re
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from access.models import KubeconfigGrant
from clusters.models import Cluster
from delivery.models import App, Workflow
from policies.models import Attachment, PolicySet
from portal.objects import page_of
from reconcile.models import Event
from reconcile.models.rows import Row
from reconcile.pages.finding import PageRequest, page
from reconcile.pages.lists import newest_first
from tenancy.models import Project, Tenant
from tenancy.timeline import Moment, events_for, moments, news

_LONGEST_TIMELINE = 500
_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PARENTS = (Tenant, Project, App, Workflow, KubeconfigGrant, Cluster, PolicySet, Attachment)
_FILTERS = ("tenant", "cluster", "type", "reason")


@require_safe
@page
def activity(request: PageRequest) -> HttpResponse:
    """Every event that the caller may read, newest first.

    `?object=` keeps those of one object; stages of steps are shown where `?stages=` asks for them.
    """
    rows = events_for(request.user)
    if uid := _uid(request.GET.get("object", "")):
        rows = rows.filter(object_uid=uid)
    chosen = {name: request.GET.get(name, "").strip()[:63] for name in _FILTERS}
    stages = bool(request.GET.get("stages"))
    rows = rows if stages or chosen["reason"] else news(rows)
    rows = rows.filter(**{name: value for name, value in chosen.items() if value})
    names = Tenant.objects.visible_to(request.user).values_list("name", flat=True)
    context = {
        "events": newest_first(request, rows),
        "chosen": chosen,
        "object": uid,
        "stages": stages,
        "tenants": names[:200],
        "types": Event.Type.values,
    }
    return render(request, "portal/activity.html", context)


@require_safe
@page
def timeline(request: PageRequest, correlation_id: str) -> HttpResponse:
    """Everything that one request has set going, in order."""
    if not _WORD.fullmatch(correlation_id):
        raise Http404
    rows = events_for(request.user).filter(correlation_id=correlation_id).order_by("at", "pk")
    events = list(rows[: _LONGEST_TIMELINE + 1])
    if not events:
        raise Http404
    told = moments(events[:_LONGEST_TIMELINE])
    context = {
        "correlation_id": correlation_id,
        "events": events[:_LONGEST_TIMELINE],
        "moments": told,
        "places": _places(told),
        "took": told[-1].offset,
        "cut": len(events) > _LONGEST_TIMELINE,
        "first": events[0],
        "actors": sorted({event.actor for event in events if event.actor}),
        "clusters": sorted({event.cluster for event in events if event.cluster}),
    }
    return render(request, "portal/timeline.html", context)


def _places(told: list[Moment]) -> list[Moment]:
    """Return the last moment of each object on each cluster, the one that came first in front."""
    last = {moment.event.name: moment for moment in told if moment.event.cluster}
    return sorted(last.values(), key=lambda moment: (moment.offset, moment.event.name))


@require_safe
@page
def shown(request: PageRequest, kind: str, uid: UUID) -> HttpResponse:
    """Lead from an event to the page of its object, or to all that happened to it.

    The latter for what is gone, and for what one may read about but not open.
    """
    if (row := _object(request, kind, uid)) is not None:
        return redirect(page_of(row))
    if events_for(request.user).filter(kind=kind, object_uid=uid).exists():
        return redirect(f"{reverse('activity')}?object={uid}")
    raise Http404


def _object(request: PageRequest, kind: str, uid: UUID) -> Row | None:
    for model in _PARENTS:
        rows: QuerySet[Any] = model.objects.visible_to(request.user)
        if model._meta.model_name == kind:
            return rows.filter(uid=uid).first()
        placements = getattr(model, "placements", None)
        if placements and placements.rel.related_model._meta.model_name == kind:
            return rows.filter(placements__uid=uid).first()
    return None


def _uid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
