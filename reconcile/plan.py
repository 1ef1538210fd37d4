"""Plan: what must be written so that the cluster equals the intent. Pure; decides, never acts."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import Enum, auto

from reconcile.errors import Taken, Waiting
from reconcile.omission import Handling, Omitted, omitted, same_base, taken
from reconcile.values import (
    CORRELATION,
    JSON,
    MANAGED_BY,
    MANAGER,
    OWNER,
    Kind,
    Live,
    Plan,
    Recorded,
    Ref,
    Step,
    Verb,
    Wanted,
    Why,
)

KEPT_UNTIL_THE_END = frozenset({"Namespace", "Tenant"})
# Of these none has to be there before another.
_INDEPENDENT = frozenset(
    {
        *("ConfigMap", "LimitRange", "NetworkPolicy", "ResourceQuota", "Service"),
        *("CronJob", "DaemonSet", "Deployment", "Job", "StatefulSet"),
        *("HorizontalPodAutoscaler", "Ingress"),
    }
)
# No object ever has this version. Applied with it, an object is created or the write fails with
# Conflict: without it an apply would adopt what a foreigner created since we looked (threat A12).
CREATE_ONLY = "1"


_DECLARED = frozenset({Why.NEW, Why.CHANGED, Why.ADOPT})


class Fate(Enum):
    """What becomes of a step: it is carried out, tried by dry run and shown, or left for now."""

    WRITTEN = auto()
    SHOWN = auto()
    LEFT = auto()


@dataclass(frozen=True)
class Task:
    """Everything one step needs from the database, read before the cluster is asked anything.

    `kinds` are in order of creation; `owner` is the value of the owner label; `intent` is the
    adapter's own. `homes` names the one namespace of kinds that may be listed nowhere else, `drift`
    says what becomes of differences. A `blind` one creates without a look before: nothing of it was
    ever written, and what is there all the same lets the creation fail. `holds` says what is not to
    be written yet, by what was seen and what would be created or changed.
    """

    owner: str
    correlation_id: str
    kinds: Sequence[Kind]
    intent: object = None
    wanted: Sequence[Wanted] = ()
    recorded: Mapping[Ref, Recorded] = field(default_factory=dict)
    deleting: bool = False
    homes: Mapping[Kind, str] = field(default_factory=dict)
    drift: Handling = field(default_factory=Handling)
    blind: bool = False
    holds: Callable[[Mapping[Ref, Live], Set[Ref]], Set[Ref]] | None = None

    @property
    def labels(self) -> dict[str, str]:
        """The labels that make an object ours."""
        return {MANAGED_BY: MANAGER, OWNER: self.owner}

    def owns(self, live: Live) -> bool:
        """Whether an object is ours: by its label, or as the very one that we recorded."""
        record = self.recorded.get(live.ref)
        return live.labels.get(OWNER) == self.owner or bool(record and record.uid == live.uid)


def make_plan(task: Task, seen: Mapping[Ref, Live]) -> Plan:
    """Compare what is wanted and recorded with what was seen.

    Raises Taken when a foreign object stands in the way, Waiting when one of ours is going away
    and has to be made anew afterwards.
    """
    planned = [made for wanted in task.wanted if (made := _apply_step(task, wanted, seen))]
    writes = _free(task, [step for step, shown in planned if not shown], seen)
    closed = _closed(task, seen, {step.ref for step in writes})
    applies = [
        tuple(
            step for step in writes if step.ref.kind in kinds and step.ref.namespace not in closed
        )
        for kinds in _together(task.kinds)
    ]
    waves = (*applies, _extras(task), *_prunes(task, seen))
    checks = tuple(step for step, shown in planned if shown)
    return Plan(tuple(wave for wave in waves if wave), checks)


def _free(task: Task, writes: list[Step], seen: Mapping[Ref, Live]) -> list[Step]:
    """What need not wait for anything else of this row; repairs never wait."""
    changes = {step.ref for step in writes if step.why in _DECLARED}
    held = task.holds(seen, changes) & changes if task.holds and changes else frozenset()
    return [step for step in writes if step.ref not in held]


def _closed(task: Task, seen: Mapping[Ref, Live], written: Set[Ref]) -> set[str]:
    """The namespaces that are missing and stay so for now: nothing can be written inside."""
    roots = (wanted.ref for wanted in task.wanted if wanted.ref.kind.name == "Namespace")
    return {ref.name for ref in roots if ref not in seen and ref not in written}


def _prunes(task: Task, seen: Mapping[Ref, Live]) -> list[tuple[Step, ...]]:
    """What is not wanted any more, the other way round.

    What another adapter made once goes first; this one does not know its kinds.
    """
    keep = {wanted.ref for wanted in task.wanted}
    kinds = dict.fromkeys((*task.kinds, *(ref.kind for ref in seen)))
    if task.drift.held:
        return []
    return [
        tuple(
            Step(Verb.DELETE, Why.UNWANTED, ref, live.uid)
            for ref, live in sorted(seen.items(), key=lambda item: str(item[0]))
            if ref.kind in together and ref not in keep and _prunable(task, live)
        )
        for together in reversed(_together(kinds))
    ]


def _together(kinds: Iterable[Kind]) -> list[list[Kind]]:
    """The kinds that are written at once: in order, but for neighbours that need no order."""
    found: list[list[Kind]] = []
    for kind in kinds:
        if found and {kind.name, found[-1][-1].name} <= _INDEPENDENT:
            found[-1].append(kind)
        else:
            found.append([kind])
    return found


def _extras(task: Task) -> tuple[Step, ...]:
    """What carries our label though we never made it, where a person wants it gone."""
    ours = {wanted.ref for wanted in task.wanted} | set(task.recorded)
    return tuple(
        Step(Verb.DELETE, Why.EXTRA, extra.ref, extra.uid)
        for extra in task.drift.unwelcome
        if extra.ref not in ours
    )


def _apply_step(task: Task, wanted: Wanted, seen: Mapping[Ref, Live]) -> tuple[Step, bool] | None:
    """The step for an object, and whether it is only to be tried and shown; None for no step."""
    live, record = seen.get(wanted.ref), task.recorded.get(wanted.ref)
    left = omitted(task.drift, wanted.ref, wanted.manifest, live)
    why = _reason(task, wanted, live, record, left.hash(wanted.hash))
    if why is None or (fate := _fate(task.drift, wanted.ref, why, live, record)) is Fate.LEFT:
        return None
    shown = fate is Fate.SHOWN
    if shown:
        left = Omitted(left.ruled)
    elif live and task.drift.shows and why in _DECLARED:
        left = Omitted(left.ruled, left.drifted | taken(wanted.manifest, live))
    manifest = stamped(left.of(wanted.manifest), task.labels, _correlation(task, wanted, record))
    if live is None:
        manifest["metadata"]["resourceVersion"] = CREATE_ONLY
    elif not shown and task.drift.careful(wanted.ref):
        manifest["metadata"]["resourceVersion"] = live.body["metadata"]["resourceVersion"]
    uid = live.uid if live else ""
    partial = task.drift.shows and why in _DECLARED and bool(left.drifted)
    step = Step(Verb.APPLY, why, wanted.ref, uid, manifest, left.hash(wanted.hash), partial)
    return step, shown


def _correlation(task: Task, wanted: Wanted, record: Recorded | None) -> str:
    """The one on record is kept for as long as what is wanted does not change."""
    unchanged = record is not None and same_base(record.wanted_hash, wanted.hash)
    return record.correlation_id if record and unchanged else task.correlation_id


def _fate(drift: Handling, ref: Ref, why: Why, live: Live | None, record: Recorded | None) -> Fate:
    """What becomes of a step: written, only shown, or left for now."""
    if why in _DECLARED:
        return Fate.LEFT if drift.held else Fate.WRITTEN
    approved = drift.approved(ref)
    if live is None:
        if drift.ignores(ref) or any(not known.path for known in drift.left(ref)):
            return Fate.LEFT
        wanted_back = any(not known.path for known in approved)
        return Fate.SHOWN if drift.shows and not wanted_back else Fate.WRITTEN
    examined = record is not None and record.applied_fp == live.fp
    return Fate.SHOWN if drift.shows and not (approved and examined) else Fate.WRITTEN


def _reason(
    task: Task, wanted: Wanted, live: Live | None, record: Recorded | None, hash_: str
) -> Why | None:
    if live is None:
        return Why.MISSING if record else Why.NEW
    if live.terminating:
        raise Waiting(f"{wanted.ref} is being deleted on the cluster.")
    ours = live.labels.get(OWNER) == task.owner
    if record is None:
        if not ours:
            raise Taken(f"{wanted.ref} exists on the cluster and does not belong to KubeNova.")
        return Why.ADOPT
    if record.uid != live.uid and not ours and not wanted.ref.kind.namespaced:
        raise Taken(f"{wanted.ref} was replaced by one that does not belong to KubeNova.")
    if not same_base(record.wanted_hash, wanted.hash):
        return Why.CHANGED
    same = (record.wanted_hash, record.applied_fp) == (hash_, live.fp)
    return None if same and not task.drift.due(wanted.ref) else Why.DRIFT


def _prunable(task: Task, live: Live) -> bool:
    if live.terminating:
        return False
    if live.ref.kind.name in KEPT_UNTIL_THE_END and not task.deleting:
        return False
    return task.owns(live)


def stamped(manifest: JSON, labels: Mapping[str, str], correlation: str) -> JSON:
    """Return a copy that carries our ownership labels and the correlation id.

    Below its metadata it shares what it holds with the manifest: neither is written to.
    """
    meta = {**manifest["metadata"]}
    body = {**manifest, "metadata": meta}
    meta["labels"] = {**meta.get("labels", {}), **labels}
    if correlation:
        meta["annotations"] = {**meta.get("annotations", {}), CORRELATION: correlation}
    return body
