"""`manage.py reconcile tenant/acme`: one step in the foreground, with what it plans and does."""

from argparse import ArgumentParser
from datetime import timedelta

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from reconcile.drain import take_step
from reconcile.finding import NotFound, find
from reconcile.models import Lease, Work
from reconcile.models.convergent import Convergent
from reconcile.models.rows import Row
from reconcile.planning.report import lines_of, report_of
from reconcile.planning.values import State


class Command(BaseCommand):
    """Reconcile one object, or one of its placements, in this process."""

    help = "Take one step with an object and its placements, and show what it plans and does."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare which row and how."""
        parser.add_argument(
            "row",
            help="tenant/acme, project/acme/shop, app/acme/shop/web, cluster/prod-a; @cluster",
        )
        parser.add_argument("--plan", action="store_true", help="show the plan and write nothing")

    def handle(self, *args: object, row: str, plan: bool, **options: object) -> None:
        """Go through the rows. Ends with status 1 when one of them failed or is taken."""
        try:
            rows = find(row)
        except NotFound as error:
            raise CommandError(str(error)) from None
        failures = [failure for each in rows if (failure := self._serve(each, only_plan=plan))]
        if failures:
            raise CommandError("\n".join(failures))

    def _serve(self, row: Row, *, only_plan: bool) -> str:
        """Show the plan, take the step; return what failed."""
        self.stdout.write(str(row))
        failure = self._show_plan(row) if isinstance(row, Convergent) else ""
        if only_plan:
            return failure
        lease = _claim(row)
        if lease is None:
            return _why_not(row)
        return self._take(row, lease)

    def _show_plan(self, row: Convergent) -> str:
        if waits := row.waits_for():
            self._tell("waits", *(wait.message for wait in waits))
            return ""
        report = report_of(row)
        self._tell("plan", *(lines_of(report) or ["nothing to do"]))
        asked = (cluster for cluster in report.clusters if cluster.state is not State.PAUSED)
        return next((f"{row}: {each.message}" for each in asked if each.message), "")

    def _take(self, row: Row, lease: Lease) -> str:
        outcome = take_step(lease)
        work = Work.objects.filter(pk=lease.work.pk).first()
        if outcome is None:
            return f"{row}: the step crashed.\n{work.traceback if work else ''}"
        if work is None:
            self._tell("outcome", "gone")
            return ""
        row.refresh_from_db()
        told = (f"{c['type']} {c['status']} {c['reason']}: {c['message']}" for c in row.conditions)
        again = "at rest" if outcome.look_in is None else f"looks again in {outcome.look_in:.1f} s"
        self._tell("outcome", f"{row.phase}, {again}", *told)
        return f"{row}: {outcome.error.reason}: {outcome.error.message}" if outcome.error else ""

    def _tell(self, what: str, *lines: str) -> None:
        for number, line in enumerate(lines):
            self.stdout.write(f"  {'' if number else what:8} {line}")


def _claim(row: Row) -> Lease | None:
    """Claim the row as a drain does, due or not."""
    work = row.work.filter(quarantined_at=None).first()
    if work is None:
        return None
    with transaction.atomic():
        Work.objects.filter(pk=work.pk, lease_token=None).update(
            due_at=Now() - timedelta(seconds=1)
        )
        return Work.objects.claim(work.pk)


def _why_not(row: Row) -> str:
    work = row.work.first()
    if work is None:
        return f"{row} has no work: it is being removed."
    if work.quarantined_at:
        last = work.traceback.strip().rpartition("\n")[2]
        return (
            f"{row} was set aside after repeated crashes ({last}). Requeue it in the admin first."
        )
    left = (work.lease_until - timezone.now()).total_seconds() if work.lease_until else 0
    return f"Another worker holds the lease on {row} for {max(left, 0):.0f} s more. Try again then."
