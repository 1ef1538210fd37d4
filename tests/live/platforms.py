"""A stand-in for Capsule's controller and webhooks, against Capsule's real CRDs.

    with installed(admin_api) as capsule:              # 0.14.0, KubeNova among its administrators
        …                                              # a thread plays the controller meanwhile

It does what a real Capsule 0.14 was seen to do, late and in several steps: labels a Tenant,
resolves its owners from TenantOwners, reports its status, takes namespaces in, makes its own
objects in them and rewrites those, replicates, cordons, and takes the namespaces of a deleted
Tenant along. What its webhooks deny and warn of is played by policies with the same words.

The CRDs lie beside the repository, in `../shared/crds`; where they do not, tests skip.
"""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusters.intents import USERNAME
from sandbox.api import DEFINITIONS, AdminApi, ApiError, JsonObject
from tests.live.capsule_admission import POLICIES, WEBHOOKS

CRDS = Path(__file__).resolve().parents[3] / "shared" / "crds"
GROUP = "/apis/capsule.clastix.io/v1beta2"
NAMES = ("tenants", "tenantowners", "globaltenantresources", "capsuleconfigurations")
TENANT = "capsule.clastix.io/tenant"
OWNED = "projectcapsule.dev/tenant"
CORDONED = "projectcapsule.dev/cordoned"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
SYSTEM = "/api/v1/namespaces/capsule-system"
_FINALIZER = "capsule.clastix.io/tenant"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_NETWORKING = "/apis/networking.k8s.io/v1"
_KUBENOVA = [{"kind": "ServiceAccount", "name": USERNAME}]
_BEAT = 0.3
_KEPT = 3.0  # seconds after which the controller writes anew what it wants as before


def definition(name: str) -> JsonObject:
    """The real CRD; skips the test where it is not at hand."""
    path = CRDS / f"capsule.clastix.io_{name}.yaml"
    if not path.exists():
        pytest.skip("Capsule's CRDs are not at hand: ../shared/crds is absent")
    found: JsonObject = yaml.safe_load(path.read_text())
    return found


def without_rules(crd: JsonObject) -> JsonObject:
    """A Tenant as before there were rules of quotas and of enforcement."""
    for version in crd["spec"]["versions"]:
        spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        spec.pop("rules", None)
    return crd


@contextmanager
def installed(
    api: AdminApi,
    *,
    version: str = "0.14.0",
    administrators: list[JsonObject] | None = None,
    rules: bool = True,
    delay: float = 0.3,
) -> Iterator["Capsule"]:
    """Capsule on a cluster, its controller at work; all of it goes afterwards."""
    capsule = Capsule(api, delay)
    capsule.install(version, _KUBENOVA if administrators is None else administrators, rules=rules)
    thread = threading.Thread(target=capsule.work, daemon=True)
    thread.start()
    try:
        yield capsule
    finally:
        capsule.stopped.set()
        thread.join(timeout=10)
        capsule.uninstall()


