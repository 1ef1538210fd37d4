"""How a workflow runs: which step may begin, which is over, what is due. Pure.

A run remembers a record per step (`fresh`). `moves` says what can be done with these records at a
moment; whoever carries one out asks anew, so that a run goes on from wherever it was left.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from delivery.rules.conditions import holds, parse
from delivery.rules.workflow_types import seconds_of
from reconcile.values import JSON


class Mode(StrEnum):
    """In which order steps come: one after the other, or as soon as those they name are over."""

    STEP_BY_STEP = "StepByStep"
    DAG = "DAG"


class StepPhase(StrEnum):
    """How a step fares, in KubeVela's words."""

    PENDING = "pending"
    RUNNING = "running"
    SUSPENDING = "suspending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


STEP_PHASES = [phase.value for phase in StepPhase]


class RunState(StrEnum):
    """How a run fares."""

    RUNNING = "running"
    SUSPENDING = "suspending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TERMINATED = "terminated"


LIVE = frozenset({RunState.RUNNING, RunState.SUSPENDING})
OVER = frozenset({StepPhase.SUCCEEDED, StepPhase.FAILED, StepPhase.SKIPPED})
UNDER_WAY = frozenset({StepPhase.RUNNING, StepPhase.SUSPENDING})
TIMEOUT, CONDITION, FAILED, TERMINATED = "Timeout", "Condition", "Failed", "Terminated"
INTERRUPTED, SUPERSEDED = "Interrupted", "Superseded"
ATTEMPT = "attempt"  # how often a step was begun in its run, in the data of its record

Progress = Mapping[str, JSON]


@dataclass(frozen=True)
class Step:
    """A step; `waits` are those that have to be over first, `inside` its sub-steps.

    `clusters` are where the engine carries it out; everywhere without any.
    """

    name: str
    type: str
    waits: tuple[str, ...]
    properties: JSON = field(default_factory=dict, compare=False)
    condition: str = ""
    timeout: float | None = None
    group: str = ""
    inside: tuple[str, ...] = ()
    inputs: tuple[tuple[str, str], ...] = ()
    outputs: tuple[tuple[str, str], ...] = ()
    clusters: tuple[str, ...] = ()


class Act(StrEnum):
    """What can be done with a step."""

    BEGIN = "begin"
    LOOK = "look"
    SKIP = "skip"
    FAIL = "fail"
    END = "end"


@dataclass(frozen=True)
class Move:
    """One of them, with the reason and what is told of it."""

    act: Act
    step: Step
    reason: str = ""
    message: str = ""


def steps_of(declared: Iterable[JSON], mode: str) -> dict[str, Step]:
    """Return valid steps by name, sub-steps after their group."""
    found: dict[str, Step] = {}
    before: tuple[str, ...] = ()
    for each in declared:
        inside = each.get("subSteps", [])
        waits = before if mode == Mode.STEP_BY_STEP else tuple(each.get("dependsOn", ()))
        names = tuple(sub["name"] for sub in inside)
        found[each["name"]] = _step(each, waits, inside=names)
        for sub in inside:
            found[sub["name"]] = _step(sub, tuple(sub.get("dependsOn", ())), group=each["name"])
        before = (*before, each["name"])
    return found


def _step(
    each: JSON, waits: tuple[str, ...], *, group: str = "", inside: tuple[str, ...] = ()
) -> Step:
    timeout = each.get("timeout")
    return Step(
        name=each["name"],
        type=each["type"],
        waits=waits,
        properties=each.get("properties", {}),
        condition=each.get("if", ""),
        timeout=seconds_of(timeout) if timeout else None,
        group=group,
        inside=inside,
        inputs=tuple((item["from"], item["parameterKey"]) for item in each.get("inputs", ())),
        outputs=tuple((item["name"], item["valueFrom"]) for item in each.get("outputs", ())),
        clusters=tuple(each.get("clusters", ())),
    )


def before(step: Step, steps: Mapping[str, Step]) -> set[str]:
    """Name all that is over when the step begins: what it waits for, by whatever way."""
    found: set[str] = set()
    waiting = [step.name, *([step.group] if step.group else [])]
    while waiting:
        known = steps.get(waiting.pop())
        for name in known.waits if known else ():
            if name in steps and name not in found:
                found |= {name, *steps[name].inside}
                waiting.append(name)
    return found


def fresh() -> JSON:
    """Return the record of a step that has not begun."""
    return {
        "phase": StepPhase.PENDING.value,
        "reason": "",
        "message": "",
        "started": None,
        "finished": None,
        "by": "",
        "comment": "",
        "data": {},
        "outputs": {},
    }


def again(record: JSON) -> JSON:
    """Return the record of a step that is to run anew; which attempt that is, it remembers."""
    return {**fresh(), "data": {ATTEMPT: record["data"].get(ATTEMPT, 1) + 1}}


