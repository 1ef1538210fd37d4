"""A stand-in for KubeVela's controller, against KubeVela's real CRDs.

    with installed(admin_api) as vela:                 # 1.11.0, with all types that apps can use
        …                                              # a thread plays the controller meanwhile

It does what a real KubeVela 1.11 was seen to do, late and in several steps: holds an Application
by a finalizer, rolls it out when it bears a version that is new and not before, goes through its
phases, applies as the account that is named there, keeps what it has applied as it was, reports on
its services, and takes what it has made along when it lets go. It knows the types `webservice` and
`worker` and of the traits what these tests need. An image with the tag `broken` fails its step.

The CRDs lie beside the repository, in `../shared/crds`; where they do not, tests skip.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from typing import Any

import pytest
import yaml

from clusters.adapters.kubevela import COMPONENT_TYPES, PATCH_TYPES, TRAIT_TYPES
from sandbox.api import DEFINITIONS, AdminApi, ApiError, JsonObject
from tests.live.platforms import CRDS

GROUP = "/apis/core.oam.dev/v1beta1"
NAMES = (
    *("applicationrevisions", "applications", "componentdefinitions", "resourcetrackers"),
    "traitdefinitions",
)
SYSTEM = "/api/v1/namespaces/vela-system"
PUBLISHED = "app.oam.dev/publishVersion"
ACCOUNT = "app.oam.dev/service-account-name"
FINALIZER = "app.oam.dev/resource-tracker-finalizer"
_APPLY = "application/apply-patch+yaml"
_WORKLOAD = {"workload": {"definition": {"apiVersion": "apps/v1", "kind": "Deployment"}}}
_BEAT = 0.3


@contextmanager
def installed(api: AdminApi, *, delay: float = 0.3) -> Iterator["Vela"]:
    """KubeVela on a cluster, its controller at work; all of it goes afterwards."""
    vela = Vela(api, delay)
    vela.install()
    thread = threading.Thread(target=vela.work, daemon=True)
    thread.start()
    try:
        yield vela
    finally:
        vela.stopped.set()
        thread.join(timeout=10)
        vela.uninstall()


def crd(name: str) -> JsonObject:
    """The real CRD; skips the test where it is not at hand."""
    path = CRDS / f"core.oam.dev_{name}.yaml"
    if not path.exists():
        pytest.skip("KubeVela's CRDs are not at hand: ../shared/crds is absent")
    found: JsonObject = yaml.safe_load(path.read_text())
    return found


class Vela:
    """The controller of one cluster; `delay` is how long each phase takes, in seconds."""

    def __init__(self, api: AdminApi, delay: float) -> None:
        self.api, self.delay = api, delay
        self.stopped = threading.Event()
        self.faults: list[str] = []
        self.rolled_out: list[tuple[str, str]] = []  # name and version of each rollout
        self._specs: dict[str, JsonObject] = {}  # what was published last, by the uid
        self._began: dict[str, float] = {}

    # --- Installation.

    def install(self) -> None:
        """CRDs, Deployment and definitions."""
        for name in NAMES:
            self.api.apply(f"{DEFINITIONS}/{name}.core.oam.dev", crd(name), "helm", force=True)
        for name in NAMES:
            self.api.await_kind(f"{GROUP}/{name}")
        self.api.wait(SYSTEM, lambda found: not found or "deletionTimestamp" not in _meta(found))
        self._put(SYSTEM, {"apiVersion": "v1", "kind": "Namespace", **_named("vela-system")})
        self._put(
            f"/apis/apps/v1{SYSTEM.removeprefix('/api/v1')}/deployments/vela-core", deployment()
        )
        for kind, types in (
            ("ComponentDefinition", COMPONENT_TYPES),
            ("TraitDefinition", (*TRAIT_TYPES, *PATCH_TYPES)),
        ):
            for type_ in types:
                body = {"apiVersion": "core.oam.dev/v1beta1", "kind": kind, **_named(type_)}
                spec = _WORKLOAD if kind == "ComponentDefinition" else {}
                path = f"{GROUP}/namespaces/vela-system/{kind.lower()}s/{type_}"
                self._put(path, {**body, "spec": spec})

    def uninstall(self) -> None:
        """Take everything away; what holds a finalizer is let go first."""
        for body in self._applications():
            self._release(body)
        for name in NAMES:
            with suppress(ApiError):
                self.api.delete(f"{DEFINITIONS}/{name}.core.oam.dev")
        for name in NAMES:
            self.api.wait(f"{DEFINITIONS}/{name}.core.oam.dev", lambda found: found is None)
        with suppress(ApiError):
            self.api.delete(SYSTEM)

    # --- The controller.

    def work(self) -> None:
        """Reconcile round after round; a fault of a round is kept for the test to look at."""
        while not self.stopped.wait(_BEAT):
            for body in self._applications():
                try:
                    self._reconcile(body)
                except (ApiError, OSError) as error:
                    self.faults.append(str(error))

    def _reconcile(self, body: JsonObject) -> None:
        meta = _meta(body)
        if "deletionTimestamp" in meta:
            self._release(body)
            return
        if FINALIZER not in meta.get("finalizers", []):
            self.api.patch(_path(body), {"metadata": {"finalizers": [FINALIZER]}})
        version = meta["annotations"][PUBLISHED]
        workflow = body.get("status", {}).get("workflow", {})
        if workflow.get("appRevision") != version:
            self._begin(body, version)
            return
        spec = self._specs[meta["uid"]]  # a change without a version of its own is not rolled out
        if time.monotonic() - self._began[meta["uid"]] < self.delay:
            return
        self._report(body, version, spec)

    def _begin(self, body: JsonObject, version: str) -> None:
        """A workflow starts anew: from here on the status is about this version."""
        uid = _meta(body)["uid"]
        self._specs[uid], self._began[uid] = deepcopy(body["spec"]), time.monotonic()
        self.rolled_out.append((_meta(body)["name"], version))
        workflow = _workflow(version, "executing", [])
        self._tell(body, {"status": "runningWorkflow", "services": [], "workflow": workflow})

    def _report(self, body: JsonObject, version: str, spec: JsonObject) -> None:
        steps, services = [], []
        for component in spec["components"]:
            fault = self._bring_up(body, component)
            phase = "failed" if fault else "succeeded"
            step = {"id": component["name"], "name": component["name"], "phase": phase}
            steps.append({**step, "type": "apply-component", "message": fault})
            services.append(self._service(body, component["name"]))
        failed = any(step["phase"] == "failed" for step in steps)
        well = all(each["healthy"] for each in services)
        status = "workflowFailed" if failed else "running" if well else "unhealthy"
        workflow = _workflow(version, "failed" if failed else "succeeded", steps)
        self._tell(body, {"status": status, "services": services, "workflow": workflow})

    def _bring_up(self, body: JsonObject, component: JsonObject) -> str:
        """Apply a component as the account that is named; return what failed."""
        if component["properties"]["image"].endswith(":broken"):
            return "image is broken"
        namespace, account = _meta(body)["namespace"], _meta(body)["annotations"][ACCOUNT]
        who = {"Impersonate-User": f"system:serviceaccount:{namespace}:{account}"}
        for path, wanted in _rendered(body, component):
            query = {"fieldManager": "vela-core", "force": "true"}
            try:
                self.api.request(
                    "PATCH", path, wanted, content_type=_APPLY, params=query, headers=who
                ).json()
            except ApiError as error:
                return str(error)
        return ""

    def _service(self, body: JsonObject, name: str) -> JsonObject:
        live = self.api.find(_deployments(body, name)) or {}
        wanted, status = live.get("spec", {}).get("replicas", 1), live.get("status", {})
        ready = status.get("availableReplicas", 0)
        fresh = status.get("observedGeneration") == _meta(live).get("generation")
        updated = status.get("updatedReplicas", 0) == status.get("replicas", 0) == wanted
        healthy = fresh and updated and ready == wanted
        return {"name": name, "healthy": healthy, "message": f"Ready:{ready}/{wanted}"}

    def _release(self, body: JsonObject) -> None:
        namespace, name = _meta(body)["namespace"], _meta(body)["name"]
        chosen = {"labelSelector": f"app.oam.dev/name={name}"}
        for place, plural in (("/apis/apps/v1", "deployments"), ("/api/v1", "services")):
            for each in self.api.items(f"{place}/namespaces/{namespace}/{plural}", **chosen):
                with suppress(ApiError):
                    self.api.delete(
                        f"{place}/namespaces/{namespace}/{plural}/{_meta(each)['name']}"
                    )
        with suppress(ApiError):
            self.api.patch(_path(body), {"metadata": {"finalizers": []}})

    # --- Hands.

    def _tell(self, body: JsonObject, status: JsonObject) -> None:
        found = {**status, "observedGeneration": _meta(body)["generation"]}
        if {**body.get("status", {}), **found} != body.get("status"):
            self.api.patch(f"{_path(body)}/status", {"status": found})

    def _applications(self) -> list[JsonObject]:
        with suppress(ApiError, OSError):
            return self.api.items(f"{GROUP}/applications")
        return []

    def _put(self, path: str, body: JsonObject) -> None:
        self.api.apply(path, body, "helm", force=True)


# --- What the definitions make of a component.


def _rendered(body: JsonObject, component: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """The Deployment of a component with what its traits say, and the Service of its ports."""
    name, properties = component["name"], component["properties"]
    marks = {"app.oam.dev/name": _meta(body)["name"], "app.oam.dev/component": name}
    traits = {each["type"]: each.get("properties", {}) for each in component.get("traits", [])}
    chosen = {"app.oam.dev/component": name}
    container: JsonObject = {"name": name, "image": properties["image"]}
    container["securityContext"] = _context(traits.get("securitycontext", {}))
    template = {"metadata": {"labels": marks}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": chosen}, "template": template}
    spec["replicas"] = traits.get("scaler", {}).get("replicas", 1)
    meta = {"name": name, "namespace": _meta(body)["namespace"], "labels": marks}
    workload = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}
    yield _deployments(body, name), _merged(workload, traits.get("json-merge-patch", {}))
    exposed = [each for each in properties.get("ports", []) if each.get("expose")]
    if exposed:
        ports = [{"name": f"port-{each['port']}", "port": each["port"]} for each in exposed]
        service = {"apiVersion": "v1", "kind": "Service", "metadata": meta}
        path = f"/api/v1/namespaces/{_meta(body)['namespace']}/services/{name}"
        yield path, {**service, "spec": {"selector": chosen, "ports": ports}}


def _context(trait: JsonObject) -> JsonObject:
    keys = ("allowPrivilegeEscalation", "privileged", "readOnlyRootFilesystem", "runAsNonRoot")
    found = {key: trait[key] for key in keys if key in trait}
    return found | {"capabilities": {"drop": trait.get("dropCapabilities", [])}}


def _merged(value: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    found = dict(value) if isinstance(value, dict) else {}
    return found | {key: _merged(found.get(key), item) for key, item in patch.items()}


def _workflow(version: str, status: str, steps: list[JsonObject]) -> JsonObject:
    over = status != "executing"
    return {
        "appRevision": version,
        "mode": "DAG-DAG",
        "status": status,
        "suspend": False,
        "terminated": status == "failed",
        "finished": over,
        "steps": steps,
    }


def deployment() -> JsonObject:
    """By which one knows that it is there, in which version and how it is set up."""
    labels = {"app.kubernetes.io/name": "vela-core", "app.kubernetes.io/version": "1.11.0"}
    pod = {"containers": [{"name": "vela-core", "image": "oamdev/vela-core:v1.11.0"}]}
    chosen = {"app.kubernetes.io/name": "vela-core"}
    template = {"metadata": {"labels": chosen}, "spec": pod}
    spec = {"replicas": 0, "selector": {"matchLabels": chosen}, "template": template}
    meta = {"name": "vela-core", "labels": labels}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}


def _deployments(body: JsonObject, name: str) -> str:
    return f"/apis/apps/v1/namespaces/{_meta(body)['namespace']}/deployments/{name}"


def _named(name: str) -> JsonObject:
    return {"metadata": {"name": name}}


def _meta(body: JsonObject) -> JsonObject:
    found: JsonObject = body.get("metadata", {})
    return found


def _path(body: JsonObject) -> str:
    return f"{GROUP}/namespaces/{_meta(body)['namespace']}/applications/{_meta(body)['name']}"
