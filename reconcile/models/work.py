"""The dirty set: one row per thing that converges, never per event.

Waking is a hint, the row is the truth. Claims use the database's clock, so that skewed machines
agree (threats F5, F23).
"""

import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import F, Q, QuerySet, Window
from django.db.models.functions import Now, Random, RowNumber
from django.utils import timezone

from reconcile.correlation import correlation_id, traceparent
from reconcile.locks import check_references, lock_to_touch, one_writer
from reconcile.models.leases import Lease as Lease
from reconcile.models.statements import claimed, fair, mark_each, readers, taking, work_of
from reconcile.wake import wake

_SPREAD_SECONDS = 0.5


class WorkQuerySet(QuerySet["Work"]):
    """Reading and marking verbs of the dirty set."""

    def due(self) -> "WorkQuerySet":
        """What may be claimed now."""
        free = Q(lease_until=None) | Q(lease_until__lt=Now())
        return self.filter(free, due_at__lte=Now(), quarantined_at=None)

    def fair(self, limit: int, skip_clusters: Iterable[int] = ()) -> list["Work"]:
        """Return at most `limit` due rows, taking turns between tenants.

        None that has killed its worker again and again: the sweep sets it aside (threat F31).
        """
        skipped = {f"cluster{number}": key for number, key in enumerate(skip_clusters)}
        statement = fair(limit, len(skipped))
        return statement.rows(attempts=settings.QUARANTINE_ATTEMPTS, **skipped)

    def spread(self, rate: float) -> int:
        """Let those that are due come one after another, `rate` a second; return how many.

        Tenants take turns, and within a turn the order is drawn: what comes back after a long
        silence is not asked for everything at once (threat F24).
        """
        turn = Window(RowNumber(), partition_by=[F("tenant")], order_by=Random())
        rows = self.due().annotate(turn=turn).order_by("turn", Random())
        keys = list(rows.values_list("pk", flat=True))
        many = max(1, int(rate * _SPREAD_SECONDS))
        for number, begin in enumerate(range(0, len(keys), many)):
            later = Now() + timedelta(seconds=number * _SPREAD_SECONDS)
            chunk = self.model._default_manager.filter(pk__in=keys[begin : begin + many])
            chunk.filter(due_at__lte=Now(), lease_token=None).update(due_at=later)
        return len(keys)

    def mark(self, *, by_the_way: bool = False) -> int:
        """Make the rows due now and count the mark, so that a running step is run again.

        The step runs under the current correlation id; a mark made `by_the_way` of something else
        leaves a row that has yet to settle under the id of what set it off.
        """
        with marking() as marks:
            return marks.mark(self, by_the_way=by_the_way)

    def revive(self) -> int:
        """Mark the rows and forget past crashes: somebody has changed what is wanted."""
        with marking() as marks:
            return marks.revive(self)

    def claim(self, pk: int) -> "Lease | None":
        """Take the row for LEASE_SECONDS, or return None when another has it or it is at rest.

        `attempts` is written before the step, so that a row which kills its worker is noticed.
        """
        began, taken = time.monotonic(), claimed(uuid.uuid4(), settings.LEASE_SECONDS)
        if not self.due().filter(pk=pk).update(**taken):
            return None
        work = self.filter(pk=pk, lease_token=taken["lease_token"]).first()
        return Lease(work, began) if work else None

    def take(self, work: "Work") -> "Lease | None":
        """Claim a row as it was found, in one statement; None when it has moved on since."""
        began, token = time.monotonic(), uuid.uuid4()
        same = {"marks": work.marks, "attempts": work.attempts, "failures": work.failures}
        with one_writer():
            taken = taking(settings.LEASE_SECONDS).update(pk=work.pk, token=token, **same)
        if not taken:
            return None
        work.lease_token, work.attempts = token, work.attempts + 1
        work.lease_until = timezone.now() + timedelta(seconds=settings.LEASE_SECONDS)
        return Lease(work, began)


class Work(models.Model):
    """One thing that converges. `kind` is a model label, `owner` its label value on clusters."""

    kind = models.CharField(max_length=60)
    object_id = models.BigIntegerField()
    owner = models.CharField(max_length=63, unique=True)
    cluster_id = models.BigIntegerField(null=True, blank=True, db_index=True)
    tenant = models.CharField(max_length=63, blank=True, default="")
    due_at = models.DateTimeField(null=True, blank=True, db_index=True)
    marks = models.PositiveBigIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    lease_token = models.UUIDField(null=True, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True)
    quarantined_at = models.DateTimeField(null=True, blank=True)
    traceback = models.TextField(blank=True, default="")
    correlation_id = models.CharField(max_length=64, blank=True, default="")
    traceparent = models.CharField(max_length=64, blank=True, default="")

    objects = WorkQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "work"
        constraints = [
            models.UniqueConstraint(fields=["kind", "object_id"], name="work_one_per_row"),
        ]

    def __str__(self) -> str:
        return self.owner


