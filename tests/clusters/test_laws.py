"""The laws for the baseline of a cluster."""

import itertools
from collections.abc import Iterator

import pytest

from clusters.adapters.baseline import Baseline
from clusters.credentials import Given
from clusters.intents import READ_ONLY
from clusters.models import Cluster, ClusterBaseline
from reconcile.values import Ref
from tests.fleet import admin, is_not_for_kubenova
from tests.people import charlie, olga, quick_passwords
from tests.reconcile.laws import ConvergenceLaws

__all__ = ["charlie", "olga", "quick_passwords"]


class LesserBaseline(Baseline):
    """A newer baseline that wants less."""

    def render(self, intent):
        """All but the role of readers."""
        found = super().render(intent)
        return [body for body in found if body["metadata"]["name"] != READ_ONLY]


class TestClusterBaseline(ConvergenceLaws):
    model = ClusterBaseline

    @pytest.fixture(autouse=True)
    def world(self, fleet, db, monkeypatch) -> None:
        """An API server; its registration is what the laws are about."""
        self.fleet, self.patch = fleet, monkeypatch
        fleet.start("sandbox")

    @pytest.fixture
    def writes(self) -> Iterator[int]:
        """Every seventh: a baseline has many objects, each written in the same way."""
        return itertools.count(1, 7)

    def declare(self) -> ClusterBaseline:
        self.patch.setattr("clusters.models.baseline.Baseline", Baseline)
        self.fleet.declare("sandbox", labels={"region": "eu"})
        return ClusterBaseline.objects.get()

    def give(self) -> Cluster:
        """Give the cluster a fresh credential: only that one writes roles and policies."""
        cluster = Cluster.objects.get()
        cluster.give(Given.of(admin("sandbox")), by="olga")
        return cluster

    def narrow(self, row) -> None:
        self.patch.setattr("clusters.models.baseline.Baseline", LesserBaseline)
        self.give()

    def change(self, row) -> None:
        cluster = Cluster.objects.get()
        cluster.labels = {"region": "us"}
        cluster.declare(by="olga")

    def remove(self, row) -> None:
        cluster = Cluster.objects.get()
        cluster.paused = True
        cluster.declare(by="olga")
        self.give().request_deletion(by="olga")

    def repairs(self, ref: Ref) -> bool:
        return not is_not_for_kubenova(ref)

    def look(self, row) -> None:
        """What KubeNova's own rights do not reach, an operator's fresh credential repairs."""
        super().look(row)
        if self.model.objects.filter(pk=row.pk).exists() and row.phase != "Deployed":
            self.give()
            self.settle(row)

    def urls(self, row) -> list[str]:
        return ["/api/v1/clusters/sandbox"]
