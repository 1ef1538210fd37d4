"""How an Application is doing, as far as its status tells (`core.oam.dev/v1beta1`). Pure.

A status is about this version once the generation is observed and the workflow names the version:
until then it tells of the one before. It is foreign data, in whatever shape it comes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from delivery.adapters.kubevela_words import counted, told
from delivery.intents import AppIntent, Component
from reconcile.values import JSON, Assessment, Health, Live, Part

_RUNNING, _UNHEALTHY, _WAITING = "running", "unhealthy", "workflowSuspending"
_OVER = {
    "workflowFailed": "Its workflow has failed.",
    "workflowTerminated": "Its workflow was terminated.",
}
# KubeVela tries no further by itself, not even when what it lacked is there.
_WAY_OUT = "KubeVela tries no further: mend the cause, then restart the app or declare a change."
_STEPS = ("Parsed", "Revision", "Policy", "Render")  # the conditions before there is a workflow
_UNTOLD = "KubeVela tells nothing of it yet."
_NOT_SEEN = "KubeVela has not acted on it yet."
_APPROVAL = "Its workflow waits for approval."
_OVERDUE = "There was no progress within the health deadline."


@dataclass(frozen=True)
class _Seen:
    """What a status says, without what makes no sense. `ours` says that it is about this version;
    `faults` are what KubeVela found wrong before it began.
    """

    phase: str
    ours: bool
    faults: tuple[str, ...]
    services: tuple[JSON, ...]
    steps: tuple[JSON, ...]
    message: str

    @classmethod
    def of(cls, live: Live, version: str) -> "_Seen":
        status, meta = _map(live.body.get("status")), _map(live.body.get("metadata"))
        workflow = _map(status.get("workflow"))
        observed = status.get("observedGeneration") == meta.get("generation")
        steps = _maps(workflow.get("steps"))
        inner = (each for step in steps for each in _maps(step.get("subSteps")))
        return cls(
            phase=told(status.get("status")),
            ours=observed and workflow.get("appRevision") == version,
            faults=tuple(_faults(_maps(status.get("conditions")))),
            services=_maps(status.get("services")),
            steps=(*steps, *inner),
            message=told(workflow.get("message")),
        )

    @property
    def under_way(self) -> str:
        """What keeps the app as a whole from being ready; empty when its services decide."""
        if not self.ours:
            return " ".join((_NOT_SEEN, *self.faults))
        if self.phase == _WAITING:
            return _APPROVAL
        if self.phase in (_RUNNING, _UNHEALTHY) or self.phase in _OVER:
            return ""
        return " ".join((f"KubeVela is at {self.phase or 'nothing'}.", *self.faults))

    @property
    def over(self) -> str:
        """How its workflow has ended without success; empty when it has not."""
        return _OVER.get(self.phase, "") if self.ours else ""


def assessed(intent: AppIntent, live: Live | None, version: str) -> Assessment:
    """Judge an app that is to run this version by the status of its Application."""
    if live is None:
        text = "The Application is not there yet."
        parts = tuple(
            Part(each.name, Health.PROGRESSING, 0, each.replicas, text)
            for each in intent.components
        )
        return Assessment(Health.PROGRESSING, "ApplicationMissing", text, parts)
    seen = _Seen.of(live, version)
    overdue = intent.overdue if seen.phase != _WAITING or not seen.ours else frozenset()
    parts = tuple(_part(each, seen, overdue=each.name in overdue) for each in intent.components)
    return _summed_up(seen, parts)


def _summed_up(seen: _Seen, parts: tuple[Part, ...]) -> Assessment:
    said = "; ".join(f"{part.name}: {part.message}" for part in parts if part.message)
    found = {part.health for part in parts}
    if seen.over:
        texts = (seen.over, said or seen.message, _WAY_OUT)
        reason = f"W{seen.phase[1:]}"
        return Assessment(Health.FAILED, reason, " ".join(filter(None, texts)), parts)
    if Health.FAILED in found:
        return Assessment(Health.FAILED, "RolloutFailed", said, parts)
    if seen.under_way or found != {Health.READY} or seen.phase != _RUNNING:
        text = said or seen.under_way or "KubeVela calls it unhealthy."
        return Assessment(Health.PROGRESSING, "Progressing", text, parts)
    return Assessment(Health.READY, "Running", "", parts)


def _part(component: Component, seen: _Seen, *, overdue: bool) -> Part:
    """A component as its services and the step that brings it up tell, if there is a step."""
    services = [each for each in seen.services if each.get("name") == component.name]
    steps = [each for each in seen.steps if each.get("name") == component.name]
    healthy = bool(services) and all(each.get("healthy") is True for each in services)
    ready, wanted = counted(services, healthy=healthy, wanted=component.replicas)
    if not seen.ours:
        health, text = Health.PROGRESSING, seen.under_way
    elif failed := _failed(steps):
        health, text = (Health.FAILED if seen.over else Health.PROGRESSING), failed
    elif healthy and _done(steps):
        health, text = Health.READY, ""
    else:
        text = " ".join(_unhealthy(services)) or _message(steps) or _untold(seen)
        health = Health.FAILED if seen.over else Health.PROGRESSING
    if overdue and health is Health.PROGRESSING:
        health, text = Health.FAILED, f"{text} {_OVERDUE}"
    return Part(component.name, health, ready, wanted, text)


def _untold(seen: _Seen) -> str:
    return seen.under_way or seen.over or _UNTOLD


def _failed(steps: Sequence[JSON]) -> str:
    """What is told of the steps that have failed; empty when none has."""
    failed = [each for each in steps if each.get("phase") == "failed"]
    return (_message(failed) or "Its step has failed.") if failed else ""


def _done(steps: Sequence[JSON]) -> bool:
    return all(each.get("phase") in ("succeeded", "skipped") for each in steps)


def _message(steps: Sequence[JSON]) -> str:
    texts = (told(each.get("message")) or told(each.get("reason")) for each in steps)
    return " ".join(filter(None, texts))


def _unhealthy(services: Sequence[JSON]) -> Iterator[str]:
    for each in services:
        if each.get("healthy") is True:
            continue
        if text := told(each.get("message")):
            yield text
        for trait in _maps(each.get("traits")):
            if trait.get("healthy") is not True and (text := told(trait.get("message"))):
                yield f"{told(trait.get('type'))}: {text}"


def _faults(conditions: Sequence[JSON]) -> Iterator[str]:
    for each in conditions:
        if each.get("type") in _STEPS and each.get("status") == "False":
            yield told(each.get("message")) or told(each.get("reason"))


def _map(value: object) -> JSON:
    return value if isinstance(value, dict) else {}


def _maps(value: object) -> tuple[JSON, ...]:
    return (
        tuple(item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()
    )
