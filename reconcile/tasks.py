"""What the queue runs for the engine: what nobody can ask for any more goes."""

from reconcile.models import IdempotencyRecord, PlanRecord
from reconcile.sweep import prune

# (dotted name, minutes between two runs); the worker role registers them.
SCHEDULES = [("reconcile.tasks.tidy", 60)]


def tidy() -> int:
    """Delete old events, plans and expired idempotency records; return how many."""
    plans = 0
    while gone := PlanRecord.prune():
        plans += gone
    return prune() + plans + IdempotencyRecord.objects.expired().delete()[0]
