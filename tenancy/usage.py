"""The page of what a tenant uses, over time."""

from datetime import timedelta

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from reconcile.pages.finding import PageRequest, find, page
from tenancy.models import Tenant
from tenancy.rules.trends import HEIGHT, WIDTH, Reading, Trend
from tenancy.views import tenant_frame

PERIODS = {"day": 1, "week": 7}
_MOST = 20_000  # samples that one page reads


@require_safe
@page
def tenant_usage(request: PageRequest, tenant: str) -> HttpResponse:
    """What a tenant used of each resource on each cluster."""
    row = find(Tenant.objects.all(), request, name=tenant)
    period = request.GET.get("period", "day")
    period = period if period in PERIODS else "day"
    found = trends(row, days=PERIODS[period])
    clusters = sorted({trend.cluster for trend in found})
    context = {
        **tenant_frame(request, row, "usage"),
        "clusters": [(name, [each for each in found if each.cluster == name]) for name in clusters],
        "period": period,
        "periods": list(PERIODS),
        "width": WIDTH,
        "height": HEIGHT,
    }
    return render(request, "tenancy/tenant_usage.html", context)


def trends(tenant: Tenant, *, days: int) -> list[Trend]:
    """Return what was used in the last days, by cluster and resource."""
    since = timezone.now() - timedelta(days=days)
    rows = tenant.usage_samples.filter(at__gte=since).order_by("-at")
    columns = ("cluster__name", "resource", "at", "used", "hard")
    found: dict[tuple[str, str], list[Reading]] = {}
    for cluster, resource, at, used, hard in rows.values_list(*columns)[:_MOST]:
        found.setdefault((cluster, resource), []).append(Reading(at.timestamp(), used, hard))
    return [
        Trend(cluster, resource, readings[::-1])
        for (cluster, resource), readings in sorted(found.items())
    ]
