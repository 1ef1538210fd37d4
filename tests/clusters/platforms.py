"""Puts platforms onto clusters in memory, well and badly set up."""

from clusters.adapters.capsule import CAPSULE_CONFIGURATION, TENANT_KIND, TENANT_OWNER
from clusters.adapters.kubevela import APPLICATION, WORKFLOW_RUN
from clusters.intents import USERNAME
from clusters.kinds import DEPLOYMENT, MUTATING_WEBHOOKS, NAMESPACE, VALIDATING_WEBHOOKS
from reconcile.values import JSON, Kind, Ref
from tests.memory_cluster import MemoryCluster

APPLICATIONS, WORKFLOW_RUNS = APPLICATION, WORKFLOW_RUN
VELA_KINDS = (
    APPLICATIONS,
    Kind("core.oam.dev/v1beta1", "ApplicationRevision", "applicationrevisions"),
    Kind("core.oam.dev/v1beta1", "ComponentDefinition", "componentdefinitions"),
    Kind("core.oam.dev/v1beta1", "ResourceTracker", "resourcetrackers", namespaced=False),
)
CONFIGURATION = Ref(CAPSULE_CONFIGURATION, "", "default")
VALIDATING = Ref(VALIDATING_WEBHOOKS, "", "capsule-validating-webhook-configuration")
MUTATING = Ref(MUTATING_WEBHOOKS, "", "capsule-mutating-webhook-configuration")
VELA_HOOK = Ref(MUTATING_WEBHOOKS, "", "kubevela-vela-core-admission")


def put(live: MemoryCluster, ref: Ref, labels: dict[str, str] | None = None, **body: object) -> Ref:
    """Have a foreigner apply an object, its namespace before it."""
    if ref.namespace:
        put(live, Ref(NAMESPACE, "", ref.namespace))
    meta: JSON = {"name": ref.name, "labels": labels or {}}
    if ref.namespace:
        meta["namespace"] = ref.namespace
    manifest = {"apiVersion": ref.kind.api_version, "kind": ref.kind.name, "metadata": meta, **body}
    live.apply_as("helm", ref, manifest, force=True)
    return ref


def run(
    live: MemoryCluster,
    name: str,
    version: str,
    *,
    space: str = "capsule-system",
    **container: object,
) -> Ref:
    """Run a controller, one pod of one."""
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/version": version}
    pod = {
        "containers": [{"name": "manager", "image": f"example.org/{name}:{version}", **container}]
    }
    ref = put(
        live,
        Ref(DEPLOYMENT, space, name),
        labels,
        spec={"replicas": 1, "template": {"spec": pod}},
    )
    live.set_status(ref, {"availableReplicas": 1})
    return ref


def hook(live: MemoryCluster, ref: Ref, policy: str = "Fail", resource: str = "namespaces") -> None:
    """Have a platform's webhook look at a resource."""
    rules = [
        {"resources": [resource], "operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"]}
    ]
    put(
        live, ref, webhooks=[{"name": "guard.example.org", "failurePolicy": policy, "rules": rules}]
    )


def capsule(live: MemoryCluster, version: str = "0.14.0", *, administrator: str = USERNAME) -> None:
    """Install Capsule as it should be."""
    for kind in (TENANT_KIND, TENANT_OWNER, CAPSULE_CONFIGURATION):
        live.serve(kind)
    run(live, "capsule", version)
    entries = [{"kind": "ServiceAccount", "name": administrator}]
    put(live, CONFIGURATION, spec={"administrators": entries})
    hook(live, VALIDATING)
    hook(live, MUTATING)


def kubevela(live: MemoryCluster, *arguments: str) -> None:
    """Install KubeVela with these arguments."""
    for kind in VELA_KINDS:
        live.serve(kind)
    run(live, "vela-core", "1.10.3", space="vela-system", args=list(arguments))
