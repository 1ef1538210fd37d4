"""The resident drain: claims due work fairly and takes steps in a thread pool.

One drain runs as one django-q2 task per worker process until its time is up; a schedule and the
worker role start the next. Several drains, on several machines, share the dirty set by leases.
"""

import logging
import random
import threading
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from opentelemetry import propagate, trace

from reconcile import metrics
from reconcile.correlation import correlate
from reconcile.errors import Unreachable
from reconcile.loop import Outcome
from reconcile.models.rows import Row, row_of
from reconcile.models.work import Lease, Work
from reconcile.slots import Slots
from reconcile.wake import Parking

logger = logging.getLogger(__name__)
tracer = trace.get_tracer("kubenova.reconcile")
_PARK_SECONDS = 1.0
_SLICE_SECONDS = 0.05
_SLOW_SECONDS = 1.0
_STUCK_SHARE = 2  # threads for steps that are stuck, for each one that is not
_FETCH = 64
_NEAR = 24.0  # places by which the order of what is due is changed: it stays about what it was
_GOOD_SECONDS = 0.1
_LOOKS_SHARE = 20  # one part in so many of the time at most: a look at thousands takes long


def take_step(lease: Lease) -> Outcome | None:
    """Take one step with the row of a lease and give the lease back.

    Returns None when the row is gone or its step crashed; a crash is written to the row, which is
    set aside after QUARANTINE_ATTEMPTS (threat F31).
    """
    work, began = lease.work, time.perf_counter()
    row = row_of(work)
    if row is None:
        work.delete()
        return None
    parent = propagate.extract({"traceparent": work.traceparent})
    with (
        correlate(work.correlation_id),
        tracer.start_as_current_span(
            f"reconcile {work.kind}", context=parent, attributes={"kubenova.row": work.owner}
        ),
    ):
        try:
            outcome = row.step(lease)
        except Exception:  # the one broad except: a defect in one row must not stop the others
            _crashed(row, lease)
            return None
        lease.release(outcome.look_in, work.failures + 1 if outcome.error else 0)
        _measure(row, outcome, time.perf_counter() - began)
    return outcome


def _crashed(row: Row, lease: Lease) -> None:
    logger.exception("A step crashed", extra={"row": lease.work.owner})
    metrics.RECONCILE_SECONDS.labels(row._meta.model_name, row.phase, "crash").observe(0)
    if lease.crash(traceback.format_exc(limit=30)):
        row.record_quarantine()


def _measure(row: Row, outcome: Outcome, seconds: float) -> None:
    result = type(outcome.error).__name__ if outcome.error else "ok"
    metrics.RECONCILE_SECONDS.labels(row._meta.model_name, row.phase, result).observe(seconds)
    extra = {
        "kind": row.label,
        "row": str(row),
        "tenant": row.tenant_name,
        "cluster": row.cluster_name,
        "adapter": row.adapter_name,
        "phase": row.phase,
        "milliseconds": round(seconds * 1000),
    }
    if isinstance(outcome.error, Unreachable):
        logger.warning("Cluster did not answer", extra=extra | {"error": outcome.error.message})
    elif outcome.error:
        logger.warning("Step failed", extra=extra | {"error": outcome.error.message})
    else:
        logger.info("Step done", extra=extra)


class _Connections:
    """The database connections of a pool's threads, which no thread closes when it ends."""

    def __init__(self) -> None:
        self._lent: list[BaseDatabaseWrapper] = []

    def lend(self) -> None:
        """Remember the connection of the thread that begins here."""
        connection = connections["default"]
        connection.inc_thread_sharing()
        self._lent.append(connection)

    def close(self) -> None:
        """Close them all; their threads have ended."""
        for connection in self._lent:
            connection.close()


class _Found:
    """What was due a moment ago, in fair order; the claim judges whether it still is."""

    def __init__(self) -> None:
        self._rows: list[Work] = []
        self._good_until = 0.0

    def next(self, full: set[int]) -> Work | None:
        """Return the next row that is on none of the `full` clusters."""
        if not self._rows or time.monotonic() > self._good_until:
            self._look(full)
        places = (n for n, work in enumerate(self._rows) if work.cluster_id not in full)
        place = next(places, None)
        return None if place is None else self._rows.pop(place)

    def _look(self, full: set[int]) -> None:
        began = time.monotonic()
        self._rows = Work.objects.fair(_FETCH, full)
        now = time.monotonic()
        self._good_until = now + max(_GOOD_SECONDS, (now - began) * _LOOKS_SHARE)
        if len(self._rows) == _FETCH:  # many are due: drains begin at different ones
            turns = {
                work.pk: random.uniform(place, place + _NEAR)
                for place, work in enumerate(self._rows)
            }
            self._rows.sort(key=lambda work: turns[work.pk])


