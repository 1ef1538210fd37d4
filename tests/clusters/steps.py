"""Takes the steps that a drain would take, in this thread and in order."""

import time
from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone

from reconcile.drain import take_step
from reconcile.models import Work
from reconcile.models.declared import Declared

_STEPS = 200
_MOMENT = timedelta(milliseconds=5)  # SQLite tells the time by the millisecond
_AGAIN = timedelta(milliseconds=300)  # by then, what met a conflict has been looked at again


def settle() -> int:
    """Take every step that is due, and those that they make due; return how many."""
    return _settle(_next_due)


def settle_live() -> int:
    """As `settle` on a real cluster, whose controllers write in between: the loop looks again."""
    return _settle(_next_due_live)


def _settle(next_due: Callable[[], Work | None]) -> int:
    for count in range(_STEPS):
        due = next_due()
        lease = Work.objects.claim(due.pk) if due else None
        if lease is None:
            return count
        take_step(lease)
    raise AssertionError(f"not settled after {_STEPS} steps")


def _next_due() -> Work | None:
    """What is to be looked at again at once may be due in a moment only."""
    due = Work.objects.due().order_by("due_at", "pk")
    if found := due.first():
        return found
    if not Work.objects.filter(due_at__lte=timezone.now() + _MOMENT).exists():
        return None
    time.sleep(_MOMENT.total_seconds())
    return due.first()


def _next_due_live() -> Work | None:
    until = time.monotonic() + _AGAIN.total_seconds()
    while (due := _next_due()) is None and time.monotonic() < until:
        soon = timezone.now() + _AGAIN
        if not Work.objects.filter(due_at__lte=soon, failures__range=(1, 3)).exists():
            return None
        time.sleep(_MOMENT.total_seconds())
    return due


def settle_until(reached: Callable[[], bool], seconds: float = 60.0) -> None:
    """Take due steps until `reached()`; for clusters that take their time."""
    until = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > until:
            raise AssertionError(f"not reached within {seconds} s")
        settle_live()
        time.sleep(0.05)


def settle_until_deployed(row: Declared) -> None:
    """Take due steps until a row stands; fails with its conditions when it does not get there."""

    def stands() -> bool:
        row.refresh_from_db()
        return row.phase == "Deployed"

    try:
        settle_until(stands)
    except AssertionError:
        raise AssertionError(f"{row} is {row.phase}: {row.conditions}") from None


def hurry() -> int:
    """Take every step that is planned for later now; return how many steps were taken."""
    past = timezone.now() - timedelta(seconds=1)
    Work.objects.exclude(due_at=None).update(due_at=past)
    return settle()
