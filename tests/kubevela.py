"""Plays KubeVela on a cluster in memory: installed, and its controller at work.

    install(fleet["prod-a"])                    # 1.11, with all types that apps can use
    install(live, without=("daemon",))          # a ComponentDefinition is missing
    act(live)                                   # one round of its controller
    act(live, unhealthy={"web": "Ready:0/1"}, failed={"web": "image is broken"})

What a real KubeVela was seen to do is in `tests/live/vela.py`; this one is in step with it.
"""

from collections.abc import Collection, Mapping

from clusters.adapters.kubevela import (
    APPLICATION,
    COMPONENT_DEFINITION,
    COMPONENT_TYPES,
    DEFINITIONS_NAMESPACE,
    PATCH_TYPES,
    STEP_DEFINITION,
    TRAIT_DEFINITION,
    TRAIT_TYPES,
    WORKFLOW_RUN,
)
from clusters.kinds import DEPLOYMENT, NAMESPACE
from delivery.adapters.kubevela import PUBLISHED
from reconcile.values import JSON, Kind, Ref
from tests.memory_cluster import MemoryCluster

_GROUP = APPLICATION.api_version
KINDS = (
    APPLICATION,
    COMPONENT_DEFINITION,
    TRAIT_DEFINITION,
    Kind(_GROUP, "ApplicationRevision", "applicationrevisions"),
    Kind(_GROUP, "ResourceTracker", "resourcetrackers", namespaced=False),
)
FINALIZER = "app.oam.dev/resource-tracker-finalizer"


def put(live: MemoryCluster, kind: Kind, name: str, namespace: str = "", **body: object) -> None:
    """Apply an object as whoever installs KubeVela."""
    meta: JSON = {"name": name, **({"namespace": namespace} if namespace else {})}
    meta |= {"labels": body.pop("labels")} if "labels" in body else {}
    manifest = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": meta, **body}
    live.apply_as("helm", Ref(kind, namespace, name), manifest, force=True)


def install(
    live: MemoryCluster, *, version: str = "1.11.0", without: Collection[str] = ()
) -> MemoryCluster:
    """Install KubeVela with the definitions of its types, but for those left out."""
    for kind in KINDS:
        live.serve(kind)
    space = DEFINITIONS_NAMESPACE
    put(live, NAMESPACE, space)
    labels = {"app.kubernetes.io/name": "vela-core", "app.kubernetes.io/version": version}
    put(live, DEPLOYMENT, "vela-core", space, labels=labels, spec={"replicas": 1})
    for kind, types in (
        (COMPONENT_DEFINITION, COMPONENT_TYPES),
        (TRAIT_DEFINITION, (*TRAIT_TYPES, *PATCH_TYPES)),
    ):
        for type_ in types:
            if type_ not in without:
                put(live, kind, type_, space, spec={})
    return live


def install_engine(live: MemoryCluster, *types: str) -> None:
    """Install the engine for WorkflowRuns, with definitions of these types of steps."""
    for kind in (WORKFLOW_RUN, STEP_DEFINITION):
        live.serve(kind)
    for type_ in types:
        put(live, STEP_DEFINITION, type_, DEFINITIONS_NAMESPACE, spec={})


def runs(live: MemoryCluster) -> list[Ref]:
    """The WorkflowRuns that are there."""
    return live.refs(WORKFLOW_RUN)


def carry_out(live: MemoryCluster, state: str = "succeeded", message: str = "") -> None:
    """One round of the engine: whatever has not ended comes to this state."""
    for ref in runs(live):
        body = live.body(ref)
        if body.get("status", {}).get("finished"):
            continue
        (step,) = body["spec"]["workflowSpec"]["steps"]
        phase = "failed" if state == "terminated" else state
        told = {"id": "s", "name": step["name"], "type": step["type"], "phase": phase}
        status = {
            "status": state,
            "mode": {"steps": "StepByStep", "subSteps": "DAG"},
            "suspend": state == "suspending",
            "terminated": state in {"failed", "terminated"},
            "finished": state in {"failed", "succeeded", "terminated"},
            "steps": [{**told, "message": message}],
        }
        live.set_status(ref, status, "vela-workflow")


def applications(live: MemoryCluster) -> list[Ref]:
    """The Applications that have a spec: the laws have strangers make some without."""
    return [ref for ref in live.refs(APPLICATION) if "spec" in live.body(ref)]


def act(
    live: MemoryCluster,
    *,
    unhealthy: Mapping[str, str] | None = None,
    failed: Mapping[str, str] | None = None,
) -> None:
    """One round: whatever bears a version that is new is rolled out, and reported on.

    `unhealthy` and `failed` are messages by the names of components.
    """
    for ref in applications(live):
        body = live.body(ref)
        if "deletionTimestamp" in body["metadata"]:
            let_go(live, ref)
            continue
        names = [each["name"] for each in body["spec"]["components"]]
        live.set_status(ref, status(body, names, unhealthy or {}, failed or {}), "vela-core")


def hold(live: MemoryCluster, ref: Ref) -> None:
    """Put KubeVela's finalizer on an Application."""
    live.edit(ref, "vela-core", lambda body: body["metadata"].update(finalizers=[FINALIZER]))


def let_go(live: MemoryCluster, ref: Ref) -> None:
    """Take it off again, and nobody else's."""
    finalizers = live.body(ref)["metadata"].get("finalizers", [])
    if FINALIZER in finalizers:
        rest = [each for each in finalizers if each != FINALIZER]
        live.edit(ref, "vela-core", lambda body: body["metadata"].update(finalizers=rest))
        live.finish_deletions()


def status(
    body: JSON, names: list[str], unhealthy: Mapping[str, str], failed: Mapping[str, str]
) -> JSON:
    """The status of an Application whose workflow has come to its end, well or not."""
    steps = [
        {
            "id": f"s-{name}",
            "name": name,
            "type": "apply-component",
            "phase": "failed" if name in failed else "succeeded",
            "message": failed.get(name, ""),
        }
        for name in names
    ]
    services = [
        {
            "name": name,
            "healthy": name not in {*unhealthy, *failed},
            "message": unhealthy.get(name, "Ready:1/1"),
        }
        for name in names
    ]
    phase = "workflowFailed" if failed else "unhealthy" if unhealthy else "running"
    return {
        "status": phase,
        "observedGeneration": body["metadata"]["generation"],
        "services": services,
        "workflow": {
            "appRevision": body["metadata"]["annotations"][PUBLISHED],
            "mode": "DAG-DAG",
            "status": "failed" if failed else "succeeded",
            "suspend": False,
            "terminated": bool(failed),
            "finished": True,
            "steps": steps,
        },
    }
