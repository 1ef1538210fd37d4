"""The abstract row of everything that is projected onto a registered cluster."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from django.apps import apps
from django.db import models

from clusters.connect import connect
from clusters.models.located import Located
from reconcile.cluster import Cluster as ClusterVerbs
from reconcile.errors import Missing
from reconcile.guard import deletions
from reconcile.models import Lease
from reconcile.models.convergent import Convergent, Wait
from reconcile.models.rows import read
from reconcile.prepared import Prepared
from reconcile.values import Phase, Plan

STANDING = frozenset({Phase.DEPLOYED, Phase.DRIFTED})  # of a baseline: one may build on it
_LOOKS_WATCHED = (20.0, 300.0)  # seconds, at the soonest and at the latest
_CLUSTER_LOOK = 300.0  # seconds; thousands may wait for one cluster


@cache
def _baseline_of() -> Prepared:
    rows = apps.get_model("clusters.clusterbaseline")._default_manager.all()
    return Prepared(lambda cluster: (rows.filter(cluster_id=cluster), {}), cluster=int)


@cache
def _watched() -> Prepared:
    rows = apps.get_model("clusters.watchlease")._default_manager.standing()
    return Prepared(lambda cluster: (rows.filter(cluster_id=cluster), {}), cluster=int)


class CapabilityLost(Missing):
    """The cluster no longer offers what serves the row; nothing is touched until it does."""


class Projected(Located, Convergent):
    """A convergent row on a cluster, with the cluster's scoped credential."""

    cluster = models.ForeignKey(
        "clusters.Cluster", on_delete=models.PROTECT, related_name="%(app_label)s_%(class)ss"
    )

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.parent} on {self.cluster.name}"

    def basis(self) -> str:
        """The adapter, and the version in which the cluster was found to offer what it needs."""
        found = self.cluster.capabilities.filter(name=self.adapter_name).first()
        return f"{self.adapter_name} {found.version if found else ''}".strip()

    @property
    def held(self) -> str:
        """What a guard of the cluster says, while nothing may be written there."""
        return self.cluster.stopped

    @property
    def inferred(self) -> bool:
        """Whether what goes here goes by a change of something else, not by request."""
        return not (self.deleting and self.parent.deleting)

    @property
    def progress_looks(self) -> tuple[float, float]:  # type: ignore[override]
        """Seldom where somebody watches the cluster, who tells what moves before."""
        watched = _watched().exists(cluster=self.cluster.pk)
        return _LOOKS_WATCHED if watched else super().progress_looks

    def connect(self) -> AbstractContextManager[ClusterVerbs]:
        """Open the cluster with KubeNova's scoped credential."""
        return connect(self.cluster)

    def waits_for(self) -> Sequence[Wait]:
        """Nothing can be projected before the cluster's baseline stands.

        Who is held by a guard looks and writes nothing, so it waits for nothing.
        """
        read(self.cluster.capabilities_key)
        if self.held and not self.deleting:
            return ()
        (baseline,) = _baseline_of().rows(cluster=self.cluster.pk)
        read(baseline.key)
        if self.deleting or baseline.phase in STANDING:
            return super().waits_for()
        message = f"Cluster {self.cluster.name} is {baseline.phase}."
        return (Wait("WaitingForCluster", message, look_in=_CLUSTER_LOOK),)

    def needs(self, intent: Any) -> Iterable[str]:
        """Name the capabilities without which nothing is written: its adapter's, and more."""
        return (self.adapter_name,)

    def watched_intent(self, lease: Lease) -> Any:
        """As for any row. Raises CapabilityLost when its cluster does not offer what it needs."""
        intent = super().watched_intent(lease)
        lost = self.cluster.lacking(self.needs(intent))
        if lost:
            told = " ".join(f"{each.name}: {each.reason}" for each in lost)
            raise CapabilityLost(
                f"Cluster {self.cluster.name} no longer serves {told} Nothing is touched until it "
                "does."
            )
        return intent

    def allow(self, plan: Plan) -> None:
        """Ask the guards of the cluster. Raises Held."""
        self.cluster.before_writes(self.connect)
        if self.inferred:
            self.cluster.before_deletions(str(self), deletions(plan))