class Capsule:
    """The controller of one cluster; `delay` is how late its status comes, in seconds."""

    def __init__(self, api: AdminApi, delay: float) -> None:
        self.api, self.delay = api, delay
        self.stopped = threading.Event()
        self.faults: list[str] = []
        self._seen: dict[str, float] = {}
        self._written: dict[str, float] = {}

    # --- Installation.

    def install(self, version: str, administrators: list[JsonObject], *, rules: bool) -> None:
        """CRDs, Deployment, configuration, webhooks, and what they would deny."""
        for name in NAMES:
            crd = definition(name)
            crd = without_rules(crd) if name == "tenants" and not rules else crd
            self._put(DEFINITIONS, crd)
        for name in NAMES:
            path = f"{DEFINITIONS}/{name}.capsule.clastix.io"
            self.api.wait(path, lambda crd: crd and _true(crd, "Established"))
            self.api.await_kind(f"{GROUP}/{name}")
        # What is put into a namespace on its way out goes along with it.
        self.api.wait(SYSTEM, lambda space: not space or not _terminating(space))
        self._put("/api/v1/namespaces", _object("v1", "Namespace", "capsule-system"))
        self._put(f"/apis/apps/v1{SYSTEM.removeprefix('/api/v1')}/deployments", _manager(version))
        self.administer(administrators)
        for plural, body in (*WEBHOOKS, *POLICIES):
            self._put(f"{ADMISSION}/{plural}", body)

    def administer(self, administrators: list[JsonObject]) -> None:
        """Write Capsule's configuration anew."""
        self._written.clear()
        body = _object("capsule.clastix.io/v1beta2", "CapsuleConfiguration", "default")
        body["spec"] = {"administrators": administrators}
        self._put(f"{GROUP}/capsuleconfigurations", body)

    def uninstall(self) -> None:
        """Take everything away; what holds a finalizer is let go first."""
        for plural, body in (*WEBHOOKS, *POLICIES):
            self._drop(f"{ADMISSION}/{plural}/{body['metadata']['name']}")
        for tenant in self._list(f"{GROUP}/tenants"):
            for namespace in self._namespaces(tenant):
                self._drop(f"/api/v1/namespaces/{namespace['metadata']['name']}")
            self._drop(_path(tenant))
            self._finalizers(tenant, [])
        for name in NAMES:
            self._drop(f"{DEFINITIONS}/{name}.capsule.clastix.io")
        for name in NAMES:
            self.api.wait(f"{DEFINITIONS}/{name}.capsule.clastix.io", lambda crd: crd is None)
        self._drop(SYSTEM)
        self._await_no_denial()

    def _await_no_denial(self) -> None:
        """API servers enforce a deleted policy until they look at all of them again."""
        space = _object("v1", "Namespace", "capsule-denies-no-more")
        until = time.monotonic() + 60
        while True:
            try:
                self.api.create("/api/v1/namespaces", space, dryRun="All")
            except ApiError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)
            else:
                return

    # --- The controller.

    def work(self) -> None:
        """Reconcile round after round; a fault of a round is kept for the test to look at."""
        while not self.stopped.wait(_BEAT):
            try:
                self.turn()
            except (ApiError, OSError) as error:
                self.faults.append(str(error))

    def turn(self) -> None:
        """One round over all tenants."""
        owners = self._list(f"{GROUP}/tenantowners")
        for tenant in self._list(f"{GROUP}/tenants"):
            namespaces = self._namespaces(tenant)
            if "deletionTimestamp" in tenant["metadata"]:
                self._let_go(tenant, namespaces)
                continue
            self._mark(tenant)
            mine = [each for each in owners if _label(each, OWNED) == _name(tenant)]
            for namespace in namespaces:
                self._adopt(tenant, namespace)
                self._furnish(tenant, namespace, mine)
            self._report(tenant, namespaces, mine)
        for resource in self._list(f"{GROUP}/globaltenantresources"):
            self._replicate(resource)

    def _mark(self, tenant: JsonObject) -> None:
        """What the mutating webhook and the first reconciliation write on a Tenant."""
        labelled = _label(tenant, "kubernetes.io/metadata.name") == _name(tenant)
        held = _FINALIZER in tenant["metadata"].get("finalizers", [])
        if not (labelled and held):
            labels = {"kubernetes.io/metadata.name": _name(tenant)}
            meta = {"labels": labels, "finalizers": [_FINALIZER]}
            self.api.patch(_path(tenant), {"metadata": meta})

    def _let_go(self, tenant: JsonObject, namespaces: list[JsonObject]) -> None:
        for namespace in namespaces:
            if "deletionTimestamp" not in namespace["metadata"]:
                self._drop(f"/api/v1/namespaces/{_name(namespace)}")
        if not namespaces:
            self._finalizers(tenant, [])

    def _adopt(self, tenant: JsonObject, namespace: JsonObject) -> None:
        cordoned = "true" if tenant["spec"].get("cordoned") else None
        owner = {
            "apiVersion": tenant["apiVersion"],
            "kind": "Tenant",
            "name": _name(tenant),
            "uid": tenant["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        known = namespace["metadata"].get("ownerReferences") == [owner]
        if known and _label(namespace, CORDONED) == cordoned:
            return
        labels = {CORDONED: cordoned, OWNED: _name(tenant)}
        selector = ",".join(f"{k}={v}" for k, v in tenant["spec"].get("nodeSelector", {}).items())
        annotations = {"scheduler.alpha.kubernetes.io/node-selector": selector or None}
        meta = {"labels": labels, "annotations": annotations, "ownerReferences": [owner]}
        self.api.patch(f"/api/v1/namespaces/{_name(namespace)}", {"metadata": meta})

    def _furnish(self, tenant: JsonObject, namespace: JsonObject, owners: list[JsonObject]) -> None:
        """What Capsule makes in a namespace, and keeps as it wants it."""
        place = f"/namespaces/{_name(namespace)}"
        for role, subject in _bound(tenant, owners):
            name = f"capsule:managed:{_hash(role + str(subject))}"
            body = _object("rbac.authorization.k8s.io/v1", "RoleBinding", name, tenant)
            body["roleRef"] = {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": role,
            }
            self._put(f"{_RBAC}{place}/rolebindings", {**body, "subjects": [subject]})
        for kind, path, specs in _managed(tenant, place):
            for index, spec in enumerate(specs):
                group = "networking.k8s.io/v1" if kind == "NetworkPolicy" else "v1"
                name = f"capsule-{_name(tenant)}-{index}"
                self._put(path, {**_object(group, kind, name, tenant), "spec": spec})

    def _report(
        self, tenant: JsonObject, namespaces: list[JsonObject], owners: list[JsonObject]
    ) -> None:
        """The status, `delay` seconds after what it tells of."""
        names = sorted(_name(each) for each in namespaces)
        specs = sorted((each["spec"] for each in owners), key=str)
        cordoned = bool(tenant["spec"].get("cordoned"))
        status = {
            "state": "Cordoned" if cordoned else "Active",
            "size": len(names),
            "namespaces": names,
            "observedGeneration": tenant["metadata"]["generation"],
            "owners": [
                {key: each[key] for key in ("kind", "name", "clusterRoles")} for each in specs
            ],
            "conditions": [
                _condition("Ready", "True", "Succeeded", "reconciled"),
                _condition("Cordoned", str(cordoned), "Cordoned" if cordoned else "Active", ""),
            ],
        }
        since = self._seen.setdefault(f"{tenant['metadata']['uid']} {status}", time.monotonic())
        if tenant.get("status") != status and time.monotonic() - since >= self.delay:
            self.api.patch(f"{_path(tenant)}/status", {"status": status})

    def _replicate(self, resource: JsonObject) -> None:
        wanted = resource["spec"]["tenantSelector"]["matchLabels"]
        chosen = [
            tenant
            for tenant in self._list(f"{GROUP}/tenants")
            if wanted.items() <= (tenant["metadata"].get("labels") or {}).items()
        ]
        items = [item for each in resource["spec"]["resources"] for item in each["rawItems"]]
        places = [(tenant, each) for tenant in chosen for each in self._namespaces(tenant)]
        for tenant, namespace in places:
            for item in items:
                base = _NETWORKING if item["kind"] == "NetworkPolicy" else "/api/v1"
                path = f"{base}/namespaces/{_name(namespace)}/{item['kind'].lower()}"
                path = path.replace("networkpolicy", "networkpolicies").replace("range", "ranges")
                name = item["metadata"]["name"]
                body = _object(item["apiVersion"], item["kind"], name, tenant)
                self._put(path, {**body, "spec": item["spec"]})
        ready = _condition("Ready", "True", "Succeeded", "reconciled")
        status = {
            "conditions": [ready],
            "selectedTenants": [_name(each) for each in chosen],
            "size": len(items) * len(places),
        }
        if not status.items() <= resource.get("status", {}).items():
            self.api.patch(
                f"{_path(resource)}/status", {"status": {**status, "processedItems": []}}
            )

    # --- Hands.

    def _put(self, collection: str, body: JsonObject) -> None:
        key = f"{collection} {body}"
        if time.monotonic() - self._written.get(key, 0.0) < _KEPT:
            return
        with suppress(_Gone):
            self._try(collection, body)
            self._written[key] = time.monotonic()

    def _try(self, collection: str, body: JsonObject) -> None:
        name = body["metadata"]["name"].replace(":", "%3A")
        try:
            self.api.apply(f"{collection}/{name}", body, "capsule", force=True)
        except ApiError as error:
            if error.status in (403, 404, 409):  # a namespace on its way out
                raise _Gone from error
            raise

    def _drop(self, path: str) -> None:
        with suppress(ApiError):
            self.api.delete(path)

    def _finalizers(self, body: JsonObject, finalizers: list[str]) -> None:
        with suppress(ApiError):
            self.api.patch(_path(body), {"metadata": {"finalizers": finalizers}})

    def _list(self, path: str) -> list[JsonObject]:
        try:
            plural = path.rpartition("/")[2]
            kinds = {
                "tenants": "Tenant",
                "tenantowners": "TenantOwner",
                "globaltenantresources": "GlobalTenantResource",
            }
            found = self.api.items(path)
        except ApiError as error:
            if error.status == 404:
                return []
            raise
        head = {"apiVersion": "capsule.clastix.io/v1beta2", "kind": kinds[plural]}
        return [{**head, **item} for item in found]

    def _namespaces(self, tenant: JsonObject) -> list[JsonObject]:
        return self.api.items("/api/v1/namespaces", labelSelector=f"{TENANT}={_name(tenant)}")


class _Gone(Exception):
    """What was to be written to is going, or was refused by somebody's right."""


def _bound(tenant: JsonObject, owners: list[JsonObject]) -> Iterator[tuple[str, JsonObject]]:
    for owner in owners:
        spec = owner["spec"]
        subject = {"kind": spec["kind"], "name": spec["name"]}
        if spec["kind"] == "ServiceAccount":
            *_, namespace, name = spec["name"].split(":")
            subject |= {"name": name, "namespace": namespace}
        else:
            subject["apiGroup"] = "rbac.authorization.k8s.io"
        yield from ((role, subject) for role in spec["clusterRoles"])
    for each in tenant["spec"].get("additionalRoleBindings", []):
        yield from ((each["clusterRoleName"], subject) for subject in each["subjects"])


def _managed(tenant: JsonObject, place: str) -> Iterator[tuple[str, str, list[JsonObject]]]:
    spec = tenant["spec"]
    quotas = [*spec.get("resourceQuotas", {}).get("items", [])]
    quotas += [{"hard": q["hard"]} for rule in spec.get("rules", []) for q in rule.get("quota", [])]
    yield "ResourceQuota", f"/api/v1{place}/resourcequotas", quotas
    ranges = spec.get("limitRanges", {}).get("items", [])
    yield "LimitRange", f"/api/v1{place}/limitranges", ranges
    policies = spec.get("networkPolicies", {}).get("items", [])
    yield "NetworkPolicy", f"{_NETWORKING}{place}/networkpolicies", policies


def _object(api_version: str, kind: str, name: str, tenant: JsonObject | None = None) -> JsonObject:
    meta: JsonObject = {"name": name}
    if tenant:
        meta["labels"] = {
            OWNED: _name(tenant),
            "projectcapsule.dev/managed-by": "controller",
            TENANT: _name(tenant),
        }
    return {"apiVersion": api_version, "kind": kind, "metadata": meta}


def _manager(version: str) -> JsonObject:
    labels = {"app.kubernetes.io/name": "capsule", "app.kubernetes.io/version": version}
    body = _object("apps/v1", "Deployment", "capsule-controller-manager")
    body["metadata"]["labels"] = labels
    pod = {
        "containers": [{"name": "manager", "image": f"ghcr.io/projectcapsule/capsule:{version}"}]
    }
    template = {"metadata": {"labels": labels}, "spec": pod}
    chosen = {"app.kubernetes.io/name": "capsule"}  # never the version: a selector is immutable
    spec = {"replicas": 0, "selector": {"matchLabels": chosen}, "template": template}
    return {**body, "spec": spec}


def _condition(kind: str, status: str, reason: str, message: str) -> JsonObject:
    since = "2026-01-01T00:00:00Z"
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since,
    }


def _terminating(body: JsonObject) -> bool:
    return "deletionTimestamp" in body["metadata"]


def _true(body: JsonObject, kind: str) -> bool:
    conditions: list[Any] = (body.get("status") or {}).get("conditions") or []
    return any((each["type"], each["status"]) == (kind, "True") for each in conditions)


def _path(body: JsonObject) -> str:
    plurals = {"Tenant": "tenants", "GlobalTenantResource": "globaltenantresources"}
    return f"{GROUP}/{plurals[body['kind']]}/{_name(body)}"


def _name(body: JsonObject) -> str:
    return str(body["metadata"]["name"])


def _label(body: JsonObject, key: str) -> str | None:
    found: dict[str, str] = body["metadata"].get("labels") or {}
    return found.get(key)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
