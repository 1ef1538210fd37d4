"""Findings as they are asked for: narrowed by words that the API and the pages share."""

from django.contrib.auth.models import User
from django_filters import rest_framework as filters

from policies.models import Finding, PolicySet
from policies.models.finding import FindingQuerySet
from reconcile.api.filters import Rows
from tenancy.rules.modes import ADVISORY

OPEN = "open"
RESOLVED = "resolved"


class FindingFilter(filters.FilterSet):  # type: ignore[misc]
    """By whose it is, what it breaks, how hard that holds, and whether it is over."""

    policyset = filters.CharFilter(field_name="policyset_name")
    attachment = filters.CharFilter(field_name="attachment_name")
    tenant = filters.CharFilter(field_name="tenant__name")
    project = filters.CharFilter(field_name="project__name")
    cluster = filters.CharFilter()
    mode = filters.ChoiceFilter(choices=[(mode.value, mode.value) for mode in ADVISORY])
    rule = filters.CharFilter(label="The kind of rules.")
    kind = filters.CharFilter(label="Kind of the object.")
    state = filters.ChoiceFilter(
        choices=[(OPEN, OPEN), (RESOLVED, RESOLVED)],
        method="filter_state",
        label="open: it is so now. resolved: it is over.",
    )

    def filter_state(self, rows: Rows, name: str, value: str) -> Rows:
        """Keep what is so now, or what is over."""
        return rows.filter(resolved_at__isnull=value == OPEN)


def findings_for(user: User, policy_set: PolicySet | None = None) -> FindingQuerySet:
    """Return the findings that somebody may see, of one set or of all."""
    rows: FindingQuerySet = Finding.objects.visible_to(user).select_related("tenant", "project")
    return rows if policy_set is None else rows.filter(policy_set=policy_set)