class Read(models.Model):
    """A key that a row's intent was computed from; touching the key marks the row."""

    work = models.ForeignKey(Work, on_delete=models.CASCADE, related_name="reads")
    key = models.CharField(max_length=200, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["work", "key"], name="read_once")]

    def __str__(self) -> str:
        return self.key


def touch(*keys: str) -> None:
    """Mark every row whose intent read one of `keys`."""
    if (under_way := _marks.get()) is not None:
        under_way.touch(keys)
        return
    with marking() as marks:
        marks.touch(keys)


class Marks:
    """What one transaction does to the dirty set, done at its end and in the order of the rows."""

    def __init__(self) -> None:
        self._marked: set[int] = set()
        self._passed: set[int] = set()
        self._revived: set[int] = set()
        self._gone: set[int] = set()
        self._keys: set[str] = set()
        self._leases: dict[Lease, None] = {}
        self._released: list[tuple[Lease, float | None]] = []

    def mark_one(self, kind: str, object_id: int) -> None:
        """Mark the work on a row, by the way of something else."""
        self._passed.update(pk for (pk,) in work_of().rows(kind=kind, object_id=object_id))

    def mark(self, rows: QuerySet[Work], *, by_the_way: bool = False) -> int:
        """Mark the rows; return how many."""
        found = set(rows.values_list("pk", flat=True))
        (self._passed if by_the_way else self._marked).update(found)
        return len(found)

    def revive(self, rows: QuerySet[Work]) -> int:
        """Mark the rows and forget their crashes; return how many."""
        found = set(rows.values_list("pk", flat=True))
        self._revived |= found
        self._marked |= found
        return len(found)

    def touch(self, keys: Iterable[str]) -> None:
        """Mark whoever reads the keys by then."""
        self._keys.update(keys)

    def drop(self, rows: QuerySet[Work]) -> None:
        """Remove the rows."""
        self._gone.update(rows.values_list("pk", flat=True))

    def hold(self, lease: "Lease") -> None:
        """Undo everything unless the lease is still ours at the end."""
        self._leases[lease] = None

    def release(self, lease: "Lease", look_in: float | None) -> None:
        """Give the lease of a step that went well back, as the last thing the step does."""
        self._released.append((lease, look_in))

    def make(self) -> None:
        """Do it all. Raises Stale when a lease that had to be held was lost."""
        if self._keys:
            lock_to_touch(self._keys)
            self._passed.update(readers(self._keys))
        self._lock()
        for lease in self._leases:
            lease.hold()
        if self._revived:
            revived = Work.objects.filter(pk__in=self._revived)
            revived.update(quarantined_at=None, attempts=0, failures=0)
        _mark(self._marked, by_the_way=False)
        _mark(self._passed - self._marked, by_the_way=True)
        if self._gone:
            Work.objects.filter(pk__in=self._gone).delete()
        for lease, look_in in self._released:
            lease.release(look_in)
        if (watched := _watched.get()) is not None:
            watched |= (self._marked | self._passed) - self._gone

    def _lock(self) -> None:
        held = {lease.work.pk for lease in self._leases}
        everything = self._marked | self._passed | self._gone | held
        if len(everything) > 1 and connection.features.has_select_for_update:
            check_references()
            rows = Work.objects.filter(pk__in=everything).order_by("pk")
            list(rows.select_for_update(no_key=True).values_list("pk", flat=True))


def _mark(pks: set[int], *, by_the_way: bool) -> None:
    cause = {"correlation_id": correlation_id(), "traceparent": traceparent()}
    if mark_each(pks, cause if correlation_id() else {}, by_the_way=by_the_way):
        wake()


_marks: ContextVar[Marks | None] = ContextVar("marks", default=None)
_watched: ContextVar[set[int] | None] = ContextVar("watched", default=None)


@contextmanager
def watching() -> Iterator[set[int]]:
    """Collect the keys of the work that is marked inside of the block."""
    watched: set[int] = set()
    token = _watched.set(watched)
    try:
        yield watched
    finally:
        _watched.reset(token)


@contextmanager
def marking(lease: "Lease | None" = None) -> Iterator[Marks]:
    """One transaction; what it marks is marked at its end. A block inside joins the outer one.

    Every transaction thus locks rows and applied objects first, then work in the order of its keys:
    no two of them wait for each other (threat F8). With a `lease` it is all undone, with Stale,
    unless the lease is still ours at the end.
    """
    outer = _marks.get()
    marks = outer or Marks()
    if lease:
        marks.hold(lease)
    token = _marks.set(marks)
    try:
        with one_writer(), transaction.atomic():
            yield marks
            if outer is None:
                marks.make()
    finally:
        _marks.reset(token)
