"""The laws on the smallest rows."""

import pytest

from tests.memory_cluster import MemoryCluster
from tests.reconcile.laws import ConvergenceLaws
from tests.reconcile.models import CLUSTERS, Toy, ToyPlacement


class TestToyPlacement(ConvergenceLaws):
    model = ToyPlacement

    @pytest.fixture(autouse=True)
    def world(self, shelf):
        """One shelf."""

    @property
    def cluster(self) -> MemoryCluster:
        return CLUSTERS["shelf"]

    def declare(self) -> ToyPlacement:
        maps = {"rules": {"speed": "slow", "sound": "low"}, "notes": {"a": "1"}}
        Toy(name="train", maps=maps, shelves=["shelf"]).declare(by="alice")
        return ToyPlacement.objects.get()

    def narrow(self, row) -> None:
        row.toy.maps = {"rules": {"speed": "slow"}}
        row.toy.declare(by="alice")
