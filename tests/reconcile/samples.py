"""Small objects for the tests of the engine: kinds, manifests and what a server makes of them."""

import copy

from reconcile.values import JSON, MANAGED_BY, MANAGER, OWNER, Kind, Live, Recorded, Ref, Wanted

CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False)
SECRET = Kind("v1", "Secret", "secrets")
KINDS = (NAMESPACE, CONFIG_MAP, SECRET, DEPLOYMENT)
OWNED = {MANAGED_BY: MANAGER, OWNER: "tests.row.1"}


def manifest(kind: Kind, name: str, namespace: str = "shop", **rest: object) -> JSON:
    """A manifest as an adapter renders it."""
    meta = {"name": name, "namespace": namespace} if kind.namespaced else {"name": name}
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": meta, **rest}


def config_map(name: str = "rules", **data: str) -> JSON:
    """A ConfigMap in namespace `shop`."""
    return manifest(CONFIG_MAP, name, data=data)


def namespace(name: str = "shop") -> JSON:
    """A namespace."""
    return manifest(NAMESPACE, name)


def wanted(body: JSON) -> Wanted:
    """What a plan compares with."""
    return Wanted.of(body, KINDS)


def live(body: JSON, uid: str = "u1", *, labels: JSON = OWNED, **meta: object) -> Live:
    """The object as a server would return it, ours unless told otherwise."""
    found = copy.deepcopy(body)
    found["metadata"] |= {"uid": uid, "resourceVersion": "7", "labels": dict(labels), **meta}
    return Live(wanted(body).ref, found)


def recorded(of: Live, body: JSON, correlation_id: str = "before") -> Recorded:
    """What was remembered when `of` was the answer to applying `body`."""
    return Recorded(of.ref, of.uid, wanted(body).hash, of.fp, correlation_id)


def at_rest(body: JSON) -> tuple[dict[Ref, Live], dict[Ref, Recorded]]:
    """What is seen and what is recorded of an object that equals its manifest."""
    found = live(body)
    return {found.ref: found}, {found.ref: recorded(found, body)}
