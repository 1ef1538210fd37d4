"""Looks at the platforms on a cluster: installed, which version, set up for KubeNova? Only reads.

What is not served has a reason that names the fix. Shapes are those of Capsule's
`capsule.clastix.io/v1beta2`, `apiextensions.k8s.io/v1` and `admissionregistration.k8s.io/v1`.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from clusters.adapters.capsule import (
    CAPSULE_CONFIGURATION,
    GLOBAL_TENANT_RESOURCE,
    TENANT_KIND,
    TENANT_OWNER,
)
from clusters.adapters.kubevela import APPLICATION, WORKFLOW_RUN
from clusters.discovery import Served
from clusters.intents import USERNAME
from clusters.kinds import (
    CUSTOM_RESOURCE_DEFINITION,
    DEPLOYMENT,
    MUTATING_WEBHOOKS,
    VALIDATING_WEBHOOKS,
)
from clusters.reachable import Reachable
from reconcile.errors import Forbidden
from reconcile.values import JSON, Kind, Live, Ref

OLDEST_CAPSULE = (0, 13, 8)
CAPSULE = "tenancy.capsule"
INSTALLED = f"{CAPSULE}.installed"
KUBEVELA = "delivery.kubevela"
KUBEVELA_INSTALLED = f"{KUBEVELA}.installed"
# Without one of these, KubeVela's controller does not come up.
_KUBEVELA_NEEDS = ("applicationrevisions", "componentdefinitions", "resourcetrackers")
_AUTHENTICATES = "AuthenticateApplication=true"
_TENANTS = Ref(CUSTOM_RESOURCE_DEFINITION, "", "tenants.capsule.clastix.io")
_VERSION = re.compile(r"v?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?")
_MOST_CONFIGURATIONS = 10
_KEEPERS = frozenset({"*", "*/*", "namespaces"})  # who does not look at these keeps nobody apart
# What later versions of Capsule brought, by where its Tenant has it; before, there are others.
_FEATURES = {
    "ingress-rules": ("rules", "enforce", "ingress", "hostnames"),
    "metadata-rules": ("rules", "enforce", "metadata"),
    "quota-rules": ("rules", "quota"),
    "registries": ("rules", "enforce", "workloads", "registries"),
    "services": ("rules", "enforce", "services", "types"),
}
_WEBHOOKS = {
    "mutatingWebhookConfigurationName": (
        MUTATING_WEBHOOKS,
        "capsule-mutating-webhook-configuration",
    ),
    "validatingWebhookConfigurationName": (
        VALIDATING_WEBHOOKS,
        "capsule-validating-webhook-configuration",
    ),
}


class Ability(NamedTuple):
    """A capability as it was found; `reason` says why it is not served."""

    name: str
    served: bool
    version: str = ""
    reason: str = ""


def platforms(cluster: Reachable, served: Served) -> Iterator[Ability]:
    """Yield what each platform offers. Raises ClusterError when the cluster does not answer."""
    yield from _capsule(cluster, served)
    yield from _kubevela(cluster, served)
    yield from _engine(served)


def numbers(version: str) -> tuple[int, int, int]:
    """Return major, minor and patch of a version; zeros for what is none."""
    found = _VERSION.match(version)
    if not found:
        return (0, 0, 0)
    major, minor, patch = found.groups(default="0")
    return int(major), int(minor), int(patch)


# --- Capsule.


def _capsule(cluster: Reachable, served: Served) -> Iterator[Ability]:
    if not _serves(served, TENANT_KIND):
        yield Ability(CAPSULE, False, reason="Capsule is not installed.")
        return
    version = platform_version(cluster, "capsule")
    yield Ability(INSTALLED, True, version)
    fault = _fault_of_version(version) or _fault_of_setup(cluster, served)
    yield Ability(CAPSULE, not fault, version, fault)
    yield from _features(cluster, served, version)


def _fault_of_version(version: str) -> str:
    if not version:
        return "The version of Capsule cannot be seen."
    if numbers(version) < OLDEST_CAPSULE:
        return f"Capsule {version} has known holes: upgrade it to 0.13.8 or newer."
    return ""


def _fault_of_setup(cluster: Reachable, served: Served) -> str:
    for kind in (TENANT_OWNER, CAPSULE_CONFIGURATION):
        if not _serves(served, kind):
            return f"Capsule is half installed: its kind {kind.name} is not served."
    try:
        found = cluster.list_page(CAPSULE_CONFIGURATION, limit=_MOST_CONFIGURATIONS).items
        if not found:
            return "Capsule is half installed: it has no CapsuleConfiguration."
        faults = [_fault_of_administrators(live) or _no_webhooks(cluster, live) for live in found]
    except Forbidden:
        return (
            "KubeNova may not read how Capsule is set up: its baseline is older. Give the cluster "
            "a fresh credential of an administrator."
        )
    return "" if "" in faults else faults[0]


def _fault_of_administrators(configuration: Live) -> str:
    spec = _dict(configuration.body.get("spec"))
    ours = {"kind": "ServiceAccount", "name": USERNAME}
    if any(ours.items() <= each.items() for each in _dicts(spec.get("administrators"))):
        return ""
    path, value = "/spec/administrators", [ours]
    change: JSON = {"op": "add", "path": path, "value": value}
    if spec.get("administrators"):
        change = {"op": "add", "path": f"{path}/-", "value": ours}
    return (
        "KubeNova is no administrator of Capsule. Run: kubectl patch capsuleconfiguration "
        f"{configuration.ref.name} --type=json -p '{json.dumps([change], separators=(',', ':'))}'"
    )


def _no_webhooks(cluster: Reachable, configuration: Live) -> str:
    """Why Capsule does not guard what it should: a webhook is missing or may be passed by."""
    names = _dict(_dict(configuration.body.get("spec")).get("overrides"))
    for key, (kind, usual) in _WEBHOOKS.items():
        name = str(names.get(key) or usual)
        live = cluster.get(Ref(kind, "", name))
        hooks = _dicts(live.body.get("webhooks")) if live else []
        keepers = [each for each in hooks if _keeps(each)]
        if not keepers:
            return f"Capsule is half installed: the {kind.name} {name} guards no namespaces."
        passed = [str(each.get("name")) for each in keepers if each.get("failurePolicy") != "Fail"]
        if passed:
            return (
                f"Capsule's webhooks can be passed by: set failurePolicy to Fail for "
                f"{', '.join(sorted(passed)[:3])} in the {kind.name} {name}."
            )
    return ""


def _keeps(hook: JSON) -> bool:
    """Whether a webhook looks at what tenants are made of; the API server writes every default."""
    rules = _dicts(hook.get("rules"))
    return any(_KEEPERS & {str(name) for name in rule.get("resources") or ()} for rule in rules)


def _features(cluster: Reachable, served: Served, version: str) -> Iterator[Ability]:
    spec = _tenant_schema(cluster)
    for feature, path in _FEATURES.items():
        found = _has(spec, path)
        where = ".".join(("spec", *path))
        reason = "" if found else f"This Capsule has no {where}: its earlier fields are used."
        yield Ability(f"{CAPSULE}.{feature}", found, version, reason)
    replicates = _serves(served, GLOBAL_TENANT_RESOURCE)
    reason = "" if replicates else "This Capsule has no GlobalTenantResource."
    yield Ability(f"{CAPSULE}.replication", replicates, version, reason)


def _tenant_schema(cluster: Reachable) -> JSON:
    """The OpenAPI schema of a Tenant's spec as the cluster serves it; empty when it is not told."""
    try:
        live = cluster.get(_TENANTS)
    except Forbidden:
        return {}
    versions = _dicts(_dict(live.body.get("spec")).get("versions")) if live else []
    wanted = TENANT_KIND.api_version.rpartition("/")[2]
    found = next((each for each in versions if each.get("name") == wanted), {})
    schema = _dict(_dict(found.get("schema")).get("openAPIV3Schema"))
    return _dict(_dict(schema.get("properties")).get("spec"))


