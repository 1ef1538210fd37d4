"""Tenancy on Capsule (capsule.clastix.io/v1beta2): its Tenant, its owners, what it replicates.

What Capsule can enforce is in its Tenant, and so holds in namespaces that owners make themselves.
The namespaces of projects carry KubeNova's own objects as well (`capsule_projects`).
"""

from collections.abc import Mapping, Sequence

from clusters.adapters.capsule import (
    GLOBAL_TENANT_RESOURCE,
    OWNED_LABEL,
    TENANT_KIND,
    TENANT_LABEL,
    TENANT_OWNER,
)
from clusters.intents import TENANT_ADMIN
from reconcile.values import JSON, TENANT, Assessment, Health, Kind, Live, Ref, digest
from tenancy.adapters.capsule_health import assessed
from tenancy.adapters.capsule_rules import rules, spec_fields
from tenancy.adapters.native import limit_ranges
from tenancy.adapters.networks import policies
from tenancy.adapters.objects import manifest
from tenancy.intents import ProjectIntent, TenantIntent

_RBAC = "rbac.authorization.k8s.io"
_NAMED = "kubernetes.io/metadata.name"  # Capsule writes it on each Tenant
_RESYNC = "60s"
_DIGITS = 12


class CapsuleTenants:
    """A tenant is Capsule's Tenant with a TenantOwner for each owner.

    Nobody is an owner in the Tenant itself: Capsule would bind Kubernetes' own `admin`, and only a
    TenantOwner may make namespaces and is let in by capsule-proxy.
    """

    name = "tenancy.capsule"
    kinds: Sequence[Kind] = (TENANT_KIND, TENANT_OWNER, GLOBAL_TENANT_RESOURCE)

    def render(self, intent: TenantIntent) -> list[JSON]:
        """The Tenant first: owners and what is replicated belong to one that is there."""
        return [_tenant(intent), *_owners(intent), *_replicated(intent)]

    def assess(self, intent: TenantIntent, seen: Mapping[Ref, Live]) -> Assessment:
        """Ready when Capsule has taken up this very tenant and knows each of its owners."""
        live = seen.get(Ref(TENANT_KIND, "", intent.name))
        if live is None:
            return Assessment(Health.PROGRESSING, "TenantMissing", "The tenant is not there yet.")
        replicated = (each for ref, each in seen.items() if ref.kind == GLOBAL_TENANT_RESOURCE)
        return assessed(live, _subjects(intent), tuple(replicated), cordoned=intent.cordoned)

    def unlocked(self, live: Live) -> JSON | None:
        """What has to be applied before the object can be deleted; None where nothing has to."""
        spec = live.body.get("spec") or {}
        if live.ref.kind != TENANT_KIND or not spec.get("preventDeletion"):
            return None
        return manifest(TENANT_KIND, live.ref.name, spec={"preventDeletion": False})


def _tenant(intent: TenantIntent) -> JSON:
    spec: JSON = {
        "cordoned": intent.cordoned,
        "preventDeletion": intent.protected,
        "forceTenantPrefix": True,
        **spec_fields(intent),
    }
    if found := [*rules(intent)]:
        spec["rules"] = found
    if bound := _role_bindings(intent):
        spec["additionalRoleBindings"] = bound
    if "replication" not in intent.features:
        spec |= _in_tenant(intent)
    labels = {**intent.labels, TENANT: intent.name}
    return manifest(
        TENANT_KIND, intent.name, labels=labels, annotations=intent.annotations, spec=spec
    )


# --- People.


def _subjects(intent: TenantIntent) -> list[tuple[str, str]]:
    """Kind and name of every owner, as Capsule spells them."""
    others = ((each["kind"], _name(each)) for each in intent.owner_subjects)
    return sorted({*(("User", name) for name in intent.owners), *others})


def _name(subject: Mapping[str, str]) -> str:
    if subject["kind"] == "ServiceAccount":
        return f"system:serviceaccount:{subject['namespace']}:{subject['name']}"
    return subject["name"]


def _owners(intent: TenantIntent) -> list[JSON]:
    """One for each owner of this tenant, also where the same person owns another."""
    return [
        manifest(
            TENANT_OWNER,
            f"{intent.name}--{digest([kind, name])[:_DIGITS]}",
            labels={OWNED_LABEL: intent.name, TENANT: intent.name},
            spec={"kind": kind, "name": name, "clusterRoles": [TENANT_ADMIN], "aggregate": True},
        )
        for kind, name in _subjects(intent)
    ]


def _role_bindings(intent: TenantIntent) -> list[JSON]:
    return [
        {
            "clusterRoleName": f"kubenova:{each['role']}",
            "subjects": [_subject(subject) for subject in each["subjects"]],
        }
        for each in intent.role_bindings
        if each["subjects"]
    ]


def _subject(subject: Mapping[str, str]) -> JSON:
    if subject["kind"] == "ServiceAccount":
        return {
            "kind": "ServiceAccount",
            "name": subject["name"],
            "namespace": subject["namespace"],
        }
    return {"kind": subject["kind"], "apiGroup": _RBAC, "name": subject["name"]}


# --- What every namespace of the tenant gets.


def _replicated(intent: TenantIntent) -> list[JSON]:
    items = [_item(body) for body in _in_each(intent)]
    if not items or "replication" not in intent.features:
        return []
    spec = {
        "tenantSelector": {"matchLabels": {_NAMED: intent.name}},
        "scope": "Namespace",
        "resyncPeriod": _RESYNC,
        "pruningOnDelete": True,
        "resources": [{"rawItems": items}],
    }
    labels = {TENANT: intent.name}
    return [manifest(GLOBAL_TENANT_RESOURCE, f"kubenova-{intent.name}", labels=labels, spec=spec)]


def _item(body: JSON) -> JSON:
    """Under a name of its own: the namespaces of projects have the like from KubeNova itself."""
    name = body["metadata"]["name"].removeprefix("kubenova").removeprefix("-")
    meta = {"name": f"kubenova-tenant-{name}".rstrip("-")}
    return {
        "apiVersion": body["apiVersion"],
        "kind": body["kind"],
        "metadata": meta,
        "spec": body["spec"],
    }


def _in_tenant(intent: TenantIntent) -> JSON:
    """The fields of a Tenant that has no replication beside it."""
    found: dict[str, list[JSON]] = {}
    for body in _in_each(intent):
        field = {"NetworkPolicy": "networkPolicies", "LimitRange": "limitRanges"}[body["kind"]]
        found.setdefault(field, []).append(body["spec"])
    return {field: {"items": items} for field, items in found.items()}


def _in_each(intent: TenantIntent) -> list[JSON]:
    """The network policies and limits of a namespace that no project is behind."""
    anywhere = ProjectIntent(
        tenant=intent.name,
        name="",
        namespace="",
        limits=intent.limits,
        isolation=intent.isolation,
        network=intent.network,
        restrictions=intent.restrictions,
    )
    return [_by_capsule(body, intent) for body in (*policies(anywhere), *limit_ranges(anywhere))]


def _by_capsule(value: JSON, intent: TenantIntent) -> JSON:
    """Namespaces that owners make have Capsule's label of the tenant, and only that one."""
    for rule in [*value["spec"].get("ingress", []), *value["spec"].get("egress", [])]:
        for peer in [*rule.get("from", []), *rule.get("to", [])]:
            selector = peer.get("namespaceSelector", {})
            if selector.get("matchLabels") == {TENANT: intent.name}:
                peer["namespaceSelector"] = {"matchLabels": {TENANT_LABEL: intent.name}}
    return value
