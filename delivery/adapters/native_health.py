"""How the workloads of components are doing, as far as their status tells. Pure.

Judged as `kubectl rollout status` does, by the replicas that the spec on the cluster asks for:
these are the declared ones, unless they are left to an autoscaler or to somebody else.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from clusters.kinds import CRON_JOB, DAEMON_SET, DEPLOYMENT, JOB, STATEFUL_SET
from delivery.intents import Component
from reconcile.values import JSON, Assessment, Health, Kind, Live, Part

Found = tuple[Health, str, int, int]

_POD_NAME = re.compile(r'^pods "[^"]*" is forbidden: ')
_WITHOUT_DEADLINE = (STATEFUL_SET, DAEMON_SET)
_OVERDUE = "There was no progress within the health deadline."
_NOT_SEEN = "The cluster has not acted on it yet."
_IDLE = "ScalingDisabled"  # somebody has scaled it to nothing: the autoscaler rests


def part_of(
    component: Component, live: Live | None, beside: Sequence[Live], *, overdue: bool = False
) -> Part:
    """Judge a component by its workload; `beside` are its other objects.

    `overdue` says that it should have come further by now; a rollout of a Deployment tells itself.
    """
    if live is None:
        text = "It is not there yet."
        return Part(component.name, Health.PROGRESSING, 0, component.replicas, text)
    status: JSON = live.body.get("status") or {}
    kind = live.ref.kind
    health, message, ready, wanted = _JUDGES[kind](component, live.body, status)
    if _behind(live, status):
        health, message = Health.PROGRESSING, _NOT_SEEN
    if overdue and health is Health.PROGRESSING and _untimed(kind, status):
        health, message = Health.FAILED, f"{message} {_OVERDUE}"
    lost = next(_lost(beside), "")
    if lost:
        return Part(component.name, Health.FAILED, ready, wanted, lost)
    notes = _notes(beside, ready=health is Health.READY)
    told = " ".join(text for text in (message, *notes) if text)
    return Part(component.name, health, ready, wanted, told)


def summed_up(parts: tuple[Part, ...]) -> Assessment:
    """As healthy as the worst component."""
    message = "; ".join(f"{part.name}: {part.message}" for part in parts if part.message)
    found = {part.health for part in parts}
    if Health.FAILED in found:
        return Assessment(Health.FAILED, "RolloutFailed", message, parts)
    if Health.PROGRESSING in found:
        return Assessment(Health.PROGRESSING, "Progressing", message, parts)
    return Assessment(Health.READY, "Available", "", parts)


def _untimed(kind: Kind, status: JSON) -> bool:
    """Whether no controller tells that it is late: of Deployments those that are only scaled."""
    progressing = _conditions(status).get("Progressing", {})
    scaled = kind == DEPLOYMENT and progressing.get("reason") == "NewReplicaSetAvailable"
    return scaled or kind in _WITHOUT_DEADLINE


def _behind(live: Live, status: JSON) -> bool:
    """Whether the status is of an earlier generation; Jobs and CronJobs do not say."""
    if live.ref.kind in (JOB, CRON_JOB):
        return False
    seen = int(status.get("observedGeneration", 0))
    return seen < int(live.body["metadata"].get("generation", 0))


def _wanted(component: Component, body: JSON) -> int:
    return int((body.get("spec") or {}).get("replicas", component.replicas))


def _deployment(component: Component, body: JSON, status: JSON) -> Found:
    wanted = _wanted(component, body)
    conditions = _conditions(status)
    refused = _message(conditions.get("ReplicaFailure", {}), "True")
    progressing = conditions.get("Progressing", {})
    replicas, updated, ready = _counts(status, "replicas", "updatedReplicas", "availableReplicas")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return Health.FAILED, refused or _message(progressing, "False"), ready, wanted
    if refused:
        return Health.PROGRESSING, refused, ready, wanted
    return _rolled_out(wanted, replicas, updated, ready)


def _stateful_set(component: Component, body: JSON, status: JSON) -> Found:
    """Its controller counts what is updated anew with each revision; it knows no deadline."""
    wanted = _wanted(component, body)
    replicas, updated, ready = _counts(status, "replicas", "updatedReplicas", "availableReplicas")
    if status.get("currentRevision") == status.get("updateRevision"):
        updated = replicas
    return _rolled_out(wanted, replicas, updated, ready)


def _rolled_out(wanted: int, replicas: int, updated: int, ready: int) -> Found:
    if replicas == updated == ready == wanted:
        return Health.READY, "", ready, wanted
    text = f"{updated} of {wanted} replicas are up to date, {ready} of {replicas} available."
    return Health.PROGRESSING, text, ready, wanted


def _daemon_set(component: Component, body: JSON, status: JSON) -> Found:
    wanted, updated, ready = _counts(
        status, "desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable"
    )
    if wanted == updated == ready:
        return Health.READY, "", ready, wanted
    text = f"{updated} of {wanted} nodes have it up to date, on {ready} it is available."
    return Health.PROGRESSING, text, ready, wanted


def _job(component: Component, body: JSON, status: JSON) -> Found:
    wanted = component.replicas
    conditions = _conditions(status)
    (done,) = _counts(status, "succeeded")
    if conditions.get("Complete", {}).get("status") == "True":
        return Health.READY, "", done, wanted
    if failed := _message(conditions.get("Failed", {}), "True"):
        return Health.FAILED, failed, done, wanted
    (active, failures) = _counts(status, "active", "failed")
    text = f"{done} of {wanted} runs are done, {active} under way, {failures} failed."
    return Health.PROGRESSING, text, done, wanted


def _cron_job(component: Component, body: JSON, status: JSON) -> Found:
    """What it starts succeeds or fails on its own; it is ready to start it."""
    return Health.READY, "", 0, 0


_JUDGES: Mapping[Kind, Callable[[Component, JSON, JSON], Found]] = {
    DEPLOYMENT: _deployment,
    STATEFUL_SET: _stateful_set,
    DAEMON_SET: _daemon_set,
    JOB: _job,
    CRON_JOB: _cron_job,
}


def _counts(status: JSON, *keys: str) -> tuple[int, ...]:
    return tuple(int(status.get(key, 0)) for key in keys)


def _conditions(status: JSON) -> dict[str, JSON]:
    return {item["type"]: item for item in status.get("conditions") or []}


def _message(condition: JSON, status: str) -> str:
    """The message of a condition in that status, without the random name of a refused pod."""
    if condition.get("status") != status:
        return ""
    told = condition.get("message") or condition.get("reason", "")
    return _POD_NAME.sub("", str(told))


def _lost(beside: Sequence[Live]) -> Iterator[str]:
    for live in beside:
        if (live.body.get("status") or {}).get("phase") == "Lost":
            yield f"The volume of claim {live.ref.name} is lost."


def _notes(beside: Sequence[Live], *, ready: bool) -> Iterator[str]:
    """What keeps a component from being ready, and an autoscaler that cannot do its work."""
    for live in beside:
        status: JSON = live.body.get("status") or {}
        if not ready and status.get("phase") == "Pending":
            yield f"Claim {live.ref.name} has no volume yet."
        for name in ("AbleToScale", "ScalingActive"):
            condition = _conditions(status).get(name, {})
            told = _message(condition, "False")
            if told and condition.get("reason") != _IDLE:
                yield f"The autoscaler does not act: {told}"
                break
