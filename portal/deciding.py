"""Decisions about drift: repair, accept or ignore a field, an object or a set; take one back."""

from datetime import datetime, time
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from portal.differences import MOST, Difference, chosen, grouped, judged, narrowed
from portal.drift import kept
from portal.objects import page_of
from reconcile.models import Drift
from reconcile.pages.finding import PageRequest, page, sent
from reconcile.pages.forms import PageForm
from reconcile.pages.writing import show_form
from reconcile.refusals import Refusal
from reconcile.values import JSON
from tenancy.drift import Act, Powers, decisions_for, drift_for, resolve, rule

_DONE = {
    Act.REPAIR: "is being repaired",
    Act.ACCEPT: "was accepted",
    Act.IGNORE: "is ignored from now on",
}


class DecisionForm(PageForm):
    """Nothing but the confirmation."""

    def given(self) -> JSON:
        """Return what goes with the decision."""
        return {}


class AcceptForm(DecisionForm):
    """Asks why, if one likes to say."""

    reason = forms.CharField(
        required=False,
        max_length=300,
        label="Why",
        widget=forms.TextInput(attrs={"placeholder": "Shown to whoever comes after you"}),
    )

    def given(self) -> JSON:
        """Return the reason."""
        return {"reason": self.cleaned_data["reason"]}


class IgnoreForm(DecisionForm):
    """Asks why, and until when."""

    reason = forms.CharField(
        max_length=300,
        label="Why",
        widget=forms.TextInput(attrs={"placeholder": "Shown to whoever comes after you"}),
    )
    until = forms.DateField(
        required=False,
        label="Until the end of",
        help_text="Leave it blank to ignore it until somebody takes that back. Days are UTC.",
        widget=forms.DateInput(attrs={"type": "date"}),
    )

    def clean_until(self) -> datetime | None:
        """Return the end of the day. Raises ValidationError for one that is over."""
        day = self.cleaned_data["until"]
        if day is None:
            return None
        end = datetime.combine(day, time(23, 59, 59), tzinfo=timezone.get_default_timezone())
        if end <= timezone.now():
            raise ValidationError("This day is over.", code="past")
        return end

    def given(self) -> JSON:
        """Return the reason and the end."""
        return {
            "reason": self.cleaned_data["reason"],
            "expires_at": self.cleaned_data["until"],
        }


_FORMS: dict[Act, type[DecisionForm]] = {
    Act.REPAIR: DecisionForm,
    Act.ACCEPT: AcceptForm,
    Act.IGNORE: IgnoreForm,
}


@require_http_methods(["GET", "HEAD", "POST"])
@page
def decide(request: PageRequest, act: str) -> HttpResponse:
    """Show what a decision is about, ask for what it needs, then decide.

    `?uid=` names differences; without any it is about all that the filters find. What is sent
    names each of them: nothing is decided about what was not shown.
    """
    verb = Act(act)
    rows = _named(request) if _uids(request) else _found(request)
    allowed, others = _divided(request, verb, rows)
    back = f"{reverse('drift')}?{kept(request.GET)}".rstrip("?")
    form = _FORMS[verb](sent(request))
    if allowed and form.is_valid() and _decided(request, verb, allowed, form):
        return redirect(back)
    powers = Powers.of(request.user)
    context = {
        "act": verb,
        "objects": grouped([each.drift for each in allowed], powers),
        "count": len(allowed),
        "others": others,
        "why_not": _why_not(verb, others[0].drift, powers) if others else "",
        "uids": [each.drift.uid for each in allowed],
        "back": back,
        "at_most": MOST,
        "cut": len(rows) == MOST and not _uids(request),
    }
    return show_form(request, "portal/drift_decide.html", form, context)


def _why_not(act: Act, drift: Drift, powers: Powers) -> str:
    if powers.may(act, drift):
        return "an object as a whole, or a value that is not shown, cannot be accepted."
    return rule(act, drift)


def _decided(request: PageRequest, act: Act, allowed: list[Difference], form: DecisionForm) -> bool:
    try:
        rows = [each.drift for each in allowed]
        count = resolve(request.user, act, rows, **form.given())
    except Refusal as refusal:
        form.add_error(None, refusal.detail)
        return False
    text = f"{count} difference{'' if count == 1 else 's'}: each {_DONE[act]}."
    messages.success(request, text if count != 1 else f"The difference {_DONE[act]}.")
    return True


def _uids(request: PageRequest) -> list[str]:
    given = request.POST if request.method == "POST" else request.GET
    return given.getlist("uid")[:MOST]


def _named(request: PageRequest) -> list[Drift]:
    """Return the open differences that the request names. Raises Http404 for none at all."""
    uids = [uid for text in _uids(request) if (uid := _uid(text))]
    rows = drift_for(request.user).filter(uid__in=uids)
    if not rows.exists():
        raise Http404
    return list(rows.open())


def _found(request: PageRequest) -> list[Drift]:
    """Return the open differences that the filters of the page find; a POST has to name its own."""
    if request.method == "POST":
        raise Http404
    return list(narrowed(request.user, chosen(request.GET)).open()[:MOST])


def _uid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _divided(
    request: PageRequest, act: Act, rows: list[Drift]
) -> tuple[list[Difference], list[Difference]]:
    """Part what the person may decide about from the rest. Raises PermissionDenied for nothing."""
    powers = Powers.of(request.user)
    judgements = [judged(drift, powers) for drift in rows]
    allowed = [each for each in judgements if act in each.may]
    others = [each for each in judgements if act not in each.may]
    if others and not allowed and not any(powers.may(act, each.drift) for each in others):
        raise PermissionDenied
    return allowed, others


@require_POST
@page
def revoke(request: PageRequest, uid: UUID) -> HttpResponse:
    """Take a decision back, and lead to the page of what it was made on."""
    decision = get_object_or_404(decisions_for(request.user), uid=uid)
    parent = decision.parent
    if parent is None:
        raise Http404
    if not Powers.of(request.user).may_revoke(decision):
        raise PermissionDenied
    decision.revoke(request.user.get_username())
    messages.success(request, "The decision was taken back: what differs is drift again.")
    return redirect(page_of(parent))
