"""Asks clusters what would become of drafts: all at once, each by dry runs, until a deadline."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from itertools import groupby

from reconcile.cluster import Cluster
from reconcile.deadline import within
from reconcile.errors import (
    ClusterError,
    Conflict,
    Forbidden,
    Refused,
    Unauthenticated,
    Unreachable,
)
from reconcile.lanes import parallel
from reconcile.loop import observe
from reconcile.omission import same_base
from reconcile.plan import Task, make_plan
from reconcile.planning.rehearsal import Draft
from reconcile.planning.values import (
    PLAN_NAMESPACE,
    Checked,
    State,
    Trial,
    namespaces_of,
    rehomed,
)
from reconcile.values import Kind, Live, Plan, Ref, Step, Verb, Why

SECONDS = 10.0
_CLUSTERS_AT_ONCE = 16
_NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False)
_NO_HOME = (
    f"Its namespace does not exist yet, and the cluster has no usable {PLAN_NAMESPACE} to try it "
    "in: give the cluster a new credential, so that its baseline is brought up to date."
)


@dataclass(frozen=True)
class Look:
    """What a cluster said to one draft. `seen` is None where it was not asked.

    `trials` are by the refs of the plan's steps; without dry runs there are none. `beside` are
    other objects that the adapter judges headroom by.
    """

    draft: Draft
    plan: Plan
    seen: Mapping[Ref, Live] | None = None
    state: State = State.ASKED
    message: str = ""
    trials: Mapping[Ref, Trial] = field(default_factory=dict)
    beside: Mapping[Ref, Live] = field(default_factory=dict)


def look(drafts: Sequence[Draft], *, dry_run: bool, seconds: float = SECONDS) -> list[Look]:
    """Observe the objects of all drafts, and try the writes where `dry_run`; in order of clusters.

    Never raises for what a cluster does: what could not be asked says so.
    """
    groups = [list(each) for _, each in groupby(_sorted(drafts), key=lambda draft: draft.cluster)]
    if not groups:
        return []
    with (
        within(seconds),
        ExitStack() as stack,
        ThreadPoolExecutor(min(len(groups), _CLUSTERS_AT_ONCE), "plan") as pool,
    ):
        asked: list[Future[list[Look]]] = []
        for group in groups:
            doors = _opened(stack, group)
            asked.append(pool.submit(copy_context().run, _ask, doors, group, dry_run))
        return [found for each in asked for found in each.result()]


def _sorted(drafts: Sequence[Draft]) -> list[Draft]:
    return sorted(drafts, key=lambda draft: draft.cluster)


def _opened(stack: ExitStack, drafts: Sequence[Draft]) -> dict[str, Cluster | ClusterError]:
    """Open the cluster for each kind of row, with the credential that its steps have.

    Done here, where the database is; nothing is dialled before the first call.
    """
    doors: dict[str, Cluster | ClusterError] = {}
    for label, draft in {draft.row.label: draft for draft in drafts}.items():
        try:
            if draft.idle:
                raise Unreachable(draft.idle)
            doors[label] = stack.enter_context(draft.row.connect())
        except ClusterError as error:
            doors[label] = error
    return doors


def _ask(
    doors: dict[str, Cluster | ClusterError], drafts: Sequence[Draft], dry_run: bool
) -> list[Look]:
    """Look for one draft after the other; a door that is shut stays so."""
    found: list[Look] = []
    for draft in drafts:
        door = doors[draft.row.label]
        try:
            if isinstance(door, ClusterError):
                raise door
            found.append(_look(door, draft, dry_run))
        except ClusterError as error:
            if isinstance(error, Unreachable | Unauthenticated):
                doors[draft.row.label] = error
            found.append(_unasked(draft, error))
    return found


def _unasked(draft: Draft, error: ClusterError) -> Look:
    down = isinstance(error, Unreachable | Unauthenticated)
    state = State.PAUSED if draft.idle else State.UNREACHABLE if down else State.ASKED
    return Look(draft, supposed(draft.task), None, state, error.message)


def supposed(task: Task) -> Plan:
    """Return what would be written if the cluster were as it was left: nobody has looked."""
    applies, kept = [], {item.ref for item in task.wanted}
    for item in task.wanted:
        record = task.recorded.get(item.ref)
        if record is None or not same_base(record.wanted_hash, item.hash):
            why = Why.CHANGED if record else Why.NEW
            uid = record.uid if record else ""
            applies.append(Step(Verb.APPLY, why, item.ref, uid, item.manifest, item.hash))
    deletes = [
        Step(Verb.DELETE, Why.UNWANTED, ref, record.uid)
        for ref, record in sorted(task.recorded.items(), key=lambda each: str(each[0]))
        if ref not in kept
    ]
    return Plan(tuple(tuple(wave) for wave in (applies, deletes) if wave))


def _look(cluster: Cluster, draft: Draft, dry_run: bool) -> Look:
    if not draft.news:
        return Look(draft, Plan(), {})
    seen = observe(cluster, draft.task)
    # What a guard holds back for now is planned as if an operator had confirmed already, and what
    # waits for something else as if that were ready.
    confirmed = replace(draft.task, drift=replace(draft.task.drift, held=""), holds=None)
    try:
        plan = make_plan(confirmed, seen)
    except ClusterError as error:
        return Look(draft, supposed(draft.task), seen, message=error.message)
    if not dry_run:
        return Look(draft, plan, seen)
    trials = _tried(cluster, plan, seen)
    return Look(draft, plan, seen, trials=trials, beside=_beside(cluster, draft))


def _beside(cluster: Cluster, draft: Draft) -> dict[Ref, Live]:
    """Read what the adapter judges headroom by; that a cluster does not tell is no fault."""
    beside = getattr(draft.adapter, "beside", None)
    if beside is None or draft.task.deleting:
        return {}

    def get(ref: Ref) -> Live | None:
        try:
            return cluster.get(ref)
        except ClusterError:
            return None

    return {live.ref: live for live in parallel(get, beside(draft.task.intent)) if live}


def _tried(cluster: Cluster, plan: Plan, seen: Mapping[Ref, Live]) -> dict[Ref, Trial]:
    """Try the waves one after the other, as a step would write them."""
    missing = _missing(cluster, plan.steps, seen)
    trials: dict[Ref, Trial] = {}
    for wave in plan.waves:
        tried = parallel(lambda step: _try(cluster, step, missing), wave)
        trials |= {step.ref: trial for step, trial in zip(wave, tried, strict=True)}
    return trials


def _missing(cluster: Cluster, steps: Sequence[Step], seen: Mapping[Ref, Live]) -> set[str]:
    """Name the namespaces of the steps that do not exist; the one of plans when it is of no use."""
    roots = [Ref(_NAMESPACE, "", name) for name in namespaces_of(steps)]
    missing = {ref.name for ref in roots if ref not in seen and cluster.get(ref) is None}
    home = Ref(_NAMESPACE, "", PLAN_NAMESPACE)
    return missing | ({PLAN_NAMESPACE} if missing and cluster.get(home) is None else set())


def _try(cluster: Cluster, step: Step, missing: set[str]) -> Trial:
    checked = Checked.SCHEMA if step.ref.namespace in missing else Checked.SERVER
    try:
        if step.verb is Verb.DELETE:
            cluster.delete(step.ref, step.uid, dry_run=True)
            return Trial(Checked.SERVER)
        if checked is Checked.SERVER:
            return _answered(checked, _applied(cluster, step))
        if PLAN_NAMESPACE in missing:
            return Trial(Checked.NONE, message=_NO_HOME)
        return _answered(checked, _applied(cluster, rehomed(step)))
    except Forbidden as error:
        if checked is Checked.SCHEMA:
            return Trial(Checked.NONE, message=_NO_HOME)
        return Trial(checked, denial=error.message)
    except (Refused, Conflict) as error:
        return Trial(checked, denial=error.message)
    except ClusterError as error:
        return Trial(Checked.NONE, message=error.message)


def _answered(checked: Checked, after: Live) -> Trial:
    return Trial(checked, after, warnings=after.warnings)


def _applied(cluster: Cluster, step: Step) -> Live:
    """Apply for show as the loop does for real."""
    try:
        return cluster.apply(step.ref, step.manifest, uid=step.uid, dry_run=True)
    except Conflict as conflict:
        if not conflict.fields:
            raise
        return cluster.apply(step.ref, step.manifest, uid=step.uid, force=True, dry_run=True)
