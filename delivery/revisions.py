"""Pages of an app's revisions: what changed from one to the next, and the way back."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from delivery.environment_form import as_yaml
from delivery.forms import BlockForm, RollbackForm
from delivery.models import Revision
from delivery.views import app_frame, find_app
from reconcile.pages.finding import PageRequest, page, sent
from reconcile.pages.lists import page_of
from reconcile.pages.writing import show_form
from reconcile.refusals import Refusal

_CONTEXT = 3


@dataclass(frozen=True)
class Line:
    """One line of a diff. `kind` is added, removed, same or gap."""

    kind: str
    text: str


@require_safe
@page
def revisions(request: PageRequest, tenant: str, project: str, app: str) -> HttpResponse:
    """The revisions of an app, newest first."""
    row = find_app(request, "view", tenant, project, app)
    shown = page_of(request, row.revisions.select_related("block").defer("spec"))
    context = {**app_frame(request, row, "revisions"), "page": shown}
    return render(request, "delivery/revisions.html", context)


@require_safe
@page
def revision(
    request: PageRequest, tenant: str, project: str, app: str, number: int
) -> HttpResponse:
    """One revision: how it differs from the one before it."""
    row = find_app(request, "view", tenant, project, app)
    found = get_object_or_404(row.revisions.select_related("block"), number=number)
    before = row.revisions.filter(number=number - 1).first()
    context = {**app_frame(request, row, "revisions"), "revision": found, "before": before}
    context["form"] = BlockForm()
    context["diff"] = list(compare(before, found))
    context["spec"] = as_yaml(found.spec)
    return render(request, "delivery/revision.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def rollback(
    request: PageRequest, tenant: str, project: str, app: str, number: int
) -> HttpResponse:
    """Shows what going back changes, then makes the new revision."""
    row = find_app(request, "rollback", tenant, project, app)
    found = get_object_or_404(row.revisions, number=number)
    now = row.revisions.filter(number=row.revision).first()
    form = RollbackForm(sent(request))
    if form.is_valid():
        try:
            changed = row.rollback(
                number, by=request.user.get_username(), message=form.cleaned_data["message"]
            )
            text = f"Going back to revision {number}." if changed else "It runs already."
            messages.success(request, text)
            return redirect("app", tenant, project, app)
        except Refusal as refusal:
            form.add_error(None, refusal.detail)
        except ValidationError as error:
            form.add_error(None, [f"It cannot come back: {text}" for text in error.messages])
    context = {**app_frame(request, row, "revisions"), "revision": found, "before": now}
    context["diff"] = list(compare(now, found))
    return show_form(request, "delivery/rollback.html", form, context)


@require_POST
@page
def block(request: PageRequest, tenant: str, project: str, app: str, number: int) -> HttpResponse:
    """Lets a revision not come back."""
    row = find_app(request, "rollback", tenant, project, app)
    found = get_object_or_404(row.revisions, number=number)
    form = BlockForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Say in up to 300 characters why it is not to come back.")
        return redirect("app-revision", tenant, project, app, number)
    try:
        row.block(found, by=request.user.get_username(), reason=form.cleaned_data["reason"])
        messages.success(request, f"Revision {number} is blocked.")
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    return redirect("app-revision", tenant, project, app, number)


@require_POST
@page
def unblock(request: PageRequest, tenant: str, project: str, app: str, number: int) -> HttpResponse:
    """Lets a revision come back."""
    row = find_app(request, "rollback", tenant, project, app)
    found = get_object_or_404(row.revisions, number=number)
    row.unblock(found, by=request.user.get_username())
    messages.success(request, f"Revision {number} may come back.")
    return redirect("app-revision", tenant, project, app, number)


def compare(before: Revision | None, after: Revision) -> Iterator[Line]:
    """Compare what two revisions hold, line by line as YAML."""
    texts = [as_yaml(each.spec) if each else "" for each in (before, after)]
    old, new = (text.splitlines() for text in texts)
    lines = difflib.unified_diff(old, new, n=_CONTEXT, lineterm="")
    for number, line in enumerate(lines):
        if number < 2:  # the names of the two files
            continue
        if line.startswith("@@"):
            yield Line("gap", line)
        else:
            kind = {"+": "added", "-": "removed"}.get(line[:1], "same")
            yield Line(kind, line[1:])
