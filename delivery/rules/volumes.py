"""The volumes of a component: what its properties and traits mount, wherever they say so. Pure.

Names of volumes are those that KubeVela's definitions make, so that sidecars find them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from delivery.intents import Component
from delivery.rules.schema import Path
from reconcile.values import JSON

_SOURCES = {
    "pvc": ("persistentVolumeClaim", "claimName", "claimName"),
    "configMap": ("configMap", "cmName", "name"),
    "secret": ("secret", "secretName", "secretName"),
}
_FILES = ("defaultMode", "items")
WORKDIR = "workdir"  # the volume of an init container that names none


@dataclass(frozen=True)
class Volume:
    """A volume with a place in the component's container.

    `source` is as in a pod's volume. `where` leads from the component to its declaration.
    """

    name: str
    mount_path: str
    source: JSON = field(default_factory=dict)
    sub_path: str = ""
    read_only: bool = False
    where: Path = ()

    @property
    def mount(self) -> JSON:
        """The mount in the component's container."""
        mount: JSON = {"name": self.name, "mountPath": self.mount_path}
        if self.sub_path:
            mount["subPath"] = self.sub_path
        return mount | ({"readOnly": True} if self.read_only else {})


def volumes_of(component: Component) -> tuple[Volume, ...]:
    """Return the volumes of a component in order: properties, storage, then the init container's.

    A name comes twice where one volume is mounted in several places.
    """
    found = [*_declared(component.properties), *_stored(component.traits.get("storage", {}))]
    if init := component.traits.get("init-container"):
        name = init.get("mountName", WORKDIR)
        where = ("traits", "init-container", "properties", "appMountPath")
        found.append(Volume(name, init["appMountPath"], {"emptyDir": {}}, where=where))
    return tuple(found)


def _declared(properties: JSON) -> Iterator[Volume]:
    for kind, mounts in properties.get("volumeMounts", {}).items():
        for index, item in enumerate(mounts):
            yield _volume(item, kind, item["name"], ("properties", "volumeMounts", kind, index))
    for index, item in enumerate(properties.get("volumes", ())):
        yield _volume(item, item["type"], item["name"], ("properties", "volumes", index))


def _volume(item: JSON, kind: str, name: str, where: Path) -> Volume:
    sub_path, read_only = item.get("subPath", ""), bool(item.get("readOnly"))
    return Volume(name, item["mountPath"], _source(item, kind), sub_path, read_only, where)


def _source(item: JSON, kind: str, key: str = "") -> JSON:
    """What a volume consists of; `key` names the property that names its object."""
    if kind == "emptyDir":
        medium = item.get("medium")
        return {"emptyDir": {"medium": medium} if medium else {}}
    field_, declared, named = _SOURCES[kind]
    files = {key: item[key] for key in _FILES if key in item}
    return {field_: {named: item[key or declared], **files}}


def _stored(storage: JSON) -> Iterator[Volume]:
    """The volumes of the trait: without a place of its own an object is only read as variables."""
    for kind, items in storage.items():
        for index, item in enumerate(items):
            if "mountPath" not in item:
                continue
            where = ("traits", "storage", "properties", kind, index)
            source, name = _source(item, kind, "name"), f"{kind.lower()}-{item['name']}"
            place = (item["mountPath"], source, item.get("subPath", ""))
            yield Volume(name, *place, bool(item.get("readOnly")), where)


def made_by(component: Component) -> Iterator[tuple[str, str, Path]]:
    """Yield the kind, name and place of each object that the trait `storage` has made."""
    storage = component.traits.get("storage", {})
    for kind in ("pvc", "configMap"):
        for index, item in enumerate(storage.get(kind, ())):
            if not item.get("mountOnly"):
                where = ("traits", "storage", "properties", kind, index, "name")
                yield kind, item["name"], where
