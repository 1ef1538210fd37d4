"""The sweep: a slow second look that makes lost wake-ups and dead workers harmless."""

from django.conf import settings
from django.db.models import Min
from django.db.models.functions import Now
from django.utils import timezone

from reconcile import metrics
from reconcile.models import Decision, Drift, Event, Work
from reconcile.models.rows import row_of
from reconcile.wake import wake

_DIED = "The worker died during this step, again and again."


def sweep() -> int:
    """Set aside rows that keep killing their worker, wake drains for what is due; return how many.

    Leases that ran out need no write: an expired lease is claimable. Also sets the gauges.
    """
    for work in Work.objects.due().filter(attempts__gte=settings.QUARANTINE_ATTEMPTS):
        _set_aside(work)
    due = Work.objects.due()
    count = due.count()
    oldest = due.aggregate(oldest=Min("due_at"))["oldest"]
    metrics.WORK_DEPTH.set(count)
    metrics.WORK_AGE.set((timezone.now() - oldest).total_seconds() if oldest else 0)
    metrics.WORK_QUARANTINED.set(Work.objects.exclude(quarantined_at=None).count())
    if count:
        wake()
    return count


def _set_aside(work: Work) -> None:
    rows = Work.objects.due().filter(pk=work.pk, attempts=work.attempts)
    row = row_of(work)
    if rows.update(quarantined_at=Now(), traceback=_DIED) and row:
        row.record_quarantine()


def prune() -> int:
    """Delete events older than EVENT_DAYS, and the oldest of objects with more than
    EVENTS_PER_OBJECT, and what differed or was decided until DRIFT_DAYS ago, in batches; return
    how many went.
    """
    total = 0
    while gone := Event.prune(settings.EVENT_DAYS):
        total += gone
    while gone := Event.thin_out(settings.EVENTS_PER_OBJECT):
        total += gone
    while gone := Drift.prune(settings.DRIFT_DAYS) + Decision.prune(settings.DRIFT_DAYS):
        total += gone
    return total
