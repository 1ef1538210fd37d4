"""What the page of a tenant, project or app shows of drift: its mode, what differs, decisions."""

from django import template
from django.urls import reverse
from django.utils.http import urlencode

from reconcile.models import Decision
from reconcile.models.decisions import above
from reconcile.models.declared import Declared
from reconcile.pages.finding import PageRequest, abilities
from reconcile.values import JSON, RepairMode
from tenancy.drift import Powers, inside

register = template.Library()

_DECISIONS = 100
_MODES = {
    RepairMode.AUTO: "What differs is repaired at once.",
    RepairMode.MANUAL: "What differs is shown until somebody decides.",
}


@register.inclusion_tag("portal/_decisions.html", takes_context=True)
def drift_of(context: template.Context, row: Declared) -> JSON:
    """Show how a row handles drift, how much of it there is, and what people decided."""
    request: PageRequest = context["request"]
    lineage = list(above(row))
    decisions = Decision.objects.on(*lineage)[: _DECISIONS + 1]
    powers = Powers.of(request.user)
    names = {str(parent.uid): str(parent) for parent in lineage}
    mode = mode_of(lineage)
    return {
        "request": request,
        "csrf_token": context.get("csrf_token"),
        "mode": mode,
        "mode_says": _MODES[mode],
        "inherited": not getattr(row, "repair_mode", ""),
        "count": inside(row).open().count(),
        "rule_path": _rule_path(request, row),
        "drift_query": urlencode({"tenant": row.tenant_name}),
        "decisions": [
            {
                "decision": each,
                "on": "" if each.parent_uid == row.uid else names[str(each.parent_uid)],
                "may_revoke": each.parent_uid == row.uid and powers.may_revoke(each),
            }
            for each in decisions[:_DECISIONS]
        ],
    }


def _rule_path(request: PageRequest, row: Declared) -> str:
    """Where the person may leave fields of the row to others; empty where not."""
    may = abilities(row, request.user, ["change"])["change"]  # type: ignore[arg-type]
    return reverse("drift-rule", args=[row._meta.model_name, row.uid]) if may else ""


def mode_of(lineage: list[Declared]) -> RepairMode:
    """Return the mode of the innermost row that has one of its own; the tenant always has."""
    modes = (getattr(row, "repair_mode", "") for row in lineage)
    return RepairMode(next(mode for mode in modes if mode))
