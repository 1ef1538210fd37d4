"""Puts together what people see of a plan."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import cast

from reconcile.drift import differences
from reconcile.models.convergent import Convergent
from reconcile.planning.asking import Look, look
from reconcile.planning.footing import Footing, hash_of
from reconcile.planning.rehearsal import Draft
from reconcile.planning.values import (
    Checked,
    Headroom,
    PlannedCluster,
    PlannedObject,
    Report,
    State,
    Trial,
    shown,
)
from reconcile.values import JSON, Live, Ref, Step, Verb

_Judge = Callable[[object, Mapping[Ref, Live], Mapping[Ref, JSON]], Sequence[Headroom]]


def footings_of(looks: Sequence[Look]) -> list[Footing]:
    """Return what the plan stands on, row by row."""
    return [each.draft.footing(each.seen) for each in looks if each.draft.news]


def report_on(looks: Sequence[Look]) -> Report:
    """Return the plan for people."""
    groups = groupby(looks, key=lambda each: each.draft.cluster)
    clusters = tuple(_cluster(name, list(group)) for name, group in groups)
    return Report(hash_of(footings_of(looks)), clusters)


def report_of(row: Convergent) -> Report:
    """Return what the loop would write for a row now."""
    return report_on(look([Draft.of(row, standing=True)], dry_run=True))


def lines_of(report: Report) -> list[str]:
    """Return a plan as lines of text: what is written, field by field, and what stands against."""
    lines: list[str] = []
    for cluster in report.clusters:
        lines += [f"none: {cluster.message}"] if cluster.message else []
        lines += [f"note: {note}" for note in cluster.notes]
        for each in cluster.objects:
            lines += _lines(each)
        lines += [_room(room) for room in cluster.headroom]
    return lines


def _lines(planned: PlannedObject) -> Iterator[str]:
    tried = {Checked.SERVER: "", Checked.SCHEMA: ", schema alone", Checked.NONE: ", not checked"}
    yield f"{planned.verb} {planned.ref} ({planned.why}{tried[planned.trial.checked]})"
    for field in planned.fields:
        yield f"  {field.path}: {field.found} → {field.wanted}"
    told = {"denied": [planned.trial.denial], "warning": planned.trial.warnings}
    for what, texts in told.items():
        yield from (f"  {what}: {text}" for text in texts if text)


def _room(room: Headroom) -> str:
    fits = "" if room.fits else ", which is too little"
    return (
        f"quota: {room.asked} more {room.resource} in {room.namespace}, "
        f"{room.left} of {room.hard} left{fits}"
    )


def _cluster(name: str, looks: list[Look]) -> PlannedCluster:
    states = {each.state for each in looks}
    state = next(
        (each for each in (State.PAUSED, State.UNREACHABLE) if each in states), State.ASKED
    )
    told = dict.fromkeys(each.message for each in looks if each.message)
    notes = dict.fromkeys(note for each in looks for note in _notes(each))
    objects = tuple(planned for each in looks for planned in _objects(each))
    return PlannedCluster(name, state, " ".join(told), tuple(notes), objects, _headroom(looks))


def _notes(found: Look) -> Iterator[str]:
    if found.draft.note:
        yield found.draft.note
    if waiting := [str(step.ref) for step in found.plan.checks]:
        yield f"Drift that waits for a decision is left as it is: {', '.join(sorted(waiting))}."


def _objects(found: Look) -> Iterator[PlannedObject]:
    for step in found.plan.steps:
        trial = found.trials.get(step.ref) or Trial(Checked.NONE, message=found.message)
        yield _planned(found, step, trial)


def _planned(found: Look, step: Step, trial: Trial) -> PlannedObject:
    row, before = found.draft.name, (found.seen or {}).get(step.ref)
    if step.verb is Verb.DELETE:
        return PlannedObject(row, step.verb, step.why, step.ref, trial)
    if before is not None or step.uid:
        after = trial.after
        fields = differences(before.body, after.body, step.ref) if before and after else ()
        return PlannedObject(row, step.verb, step.why, step.ref, trial, fields)
    body = trial.after.body if trial.after else step.manifest
    if trial.checked is Checked.SCHEMA:
        body = {**body, "metadata": {**body["metadata"], "namespace": step.ref.namespace}}
    return PlannedObject(row, step.verb, step.why, step.ref, trial, manifest=shown(step.ref, body))


def _headroom(looks: list[Look]) -> tuple[Headroom, ...]:
    """Ask the adapters that know what their objects need of a quota."""
    wanted = {item.ref: item.manifest for each in looks for item in each.draft.task.wanted}
    found: list[Headroom] = []
    for each in looks:
        judge = cast("_Judge | None", getattr(each.draft.adapter, "headroom", None))
        if judge and each.draft.news and not each.draft.task.deleting:
            found += judge(each.draft.task.intent, {**(each.seen or {}), **each.beside}, wanted)
    return tuple(found)
