"""The types of components and traits that there are, for people to choose from. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from delivery.rules.types import CARRIERS, COMPONENT_TYPES, TRAIT_TYPES
from reconcile.values import JSON

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TOLD = {
    "webservice": "Pods that run on and serve: a Deployment, and a Service for exposed ports.",
    "worker": "Pods that run on without being asked: a Deployment.",
    "task": "Pods that run once, to their end: a Job.",
    "cron-task": "Pods that run to their end by a schedule: a CronJob.",
    "statefulset": "Pods with names that stay, brought up one after the other: a StatefulSet.",
    "daemon": "One pod on every node: a DaemonSet.",
    "scaler": "How many replicas there are.",
    "hpa": "As many replicas as the load asks for, within bounds.",
    "env": "More variables, others instead, or fewer.",
    "resource": "What a container asks for of CPU and memory, and its limits.",
    "labels": "Labels of the workload and its pods.",
    "annotations": "Annotations of the workload and its pods.",
    "expose": "A Service for ports that the component does not expose itself.",
    "gateway": "An Ingress: a host name, and the ports behind its paths.",
    "storage": "Claims, ConfigMaps, Secrets and scratch space, mounted or as variables.",
    "sidecar": "A second container beside that of the component.",
    "init-container": "A container that prepares a volume and ends before the others begin.",
    "startup-probe": "When a slow starter counts as started.",
    "service-account": "The account of the project that the pods act as.",
    "affinity": "On which nodes and beside which pods it runs.",
    "securitycontext": "Stricter than the default: not as root, read-only, user and group.",
}


class DefinitionKind(StrEnum):
    """What a definition is of."""

    COMPONENT = "component"
    TRAIT = "trait"
    STEP = "workflow-step"


APP_KINDS = (DefinitionKind.COMPONENT, DefinitionKind.TRAIT)  # what apps are made of


@dataclass(frozen=True)
class Serving:
    """A cluster that serves a type, through the adapter of that name."""

    cluster: str
    adapter: str


@dataclass(frozen=True)
class Definition:
    """A type. `parameters` is the JSON schema (draft 2020-12) of its properties.

    `carriers` names the components that can bear a trait. `serving` has one item per cluster and
    adapter.
    """

    kind: DefinitionKind
    type: str
    description: str
    parameters: JSON
    carriers: Sequence[str] = ()
    serving: Sequence[Serving] = field(default=())

    @property
    def clusters(self) -> list[str]:
        """The clusters that serve it, by name."""
        return sorted({each.cluster for each in self.serving})

    @property
    def adapters(self) -> list[str]:
        """The adapters that serve it somewhere, by name."""
        return sorted({each.adapter for each in self.serving})


def definitions(
    adapters: Mapping[str, Collection[str]], lacking: Collection[tuple[str, str, str]] = ()
) -> list[Definition]:
    """Return what one of the clusters serves at least, components first, both by name.

    `adapters` names those of each cluster; `lacking` holds what one does not have there, as
    (cluster, kind, type).
    """
    found = (_definition(kind, type_, adapters, lacking) for kind, type_ in _types())
    return sorted((each for each in found if each.serving), key=lambda each: (each.kind, each.type))


def _types() -> Iterable[tuple[DefinitionKind, str]]:
    yield from ((DefinitionKind.COMPONENT, type_) for type_ in COMPONENT_TYPES)
    yield from ((DefinitionKind.TRAIT, type_) for type_ in TRAIT_TYPES)


def _definition(
    kind: DefinitionKind,
    type_: str,
    adapters: Mapping[str, Collection[str]],
    lacking: Collection[tuple[str, str, str]],
) -> Definition:
    schemas = COMPONENT_TYPES if kind is DefinitionKind.COMPONENT else TRAIT_TYPES
    serving = tuple(
        Serving(cluster, adapter)
        for cluster in sorted(adapters)
        for adapter in sorted(adapters[cluster])
        if adapter == "native" or (cluster, str(kind), type_) not in lacking
    )
    carriers = CARRIERS.get(type_, ()) if kind is DefinitionKind.TRAIT else ()
    parameters = {"$schema": DIALECT, **schemas[type_]}
    return Definition(kind, type_, _TOLD[type_], parameters, carriers, serving)
