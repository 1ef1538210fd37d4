"""Every field of a tenant and of a project, and where a cluster shows it, by adapter.

A row of the table says what is declared at first and then, and for each adapter what is read back
from the cluster after the first declaration, after the change, and after the field was taken back
(PATCH with null). A row without its own entry for an adapter is shown there as natively.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.api import AdminApi, JsonObject

NATIVE = "tenancy.native"
_GONE = None


@dataclass(frozen=True)
class Place:
    """Where a tenant is looked at: its cluster, its name, the namespace of its project `shop`."""

    api: AdminApi
    tenant: str
    namespace: str

    def find(self, kind: str, name: str, group: str = "api/v1") -> JsonObject:
        """An object of the project's namespace, {} where there is none."""
        return self.api.find(f"/{group}/namespaces/{self.namespace}/{kind}/{name}") or {}

    def meta(self) -> JsonObject:
        """The metadata of the namespace, {} where there is none."""
        found = self.api.find(f"/api/v1/namespaces/{self.namespace}") or {}
        return {} if (found.get("status") or {}).get("phase") != "Active" else found["metadata"]


Read = Callable[[Place], object]


@dataclass(frozen=True)
class Shown:
    """How a cluster shows a field: what `read` returns at first, then, and when it is gone."""

    read: Read
    first: object
    then: object
    gone: object = _GONE


@dataclass(frozen=True)
class Field:
    """A field of the API: `of` is tenant or project, `path` where it is in the body."""

    of: str
    path: tuple[str, ...]
    first: object
    then: object
    native: Shown
    others: Mapping[str, Shown] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return ".".join((self.of, *self.path))

    def shown(self, adapter: str) -> Shown:
        """How an adapter's cluster shows it."""
        return self.others.get(adapter, self.native)


# --- Readers.


def label(key: str) -> Read:
    return lambda place: (place.meta().get("labels") or {}).get(key)


def annotation(key: str) -> Read:
    return lambda place: (place.meta().get("annotations") or {}).get(key)


def rule(key: str) -> Read:
    """A key of the parameters of admission."""
    return lambda place: (place.find("configmaps", "kubenova-rules").get("data") or {}).get(key)


def bound(role: str) -> Read:
    """Whom a role is bound to in the project's namespace, in the order of the binding."""
    group = "apis/rbac.authorization.k8s.io/v1"

    def read(place: Place) -> object:
        found = place.find("rolebindings", f"kubenova:{role}", group)
        return [f"{each['kind']} {each['name']}" for each in found.get("subjects") or []]

    return read


def quota(key: str) -> Read:
    return lambda place: (
        (place.find("resourcequotas", "kubenova").get("spec") or {}).get("hard") or {}
    ).get(key)


def limits(side: str) -> Read:
    def read(place: Place) -> object:
        found = (place.find("limitranges", "kubenova").get("spec") or {}).get("limits") or [{}]
        return found[0].get(side)

    return read


def policy(name: str, *path: str) -> Read:
    """A part of the spec of a NetworkPolicy."""
    group = "apis/networking.k8s.io/v1"

    def read(place: Place) -> object:
        found: Any = place.find("networkpolicies", name, group).get("spec") or {}
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return found

    return read


# --- The table.


def _of_tenant(name: str, first: object, then: object, native: Shown) -> Field:
    return Field("tenant", (name,), first, then, native)


def _of_project(name: str, first: object, then: object, native: Shown) -> Field:
    return Field("project", (name,), first, then, native)


def _restriction(kind: str, first: object, then: object, native: Shown) -> Field:
    return Field("tenant", ("restrictions", kind), first, then, native)


def _listed(kind: str, first: str, then: str) -> Field:
    """A restriction that is a list of names."""
    return _restriction(kind, [first], [first, then], Shown(rule(kind), first, f"{first}\n{then}"))


def _rule(direction: str, cidr: str, **port: object) -> JsonObject:
    found: JsonObject = {"direction": direction, "peers": [{"cidr": cidr}]}
    return {**found, "ports": [port]} if port else found


