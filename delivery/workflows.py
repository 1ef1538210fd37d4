"""Pages of workflows: what they consist of, how their runs fare, and what people do to these."""

from django.contrib import messages
from django.db.models import OuterRef
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from delivery.environment_form import as_yaml
from delivery.models import Workflow, WorkflowRun
from delivery.workflow_form import RunForm, WhyForm, WorkflowForm
from reconcile.pages.finding import PageRequest, abilities, find, page, sent
from reconcile.pages.lists import page_of
from reconcile.pages.polling import Poll, fragment
from reconcile.pages.writing import declared, delete, show_form
from reconcile.refusals import Refusal
from reconcile.values import JSON
from tenancy.models import Project

_ASK = require_http_methods(["GET", "HEAD", "POST"])
_ACTIONS = ("deliver",)
_VERBS = ("suspend", "resume", "terminate", "retry")
_DONE = {
    "suspend": "No further step begins.",
    "resume": "It goes on.",
    "terminate": "The run has ended.",
    "retry": "What failed runs anew.",
}


def _project(request: PageRequest, action: str, tenant: str, project: str) -> Project:
    rows = Project.objects.select_related("tenant")
    return find(rows, request, action, tenant__name=tenant, name=project)


def _workflow(request: PageRequest, action: str, *names: str) -> Workflow:
    rows = Workflow.objects.select_related("project__tenant")
    keys = ("project__tenant__name", "project__name", "name")
    return find(rows, request, action, **dict(zip(keys, names, strict=True)))


def _frame(request: PageRequest, row: Project | Workflow) -> JSON:
    project = row.project if isinstance(row, Workflow) else row
    may = abilities(row, request.user, _ACTIONS)
    found = {"project": project, "tenant": project.tenant, "may": may}
    return {**found, "workflow": row} if isinstance(row, Workflow) else found


@require_safe
@page
def workflows(request: PageRequest, tenant: str, project: str) -> HttpResponse:
    """The workflows of a project, each with its last run."""
    row = _project(request, "view", tenant, project)
    # Those of apps are shown at these.
    shown = page_of(request, Workflow.objects.filter(project=row, app=None))
    newest = WorkflowRun.objects.filter(workflow=OuterRef("workflow")).order_by("-number")
    runs = WorkflowRun.objects.filter(workflow__in=list(shown), pk=newest.values("pk")[:1])
    last = {run.workflow_id: run for run in runs.order_by()}
    context = {**_frame(request, row), "page": shown}
    context["rows"] = [(each, last.get(each.pk)) for each in shown]
    return render(request, "delivery/workflows.html", context)


@require_safe
@page
def workflow(request: PageRequest, tenant: str, project: str, workflow: str) -> HttpResponse:
    """A workflow: its steps, versions and runs, and a form that runs it."""
    row = _workflow(request, "view", tenant, project, workflow)
    return render(request, "delivery/workflow.html", _shown(request, row, _run_form(None, row)))


def _run_form(request: PageRequest | None, row: Workflow) -> RunForm:
    return RunForm(sent(request) if request else None, parameters=row.parameters)


def _shown(request: PageRequest, row: Workflow, form: RunForm) -> JSON:
    return {
        **_frame(request, row),
        "form": form,
        "page": page_of(request, row.runs.all(), size=10),
        "objects": row.objects_applied.prefetch_related("placements__cluster"),
        "versions": row.versions.all()[:10],
        "source": as_yaml(row.steps),
    }


@_ASK
@page
def workflow_new(request: PageRequest, tenant: str, project: str) -> HttpResponse:
    """A form for a new workflow of a project."""
    parent = _project(request, "deliver", tenant, project)
    form = WorkflowForm(sent(request), instance=Workflow(project=parent), user=request.user)
    if declared(request, form):
        return redirect("workflow", tenant, project, form.instance.name)
    return show_form(request, "delivery/workflow_form.html", form, _frame(request, parent))


@_ASK
@page
def workflow_edit(request: PageRequest, tenant: str, project: str, workflow: str) -> HttpResponse:
    """A form for other steps; what runs goes on with those that it began with."""
    row = _workflow(request, "change", tenant, project, workflow)
    form = WorkflowForm(sent(request), instance=row, user=request.user)
    if declared(request, form):
        return redirect("workflow", tenant, project, workflow)
    return show_form(request, "delivery/workflow_form.html", form, _frame(request, row))


