"""The Converge half of a row on a cluster: what was seen becomes conditions and phase."""

import random
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from reconcile import metrics
from reconcile.errors import ClusterError, Conflict, Forbidden, Held, Occupied, Stale, Unreachable
from reconcile.loop import Adapter, Done, Outcome
from reconcile.models import drifting
from reconcile.models.applied import AppliedObject, AppliedObjectQuerySet
from reconcile.models.declared import Declared
from reconcile.models.drift import Drift
from reconcile.models.events import Event
from reconcile.models.rows import Row, reading
from reconcile.models.statements import put
from reconcile.models.telling import Telling
from reconcile.models.work import Lease, marking, touch
from reconcile.plan import Task
from reconcile.planning import pins
from reconcile.prepared import Document
from reconcile.proof import Proof
from reconcile.values import WAITING, Assessment, Condition, Health, Live, Ref, Status

_SHOWN_AFTER = 5
_DELETION_LOOK = 1.0
_PROOF_LOOK = 1.0
PROVED = "proved"  # the fact that names the rules which the cluster was seen to enforce
_UNSELECTED = (
    "The cluster is no longer selected. Nothing is removed until the parent is declared anew."
)


@dataclass(frozen=True)
class Wait:
    """Something that must be true first: `reason` is WaitingFor…, `message` for people.

    Whatever settles marks who waits; `look_in` seconds later it looks by itself.
    """

    reason: str
    message: str
    look_in: float = 30.0


