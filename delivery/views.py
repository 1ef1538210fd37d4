"""Pages of apps."""

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from delivery.flows import flow_of
from delivery.forms import AppForm, StructuredAppForm, TextAppForm, component_form, next_index
from delivery.intents import Component
from delivery.models import App
from delivery.models.allowing import allowed_for
from delivery.models.freezing import BREAK_GLASS
from delivery.rules.published_types import unknown_types
from reconcile.models import Event
from reconcile.pages.finding import PageRequest, abilities, find, page, sent
from reconcile.pages.lists import newest_first, page_of
from reconcile.pages.polling import Poll, fragment
from reconcile.pages.writing import declared, delete, show_form
from reconcile.values import JSON, Phase
from tenancy.models import Project
from tenancy.timeline import news

ACTIONS = ("change", "delete", "rollback", "deliver", BREAK_GLASS)
_ASK = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
@page
def apps(request: PageRequest) -> HttpResponse:
    """The apps that the caller may see."""
    return render(request, "delivery/apps.html", _apps(request))


@require_safe
@page
def apps_fragment(request: PageRequest) -> HttpResponse:
    """The list alone, for as long as something in it is unsettled."""
    context = _apps(request)
    return fragment(request, "delivery/_apps.html", context, context["poll"])


def _apps(request: PageRequest) -> JSON:
    rows = App.objects.visible_to(request.user)
    words, phase = request.GET.get("q", "").strip(), request.GET.get("phase", "")
    if words:
        rows = rows.filter(name__icontains=words[:63])
    if phase in set(Phase):
        rows = rows.filter(phase=phase)
    rows = rows.select_related("project__tenant").prefetch_related("placements__cluster")
    shown = page_of(request, rows)
    poll = Poll.of(request, reverse("apps-list"), shown)
    return {"page": shown, "q": words, "phase": phase, "phases": list(Phase), "poll": poll}


def described() -> "QuerySet[App]":
    """Apps with what their pages show, in a fixed number of queries."""
    return App.objects.select_related("project__tenant").prefetch_related("placements__cluster")


def find_app(request: PageRequest, action: str, tenant: str, project: str, app: str) -> App:
    """Return the app that the path names. Raises Http404, PermissionDenied."""
    key = {"project__tenant__name": tenant, "project__name": project, "name": app}
    return find(described(), request, action, **key)


def app_frame(request: PageRequest, row: App, tab: str) -> JSON:
    """Return what the header of each of an app's pages needs."""
    return {
        "app": row,
        "project": row.project,
        "tenant": row.project.tenant,
        "may": abilities(row, request.user, ACTIONS),
        "tab": tab,
    }


@require_safe
@page
def app(request: PageRequest, tenant: str, project: str, app: str) -> HttpResponse:
    """An app: its rollout per cluster and component."""
    row = find_app(request, "view", tenant, project, app)
    return render(request, "delivery/app.html", _app(request, row))


@require_safe
@page
def app_fragment(request: PageRequest, tenant: str, project: str, app: str) -> HttpResponse:
    """The part of an app's page that moves."""
    row = find_app(request, "view", tenant, project, app)
    context = _app(request, row)
    return fragment(request, "delivery/_app.html", context, context["poll"])


def _app(request: PageRequest, row: App) -> JSON:
    path = reverse("app-state", args=[row.project.tenant.name, row.project.name, row.name])
    rows, told = [row, *row.placements.all()], row.rollout_told()
    waves = [{**wave, "seconds": None} for wave in told["waves"]]
    flow = flow_of(row)
    also = [told["state"], told["reason"], waves, flow and flow["states"]]
    poll = Poll.of(request, path, rows, also=also)
    parts = [_known(each) for each in row.components]
    context = {"rollout": told, "poll": poll, "parts": parts, "flow": flow}
    return {**app_frame(request, row, "rollout"), **context}


def _known(component: JSON) -> JSON:
    """A component with those properties that the page can read."""
    return {**component, "properties": {}} if Component.of(component).published else component


@require_safe
@page
def app_activity(request: PageRequest, tenant: str, project: str, app: str) -> HttpResponse:
    """What happened to an app, on all its clusters."""
    row = find_app(request, "view", tenant, project, app)
    uids = [row.uid, *(placement.uid for placement in row.placements.all())]
    events = newest_first(request, news(Event.objects.filter(object_uid__in=uids)))
    context = {**app_frame(request, row, "activity"), "events": events}
    return render(request, "delivery/app_activity.html", context)


@_ASK
@page
def app_new(request: PageRequest, tenant: str, project: str) -> HttpResponse:
    """A form for a new app of a project."""
    key = {"tenant__name": tenant, "name": project}
    parent = find(Project.objects.select_related("tenant"), request, "deliver", **key)
    form = _form(request, App(project=parent))
    if declared(request, form):
        return redirect("app", tenant, project, form.instance.name)
    context = {"project": parent, "tenant": parent.tenant, "as_text": _as_text(request, App())}
    return show_form(request, "delivery/app_form.html", form, context)


@_ASK
@page
def app_edit(request: PageRequest, tenant: str, project: str, app: str) -> HttpResponse:
    """A form for an app: new images, more replicas, other components."""
    row = find_app(request, "change", tenant, project, app)
    form = _form(request, row)
    if declared(request, form):
        return redirect("app", tenant, project, app)
    context = {**app_frame(request, row, "settings"), "as_text": _as_text(request, row)}
    return show_form(request, "delivery/app_form.html", form, context)


def _as_text(request: PageRequest, row: App) -> bool:
    """Whether components are a text: by choice, or since the form knows none of published types."""
    return request.GET.get("as") == "yaml" or unknown_types(row.components)


def _form(request: PageRequest, row: App) -> AppForm:
    kind = TextAppForm if _as_text(request, row) else StructuredAppForm
    return kind(sent(request), instance=row, user=request.user)


@require_safe
@page
def component_new(request: PageRequest, tenant: str, project: str) -> HttpResponse:
    """The form of one more component, with the types that the project's tenant may use."""
    key = {"tenant__name": tenant, "name": project}
    parent = find(Project.objects.select_related("tenant"), request, "deliver", **key)
    form = component_form(next_index(request.GET))
    form.offer(allowed_for(parent.tenant).components)
    return render(request, "delivery/_component.html", {"component": form})


@_ASK
@page
def app_delete(request: PageRequest, tenant: str, project: str, app: str) -> HttpResponse:
    """Asks for the name, then for the deletion."""
    row = find_app(request, "delete", tenant, project, app)
    up = reverse("app", args=[tenant, project, app])
    return delete(request, row, app, up=up, done=reverse("project", args=[tenant, project]))