@_ASK
@page
def workflow_delete(request: PageRequest, tenant: str, project: str, workflow: str) -> HttpResponse:
    """Asks for the name, then for the deletion."""
    row = _workflow(request, "delete", tenant, project, workflow)
    up = reverse("workflow", args=[tenant, project, workflow])
    done = reverse("workflows", args=[tenant, project])
    return delete(request, row, workflow, up=up, done=done)


@require_safe
@page
def version(
    request: PageRequest, tenant: str, project: str, workflow: str, number: int
) -> HttpResponse:
    """An earlier version: which steps it had."""
    row = _workflow(request, "view", tenant, project, workflow)
    found = get_object_or_404(row.versions, number=number)
    context = {**_frame(request, row), "version": found, "leaf": f"Version {number}"}
    context["source"] = as_yaml(found.spec["steps"])
    return render(request, "delivery/workflow_version.html", context)


# --- Runs.


@require_POST
@page
def run_new(request: PageRequest, tenant: str, project: str, workflow: str) -> HttpResponse:
    """Runs the workflow."""
    row = _workflow(request, "deliver", tenant, project, workflow)
    form = _run_form(request, row)
    if form.is_valid():
        by, message = request.user.get_username(), form.cleaned_data["message"]
        try:
            found = row.run(by, message=message, parameters=form.given)
            return redirect("workflow-run", tenant, project, workflow, found.number)
        except Refusal as refusal:
            form.add_error(None, " ".join([refusal.detail, *(e.detail for e in refusal.errors)]))
    return show_form(request, "delivery/workflow.html", form, _shown(request, row, form))


def _run(row: Workflow, number: int) -> WorkflowRun:
    rows = row.runs.select_related("workflow__project__tenant")
    found: WorkflowRun = get_object_or_404(rows, number=number)
    return found


@require_safe
@page
def run(
    request: PageRequest, tenant: str, project: str, workflow: str, number: int
) -> HttpResponse:
    """A run: how each of its steps fares."""
    row = _workflow(request, "view", tenant, project, workflow)
    return render(request, "delivery/workflow_run.html", _running(request, row, number))


@require_safe
@page
def run_fragment(
    request: PageRequest, tenant: str, project: str, workflow: str, number: int
) -> HttpResponse:
    """The part of a run's page that moves, until it is over."""
    row = _workflow(request, "view", tenant, project, workflow)
    context = _running(request, row, number)
    return fragment(request, "delivery/_workflow_run.html", context, context["poll"])


def _running(request: PageRequest, row: Workflow, number: int) -> JSON:
    found = _run(row, number)
    names = [row.project.tenant.name, row.project.name, row.name, number]
    path = reverse("workflow-run-state", args=names)
    steps = [each for step in found.told() for each in (step, *_inside(step))]
    return {
        **_frame(request, row),
        "run": found,
        "leaf": f"Run {number}",
        "steps": steps,
        "poll": Poll.of(request, path, [] if found.over else [found]),
    }


def _inside(step: JSON) -> list[JSON]:
    return [{**each, "group": step["name"]} for each in step["subSteps"]]


@require_POST
@page
def run_verb(
    request: PageRequest, tenant: str, project: str, workflow: str, number: int, verb: str
) -> HttpResponse:
    """Suspends, resumes or approves, terminates, retries."""
    row = _workflow(request, "deliver", tenant, project, workflow)
    if verb not in _VERBS:
        raise Http404
    found, form = _run(row, number), WhyForm(request.POST)
    if form.is_valid():
        given = {"message": form.cleaned_data["message"]}
        if verb == "resume":
            given["step"] = form.cleaned_data["step"]
        try:
            getattr(found, verb)(request.user.get_username(), **given)
            messages.success(request, _DONE[verb])
        except Refusal as refusal:
            messages.error(request, refusal.detail)
    else:
        messages.error(request, "Say why in up to 300 characters.")
    return redirect("workflow-run", tenant, project, workflow, number)
