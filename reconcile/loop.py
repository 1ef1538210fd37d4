"""The loop: Intent → Plan → Apply → Observe → Converge. One for every kind.

It knows a cluster as a Protocol of verbs, a row as a few methods; the adapter knows the platform.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from reconcile.cluster import Cluster
from reconcile.drift import Difference, differences, missing
from reconcile.errors import ClusterError, Conflict, Forbidden, Missing, Occupied, Refused
from reconcile.lanes import parallel
from reconcile.ownership import SCALE, scales
from reconcile.plan import Task, make_plan
from reconcile.proof import Proof
from reconcile.values import JSON, Assessment, Kind, Live, Plan, Ref, Step, Verb, Why

if TYPE_CHECKING:
    from reconcile.models.convergent import Convergent
    from reconcile.models.work import Lease

IntentT = TypeVar("IntentT", contravariant=True)
Connect = Callable[[], AbstractContextManager[Cluster]]
# Access rules and parameters of policies: API servers go by them a moment after they are written.
_SEEN_LATE = frozenset({"RoleBinding", "ClusterRoleBinding", "ConfigMap"})
_BELIEVED = (0.01, 0.02, 0.05, 0.1, 0.2)  # seconds; it takes an API server's cache some 20 ms


class Adapter(Protocol[IntentT]):
    """Pure translation between our intents and one platform.

    It may have `homes`, a mapping from kinds to the one namespace in which its objects of that kind
    lie: Secrets are never listed everywhere. It may have `proofs`, a function from an intent to the
    `Proof`s of what its rules forbid: a row is not Ready before its cluster has refused them all.
    It may have `awaits(seen)`, the refs whose status their cluster is about to write: what was just
    written is looked at once more, so that no step has to come for it.
    It may have `holds(intent, seen, changing)`, the refs that are not to be created or changed yet.
    """

    name: str
    kinds: Sequence[Kind]

    def render(self, intent: IntentT) -> list[JSON]:
        """Return every manifest that the intent wants; deterministic, in any order."""
        ...

    def assess(self, intent: IntentT, seen: Mapping[Ref, Live]) -> Assessment:
        """Say how the live objects are doing."""
        ...


@dataclass(frozen=True)
class Done:
    """A step that was carried out: the object before (None: absent) and after (None: deleted)."""

    step: Step
    before: Live | None
    after: Live | None
    seconds: float = 0.0


@dataclass(frozen=True)
class Finding:
    """A repair that was tried by dry run: the object before (None: absent) and what differs."""

    step: Step
    before: Live | None
    fields: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What a step asks of the dirty set: look again in so many seconds (None: at rest)."""

    look_in: float | None = None
    error: ClusterError | None = None


def reconcile(row: "Convergent", connect: Connect, lease: "Lease") -> Outcome:
    """Bring one row's cluster to its intent. Level-triggered, idempotent, repeatable."""
    generation, waits = row.generation, row.find_waits()
    if waits:
        return row.record_waiting(waits, lease)
    try:
        task = row.task(lease)
        with connect() as cluster:
            seen = observe(cluster, task)
            plan = make_plan(task, seen)
            row.before_writing(task, plan, seen)
            seen = apply_all(row, cluster, plan, seen, lease)
            row.note_drift(task, examine(cluster, plan, seen), lease)
            row.prove(cluster, task)
            seen = row.await_status(cluster, left(cluster, task, seen))
        if task.deleting:
            return row.record_deletion(task, seen, lease)
        return row.record_success(task, seen, generation, lease)
    except ClusterError as error:
        return row.record_failure(error, generation, lease)


def apply_all(
    row: "Convergent", cluster: Cluster, plan: Plan, seen: dict[Ref, Live], lease: "Lease"
) -> dict[Ref, Live]:
    """Carry out the waves of a plan one after the other; return what is live then.

    Raises the first error of a wave, once it is remembered what the wave has written.
    """
    late = False
    for wave in plan.waves:
        lease.check()
        late |= any(step.ref.kind.name in _SEEN_LATE for step in wave)
        done, error = carry_through(cluster, wave, seen, _BELIEVED if late else ())
        row.remember(done, lease)
        if error:
            raise error
        seen = advanced(seen, done)
    return seen


def observe(cluster: Cluster, task: Task) -> dict[Ref, Live]:
    """Read every object that is wanted or recorded; when deleting also all that carry our label.

    What lies in a namespace that does not exist is not asked for. An empty list never means
    "all deleted": what is recorded is read by name as well. A recorded kind that the cluster no
    longer serves has taken its objects along; a wanted one raises Missing. A blind task asks for
    nothing.
    """
    seen: dict[Ref, Live] = {}
    if task.blind:
        return seen
    if task.deleting:
        for found in parallel(lambda kind: _owned(cluster, kind, task), task.kinds):
            seen |= {live.ref: live for live in found}
    refs = {wanted.ref: None for wanted in task.wanted} | dict.fromkeys(task.recorded)
    needed = {wanted.ref.kind for wanted in task.wanted}
    roots = [ref for ref in refs if ref.kind.name == "Namespace"]
    seen |= _get_all(cluster, roots, needed)
    gone = {ref.name for ref in roots if ref not in seen}
    rest = [ref for ref in refs if ref not in roots and ref.namespace not in gone]
    return seen | _get_all(cluster, rest, needed)


