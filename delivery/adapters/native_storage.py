"""What components store: claims and ConfigMaps of the trait `storage`. Pure."""

from collections.abc import Iterator

from clusters.kinds import CONFIG_MAP, PERSISTENT_VOLUME_CLAIM
from delivery.adapters.native_pods import meta_of
from delivery.intents import AppIntent, Component
from reconcile.values import JSON

_SIZE: JSON = {"requests": {"storage": "8Gi"}}


def config_maps_of(intent: AppIntent, component: Component) -> Iterator[JSON]:
    """Yield the ConfigMaps that a component brings along."""
    for item in component.traits.get("storage", {}).get("configMap", ()):
        if not item.get("mountOnly"):
            yield {
                "apiVersion": CONFIG_MAP.api_version,
                "kind": CONFIG_MAP.name,
                "metadata": meta_of(intent, component, item["name"]),
                "data": dict(item.get("data", {})),
            }


def claims_of(intent: AppIntent, component: Component) -> Iterator[JSON]:
    """Yield the claims that a component brings along; they go with it, and so does their data."""
    for item in component.traits.get("storage", {}).get("pvc", ()):
        if item.get("mountOnly"):
            continue
        spec = {
            "accessModes": item.get("accessModes", ["ReadWriteOnce"]),
            "volumeMode": "Filesystem",
            "resources": item.get("resources", _SIZE),
        }
        if "storageClassName" in item:
            spec["storageClassName"] = item["storageClassName"]
        yield {
            "apiVersion": PERSISTENT_VOLUME_CLAIM.api_version,
            "kind": PERSISTENT_VOLUME_CLAIM.name,
            "metadata": meta_of(intent, component, item["name"]),
            "spec": spec,
        }
