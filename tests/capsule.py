"""Plays Capsule on a cluster in memory: installed in any state, and its controller at work.

    install(fleet["prod-a"])                          # 0.14, KubeNova among its administrators
    install(live, version="0.12.0", administrators=())
    act(live)                                         # one round of its controller

What a real Capsule was seen to do is in `tests/live/platforms.py`; this one is in step with it.
"""

from collections.abc import Iterable

from clusters.adapters.capsule import (
    CAPSULE_CONFIGURATION,
    GLOBAL_TENANT_RESOURCE,
    OWNED_LABEL,
    TENANT_KIND,
    TENANT_LABEL,
    TENANT_OWNER,
)
from clusters.intents import USERNAME
from clusters.kinds import (
    CUSTOM_RESOURCE_DEFINITION,
    DEPLOYMENT,
    MUTATING_WEBHOOKS,
    NAMESPACE,
    VALIDATING_WEBHOOKS,
)
from reconcile.values import JSON, Kind, Ref
from tests.memory_cluster import MemoryCluster

KINDS = (TENANT_KIND, TENANT_OWNER, GLOBAL_TENANT_RESOURCE, CAPSULE_CONFIGURATION)
KUBENOVA = ("ServiceAccount", USERNAME)
RULES = ("ingress", "metadata", "services", "workloads")
_HOOKS = (MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS)


def fields(**inner: JSON) -> JSON:
    """The schema of an object with these fields."""
    return {"type": "object", "properties": inner}


def listed(items: JSON) -> JSON:
    """The schema of a list."""
    return {"type": "array", "items": items}


TEXT: JSON = {"type": "string"}
ENFORCED = {
    "ingress": fields(hostnames=listed(fields(exp=TEXT))),
    "metadata": listed(fields(kinds=listed(TEXT))),
    "services": fields(types=listed(TEXT)),
    "workloads": fields(registries=listed(fields(exp=TEXT))),
}


def schema(rules: Iterable[str] = RULES, *, quota: bool = True) -> JSON:
    """The schema of a Tenant's spec, as far as anybody reads it."""
    enforce = fields(**{name: ENFORCED[name] for name in rules})
    rule = fields(enforce=enforce, **({"quota": listed(fields(name=TEXT))} if quota else {}))
    return fields(owners=listed(fields(name=TEXT)), rules=listed(rule))


def put(live: MemoryCluster, kind: Kind, name: str, namespace: str = "", **body: object) -> None:
    """Apply an object as whoever installs Capsule."""
    meta: JSON = {"name": name, **({"namespace": namespace} if namespace else {})}
    meta |= {"labels": body.pop("labels")} if "labels" in body else {}
    manifest = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": meta, **body}
    live.apply_as("helm", Ref(kind, namespace, name), manifest, force=True)


def install(
    live: MemoryCluster,
    *,
    version: str = "0.14.0",
    administrators: Iterable[tuple[str, str]] | None = (KUBENOVA,),
    policy: str = "Fail",
    kinds: Iterable[Kind] = KINDS,
    tenant: JSON | None = None,
) -> None:
    """Install Capsule; `administrators` None leaves its configuration away, "" its webhooks."""
    for kind in kinds:
        live.serve(kind)
    put(live, NAMESPACE, "capsule-system")
    labels = {"app.kubernetes.io/name": "capsule", "app.kubernetes.io/version": version}
    put(live, DEPLOYMENT, "capsule-controller-manager", "capsule-system", labels=labels, spec={})
    versions = [
        {"name": "v1beta1", "served": True},
        {"name": "v1beta2", "schema": {"openAPIV3Schema": fields(spec=tenant or schema())}},
    ]
    name = f"tenants.{TENANT_KIND.group}"
    put(live, CUSTOM_RESOURCE_DEFINITION, name, spec={"versions": versions})
    if administrators is not None and CAPSULE_CONFIGURATION in kinds:
        entries = [{"kind": kind, "name": name} for kind, name in administrators]
        put(live, CAPSULE_CONFIGURATION, "default", spec={"administrators": entries})
    if policy:
        webhooks(live, policy)


def webhooks(live: MemoryCluster, policy: str, resources: Iterable[str] = ("namespaces",)) -> None:
    """Register Capsule's webhooks, which look at `resources`."""
    hook = {"name": "namespaces.projectcapsule.dev", "rules": [{"resources": [*resources]}]}
    for kind, word in zip(_HOOKS, ("mutating", "validating"), strict=True):
        name = f"capsule-{word}-webhook-configuration"
        put(live, kind, name, webhooks=[{**hook, "failurePolicy": policy}])


# --- Its controller.


def act(live: MemoryCluster) -> None:
    """One round: resolve owners, take namespaces in, report on tenants and what is replicated."""
    for ref in live.refs(TENANT_KIND):
        if "spec" in live.body(ref):  # the laws have strangers make some without
            _report(live, ref)
    for ref in live.refs(NAMESPACE):
        _adopt(live, ref)
    for ref in live.refs(GLOBAL_TENANT_RESOURCE):
        if "spec" not in live.body(ref):
            continue
        live.set_status(ref, {"conditions": [condition("Ready")]}, "capsule")


def condition(kind: str, status: str = "True", message: str = "reconciled") -> JSON:
    """A condition as Capsule writes it."""
    return {"type": kind, "status": status, "reason": "Succeeded", "message": message}


def _report(live: MemoryCluster, ref: Ref) -> None:
    body = live.body(ref)
    cordoned = bool(body.get("spec", {}).get("cordoned"))
    owners = [
        {"kind": spec["kind"], "name": spec["name"], "clusterRoles": spec["clusterRoles"]}
        for spec, labels in _owners(live)
        if spec and labels.get(OWNED_LABEL) == ref.name
    ]
    status = {
        "state": "Cordoned" if cordoned else "Active",
        "size": sum(_tenant_of(live, each) == ref.name for each in live.refs(NAMESPACE)),
        "observedGeneration": body["metadata"]["generation"],
        "owners": owners,
        "conditions": [condition("Ready"), condition("Cordoned", str(cordoned))],
    }
    live.set_status(ref, status, "capsule")


def _owners(live: MemoryCluster) -> list[tuple[JSON, JSON]]:
    bodies = [live.body(ref) for ref in live.refs(TENANT_OWNER)]
    return [(body.get("spec"), body["metadata"].get("labels") or {}) for body in bodies]


def _tenant_of(live: MemoryCluster, ref: Ref) -> str:
    return (live.body(ref)["metadata"].get("labels") or {}).get(TENANT_LABEL, "")


def _adopt(live: MemoryCluster, ref: Ref) -> None:
    tenant = Ref(TENANT_KIND, "", _tenant_of(live, ref))
    if not tenant.name or not live.exists(tenant):
        return
    owner = {
        "apiVersion": TENANT_KIND.api_version,
        "kind": TENANT_KIND.name,
        "name": tenant.name,
        "uid": live.body(tenant)["metadata"]["uid"],
    }
    if live.body(ref)["metadata"].get("ownerReferences") != [owner]:
        live.edit(ref, "capsule", lambda body: body["metadata"].update(ownerReferences=[owner]))
