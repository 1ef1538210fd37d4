"""How a list of differences is narrowed and ordered; the same words choose a set of them."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Q
from django.utils import timezone
from django_filters import rest_framework as filters
from rest_framework.request import Request

from reconcile.api.filters import AllowListOrdering, Ordered, Rows
from reconcile.models import Drift
from tenancy.drift import within
from tenancy.models import Project

LONGEST = 10 * 366 * 86400  # seconds
OPEN = "open"
RESOLVED = "resolved"


class DriftFilter(filters.FilterSet):  # type: ignore[misc]
    """By where it is, what it is about, who did it, how old it is and whether it is over."""

    tenant = filters.CharFilter()
    project = filters.CharFilter(method="filter_project", label="Name of the project.")
    app = filters.CharFilter(method="filter_app", label="Name of the app.")
    cluster = filters.CharFilter()
    state = filters.ChoiceFilter(
        choices=[(OPEN, OPEN), (RESOLVED, RESOLVED)],
        method="filter_state",
        label="open: it differs now. resolved: it is over.",
    )
    kind = filters.CharFilter(field_name="object_kind", label="Kind of the object.")
    name = filters.CharFilter(field_name="object_name", label="Name of the object.")
    actor = filters.CharFilter(label="The field manager that changed it.")
    older_than = filters.NumberFilter(
        method="filter_age", min_value=0, max_value=LONGEST, label="Seconds since it was first seen"
    )
    newer_than = filters.NumberFilter(
        method="filter_age", min_value=0, max_value=LONGEST, label="Seconds since it was first seen"
    )

    @classmethod
    def get_filters(cls) -> dict[str, Any]:
        """Add the one whose name is a word of the language."""
        by_class = filters.ChoiceFilter(field_name="drift_class", choices=Drift.Class.choices)
        return {**super().get_filters(), "class": by_class}

    def filter_project(self, rows: Rows, name: str, value: str) -> Rows:
        """Keep that of projects of this name and of all inside of them."""
        return rows.filter(within(Project.objects.filter(name=value)))

    def filter_app(self, rows: Rows, name: str, value: str) -> Rows:
        """Keep that of apps of this name."""
        inside = within(Project.objects.all(), "app", name=value)
        return rows.filter(inside) if inside else rows.none()

    def filter_state(self, rows: Rows, name: str, value: str) -> Rows:
        """Keep what differs now, or what is over."""
        return rows.filter(Q(resolution="") if value == OPEN else ~Q(resolution=""))

    def filter_age(self, rows: Rows, name: str, value: Decimal) -> Rows:
        """Keep what was first seen before, or since, so many seconds ago."""
        moment = timezone.now() - timedelta(seconds=float(value))
        return rows.filter(**{f"first_seen__{'lt' if name == 'older_than' else 'gte'}": moment})


class DriftOrdering(AllowListOrdering):
    """As every list; by default the newest first."""

    def get_ordering(self, request: Request, queryset: Rows, view: Ordered) -> Sequence[str]:  # type: ignore[override]
        """Return the columns to order by. Raises Invalid."""
        if self.ordering_param not in request.query_params:
            return ("-first_seen", "-pk")
        return super().get_ordering(request, queryset, view)
