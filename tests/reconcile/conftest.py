"""Shelves with clusters behind them, pebbles, and steps taken one by one."""

from collections.abc import Callable, Iterator

import pytest

from reconcile.models import Work
from tests.memory_cluster import MemoryCluster
from tests.reconcile.models import CLUSTERS, HELD, PROOFS, STEPS, Pebble, Shelf


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """What tests say of clusters and steps ends with them."""
    yield
    CLUSTERS.clear()
    HELD.clear()
    PROOFS.clear()
    STEPS.clear()


@pytest.fixture
def shelf(db) -> MemoryCluster:
    """The cluster behind a shelf named `shelf`."""
    Shelf.objects.create(name="shelf")
    CLUSTERS["shelf"] = MemoryCluster(finishes=True)
    return CLUSTERS["shelf"]


@pytest.fixture
def pebble(db) -> Callable[..., Work]:
    """Makes pebbles that are due, and returns the work of each."""

    def make(name: str = "pebble", act: Callable | None = None, **columns: object) -> Work:
        row = Pebble.objects.create(name=name, **columns)
        row.enrol()
        if act:
            STEPS[name] = act
        return row.work.get()

    return make
