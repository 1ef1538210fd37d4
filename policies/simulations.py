"""Pages of simulations; for who writes policy sets."""

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from policies.forms_simulating import SimulationForm
from policies.models import PolicySet
from policies.views import policy_frame
from reconcile.pages.finding import PageRequest, find, page, sent
from reconcile.pages.lists import page_of
from reconcile.pages.polling import Poll, fragment
from reconcile.pages.writing import show_form
from reconcile.values import JSON

_ASK = require_http_methods(["GET", "HEAD", "POST"])


def _set(request: PageRequest, policyset: str) -> PolicySet:
    return find(PolicySet.objects.all(), request, "change", name=policyset)


@_ASK
@page
def simulations(request: PageRequest, policyset: str) -> HttpResponse:
    """The simulations of a set, and a form that begins one."""
    row = _set(request, policyset)
    form = SimulationForm(sent(request), policy_set=row, initial=_given(request))
    if form.is_valid() and (begun := form.begin(request.user.get_username())):
        return redirect("policy-simulation", policyset, begun.uid)
    rows = row.simulations.asked().prefetch_related("runs__cluster")
    context = {**policy_frame(request, row, "simulations"), "page": page_of(request, rows)}
    return show_form(request, "policies/simulations.html", form, context)


def _given(request: PageRequest) -> JSON:
    return {"attachment": request.GET.get("attachment", "")}


@require_safe
@page
def simulation(request: PageRequest, policyset: str, uid: UUID) -> HttpResponse:
    """How far one is, and what it has found."""
    context = _simulation(request, policyset, uid)
    return render(request, "policies/simulation.html", context)


@require_safe
@page
def simulation_fragment(request: PageRequest, policyset: str, uid: UUID) -> HttpResponse:
    """The part of its page that moves, until it is over."""
    context = _simulation(request, policyset, uid)
    return fragment(request, "policies/_simulation.html", context, context["poll"])


def _simulation(request: PageRequest, policyset: str, uid: UUID) -> JSON:
    row = _set(request, policyset)
    found = get_object_or_404(row.simulations.asked().prefetch_related("runs__cluster"), uid=uid)
    runs = list(found.runs.all())
    moving = [run for run in runs if run.finished_at is None]
    where = reverse("policy-simulation-state", args=[policyset, uid])
    return {
        **policy_frame(request, row, "simulations"),
        "simulation": found,
        "runs": runs,
        "totals": found.totals(),
        "counts": found.counted("tenant", "kind", "rule", "verdict")[:20],
        "page": page_of(request, found.findings.order_by("pk")),
        "poll": Poll.of(request, where, moving, also=[len(runs), found.objects_tried]),
    }
