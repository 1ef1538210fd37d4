"""The smallest rows that converge: what the engine does is seen on them without any domain.

A `Toy` is declared with objects for a namespace of its own and placed on shelves; behind each shelf
stands a cluster in memory (`CLUSTERS`), which may be held (`HELD`) and may have to refuse what
`PROOFS` says. A `Pebble` does in its step
what a test says.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import starmap
from typing import ClassVar

from django.db import models

from clusters.kinds import CONFIG_MAP, DEPLOYMENT, NAMESPACE
from reconcile.loop import Adapter, Outcome
from reconcile.models import Lease
from reconcile.models.convergent import Convergent
from reconcile.models.declared import Declared
from reconcile.models.rows import Row, read
from reconcile.proof import Proof
from reconcile.values import JSON, Assessment, Health, Kind, Live, Ref, RepairMode
from tests.memory_cluster import MemoryCluster

CLUSTERS: dict[str, MemoryCluster] = {}
HELD: dict[str, str] = {}
PROOFS: dict[str, list[Proof]] = {}
STEPS: dict[str, Callable[["Pebble", Lease], Outcome | None]] = {}


class Pebble(Row):
    """A row whose step is `STEPS[name]`; at rest when there is none."""

    name = models.CharField(max_length=40)
    tenant = models.CharField(max_length=40, blank=True, default="")
    shelf_pk = models.BigIntegerField(null=True, blank=True)

    def __str__(self) -> str:
        return f"Pebble {self.name}"

    @property
    def tenant_name(self) -> str:
        """Its tenant."""
        return self.tenant

    @property
    def cluster_pk(self) -> int | None:
        """Whose slots its steps take."""
        return self.shelf_pk

    def step(self, lease: Lease) -> Outcome:
        """Do what the test says."""
        act = STEPS.get(self.name)
        return (act(self, lease) if act else None) or Outcome()


class Shelf(models.Model):
    """Where toys are placed: a stand-in for a registered cluster."""

    name = models.CharField(max_length=40, unique=True)

    def __str__(self) -> str:
        return self.name


class Toy(Declared):
    """`maps` are ConfigMaps by name, `crews` Deployments with their replicas.

    `shelves` are the names of the shelves that it is placed on.
    """

    name = models.CharField(max_length=40, unique=True)
    maps = models.JSONField(default=dict, blank=True)
    crews = models.JSONField(default=dict, blank=True)
    repair_mode = models.CharField(max_length=6, default="auto")
    shelves = models.JSONField(default=list, blank=True)

    spec_fields: ClassVar[tuple[str, ...]] = ("name", "maps", "crews", "repair_mode", "shelves")

    def __str__(self) -> str:
        return f"Toy {self.name}"

    @property
    def tenant_name(self) -> str:
        """All toys are one tenant's."""
        return "nursery"

    def targets(self) -> Iterable[int]:
        """The shelves that exist."""
        read("shelves")
        return list(Shelf.objects.filter(name__in=self.shelves).values_list("pk", flat=True))


@dataclass(frozen=True)
class ToyIntent:
    """A namespace with ConfigMaps and Deployments."""

    name: str
    maps: Mapping[str, Mapping[str, str]]
    crews: Mapping[str, int] = field(default_factory=dict)


class Toybox:
    """Renders toys."""

    name = "toybox"
    kinds: Sequence[Kind] = (NAMESPACE, CONFIG_MAP, DEPLOYMENT)

    def render(self, intent: ToyIntent) -> list[JSON]:
        """The ConfigMaps come before the namespace: the order is the kinds'."""
        maps = [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name, "namespace": intent.name},
                "data": dict(data),
            }
            for name, data in intent.maps.items()
        ]
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": intent.name}}
        return [*maps, *starmap(_crew(intent.name), intent.crews.items()), namespace]

    def proofs(self, intent: ToyIntent) -> list[Proof]:
        """What a test says that the shelf has to refuse."""
        return PROOFS.get(intent.name, [])

    def assess(self, intent: ToyIntent, seen: Mapping[Ref, Live]) -> Assessment:
        """Ready when the namespace's status says so, progressing while it says nothing."""
        live = seen.get(Ref(NAMESPACE, "", intent.name))
        phase = live.body.get("status", {}).get("phase", "") if live else ""
        if phase == "Active":
            return Assessment(Health.READY, "Active")
        if phase == "Broken":
            return Assessment(Health.FAILED, "Broken", "The toy is broken.")
        return Assessment(Health.PROGRESSING, "Waiting", "The toy is not there yet.")


def _crew(namespace: str) -> Callable[[str, int], JSON]:
    def render(name: str, replicas: int) -> JSON:
        labels = {"app": name}
        containers = [{"name": "main", "image": f"{name}:1"}]
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
            },
        }

    return render


class ToyPlacement(Convergent):
    """A toy on a shelf."""

    toy = models.ForeignKey(Toy, on_delete=models.CASCADE, related_name="placements")
    cluster = models.ForeignKey(Shelf, on_delete=models.PROTECT, related_name="+")

    parent_field: ClassVar[str] = "toy"

    def __str__(self) -> str:
        return f"{self.toy} on {self.cluster}"

    @property
    def cluster_name(self) -> str:
        """Where."""
        return self.cluster.name

    @property
    def cluster_pk(self) -> int:
        """Where."""
        return self.cluster.pk

    def intent(self) -> ToyIntent:
        """What the toy says, and a key that tests touch."""
        read(f"toy/{self.toy.name}")
        return ToyIntent(self.toy.name, self.toy.maps, self.toy.crews)

    @property
    def repair_mode(self) -> RepairMode:
        """As the toy says."""
        return RepairMode(self.toy.repair_mode)

    @property
    def held(self) -> str:
        """As the test says of the shelf."""
        return HELD.get(self.cluster.name, "")

    def adapter(self) -> Adapter[ToyIntent]:
        """There is one."""
        return Toybox()

    def connect(self) -> AbstractContextManager[MemoryCluster]:
        """The cluster in memory behind the shelf."""
        return nullcontext(CLUSTERS[self.cluster.name])
