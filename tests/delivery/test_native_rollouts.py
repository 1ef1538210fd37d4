"""How workloads of every kind are judged by their status, and what stands beside them."""

import pytest

from clusters.kinds import HORIZONTAL_POD_AUTOSCALER, PERSISTENT_VOLUME_CLAIM
from delivery.adapters.native import NativeApps
from reconcile.values import JSON, Health, Live, Wanted
from tests.delivery.samples import component, counted, intent, with_traits

ADAPTER = NativeApps()
READY, PROGRESSING, FAILED = Health.READY, Health.PROGRESSING, Health.FAILED


def judged(declared: JSON, status: JSON, beside: JSON | None = None, generation: int = 2):
    """The part that the component is, with this status of its workload and of the rest by kind."""
    app, seen = intent(declared), {}
    statuses = beside or {}
    for body in ADAPTER.render(app):
        ref = Wanted.of(body, ADAPTER.kinds).ref
        found = status if "template" in str(body.get("spec", "")) else {}
        meta = {**body["metadata"], "uid": "u", "generation": generation}
        seen[ref] = Live(ref, {**body, "metadata": meta, "status": statuses.get(ref.kind, found)})
    (part,) = ADAPTER.assess(app, seen).parts
    return part


def nodes(wanted: int, updated: int, ready: int) -> JSON:
    return {
        "observedGeneration": 2,
        "desiredNumberScheduled": wanted,
        "updatedNumberScheduled": updated,
        "numberAvailable": ready,
    }


def condition(type_: str, **rest: str) -> JSON:
    return {"conditions": [{"type": type_, "status": "True", **rest}]}


TWO = with_traits(component("web", "statefulset"), scaler={"replicas": 2})
NEWER = {"currentRevision": "web-1", "updateRevision": "web-2"}
SAME = {"currentRevision": "web-1", "updateRevision": "web-1"}
AGENT = component("web", "daemon")
TASK = component("web", "task", count=2)
CRON = component("web", "cron-task", schedule="@daily")

TABLE = {
    "stateful: ready": (TWO, counted(2), READY, 2, ""),
    "stateful: nothing counted as updated at rest": (
        TWO,
        {**counted(2, updated=0), **SAME},
        READY,
        2,
        "",
    ),
    "stateful: one after the other": (
        TWO,
        {**counted(2, updated=1), **NEWER},
        PROGRESSING,
        2,
        "1 of 2 replicas are up to date, 2 of 2 available.",
    ),
    "stateful: not available": (
        TWO,
        counted(2, available=1),
        PROGRESSING,
        1,
        "2 of 2 replicas are up to date, 1 of 2 available.",
    ),
    "stateful: not seen": (
        TWO,
        {**counted(2), "observedGeneration": 1},
        PROGRESSING,
        2,
        "The cluster has not acted on it yet.",
    ),
    "daemon: everywhere": (AGENT, nodes(3, 3, 3), READY, 3, ""),
    "daemon: no node for it": (AGENT, nodes(0, 0, 0), READY, 0, ""),
    "daemon: rolling": (
        AGENT,
        nodes(3, 1, 2),
        PROGRESSING,
        2,
        "1 of 3 nodes have it up to date, on 2 it is available.",
    ),
    "daemon: not seen": (AGENT, {}, PROGRESSING, 0, "The cluster has not acted on it yet."),
    "task: done": (TASK, {"succeeded": 2, **condition("Complete")}, READY, 2, ""),
    "task: under way": (
        TASK,
        {"active": 1, "succeeded": 1, "failed": 2},
        PROGRESSING,
        1,
        "1 of 2 runs are done, 1 under way, 2 failed.",
    ),
    "task: begun": (TASK, {}, PROGRESSING, 0, "0 of 2 runs are done, 0 under way, 0 failed."),
    "task: failed": (
        TASK,
        {"failed": 7, **condition("Failed", message="Job has reached the limit.")},
        FAILED,
        0,
        "Job has reached the limit.",
    ),
    "task: failed without a word": (
        TASK,
        condition("Failed", reason="DeadlineExceeded"),
        FAILED,
        0,
        "DeadlineExceeded",
    ),
    "cron-task: there": (CRON, {}, READY, 0, ""),
    "cron-task: a run under way": (CRON, {"active": [{}]}, READY, 0, ""),
}


@pytest.mark.parametrize(
    ("declared", "status", "health", "ready", "message"), TABLE.values(), ids=TABLE
)
def test_it_judges_workloads_by_their_status(declared, status, health, ready, message):
    part = judged(declared, status)
    assert (part.health, part.ready, part.message) == (health, ready, message)


CLAIMING = with_traits(component(), storage={"pvc": [{"name": "data", "mountPath": "/data"}]})
SCALING = with_traits(component(), hpa={"min": 1})
NO_METRICS = {
    "conditions": [
        {"type": "ScalingActive", "status": "False", "reason": "Failed", "message": "No metrics."}
    ]
}
RESTING = {
    "conditions": [{"type": "ScalingActive", "status": "False", "reason": "ScalingDisabled"}]
}
BESIDE = {
    "a claim without a volume": (
        CLAIMING,
        counted(1, available=0),
        {PERSISTENT_VOLUME_CLAIM: {"phase": "Pending"}},
        PROGRESSING,
        "Claim data has no volume yet.",
    ),
    "a claim that nobody waits for": (
        CLAIMING,
        counted(1),
        {PERSISTENT_VOLUME_CLAIM: {"phase": "Pending"}},
        READY,
        "",
    ),
    "a lost volume": (
        CLAIMING,
        counted(1),
        {PERSISTENT_VOLUME_CLAIM: {"phase": "Lost"}},
        FAILED,
        "The volume of claim data is lost.",
    ),
    "an autoscaler without metrics": (
        SCALING,
        counted(1),
        {HORIZONTAL_POD_AUTOSCALER: NO_METRICS},
        READY,
        "The autoscaler does not act: No metrics.",
    ),
    "an autoscaler at rest": (
        SCALING,
        counted(1),
        {HORIZONTAL_POD_AUTOSCALER: RESTING},
        READY,
        "",
    ),
}


@pytest.mark.parametrize(
    ("declared", "status", "beside", "health", "said"), BESIDE.values(), ids=BESIDE
)
def test_it_tells_of_claims_and_autoscalers(declared, status, beside, health, said):
    part = judged(declared, status, beside)
    assert part.health is health
    assert part.message.endswith(said) and bool(part.message) is bool(said)