def _passes(side: str, cidr: str, **port: object) -> JsonObject:
    found: JsonObject = {side: [{"ipBlock": {"cidr": cidr}}]}
    return {**found, "ports": [port]} if port else found


_PRESET = "kubenova-isolation"
_RULES = "kubenova-network"
_CI: JsonObject = {"kind": "ServiceAccount", "name": "robot", "namespace": "ci"}
_OPS: JsonObject = {"kind": "Group", "name": "ops"}
_VIEWERS: JsonObject = {"kind": "Group", "name": "viewers"}
_WEB: JsonObject = {"protocol": "TCP", "port": 443}
_RANGE: JsonObject = {"protocol": "UDP", "port": 8000, "endPort": 8010}

TABLE = (
    _of_tenant("labels", {"tier": "gold"}, {"tier": "tin"}, Shown(label("tier"), "gold", "tin")),
    _of_tenant(
        "annotations",
        {"example.org/cost": "42"},
        {"example.org/cost": "43"},
        Shown(annotation("example.org/cost"), "42", "43"),
    ),
    _of_tenant(
        "quota",
        {"requests.cpu": "8"},
        {"requests.cpu": "4"},
        Shown(quota("requests.cpu"), "8", "4"),
    ),
    _of_tenant(
        "limits",
        {"default": {"cpu": "250m"}, "default_request": {"cpu": "50m"}},
        {"default": {"cpu": "500m"}, "default_request": {"cpu": "50m"}},
        Shown(
            limits("default"), {"cpu": "250m"}, {"cpu": "500m"}, {"cpu": "500m", "memory": "512Mi"}
        ),
    ),
    _of_tenant(
        "isolation",
        "egress-open",
        "none",
        Shown(policy(_PRESET, "policyTypes"), ["Ingress"], None, ["Ingress", "Egress"]),
    ),
    _of_tenant(
        "owners",
        ["alice"],
        ["alice", "anna"],
        Shown(
            bound("tenant-admin"),
            ["Group ops", "User kubenova:alice"],
            ["ServiceAccount robot", "User kubenova:alice", "User kubenova:anna"],
            [],
        ),
    ),
    _of_tenant(
        "owner_subjects",
        [_OPS],
        [_CI],
        Shown(
            bound("tenant-admin"),
            ["Group ops", "User kubenova:alice"],
            ["ServiceAccount robot", "User kubenova:alice", "User kubenova:anna"],
            [],
        ),
    ),
    _of_tenant(
        "role_bindings",
        [{"role": "view", "subjects": [_VIEWERS]}],
        [{"role": "view", "subjects": [_VIEWERS, _CI]}],
        Shown(bound("view"), ["Group viewers"], ["Group viewers", "ServiceAccount robot"], []),
    ),
    _of_tenant("cordoned", True, False, Shown(rule("cordoned"), "true", None)),
    _of_tenant(
        "deletion_protection",
        True,
        False,
        Shown(label("kubenova.io/deletion-protection"), "true", None),
    ),
    _listed("image_references", "digest", "tag"),
    _listed("image_pull_policies", "Always", "IfNotPresent"),
    _listed("service_types", "ClusterIP", "LoadBalancer"),
    _listed("ingress_classes", "public", "private"),
    _listed("ingress_hosts", "*.acme.example.org", "acme.example.org"),
    _listed("storage_classes", "standard", "fast"),
    _listed("priority_classes", "batch", "urgent"),
    _listed("runtime_classes", "sandboxed", "plain"),
    _restriction(
        "image_registries",
        {"allow": ["registry.example.org/acme"]},
        {"allow": ["registry.example.org/team"], "deny": ["docker.io"]},
        Shown(
            rule("image_registries.allow"),
            "registry.example.org/acme",
            "registry.example.org/team",
        ),
    ),
    _restriction(
        "node_selector",
        {"pool": "acme"},
        {"pool": "batch", "arch": "arm64"},
        Shown(rule("node_selector"), "pool=acme", "arch=arm64\npool=batch"),
    ),
    _restriction(
        "pod_security",
        "restricted",
        "baseline",
        Shown(label("pod-security.kubernetes.io/enforce"), "restricted", "baseline", "baseline"),
    ),
    _listed("host_access", "hostPorts", "hostPath"),
    _listed("capabilities", "CHOWN", "KILL"),
    _restriction(
        "container_resources",
        {"max": {"memory": "4Gi"}},
        {"max": {"memory": "2Gi"}, "required": ["requests.cpu"]},
        Shown(rule("container_resources.max"), "memory=4Gi", "memory=2Gi"),
    ),
    _restriction(
        "workload_metadata",
        {"required_labels": {"team": ""}},
        {"required_labels": {"team": "blue"}},
        Shown(rule("workload_metadata.required_labels"), "team", "team=blue"),
    ),
    _restriction("replicas", {"max": 20}, {"max": 30}, Shown(rule("replicas.max"), "20", "30")),
    _restriction(
        "load_balancers",
        {"source_ranges": ["10.0.0.0/24"]},
        {"source_ranges": ["2001:db8::/32"]},
        Shown(
            rule("load_balancers.source_ranges"),
            "10.0.0.0/24 24 167772160 167772415",
            f"2001:db8::/32 32 20010db8{'0' * 24} 20010db8{'f' * 24}",
        ),
    ),
    _restriction(
        "api_kinds",
        {"deny": ["secrets"]},
        {"deny": ["*.cert-manager.io"]},
        Shown(rule("api_kinds.deny"), "secrets", "*.cert-manager.io"),
    ),
    _of_project("labels", {"team": "blue"}, {"team": "red"}, Shown(label("team"), "blue", "red")),
    _of_project(
        "annotations",
        {"example.org/contact": "bob"},
        {"example.org/contact": "anna"},
        Shown(annotation("example.org/contact"), "bob", "anna"),
    ),
    _of_project("quota", {"pods": "7"}, {"pods": "9"}, Shown(quota("pods"), "7", "9")),
)

