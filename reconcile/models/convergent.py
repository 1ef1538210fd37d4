"""The abstract row that is projected onto one cluster by the loop."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from reconcile.cluster import Cluster
from reconcile.correlation import correlation_id
from reconcile.locks import has_one_writer, one_writer
from reconcile.loop import Done, Finding, Outcome, reconcile, unproven
from reconcile.models import drifting
from reconcile.models.applied import AppliedObject
from reconcile.models.converging import PROVED, Converging, Wait
from reconcile.models.events import Event
from reconcile.models.rows import read, reading
from reconcile.models.telling import Telling
from reconcile.models.work import Lease, marking, touch
from reconcile.plan import Task
from reconcile.planning import pins
from reconcile.proof import Proof
from reconcile.values import Live, Phase, Plan, Ref, RepairMode, Wanted, Why, digest

__all__ = ["Convergent", "Wait"]

_PAUSES = (0.03, 0.06)  # seconds; a controller that has nothing else to do takes ten
_REPAIRS = frozenset({Why.DRIFT, Why.MISSING})
_STANDING = frozenset({Phase.DEPLOYED, Phase.DRIFTED, Phase.APPLYING})


class Convergent(Converging):
    """One parent on one cluster. Concrete classes add the parent, `cluster`, intent and adapter."""

    class Meta:
        abstract = True

    @property
    def generation(self) -> int:
        """The generation of the spec that is to be projected."""
        return self.parent.generation

    @property
    def tenant_name(self) -> str:
        """The tenant of its parent."""
        return self.parent.tenant_name

    @property
    def paused(self) -> bool:
        """Whether it is to be left as it is for now; whoever ends the pause marks the row."""
        return False

    @property
    def adapter_name(self) -> str:
        """The name of its adapter."""
        return self.adapter().name

    def basis(self) -> str:
        """What serves it: the adapter, and the version that its cluster offers; plans hold it."""
        return self.adapter_name

    @property
    def repair_mode(self) -> RepairMode:
        """What happens to drift on it."""
        return RepairMode.AUTO

    @property
    def held(self) -> str:
        """Why nothing may be written to its cluster until an operator confirms; empty if it may."""
        return ""

    def intent(self) -> Any:
        """Return the intent (a frozen dataclass), complete: rendering needs no further look-up."""
        raise NotImplementedError(f"{self.label} has no intent")

    def connect(self) -> AbstractContextManager[Cluster]:
        """Open the cluster."""
        raise NotImplementedError(f"{self.label} has no cluster")

    def waits_for(self) -> Sequence[Wait]:
        """Return what is not ready yet, reading the keys whose touch ends the wait.

        What lives inside goes first when this row is deleted; otherwise the row that the parent
        lives inside of has to stand on this cluster.
        """
        if self.deleting:
            return [
                Wait("WaitingForDependents", f"{row} has to go first.") for row in self.inside()
            ]
        above = self.parent.above()
        if above is None:
            return ()
        read(above.key)
        row = above.placed_on(self.cluster_pk)
        if row is None:
            return (Wait(f"WaitingFor{above.kind}", f"{above} is not placed here yet."),)
        read(row.key)
        if row.observed_generation and row.phase in _STANDING:
            return ()
        return (Wait(f"WaitingFor{above.kind}", f"{row} is {row.phase}."),)

    def inside(self) -> "list[Convergent]":
        """The placements on this cluster of all that lives inside the parent."""
        found: list[Convergent] = []
        for row in self.parent.dependents():
            read(row.key)
            found += row.on_cluster(self.cluster_pk)
        for placement in found:
            read(placement.key)
        return found

    def step(self, lease: Lease) -> Outcome:
        """One turn of the loop on its cluster."""
        if self.paused:
            return Outcome()
        return reconcile(self, self.connect, lease)

    def request_deletion(self, by: str, *, reason: str = "") -> None:
        """Ask for the removal of everything this row owns on its cluster, then of the row."""
        now = timezone.now()
        rows = type(self)._default_manager.filter(pk=self.pk, deletion_requested_at=None)
        with marking():
            if not rows.update(deletion_requested_at=now, updated_at=now, pinned_plan=None):
                return
            self.deletion_requested_at = now
            Event.record(self, "DeletionRequested", reason or f"{self} is to be removed.", actor=by)
            for row in self.inside():
                row.request_deletion(by, reason=reason)
            self.mark()
            touch(self.key)

    def rendered(self) -> list[Wanted]:
        """What the adapter makes of the intent as it is declared, without people's decisions."""
        adapter = self.adapter()
        return [Wanted.of(body, adapter.kinds) for body in adapter.render(self.intent())]

    def task(self, lease: Lease | None = None) -> Task:
        """Read the intent and the records: all that a step needs; writes nothing without lease."""
        self.done, self.drifted, self.look_again = (), (), False
        deleting = self.deleting
        intent = None if deleting else self.watched_intent(lease) if lease else self.intent()
        adapter = self.adapter()
        rendered = () if deleting else adapter.render(intent)
        decisions = drifting.decisions_on(self)
        wanted = [Wanted.of(manifest, adapter.kinds) for manifest in rendered]
        wanted, void = drifting.as_accepted(self, wanted, decisions)
        for decision in void if lease else ():
            decision.become_obsolete()
        recorded = AppliedObject.recorded(self.label, self.pk)
        holds = getattr(adapter, "holds", None)
        return Task(
            owner=self.owner,
            correlation_id=correlation_id(),
            kinds=tuple(adapter.kinds),
            intent=intent,
            wanted=tuple(wanted),
            recorded=recorded,
            deleting=deleting,
            homes=getattr(adapter, "homes", {}),
            drift=drifting.handling_of(self, decisions),
            blind=bool(
                lease and not (lease.work.failures or recorded or deleting or self.pinned_plan)
            ),
            holds=partial(holds, intent) if holds and not deleting else None,
        )

    def watched_intent(self, lease: Lease) -> Any:
        """Compute the intent while the keys it reads are watched."""
        with self.undisturbed(lease) as undisturbed:
            with reading() as keys:
                self.adapter()
                drifting.read_decisions(self)
                _ = (self.held, self.repair_mode)
                intent = self.intent()
            if not self.watch_reads(keys | self.waited, lease) or undisturbed:
                return intent
        self.read_anew()  # forgets the parents that were read before their keys were watched
        return self.intent()

    @contextmanager
    def undisturbed(self, lease: Lease) -> Iterator[bool]:
        """For its first step: whether nobody writes, so that what is read stays until the end.

        Then no key is touched before it is watched, and nothing has to be read twice.
        """
        if self.observed_generation or lease.work.failures or not has_one_writer():
            yield False
            return
        with one_writer(), transaction.atomic():
            self.read_anew()
            yield True

    def record_quarantine(self) -> None:
        """As for any row; the parent shows it too."""
        super().record_quarantine()
        self.parent.mark_to_sum_up()

    # --- What is asked between plan and apply; raising a ClusterError stops the step.

    def before_writing(self, task: Task, plan: Plan, seen: Mapping[Ref, Live]) -> None:
        """Ask and tell before the first write of a step; nothing happens at rest."""
        self.check_pin(task, plan, seen)
        if plan:
            self.allow(plan)
            self.tell_plan(task, plan)

    def check_pin(self, task: Task, plan: Plan, seen: Mapping[Ref, Live]) -> None:
        """Refuse to write what differs from the plan that a person has pinned."""
        if self.pinned_plan is not None:
            pins.check(self, self.basis(), task, seen)

    def allow(self, plan: Plan) -> None:
        """Refuse to write what nobody is likely to have meant."""

    def tell_plan(self, task: Task, plan: Plan) -> None:
        """Tell people what is about to be written; not called at rest."""
        self.telling = Telling(self, plan)

    def remember(self, done: Sequence[Done], lease: Lease) -> None:
        """Keep in mind what a wave has written; it is recorded together with how the step ends.

        A worker that dies before has left the owner label on it, by which it is found again.
        """
        self.done = (*self.done, *done)
        if self.telling:
            self.telling.applied(done)
        if self.records_waves:
            self.write_down(lease)

    def prove(self, cluster: Cluster, task: Task) -> None:
        """Try what its rules forbid, once for these rules; at rest nothing is tried."""
        self.proved, self.unproven = "", ()
        proofs = getattr(self.adapter(), "proofs", None)
        found: Sequence[Proof] = proofs(task.intent) if proofs and not task.deleting else ()
        if not found or task.drift.held:
            self.proved = self.facts.get(PROVED, "") if task.drift.held else ""
            return
        proved = digest([[proof.name, proof.manifest, proof.refused_by] for proof in found])
        if self.facts.get(PROVED) != proved:
            self.unproven = tuple(unproven(cluster, found))
        self.proved = "" if self.unproven else proved

    def await_status(self, cluster: Cluster, seen: dict[Ref, Live]) -> dict[Ref, Live]:
        """See, for a moment, what the cluster writes into the status of what this step has written.

        Whatever else changes meanwhile is told by the watcher.
        """
        awaits = getattr(self.adapter(), "awaits", None)
        mine = {item.step.ref for item in self.done if item.after}
        if not (awaits and mine):
            return seen
        for pause in _PAUSES:
            late = sorted(awaits(seen) & mine, key=str)
            if not late:
                break
            time.sleep(pause)
            seen = {**seen, **_same(seen, map(cluster.get, late))}
        self.done = [_with_status(item, seen) for item in self.done]
        return seen

    def note_drift(self, task: Task, findings: Sequence[Finding], lease: Lease) -> None:
        """Record what differs and stays so for now."""
        differs = any(item.step.why in _REPAIRS for item in self.done)
        if not (findings or differs or task.drift.known or task.drift.extras):
            return
        self.write_down(lease)
        self.drifted = drifting.note_findings(self, task, findings, lease)
        approved = any(drift.repair_requested_by for drift in self.drifted)
        self.look_again |= bool(findings) and approved and not task.drift.held


def _same(seen: Mapping[Ref, Live], found: Iterable[Live | None]) -> dict[Ref, Live]:
    """Those of which nothing but the status is news."""
    return {
        live.ref: live
        for live in found
        if live and (live.uid, live.fp) == (seen[live.ref].uid, seen[live.ref].fp)
    }


def _with_status(item: Done, seen: Mapping[Ref, Live]) -> Done:
    """What was done, with the object as it was seen last."""
    return replace(item, after=seen[item.step.ref]) if item.after else item
