"""Pods and what they wrote, on the clusters in memory."""

from clusters.kinds import POD
from delivery.adapters.native_pods import COMPONENT
from reconcile.values import APP, Ref
from tests.memory_cluster import MemoryCluster

NAMESPACE = "acme--shop"


def pod(cluster: MemoryCluster, name: str, *lines: str, age: int = 0, **labels: str) -> Ref:
    """A pod of `web` of the app `site`, `age` minutes old, that wrote these lines."""
    ref = Ref(POD, NAMESPACE, name)
    marks = {APP: "site", COMPONENT: "web"} | {
        {"app": APP, "component": COMPONENT}[key]: value for key, value in labels.items()
    }
    meta = {"name": name, "namespace": NAMESPACE, "labels": marks}
    spec = {"containers": [{"name": "web", "image": "nginx:1.27"}]}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
    cluster.apply_as("kube-controller-manager", ref, body)
    made = f"2026-01-01T10:{59 - age:02}:00Z"
    cluster.edit(ref, "test", lambda live: live["metadata"].update(creationTimestamp=made))
    cluster.logs[ref] = list(lines)
    return ref
