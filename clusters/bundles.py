"""Reads an operator's bundle: rendered manifests as hostile text, in the order of their creation.

Namespaces go first, then definitions of custom resources, rights, all else, and webhooks last, so
that nothing waits for a webhook whose controller is not there yet. Pure.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml

from clusters.plainyaml import Bounds, Malformed, Value, load_all
from reconcile.values import JSON, MANAGED_BY, MANAGER, Kind, digest

MAX_BYTES = 1024 * 1024
MAX_OBJECTS = 1000
# Definitions of custom resources nest deeply and hold much.
_BOUNDS = Bounds(depth=100, nodes=400_000, documents=2000)
_API_VERSION = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?v[0-9a-z]{1,20}")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}")
_SYSTEM = frozenset({"kube-system", "kube-public", "kube-node-lease"})
_OURS = ("kubenova-", "kubenova:")
_OUR_KEYS = "kubenova.io/"
ABSENT = "kubenova.io/absent"  # annotation of what a bundle takes away; KubeNova alone may say so
_HOOK = "helm.sh/hook"


class Wave(StrEnum):
    """What is created together, in this order."""

    NAMESPACES = "namespaces"
    DEFINITIONS = "definitions"
    RIGHTS = "rights"
    OBJECTS = "objects"
    WEBHOOKS = "webhooks"


_WAVES = {
    "Namespace": Wave.NAMESPACES,
    "CustomResourceDefinition": Wave.DEFINITIONS,
    **dict.fromkeys(("ServiceAccount", "ClusterRole", "ClusterRoleBinding"), Wave.RIGHTS),
    **dict.fromkeys(("Role", "RoleBinding"), Wave.RIGHTS),
    **dict.fromkeys(
        ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "APIService"),
        Wave.WEBHOOKS,
    ),
}


@dataclass(frozen=True)
class Item:
    """One object of a bundle. `namespace` is empty where it names none."""

    api_version: str
    kind: str
    namespace: str
    name: str
    body: JSON

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}"

    @property
    def key(self) -> str:
        """What tells it from every other object of the bundle, also of another group."""
        return f"{self.api_version} {self}"

    @property
    def absent(self) -> bool:
        """Whether it is not to be there."""
        return ABSENT in (self.body["metadata"].get("annotations") or {})

    @property
    def hash(self) -> str:
        """Changes with its content."""
        return digest(self.body)

    @property
    def wave(self) -> Wave:
        """When it is created."""
        return _WAVES.get(self.kind, Wave.OBJECTS)


@dataclass(frozen=True)
class Bundle:
    """Objects in the order of their creation; `skipped` are hooks that no installation runs."""

    items: tuple[Item, ...]
    skipped: tuple[str, ...] = ()

    def wave(self, wave: Wave) -> tuple[Item, ...]:
        """Return what is created together."""
        return tuple(item for item in self.items if item.wave is wave)

    @property
    def brings(self) -> frozenset[tuple[str, str]]:
        """The kinds that its definitions make the cluster serve, as (apiVersion, kind)."""
        return frozenset(
            (kind.api_version, kind.name)
            for item in self.wave(Wave.DEFINITIONS)
            for kind in defined(item)
        )


def read(raw: bytes, *, own: bool = False) -> Bundle:
    """Return the objects of a bundle. Raises Malformed naming what is wrong where.

    Nothing is run, opened or fetched. What belongs to KubeNova or to the cluster itself is refused.
    `own` says that KubeNova has made it: it may hold what is its own, and what is to go (`ABSENT`).
    """
    if len(raw) > MAX_BYTES:
        raise Malformed("", f"is larger than {MAX_BYTES} bytes")
    items: dict[str, Item] = {}
    skipped: list[str] = []
    for number, document in enumerate(load_all(raw, _BOUNDS), start=1):
        for body in _objects(document, f"document {number}"):
            item = _item(body, f"document {number}")
            if _is_hook(item):
                skipped.append(str(item))
                continue
            if item.key in items:
                raise Malformed(f"document {number}", f"holds {item} once more")
            if not own:
                _refuse_foreign(item, f"document {number}")
            items[item.key] = item
    if fault := _number_fault(len(items)):
        raise Malformed("", fault)
    order = list(Wave)
    ordered = sorted(items.values(), key=lambda item: order.index(item.wave))
    return Bundle(tuple(ordered), tuple(skipped))


def _number_fault(objects: int) -> str:
    if not objects:
        return "holds no object"
    return f"holds more than {MAX_OBJECTS} objects" if objects > MAX_OBJECTS else ""


def defined(item: Item) -> Iterator[Kind]:
    """Yield the kinds that a definition of custom resources serves."""
    spec = _mapping(item.body.get("spec"))
    names, group = _mapping(spec.get("names")), spec.get("group")
    versions = spec.get("versions")
    for version in versions if isinstance(versions, list) else ():
        found = _mapping(version)
        if found.get("served"):
            namespaced = spec.get("scope") == "Namespaced"
            told = str(names.get("kind")), str(names.get("plural"))
            yield Kind(f"{group}/{found.get('name')}", *told, namespaced)


def _mapping(value: object) -> JSON:
    return value if isinstance(value, dict) else {}


def _objects(document: Value, where: str) -> Iterator[JSON]:
    """Yield the object of a document, or those of a list; nothing for an empty one."""
    if document is None:
        return
    if not isinstance(document, dict):
        raise Malformed(where, "is no object")
    items = document.get("items")
    if str(document.get("kind", "")).endswith("List") and isinstance(items, list):
        for each in items:
            if not isinstance(each, dict):
                raise Malformed(where, "lists something that is no object")
            yield each
        return
    yield document


def _item(body: JSON, where: str) -> Item:
    api_version, kind, meta = body.get("apiVersion"), body.get("kind"), body.get("metadata")
    if not (isinstance(api_version, str) and _API_VERSION.fullmatch(api_version)):
        raise Malformed(where, "has no valid apiVersion")
    if not (isinstance(kind, str) and _KIND.fullmatch(kind)):
        raise Malformed(where, "has no valid kind")
    if not isinstance(meta, dict) or not isinstance(meta.get("name"), str) or not meta["name"]:
        raise Malformed(where, f"has a {kind} without a name")
    namespace = meta.get("namespace") or ""
    if not isinstance(namespace, str):
        raise Malformed(where, f"has a {kind} whose namespace is no text")
    for part in ("labels", "annotations"):
        if not isinstance(meta.get(part) or {}, dict):
            raise Malformed(where, f"has a {kind} whose {part} are no mapping")
    # What a server writes is no wish; charts render it all the same.
    body = {key: value for key, value in body.items() if key != "status"}
    body["metadata"] = {key: value for key, value in meta.items() if key != "creationTimestamp"}
    return Item(api_version, kind, namespace, meta["name"], body)


def _is_hook(item: Item) -> bool:
    """Whether it is a hook of Helm's that an installation does not run, such as a deletion's."""
    annotations = item.body["metadata"].get("annotations") or {}
    hooks = str(annotations.get(_HOOK) or "").split(",")
    return hooks != [""] and not any(hook.strip().endswith("-install") for hook in hooks)


def _refuse_foreign(item: Item, where: str) -> None:
    meta = item.body["metadata"]
    marks = {**(meta.get("labels") or {}), **(meta.get("annotations") or {})}
    ours = marks.get(MANAGED_BY) == MANAGER or any(key.startswith(_OUR_KEYS) for key in marks)
    named = item.namespace.startswith(_OURS) or (not item.namespace and item.name.startswith(_OURS))
    if ours or named:
        raise Malformed(where, f"holds {item}, which is KubeNova's own to write")
    # Aggregated API servers need a binding to a role there; nothing else has to be there.
    system = item.namespace in _SYSTEM and item.kind != "RoleBinding"
    if system or (item.kind == "Namespace" and item.name in _SYSTEM):
        raise Malformed(where, f"holds {item}, which belongs to the cluster itself")


class _Dumper(yaml.SafeDumper):
    """Writes no aliases, which a bundle may not have."""

    def ignore_aliases(self, data: object) -> bool:
        """Write the same value out wherever it stands."""
        return True


def bundle(manifests: Iterable[JSON]) -> bytes:
    """Return manifests of KubeNova's own as one text, whatever characters are in them."""
    found: Any = yaml.dump_all(list(manifests), Dumper=_Dumper, encoding="utf-8")
    return bytes(found)