class Drain:
    """One resident drain: at most `threads` steps at once, at most `slots` of them on one cluster.

    Steps that are stuck do not count as long as there are threads left: clusters that do not answer
    take nothing from the others (threat F13).
    """

    def __init__(self, threads: int, slots: int) -> None:
        self._slots, self._threads = Slots(slots), threads
        self._active: dict[Lease, float] = {}  # since when
        self._lock = threading.Lock()
        self._freed = threading.Event()
        self._opened = _Connections()
        self._found = _Found()
        self._renewed = time.monotonic()

    def run(self, seconds: float) -> int:
        """Serve the dirty set for `seconds` or until the stop marker appears; return the steps."""
        until, steps = time.monotonic() + seconds, 0
        most = self._threads * (1 + _STUCK_SHARE)
        pool = ThreadPoolExecutor(most, "drain", self._opened.lend)
        with closing(self._opened), pool, closing(Parking()) as parking:
            while time.monotonic() < until and not stopping():
                self._keep_leases()
                taken = self._fill(pool)
                steps += taken
                if not taken:
                    self._rest(parking)
            while self._active:  # the last steps may take longer than a lease lasts
                self._keep_leases()
                self._freed.wait(_SLICE_SECONDS)
                self._freed.clear()
        return steps

    def _rest(self, parking: Parking) -> None:
        """Wait for news or for a step to end: it frees a thread and a slot of its cluster."""
        until = time.monotonic() + min(_PARK_SECONDS, settings.LEASE_SECONDS / 6)
        while not self._freed.is_set() and (left := until - time.monotonic()) > 0:
            if not self._has_room():
                self._freed.wait(min(left, _SLICE_SECONDS))
                if self._has_room():
                    break
            elif parking.wait(min(left, _SLICE_SECONDS) if self._active else left):
                break
        self._freed.clear()

    def _fill(self, pool: ThreadPoolExecutor) -> int:
        taken = 0
        while self._has_room():
            work = self._found.next(self._full_clusters())
            if work is None:
                break
            lease = Work.objects.take(work)
            if lease:
                self._start(pool, lease)
                taken += 1
        return taken

    def _start(self, pool: ThreadPoolExecutor, lease: Lease) -> None:
        with self._lock:
            self._active[lease] = time.monotonic()
        pool.submit(self._take, lease)

    def _take(self, lease: Lease) -> None:
        try:
            take_step(lease)
        except DatabaseError:
            logger.exception("The database failed a step", extra={"row": lease.work.owner})
        finally:
            close_old_connections()
            self._ended(lease)
            self._freed.set()

    def _ended(self, lease: Lease) -> None:
        cluster = lease.work.cluster_id
        with self._lock:
            slow = time.monotonic() - self._active.pop(lease) > _SLOW_SECONDS
            last = all(other.work.cluster_id != cluster for other in self._active)
            self._slots.ended(cluster, slow=slow, last=last)

    def _has_room(self) -> bool:
        """Whether another step may begin."""
        with self._lock:
            count, stuck = len(self._active), len(self._stuck())
        return count < self._threads + min(stuck, self._threads * _STUCK_SHARE)

    def _stuck(self) -> list[Lease]:
        """The steps that wait for their cluster all too long; the lock is held."""
        late = time.monotonic() - _SLOW_SECONDS
        return [
            lease
            for lease, since in self._active.items()
            if since < late and lease.work.cluster_id is not None
        ]

    def _full_clusters(self) -> set[int]:
        """Those whose slots are taken."""
        with self._lock:
            busy = Counter(lease.work.cluster_id for lease in self._active)
            stuck = {lease.work.cluster_id for lease in self._stuck()}
            return {
                key
                for key, count in busy.items()
                if key is not None and count >= self._slots.of(key, stuck=key in stuck)
            }

    def _keep_leases(self) -> None:
        if time.monotonic() - self._renewed < settings.LEASE_SECONDS / 3:
            return
        self._renewed = time.monotonic()
        young = self._renewed - settings.LEASE_SECONDS / 5
        with self._lock:
            leases = [lease for lease, since in self._active.items() if since < young]
        for lease in leases:
            lease.renew()


def stopping() -> bool:
    """Whether the role that runs this drain is being stopped."""
    return bool(settings.STOP_FILE) and Path(settings.STOP_FILE).exists()


def drain(seconds: float | None = None) -> int:
    """The django-q2 task: serve the dirty set for DRAIN_SECONDS; return the number of steps."""
    server = Drain(settings.DRAIN_THREADS, settings.DRAIN_SLOTS_PER_CLUSTER)
    try:
        return server.run(settings.DRAIN_SECONDS if seconds is None else seconds)
    finally:
        connections.close_all()
