"""What people run on a cluster, for simulations to find."""

from clusters.kinds import DEPLOYMENT, POD, REPLICA_SET, SERVICE
from reconcile.values import JSON, Kind, Ref
from tests.fleet import Fleet

HUB = {"image_registries": {"deny": ["docker.io"]}}


def containers(image: str) -> JSON:
    """What a pod is made by."""
    return {"containers": [{"name": "main", "image": image}]}


def put(
    fleet: Fleet,
    kind: Kind,
    name: str,
    spec: JSON,
    *,
    namespace: str = "acme--shop",
    cluster: str = "prod-a",
    **meta: object,
) -> Ref:
    """Have somebody make an object behind KubeNova's back."""
    ref = Ref(kind, namespace, name)
    metadata = {"name": name, "namespace": namespace, **meta}
    body = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, "spec": spec}
    fleet[cluster].apply_as("kubectl", ref, body)
    return ref


def deployment(fleet: Fleet, name: str, image: str, **where: str) -> Ref:
    """A Deployment."""
    return put(fleet, DEPLOYMENT, name, {"template": {"spec": containers(image)}}, **where)


def service(fleet: Fleet, name: str, sort: str, **where: str) -> Ref:
    """A Service of a type."""
    return put(fleet, SERVICE, name, {"type": sort, "ports": [{"port": 80}]}, **where)


def owned(kind: str, name: str, api_version: str = "apps/v1") -> list[JSON]:
    """The owner of an object, that controls it."""
    return [
        {"apiVersion": api_version, "kind": kind, "name": name, "uid": "u-1", "controller": True}
    ]


__all__ = ["HUB", "POD", "REPLICA_SET", "containers", "deployment", "owned", "put", "service"]