def _has(schema: JSON, path: tuple[str, ...]) -> bool:
    for name in path:
        properties = _dict(schema.get("properties") or _dict(schema.get("items")).get("properties"))
        if name not in properties:
            return False
        schema = _dict(properties[name])
    return True


# --- KubeVela.


def _kubevela(cluster: Reachable, served: Served) -> Iterator[Ability]:
    if not _serves(served, APPLICATION):
        yield Ability(KUBEVELA, False, reason="KubeVela is not installed.")
        return
    controllers = _controllers(cluster, "vela-core")
    version = _first_version(controllers)
    yield Ability(KUBEVELA_INSTALLED, True, version)
    authenticates = any(map(authenticating, controllers))
    off = "" if authenticates else "KubeVela runs an Application as the account that it names."
    yield Ability(f"{KUBEVELA}.authentication", authenticates, version, off)
    fault = _fault_of_kubevela(served, authenticates=authenticates)
    yield Ability(KUBEVELA, not fault, version, fault)


def _engine(served: Served) -> Iterator[Ability]:
    """KubeVela's engine for WorkflowRuns, which has a chart of its own and comes without the rest.

    Where neither is, nothing is said.
    """
    runs = _serves(served, WORKFLOW_RUN)
    if runs or _serves(served, APPLICATION):
        told = "" if runs else "WorkflowRun is not served."
        yield Ability("delivery.workflowrun", runs, "", told)


