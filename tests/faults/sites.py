"""One cluster of a world: a control plane, the fault proxy in front of it, what lives on it."""

import base64
import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from reconcile.values import JSON, MANAGED_BY, MANAGER
from sandbox.api import AdminApi, ApiError
from sandbox.plane import ControlPlane
from tests.faults.proxy import Faults

OURS = f"{MANAGED_BY}={MANAGER}"
_BOOTSTRAP = "kubenova-bootstrap"
_ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
_ACCOUNTS = "/api/v1/namespaces/kube-system/serviceaccounts"
_META = frozenset({"name", "namespace", "labels", "annotations", "finalizers"})
_ALLOTTED = frozenset({"clusterIP", "clusterIPs"})
_PERSONAL = frozenset({"kubenova.io/correlation-id", "kubenova.io/epoch"})
_IDENTITY = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\b[0-9a-f]{32}\b")
# Cluster-scoped counters and what the API server itself derives from other objects.
_LEFT_OUT = frozenset(
    {"events", "componentstatuses", "replicasets", "pods", "endpoints", "endpointslices"}
)


@dataclass(frozen=True)
class Found:
    """An object that carries our label."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


@dataclass
class Site:
    """A cluster as KubeNova knows it: by the URL and the authority of its proxy."""

    name: str
    plane: ControlPlane
    proxy: Faults

    @property
    def api(self) -> AdminApi:
        """The API server itself, as its admin."""
        return self.plane.api

    def bootstrap(self) -> str:
        """The text of an operator's kubeconfig that goes through the proxy.

        With a token: a client certificate does not pass a proxy that ends TLS.
        """
        self._admit()
        asked: JSON = {"spec": {"expirationSeconds": 24 * 3600}}
        token = self.api.create(f"{_ACCOUNTS}/{_BOOTSTRAP}/token", asked)["status"]["token"]
        ca = base64.b64encode(self.proxy.authority.encode()).decode()
        cluster = {"server": self.proxy.url, "certificate-authority-data": ca}
        named = {"cluster": self.name, "user": "operator"}
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": self.name, "cluster": cluster}],
                "users": [{"name": "operator", "user": {"token": token}}],
                "contexts": [{"name": self.name, "context": named}],
                "current-context": self.name,
            }
        )

    def _admit(self) -> None:
        if self.api.find(f"{_ACCOUNTS}/{_BOOTSTRAP}"):
            return
        self.api.create(_ACCOUNTS, {"metadata": {"name": _BOOTSTRAP}})
        subject = {"kind": "ServiceAccount", "name": _BOOTSTRAP, "namespace": "kube-system"}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole"}
        self.api.create(
            _ROLES,
            {
                "metadata": {"name": _BOOTSTRAP},
                "roleRef": role | {"name": "cluster-admin"},
                "subjects": [subject],
            },
        )

    def heal(self) -> None:
        """End every fault."""
        self.proxy.rules.clear()
        self.proxy.serial = False
        self.proxy.authorization = ""
        self.proxy.point_at(self.plane.server, self.plane.folder / "certificates" / "ca.crt")
        if self.proxy.away:
            self.proxy.reopen()

    # --- What lives there.

    @cached_property
    def collections(self) -> dict[str, tuple[str, str]]:
        """Every path that lists objects, with apiVersion and kind."""
        groups = [("/api/v1", "v1")]
        for group in self.api.get("/apis")["groups"]:
            version = group["preferredVersion"]["groupVersion"]
            groups.append((f"/apis/{version}", version))
        found = {}
        for root, version in groups:
            for served in self.api.get(root)["resources"]:
                if "list" in served["verbs"] and served["name"] not in _LEFT_OUT:
                    found[f"{root}/{served['name']}"] = (version, served["kind"])
        return found

    def bodies(self) -> list[JSON]:
        """Every object that carries our label, whole."""
        found = []
        for path, (version, kind) in self.collections.items():
            for item in self._items(path):
                found.append(item | {"apiVersion": version, "kind": kind})
        return found

    def _items(self, path: str) -> list[JSON]:
        try:
            return self.api.items(path, labelSelector=OURS)
        except ApiError as error:
            if error.status in {404, 405}:  # a kind that went, or one that lists nothing
                return []
            raise

    def found(self) -> list[Found]:
        """Every object that carries our label, by name and identity."""
        metas = [(body, body["metadata"]) for body in self.bodies()]
        return [
            Found(
                body["apiVersion"],
                body["kind"],
                meta.get("namespace", ""),
                meta["name"],
                meta["uid"],
            )
            for body, meta in metas
        ]

    def state(self) -> list[str]:
        """The normalised objects, sorted: no identities, times, versions, and no status."""
        return sorted(
            _IDENTITY.sub("*", json.dumps(_steady(body), sort_keys=True)) for body in self.bodies()
        )

    def of(self, tenant: str) -> list[Found]:
        """What carries our label and belongs to a tenant, by namespace or by name."""
        mine = (tenant, f"tenant-{tenant}")
        return [
            each
            for each in self.found()
            if each.name in mine
            or f"{each.namespace}--".startswith(f"{tenant}--")
            or each.name.startswith(f"{tenant}--")
        ]

    def image(self, namespace: str, name: str = "web") -> str:
        """The image that a Deployment runs, empty when there is none."""
        live = self.api.find(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
        return str(live["spec"]["template"]["spec"]["containers"][0]["image"]) if live else ""

    def audited(self) -> list["Audited"]:
        """Every request that the API server itself has counted, in order."""
        log = (self.plane.folder / "logs" / "audit.log").read_text()
        return [Audited.of(json.loads(line)) for line in log.splitlines() if line]


@dataclass(frozen=True)
class Audited:
    """A request as the audit log of an API server tells it."""

    agent: str
    verb: str
    resource: str
    query: str

    @classmethod
    def of(cls, event: dict[str, Any]) -> "Audited":
        """Read a line of the log."""
        target = event.get("objectRef") or {}
        resource = "/".join(filter(None, (target.get("resource"), target.get("subresource"))))
        path, _, query = str(event["requestURI"]).partition("?")
        return cls(event.get("userAgent", ""), event["verb"], resource or path, query)

    @property
    def writes(self) -> bool:
        """Whether it was to change what is stored."""
        changes = self.verb in {"create", "update", "patch", "delete", "deletecollection"}
        asks = self.resource.endswith(("reviews", "/token")) or "dryRun" in self.query
        return changes and not asks

    @property
    def full_list(self) -> bool:
        """Whether it read a whole collection; a probe reads one object."""
        return self.verb == "list" and "limit=1&" not in f"{self.query}&"


def _steady(body: JSON) -> JSON:
    meta = {key: value for key, value in body["metadata"].items() if key in _META}
    notes = meta.get("annotations", {})
    meta["annotations"] = {key: notes[key] for key in notes if key not in _PERSONAL}
    kept = {key: value for key, value in body.items() if key not in {"status", "metadata"}}
    if isinstance(spec := kept.get("spec"), dict):
        kept["spec"] = {key: value for key, value in spec.items() if key not in _ALLOTTED}
    return {**kept, "metadata": meta}