# --- What can be done.


def moves(
    steps: Mapping[str, Step], progress: Progress, now: datetime, *, held: bool
) -> Iterator[Move]:
    """Yield what can be done now, in the order of the steps; while `held` nothing begins."""
    for step in steps.values():
        phase = progress[step.name]["phase"]
        if phase == StepPhase.PENDING:
            move = _opening(step, steps, progress)
            if move and not (held and move.act == Act.BEGIN):
                yield move
        elif phase in UNDER_WAY and (move := _going_on(step, progress, now)):
            yield move


def _going_on(step: Step, progress: Progress, now: datetime) -> Move | None:
    if step.group and progress[step.group]["phase"] in OVER:
        return Move(Act.FAIL, step, FAILED, f"Its group {step.group} has ended.")
    if (until := deadline(step, progress[step.name])) and until <= now:
        return Move(Act.FAIL, step, TIMEOUT, f"It took longer than {step.timeout:.0f} s.")
    if not step.inside:
        return Move(Act.LOOK, step)
    over = all(progress[name]["phase"] in OVER for name in step.inside)
    return _ending(step, progress) if over else None


def _opening(step: Step, steps: Mapping[str, Step], progress: Progress) -> Move | None:
    if step.group and progress[step.group]["phase"] in OVER:
        return Move(Act.SKIP, step, FAILED, f"Its group {step.group} has ended.")
    if step.group and progress[step.group]["phase"] == StepPhase.PENDING:
        return None
    if any(progress[name]["phase"] not in OVER for name in step.waits):
        return None
    if not step.condition:
        failed = [name for name in step.waits if _failed(progress[name])]
        told = f"Because of step {failed[0]}." if failed else ""
        return Move(Act.SKIP, step, FAILED, told) if failed else Move(Act.BEGIN, step)
    known = {name: _became(progress[name]) for name in before(step, steps)}
    if holds(parse(step.condition), known):
        return Move(Act.BEGIN, step)
    return Move(Act.SKIP, step, CONDITION, f"Not met: {step.condition}")


def _failed(record: JSON) -> bool:
    """Whether it failed, or never came to be because another one did."""
    skipped = (record["phase"], record["reason"]) == (StepPhase.SKIPPED, FAILED)
    return record["phase"] == StepPhase.FAILED or skipped


def _became(record: JSON) -> str:
    late = (record["phase"], record["reason"]) == (StepPhase.FAILED, TIMEOUT)
    return "timeout" if late else str(record["phase"])


def _ending(step: Step, progress: Progress) -> Move:
    failed = [name for name in step.inside if progress[name]["phase"] == StepPhase.FAILED]
    if failed:
        return Move(Act.FAIL, step, FAILED, f"Step {failed[0]} failed.")
    return Move(Act.END, step)


def deadline(step: Step, record: JSON) -> datetime | None:
    """When a step that has begun has failed; None without a timeout."""
    if step.timeout is None or record["started"] is None:
        return None
    return datetime.fromisoformat(record["started"]) + timedelta(seconds=step.timeout)


def next_due(steps: Mapping[str, Step], progress: Progress) -> datetime | None:
    """When time alone will change something; None when it will not."""
    found = []
    for step in steps.values():
        record = progress[step.name]
        if record["phase"] in UNDER_WAY:
            until = record["data"].get("until")
            found += [datetime.fromisoformat(until)] if until else []
            found += [late] if (late := deadline(step, record)) else []
    return min(found, default=None)


# --- How it ends, and goes on.


def is_over(progress: Progress) -> bool:
    """Whether every step is."""
    return all(record["phase"] in OVER for record in progress.values())


def has_failed(progress: Progress) -> bool:
    """Whether one of the steps has."""
    return any(record["phase"] == StepPhase.FAILED for record in progress.values())


def is_waiting(steps: Mapping[str, Step], progress: Progress) -> bool:
    """Whether nothing goes on before somebody resumes it, or its time has come."""
    phases = {progress[name]["phase"] for name, step in steps.items() if not step.inside}
    return StepPhase.SUSPENDING in phases and StepPhase.RUNNING not in phases


def to_retry(steps: Mapping[str, Step], progress: Progress) -> set[str]:
    """Name the steps that have to run anew: those that failed, and all that waited for them."""
    found = {name for name in steps if _failed(progress[name])}
    found |= {steps[name].group for name in found} - {""}
    while True:
        later = {
            name
            for name, step in steps.items()
            if set(step.waits) & found or (step.group in found and _follows(step, steps, found))
        }
        if later <= found:
            return found
        found |= later


def _follows(step: Step, steps: Mapping[str, Step], found: set[str]) -> bool:
    """Whether the group of a sub-step runs anew because of what came before the group."""
    return bool(set(steps[step.group].waits) & found)