def left(cluster: Cluster, task: Task, seen: dict[Ref, Live]) -> dict[Ref, Live]:
    """Look once more at what a deletion was to take away."""
    return observe(cluster, task) if task.deleting and seen else seen


def _get_all(cluster: Cluster, refs: Sequence[Ref], needed: Set[Kind]) -> dict[Ref, Live]:
    def get(ref: Ref) -> Live | None:
        try:
            return cluster.get(ref)
        except Missing:
            if ref.kind in needed:
                raise
            return None

    return {live.ref: live for live in parallel(get, refs) if live}


def _owned(cluster: Cluster, kind: Kind, task: Task) -> list[Live]:
    try:
        return cluster.owned(kind, task.labels, namespace=task.homes.get(kind, ""))
    except Missing:
        return []


def carry_through(
    cluster: Cluster, wave: Sequence[Step], seen: Mapping[Ref, Live], pauses: Sequence[float]
) -> tuple[list[Done], ClusterError | None]:
    """As `carry_out`; what the cluster forbids is tried again after each of the pauses.

    What was written a moment ago, in the same step, is not believed by each API server at once: a
    binding by its access rules, a ConfigMap by the policies that have their parameters in it.
    """
    done, error = carry_out(cluster, wave, seen)
    for pause in pauses:
        if not isinstance(error, Forbidden):
            break
        time.sleep(pause)
        written = {item.step.ref for item in done}
        rest = [step for step in wave if step.ref not in written]
        more, error = carry_out(cluster, rest, seen)
        done += more
    return done, error


def carry_out(
    cluster: Cluster, wave: Sequence[Step], seen: Mapping[Ref, Live]
) -> tuple[list[Done], ClusterError | None]:
    """Take the steps of one wave in parallel; return what was done and the first error, if any."""

    def take(step: Step) -> Done | ClusterError:
        began = time.perf_counter()
        try:
            after = _write(cluster, step)
            return Done(step, seen.get(step.ref), after, time.perf_counter() - began)
        except ClusterError as error:
            return error

    results = parallel(take, wave)
    errors = (result for result in results if isinstance(result, ClusterError))
    return [result for result in results if isinstance(result, Done)], next(errors, None)


def _write(cluster: Cluster, step: Step) -> Live | None:
    if step.verb is Verb.DELETE:
        cluster.delete(step.ref, step.uid)
        return None
    try:
        return cluster.apply(step.ref, step.manifest, uid=step.uid)
    except Conflict as conflict:
        if step.why is Why.NEW and not conflict.fields:
            raise Occupied(conflict.message) from None
        # An autoscaler that came since we looked: the next look leaves its field out.
        late = any(scales(field.manager, SCALE, field.path) for field in conflict.fields)
        if late or not conflict.fields:
            raise
        return cluster.apply(step.ref, step.manifest, uid=step.uid, force=True)


def examine(cluster: Cluster, plan: Plan, seen: Mapping[Ref, Live]) -> list[Finding]:
    """Find out what the checks of a plan would change; nothing is written. Raises ClusterError."""

    def try_out(step: Step) -> Finding:
        before = seen.get(step.ref)
        if before is None:
            return Finding(step, None, (missing(step.ref),))
        answer = cluster.apply(step.ref, step.manifest, uid=step.uid, force=True, dry_run=True)
        return Finding(step, before, differences(before.body, answer.body, step.ref))

    return parallel(try_out, plan.checks)


def unproven(cluster: Cluster, proofs: Sequence[Proof]) -> list[Proof]:
    """Return those proofs that the cluster lets pass; all are tried by dry run, nothing is written.

    Raises ClusterError when it answers neither yes nor no.
    """

    def passes(proof: Proof) -> bool:
        try:
            cluster.apply(proof.ref, proof.manifest, uid="", dry_run=True)
        except Refused as refusal:
            return proof.refused_by not in refusal.message
        return True

    answers = parallel(passes, proofs)
    return [proof for proof, passed in zip(proofs, answers, strict=True) if passed]


def advanced(seen: Mapping[Ref, Live], done: Iterable[Done]) -> dict[Ref, Live]:
    """What is known to be live after a wave; a deleted object stays until it is seen gone."""
    return {**seen, **{item.step.ref: item.after for item in done if item.after}}
