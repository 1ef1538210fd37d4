"""Pages of the definitions that operators publish, for operators: strangers get 404."""

from functools import partial

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from clusters.adapters.kubevela import DEFINITIONS_NAMESPACE
from clusters.models.bundling import Asked
from clusters.models.carrying import Carrying
from clusters.platforms import KUBEVELA
from clusters.publishing_pages import (
    fares,
    find_operator,
    listed,
    publish_form,
    was_kept,
    was_let_go,
    was_sent,
)
from delivery.environment_form import as_yaml
from delivery.models import PublishedDefinition
from delivery.published_form import PublishedForm
from reconcile.pages.finding import PageRequest, find, page, sent
from reconcile.pages.forms import ConfirmNameForm
from reconcile.pages.writing import show_form
from tenancy.models.serving import require

_ASK = require_http_methods(["GET", "HEAD", "POST"])


def _found(request: PageRequest, kind: str, name: str) -> PublishedDefinition:
    rows = PublishedDefinition.objects.prefetch_related(*PublishedDefinition.shown())
    found: PublishedDefinition = find(rows, request, kind=kind, name=name)
    return found


@require_safe
@page
def published(request: PageRequest) -> HttpResponse:
    """All of them, each with the clusters that it is on; of anybody else none."""
    return render(request, "delivery/published_list.html", listed(request, PublishedDefinition))


@require_safe
@page
def published_one(request: PageRequest, kind: str, name: str) -> HttpResponse:
    """One: where it is, how it fares there, and what it says."""
    row = _found(request, kind, name)
    context = {"published": row, "fares": fares(row), "source": as_yaml(row.spec)}
    context["template"] = row.spec["schematic"]["cue"]["template"]
    return render(request, "delivery/published.html", context)


@_ASK
@page
def published_new(request: PageRequest) -> HttpResponse:
    """A form for a new one."""
    find_operator(request)
    form = PublishedForm(sent(request))
    if form.is_valid() and _kept(request, form):
        row = form.instance
        return redirect("published-one", row.kind, row.name)
    return show_form(request, "delivery/published_form.html", form, {"noun": "definition"})


@_ASK
@page
def published_edit(request: PageRequest, kind: str, name: str) -> HttpResponse:
    """A form for another text of it; clusters get that when it is published anew."""
    row = _found(request, kind, name)
    form = PublishedForm(sent(request), instance=row)
    if form.is_valid() and _kept(request, form):
        return redirect("published-one", kind, name)
    return show_form(request, "delivery/published_form.html", form, {"published": row})


def _kept(request: PageRequest, form: PublishedForm) -> bool:
    row, given, by = form.instance, form.cleaned_data, request.user.get_username()
    told = {key: given[key] for key in ("spec", "description", "shadows", "parameters")}
    keep = partial(PublishedDefinition.put, row.kind, row.name, by=by, **told)
    return was_kept(request, form, keep)


@_ASK
@page
def published_send(request: PageRequest, kind: str, name: str) -> HttpResponse:
    """Have it applied to a cluster, or taken off there; or see first what that would do."""
    row = _found(request, kind, name)
    form = publish_form(request, row, sent(request))
    if form.is_valid() and was_sent(request, form, row, lambda asked: _carrying(row, asked)):
        return redirect("published-one", kind, name)
    context = {"published": row, "back": reverse("published-one", args=[kind, name])}
    return show_form(request, "delivery/published_send.html", form, context)


def _carrying(row: PublishedDefinition, asked: Asked) -> Carrying:
    require([asked.cluster], KUBEVELA)
    return Carrying.of([row], asked, DEFINITIONS_NAMESPACE)


@_ASK
@page
def published_delete(request: PageRequest, kind: str, name: str) -> HttpResponse:
    """Asks for the name, then for the deletion."""
    row = _found(request, kind, name)
    form = ConfirmNameForm(sent(request), expected=name)
    gone = was_let_go(request, form, row)
    if gone is not None:
        return redirect("published") if gone else redirect("published-one", kind, name)
    back = reverse("published-one", args=[kind, name])
    context = {"published": row, "fares": fares(row), "back": back}
    return show_form(request, "delivery/published_delete.html", form, context)