# With the preset `isolated`, which opens nothing: beside `isolation` they would meet.
NETWORK = (
    _of_tenant(
        "network",
        [_rule("egress", "192.0.2.0/24", port=443)],
        [_rule("egress", "192.0.2.0/25", port=8000, end_port=8010, protocol="UDP")],
        Shown(
            policy(_RULES, "egress"),
            [_passes("to", "192.0.2.0/24", **_WEB)],
            [_passes("to", "192.0.2.0/25", **_RANGE)],
        ),
    ),
    _of_project(
        "network",
        [{"direction": "ingress", "peers": [{"namespace_labels": {"team": "edge"}}]}],
        [{"direction": "ingress", "peers": [{"pod_labels": {"app": "web"}}]}],
        Shown(
            policy(_RULES, "ingress"),
            [{"from": [{"namespaceSelector": {"matchLabels": {"team": "edge"}}}]}],
            [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}],
        ),
    ),
    _restriction(
        "network",
        {"egress_cidrs": ["192.0.2.0/24"]},
        {"egress_cidrs": ["192.0.0.0/16"]},
        Shown(
            rule("network.egress_cidrs"),
            "192.0.2.0/24 24 3221225984 3221226239",
            "192.0.0.0/16 16 3221225472 3221291007",
        ),
    ),
)

# What no single look at a cluster shows, and what does show it.
ELSEWHERE: Mapping[str, str] = {
    "tenant.name": "the names of all that is read here",
    "tenant.description": "for people alone",
    "tenant.repair_mode": "tests/live/test_drift.py",
    "tenant.placement": "the last test of test_fields.py",
    "tenant.quota_floors": "tests/live/test_quota.py",
    "tenant.quota_division": "tests/live/test_quota.py",
    "tenant.restrictions.namespaces": "tests/tenancy/test_namespaces.py: refused beforehand",
    "tenant.restrictions.freeze": "tests/delivery/test_freezing.py: no cluster is told of it",
    "tenant.restrictions.cel": "tests/live/test_celrules.py: it takes a publication",
    "project.name": "the namespace that all is read in",
    "project.description": "for people alone",
    "project.weight": "tests/live/test_quota.py",
}
