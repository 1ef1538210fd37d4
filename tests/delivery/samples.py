"""Small apps for the tests of delivery, and what an API server makes of their Deployments."""

from delivery.adapters.native import DEPLOYMENT
from delivery.intents import AppIntent, Component
from reconcile.values import JSON, Live, Ref

NAMESPACE = "acme--shop"


def component(name: str = "web", type_: str = "webservice", **properties: object) -> JSON:
    """A component as people declare it."""
    return {"name": name, "type": type_, "properties": {"image": "nginx:1.27", **properties}}


def with_traits(declared: JSON, **traits: JSON) -> JSON:
    """The component with traits, by their types."""
    listed = [{"type": type_, "properties": properties} for type_, properties in traits.items()]
    return {**declared, "traits": listed}


def intent(*declared: JSON, **rest: object) -> AppIntent:
    """The app `web` of project `shop`, tenant `acme`, with these components."""
    components = tuple(Component.of(each) for each in declared or (component(),))
    known = {"tenant": "acme", "project": "shop", "name": "site", "namespace": NAMESPACE}
    return AppIntent(**{**known, "revision": 3, "components": components, **rest})


def deployment(name: str = "web", generation: int = 2, **status: object) -> dict[Ref, Live]:
    """The Deployment as it was seen, with this status."""
    ref = Ref(DEPLOYMENT, NAMESPACE, name)
    meta = {"name": name, "namespace": NAMESPACE, "uid": "u1", "generation": generation}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "status": status}
    return {ref: Live(ref, body)}


def counted(replicas: int, updated: int | None = None, available: int | None = None) -> JSON:
    """The status of a Deployment of the current generation with so many pods."""
    return {
        "observedGeneration": 2,
        "replicas": replicas,
        "updatedReplicas": replicas if updated is None else updated,
        "availableReplicas": replicas if available is None else available,
    }
