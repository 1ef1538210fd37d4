"""What the queue runs for tenants: what they use is written down, and goes after a while."""

from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from tenancy.models import Tenant, UsageSample

# (dotted name, minutes between two runs); the worker role registers them.
SCHEDULES = [
    ("tenancy.tasks.sample", settings.USAGE_SAMPLE_MINUTES),
    ("tenancy.tasks.tidy", 60),
]
_AT_ONCE = 100


def sample() -> int:
    """Write down what tenants with a quota use now, as their clusters counted; return how many.

    Twice in one minute is once.
    """
    at = timezone.now().replace(second=0, microsecond=0)
    rows = Tenant.objects.exclude(quota={}).order_by("pk")
    keys, total = list(rows.values_list("pk", flat=True)), 0
    for begin in range(0, len(keys), _AT_ONCE):
        found = list(_samples(keys[begin : begin + _AT_ONCE], at))
        UsageSample.objects.bulk_create(found, batch_size=500, ignore_conflicts=True)
        total += len(found)
    return total


def _samples(keys: list[int], at: datetime) -> Iterator[UsageSample]:
    needed = ("placements__cluster", "projects__placements__cluster", "quota_entries")
    for tenant in Tenant.objects.filter(pk__in=keys).prefetch_related(*needed):
        clusters = {row.cluster_name: row.cluster_id for row in tenant.placements.all()}
        for name, found in tenant.usage().items():
            if name not in clusters:
                continue
            for each in found:
                yield UsageSample(
                    tenant=tenant,
                    cluster_id=clusters[name],
                    resource=each.resource,
                    used=each.used[:40],
                    hard=each.hard[:40],
                    at=at,
                )


def tidy() -> int:
    """Delete what was written down more than USAGE_DAYS ago; return how many went."""
    total = 0
    while gone := UsageSample.prune(settings.USAGE_DAYS):
        total += gone
    return total