class Converging(Row):
    """What the loop has to say of one parent on one cluster; `Convergent` says what is wanted."""

    parts = models.JSONField(default=list, blank=True, editable=False)
    facts = models.JSONField(default=dict, blank=True, editable=False)
    pinned_plan = models.JSONField(null=True, blank=True, editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    unselected = models.BooleanField(default=False, editable=False)

    parent_field: ClassVar[str]
    # Whether each wave is recorded before the next: where it could not be written once more.
    records_waves: ClassVar[bool] = False
    # After how many seconds it looks how it comes up, at the soonest and at the latest.
    progress_looks: tuple[float, float] = (5.0, 60.0)
    # Whether the lease is given back as the step is recorded: what comes after could not say when
    # to look again.
    settles_at_once: ClassVar[bool] = True
    # Of the step under way: the keys that say what it waits for; once it writes anything; what it
    # left as it is; what comes next.
    waited: Set[str] = frozenset()
    telling: Telling | None = None
    done: Sequence[Done] = ()
    drifted: Sequence[Drift] = ()
    look_again = False
    proved = ""
    unproven: Sequence[Proof] = ()

    class Meta:
        abstract = True

    @property
    def parent(self) -> Declared:
        """The row that holds the spec."""
        parent: Declared = getattr(self, self.parent_field)
        return parent

    def adapter(self) -> Adapter[Any]:
        """Return the adapter that the cluster's capabilities choose."""
        raise NotImplementedError(f"{self.label} has no adapter")

    def waits_for(self) -> Sequence[Wait]:
        """Return what is not ready yet, reading the keys whose touch ends the wait."""
        raise NotImplementedError(f"{self.label} waits for nothing")

    def find_waits(self) -> Sequence[Wait]:
        """As `waits_for`, keeping the keys in mind until they are watched."""
        with reading() as self.waited:
            return self.waits_for()

    def inside(self) -> "Sequence[Converging]":
        """The placements on this cluster of all that lives inside the parent."""
        raise NotImplementedError(f"{self.label} has nothing inside")

    def request_deletion(self, by: str, *, reason: str = "") -> None:
        """Ask for the removal of everything this row owns on its cluster, then of the row."""
        raise NotImplementedError(f"{self.label} stays")

    def record_waiting(self, waits: Sequence[Wait], lease: Lease) -> Outcome:
        """Pending, not an error: the awaited row's settling marks this one."""
        if self.watch_reads(self.waited, lease):
            waits = self.find_waits()
        for row in self.inside() if self.deleting else ():
            row.request_deletion(self.parent.declared_by)
        if waits:
            message = " ".join(sorted({wait.message for wait in waits}))
            waiting = Condition("Synced", Status.UNKNOWN, waits[0].reason, message)
            self._conclude(lease, waiting, Condition("Ready", Status.UNKNOWN, WAITING, message))
            soonest = min(wait.look_in for wait in waits)
            return Outcome(look_in=soonest * random.uniform(0.8, 1.2))
        return Outcome(look_in=0)

    def record_success(
        self, task: Task, seen: Mapping[Ref, Live], generation: int, lease: Lease
    ) -> Outcome:
        """Synced, and Ready as the adapter assesses it."""
        found = self._proven(self.adapter().assess(task.intent, seen))
        status = Status.TRUE if found.health is Health.READY else Status.FALSE
        reason = found.reason if found.health is not Health.PROGRESSING else Health.PROGRESSING
        synced = self._synced(task)
        ready = Condition("Ready", status, reason, found.message)
        progressing = found.health is Health.PROGRESSING and synced.status == Status.TRUE
        with marking(lease) as marks:
            self.write_down(lease)
            self._look_back(task, seen, lease)
            pins.fulfilled(self)
            self._note_parts(found, lease)
            self._conclude(lease, synced, ready, observed=None if task.drift.held else generation)
            outcome = Outcome(self._look_in(task, self._progress_in() if progressing else None))
            if self.settles_at_once:
                marks.release(lease, outcome.look_in)
        return outcome

    def _progress_in(self) -> float:
        return _PROOF_LOOK if self.unproven else self.progress_look()

    def progress_look(self) -> float:
        """Seconds until it looks by itself how it comes up: as many as it took until now.

        Within bounds, so that many that wait for the same do little.
        """
        since = [each for each in self.conditions if each["type"] == "Ready"]
        known = since and since[0]["status"] == Status.FALSE
        began = datetime.fromisoformat(since[0]["last_transition"]) if known else timezone.now()
        soonest, latest = self.progress_looks
        return min(max((timezone.now() - began).total_seconds(), soonest), latest)

    def _proven(self, found: Assessment) -> Assessment:
        """Not Ready as long as the cluster lets pass what its rules forbid."""
        if self.unproven and found.health is Health.READY:
            rules = ", ".join(sorted({proof.name for proof in self.unproven}))
            message = f"The cluster does not enforce {rules} yet."
            return replace(found, health=Health.PROGRESSING, message=message)
        facts = {**found.facts, PROVED: self.proved} if self.proved else found.facts
        return replace(found, facts=facts)

    def write_down(self, lease: Lease) -> None:
        """Record what the step has written, and tell of repaired drift."""
        done, self.done = self.done, ()
        if not done:
            return
        with marking(lease):
            AppliedObject.keep(
                AppliedObject.after(lease.work, item.step, item.after)
                for item in done
                if item.after
            )
            drifting.note_repairs(self, done, lease)
            self.look_again |= any(item.step.partial for item in done)

    def _note_parts(self, found: Assessment, lease: Lease) -> None:
        parts = [asdict(part) for part in found.parts]
        if (parts, found.facts) == (self.parts, self.facts) and not self.failing_since:
            return
        if self.failing_since:
            rows = type(self)._default_manager.filter(lease.holds(), pk=self.pk)
            rows.update(failing_since=None)
        put(self.label, self.pk, lease, parts=Document(parts), facts=Document(found.facts))
        touch(self.key)

    def _synced(self, task: Task) -> Condition:
        """Whether the cluster is as it is wanted to be."""
        if task.drift.held:
            return Condition("Synced", Status.UNKNOWN, "ReportOnly", task.drift.held)
        if self.drifted:
            return Condition("Synced", Status.FALSE, "Drifted", drifting.told(self.drifted))
        if self.unselected:
            return Condition("Synced", Status.TRUE, "NoLongerSelected", _UNSELECTED)
        return Condition("Synced", Status.TRUE, "Applied", "The cluster equals the intent.")

    def _look_in(self, task: Task, progress: float | None) -> float | None:
        """Seconds until a rule ends, a contested field is tried again or progress is due."""
        if self.look_again:
            return 0.0
        truces = (drift.seconds_left for drift in self.drifted)
        waits = (progress, task.drift.until, *truces)
        return min((wait for wait in waits if wait is not None), default=None)

    def _look_back(self, task: Task, seen: Mapping[Ref, Live], lease: Lease) -> None:
        """Note the live state as seen, so that the watcher reports only what is news to us.

        A record without its object is dropped, unless the object is wanted.
        """
        wanted = {item.ref for item in task.wanted}
        for record in task.recorded.values():
            live, ref = seen.get(record.ref), record.ref
            if ref not in wanted and (live is None or live.uid != record.uid):
                self._records(lease).at(ref).filter(uid=record.uid).delete()
            elif live and (record.live_fp, record.status_fp) != (live.fp, live.status_fp):
                self._records(lease).at(ref).update(live_fp=live.fp, status_fp=live.status_fp)

    @staticmethod
    def _records(lease: Lease) -> AppliedObjectQuerySet:
        return AppliedObject.objects.filter(lease.holds(), work=lease.work)

    def record_deletion(self, task: Task, seen: Mapping[Ref, Live], lease: Lease) -> Outcome:
        """Done when nothing that is ours is left; else say what still goes."""
        if task.drift.held:
            held = Condition("Synced", Status.UNKNOWN, "ReportOnly", task.drift.held)
            self._conclude(lease, held, Condition("Ready", Status.UNKNOWN, "ReportOnly", ""))
            return Outcome()
        mine = [live for live in seen.values() if task.owns(live)]
        if not mine:
            with marking(lease):
                if not self.locked().filter(pk=self.pk).exclude(deletion_requested_at=None):
                    return Outcome(look_in=0)  # selected again meanwhile
                if self.telling:
                    self.telling.write()
                self.forget()
                self.parent.mark()
            return Outcome()
        left = ", ".join(sorted(str(live.ref) for live in mine)[:5])
        synced = Condition("Synced", Status.UNKNOWN, "Deleting", f"Waiting for {left} to go.")
        self._conclude(lease, synced, Condition("Ready", Status.FALSE, "Deleting", ""))
        return Outcome(_DELETION_LOOK)

    def record_failure(self, error: ClusterError, generation: int, lease: Lease) -> Outcome:
        """Turn an error into a condition, by what its class says is next."""
        metrics.ADAPTER_ERRORS.labels(self.adapter().name, type(error).__name__).inc()
        try:
            self.write_down(lease)
        except Stale as stale:
            error = stale
        if self.telling:
            self.telling.failed(error.message, again=lease.work.failures > 0)
            self.telling.write()
            self.telling = None
        failures = lease.work.failures + 1
        outcome = Outcome(error.delay(failures), error)
        if isinstance(error, Stale) or self._within_grace(error, failures, lease):
            return outcome
        unknown = isinstance(error, Unreachable | Held) or error.reason == WAITING
        status = Status.UNKNOWN if unknown else Status.FALSE
        reason = "WaitingForCluster" if error.reason == WAITING else error.reason
        synced = Condition("Synced", status, reason, error.message)
        self._conclude(lease, synced, Condition("Ready", Status.UNKNOWN, reason, ""))
        return outcome

    def _within_grace(self, error: ClusterError, failures: int, lease: Lease) -> bool:
        if isinstance(error, Conflict | Forbidden | Occupied):
            return failures < _SHOWN_AFTER
        if not isinstance(error, Unreachable):
            return False
        if self.failing_since is None:
            self.failing_since = timezone.now()
            rows = type(self)._default_manager.filter(lease.holds(), pk=self.pk)
            rows.update(failing_since=self.failing_since)
        grace = timedelta(seconds=settings.UNREACHABLE_GRACE_SECONDS)
        return timezone.now() - self.failing_since < grace

    def _conclude(
        self, lease: Lease, synced: Condition, ready: Condition, *, observed: int | None = None
    ) -> None:
        with marking():
            if self.telling:
                self.telling.observed(synced, ready)
            if self.record(lease, synced, ready, observed=observed):
                self.parent.placement_moved()
                touch(self.key)
            if self.telling:
                self.telling.write()

    def tell_phase(self, event: Event) -> None:
        """As for any row; with all that the step has to tell, if it does."""
        if self.telling:
            self.telling.add(event)
        else:
            super().tell_phase(event)
