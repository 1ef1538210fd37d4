"""Pages of findings: those of a set, and all that somebody may see."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from policies.finding import OPEN, RESOLVED, FindingFilter, findings_for
from policies.models import PolicySet
from policies.models.finding import FindingQuerySet
from policies.views import policy_frame
from reconcile.pages.finding import PageRequest, find, page
from reconcile.pages.lists import page_of
from reconcile.values import JSON
from tenancy.rules.modes import ADVISORY

_WORDS = ("tenant", "rule", "mode", "state")


@require_safe
@page
def findings(request: PageRequest) -> HttpResponse:
    """All findings that the caller may see."""
    context = _findings(request, findings_for(request.user))
    return render(request, "policies/findings.html", context)


@require_safe
@page
def policy_findings(request: PageRequest, policyset: str) -> HttpResponse:
    """Those of one policy set."""
    row = find(PolicySet.objects.all(), request, name=policyset)
    context = _findings(request, findings_for(request.user, row))
    context |= policy_frame(request, row, "findings")
    return render(request, "policies/policy_findings.html", context)


def _findings(request: PageRequest, rows: FindingQuerySet) -> JSON:
    """What is chosen, open ones at first; words that mean nothing choose nothing."""
    chosen = {word: request.GET.get(word, "").strip()[:63] for word in _WORDS}
    if "state" not in request.GET:
        chosen["state"] = OPEN
    narrowed = FindingFilter({key: each for key, each in chosen.items() if each}, queryset=rows)
    shown = narrowed.qs if narrowed.is_valid() else rows.none()
    return {
        "page": page_of(request, shown.order_by("-pk")),
        "chosen": chosen,
        "modes": [mode.value for mode in ADVISORY],
        "states": [OPEN, RESOLVED],
        "rules": sorted({*rows.order_by().values_list("rule", flat=True).distinct()}),
    }
