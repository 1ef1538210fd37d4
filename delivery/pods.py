"""The pods of a component on a cluster, found there and then by the labels of whoever made them."""

from clusters.kinds import POD
from clusters.reachable import Reachable
from delivery.adapters import NATIVE
from delivery.adapters.kubevela import application_name
from delivery.adapters.native_pods import COMPONENT
from delivery.models import AppPlacement
from reconcile.values import APP, Live

_VELA_APP = "app.oam.dev/name"
_VELA_COMPONENT = "app.oam.dev/component"


def labels_of(placement: AppPlacement, component: str = "") -> dict[str, str]:
    """Return the labels that mark the pods of an app, or of one of its components."""
    native = placement.adapter().name == NATIVE
    name = placement.app.name if native else application_name(placement.app.name)
    by_app, by_component = (APP, COMPONENT) if native else (_VELA_APP, _VELA_COMPONENT)
    return {by_app: name} | ({by_component: component} if component else {})


def pods_of(cluster: Reachable, placement: AppPlacement, component: str) -> list[Live]:
    """Return the pods of a component, the newest first. Raises ClusterError."""
    labels = labels_of(placement, component)
    found = cluster.owned(POD, labels, namespace=placement.namespace)
    by_name = sorted(found, key=lambda live: live.ref.name)
    return sorted(by_name, key=_made, reverse=True)


def _made(live: Live) -> str:
    return str(live.body["metadata"].get("creationTimestamp", ""))
