"""A stand-in for KubeVela's engine for WorkflowRuns, against KubeVela's real CRDs.

    with at_work(admin_api, "announce") as engine:     # beside `vela.installed`

It does what vela-workflow 0.6 does: notes a new WorkflowRun as executing, carries its step out by
rights of its own, notes how that ended, and looks at what is finished no more. Of types it knows
`announce`, which writes a ConfigMap named as `to` says, and fails for `nobody`.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sandbox.api import DEFINITIONS, AdminApi, ApiError, JsonObject
from tests.live.vela import GROUP, crd

RUNS = "/apis/core.oam.dev/v1alpha1"
NAMES = ("workflowruns", "workflowstepdefinitions")
_BEAT = 0.3


@contextmanager
def at_work(api: AdminApi, *types: str) -> Iterator["Engine"]:
    """The engine on a cluster that has KubeVela, with definitions of these types of steps."""
    engine = Engine(api)
    engine.install(types)
    thread = threading.Thread(target=engine.work, daemon=True)
    thread.start()
    try:
        yield engine
    finally:
        engine.stopped.set()
        thread.join(timeout=10)
        engine.uninstall()


class Engine:
    """The controller of one cluster; `begun` has the name of each WorkflowRun that it took up."""

    def __init__(self, api: AdminApi) -> None:
        self.api = api
        self.stopped = threading.Event()
        self.faults: list[str] = []
        self.begun: list[str] = []

    def install(self, types: tuple[str, ...]) -> None:
        """CRDs and definitions."""
        for name in NAMES:
            self.api.apply(f"{DEFINITIONS}/{name}.core.oam.dev", crd(name), "helm", force=True)
        self.api.await_kind(f"{RUNS}/workflowruns")
        self.api.await_kind(f"{GROUP}/workflowstepdefinitions")
        for type_ in types:
            body = {
                "apiVersion": "core.oam.dev/v1beta1",
                "kind": "WorkflowStepDefinition",
                "metadata": {"name": type_},
                "spec": {},
            }
            path = f"{GROUP}/namespaces/vela-system/workflowstepdefinitions/{type_}"
            self.api.apply(path, body, "helm", force=True)

    def uninstall(self) -> None:
        """Take the CRDs away, and with them all that there is of them."""
        for name in NAMES:
            with suppress(ApiError):
                self.api.delete(f"{DEFINITIONS}/{name}.core.oam.dev")
        for name in NAMES:
            self.api.wait(f"{DEFINITIONS}/{name}.core.oam.dev", lambda found: found is None)

    def work(self) -> None:
        """Reconcile round after round; a fault of a round is kept for the test to look at."""
        while not self.stopped.wait(_BEAT):
            for body in self._found():
                try:
                    self._reconcile(body)
                except (ApiError, OSError) as error:
                    self.faults.append(str(error))

    def _reconcile(self, body: JsonObject) -> None:
        status = body.get("status", {})
        if status.get("finished") or "deletionTimestamp" in body["metadata"]:
            return
        (step,) = body["spec"]["workflowSpec"]["steps"]
        if not status:
            self.begun.append(body["metadata"]["name"])
            self._tell(body, step, "executing", "running", "")
            return
        if step["properties"]["to"] == "nobody":
            self._tell(body, step, "failed", "failed", "There is nobody to tell.")
            return
        self._write(body["metadata"]["namespace"], step["properties"]["to"])
        self._tell(body, step, "succeeded", "succeeded", "")

    def _write(self, namespace: str, name: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/configmaps/{name}"
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
        self.api.apply(path, {**body, "data": {"told": "yes"}}, "vela-workflow", force=True)

    def _tell(
        self, body: JsonObject, step: JsonObject, state: str, phase: str, message: str
    ) -> None:
        over = state in {"failed", "succeeded"}
        only = {"id": "s", "name": step["name"], "type": step["type"], "phase": phase}
        status = {
            "status": state,
            "mode": {"steps": "StepByStep", "subSteps": "DAG"},
            "suspend": False,
            "terminated": state == "failed",
            "finished": over,
            "steps": [{**only, "message": message}],
        }
        meta = body["metadata"]
        path = f"{RUNS}/namespaces/{meta['namespace']}/workflowruns/{meta['name']}/status"
        self.api.patch(path, {"status": status})

    def _found(self) -> list[JsonObject]:
        with suppress(ApiError, OSError):
            return self.api.items(f"{RUNS}/workflowruns")
        return []
