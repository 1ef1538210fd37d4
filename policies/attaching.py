"""Pages that attach, promote, spare and detach; for who writes policy sets."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from policies.forms import AttachmentForm, ExceptionForm, PromotionForm
from policies.going import ask_and_delete
from policies.models import Attachment, Finding, PolicySet
from policies.models.simulation import newest_of
from policies.views import policy_frame
from reconcile.pages.finding import PageRequest, find, page, sent
from reconcile.pages.writing import declared, show_form
from reconcile.values import JSON

_ASK = require_http_methods(["GET", "HEAD", "POST"])


def _attachment(request: PageRequest, policyset: str, attachment: str) -> Attachment:
    rows = Attachment.objects.select_related("policy_set")
    return find(rows, request, "change", policy_set__name=policyset, name=attachment)


def _frame(request: PageRequest, row: Attachment) -> JSON:
    return {**policy_frame(request, row.policy_set, "overview"), "attachment": row}


@_ASK
@page
def attach(request: PageRequest, policyset: str) -> HttpResponse:
    """A form for whom a set is to bind."""
    parent = find(PolicySet.objects.all(), request, "change", name=policyset)
    row = Attachment(policy_set=parent)
    form = AttachmentForm(sent(request), instance=row, user=request.user)
    if declared(request, form):
        return redirect("policy", policyset)
    context = policy_frame(request, parent, "overview")
    return show_form(request, "policies/attachment_form.html", form, context)


@_ASK
@page
def attachment_edit(request: PageRequest, policyset: str, attachment: str) -> HttpResponse:
    """A form for whom it binds from now on."""
    row = _attachment(request, policyset, attachment)
    form = AttachmentForm(sent(request), instance=row, user=request.user)
    if declared(request, form):
        return redirect("policy", policyset)
    return show_form(request, "policies/attachment_form.html", form, _frame(request, row))


@_ASK
@page
def promote(request: PageRequest, policyset: str, attachment: str) -> HttpResponse:
    """Shows what the next mode changes, then lets it hold that hard."""
    row = _attachment(request, policyset, attachment)
    before = row.mode
    form = PromotionForm(sent(request), instance=row, user=request.user)
    if declared(request, form):
        return redirect("policy", policyset)
    version = row.version or row.policy_set.version
    seen = newest_of(row.policy_set, version)
    context = {**_frame(request, row), "before": before, "version": version, "seen": seen}
    context["totals"] = seen.totals() if seen else {}
    context["violations"] = Finding.objects.filter(attachment=row).counted()
    return show_form(request, "policies/promote.html", form, context)


@_ASK
@page
def detach(request: PageRequest, policyset: str, attachment: str) -> HttpResponse:
    """Asks for the name, then lets nobody be bound by it any more."""
    row = _attachment(request, policyset, attachment)
    up = reverse("policy", args=[policyset])
    return ask_and_delete(request, row, attachment, up=up, done=up)


@_ASK
@page
def make_exception(request: PageRequest, policyset: str, attachment: str) -> HttpResponse:
    """A form for an exception."""
    row = _attachment(request, policyset, attachment)
    form = ExceptionForm(sent(request), attachment=row)
    if form.is_valid() and (made := form.make(request.user.get_username())):
        messages.success(request, f"{made} holds until {made.expires_at:%Y-%m-%d}.")
        return redirect("policy", policyset)
    return show_form(request, "policies/exception_form.html", form, _frame(request, row))


@require_POST
@page
def end_exception(request: PageRequest, policyset: str, attachment: str, uid: UUID) -> HttpResponse:
    """Lets the rule hold again."""
    row = _attachment(request, policyset, attachment)
    found = get_object_or_404(row.exceptions, uid=uid)
    told = str(found)
    row.end_exception(found, request.user.get_username())
    messages.success(request, f"{told} has ended.")
    return redirect("policy", policyset)