def _fault_of_kubevela(served: Served, *, authenticates: bool) -> str:
    lacking = [name for name in _KUBEVELA_NEEDS if (APPLICATION.api_version, name) not in served]
    if lacking:
        return f"KubeVela is half installed: it lacks {', '.join(lacking)}."
    if authenticates:
        return (
            "KubeVela's own authentication is on: it would run every app as KubeNova itself. Turn "
            "it off (authentication.enabled=false): KubeNova's policy guards Applications instead."
        )
    return ""


def authenticating(controller: Live) -> bool:
    """Whether KubeVela is told to run each Application as whoever has written it."""
    spec: object = controller.body.get("spec")
    for key in ("template", "spec", "containers"):
        spec = spec.get(key) if isinstance(spec, dict) else None
    arguments = (each.get("args") for each in _dicts(spec))
    found = [str(each) for args in arguments if isinstance(args, list) for each in args]
    return any(_AUTHENTICATES in each for each in found)


# --- Any.


def platform_version(cluster: Reachable, name: str) -> str:
    """The version that a controller's Deployment tells by label or image; empty when it does not.

    Whoever may not list Deployments learns nothing; that is no error of the cluster.
    """
    return _first_version(_controllers(cluster, name))


def _controllers(cluster: Reachable, name: str) -> list[Live]:
    try:
        return cluster.owned(DEPLOYMENT, {"app.kubernetes.io/name": name})
    except Forbidden:
        return []


def _first_version(controllers: Iterable[Live]) -> str:
    versions = (_told_version(live) for live in controllers)
    return next((version for version in versions if numbers(version) > (0, 0, 0)), "")


def _told_version(live: Live) -> str:
    labelled = live.labels.get("app.kubernetes.io/version", "")
    if labelled:
        return labelled[:63]
    try:
        image = live.body["spec"]["template"]["spec"]["containers"][0]["image"]
    except (KeyError, IndexError, TypeError):
        return ""
    return str(image).partition("@")[0].rpartition(":")[2][:63]


def _serves(served: Served, kind: Kind) -> bool:
    return (kind.api_version, kind.plural) in served


def _dict(value: object) -> JSON:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[JSON]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
