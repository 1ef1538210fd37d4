"""F1: the worker is killed at each write of each operation; the end is always the same."""

import pytest

from tests.faults.sieve import OPERATIONS, Clean, Sifted, difference, record, sift
from tests.faults.sites import Site
from tests.faults.table import Ledger
from tests.faults.world import World

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

PROMISE = 30.0  # seconds from the kill to the end state


@pytest.fixture
def sifting(world: World, one: Site) -> tuple[World, Site, list[Clean]]:
    """A world whose writes come one by one, and what its operations write."""
    one.proxy.serial = True
    return world, one, record(world, one)


def judge(found: list[Sifted], world: World, ledger: Ledger) -> None:
    audit = world.audit()
    ledger.add(runs=len(found), seconds=max(each.seconds for each in found), audit=audit)
    differing = [str(each) for each in found if each.difference]
    assert not differing, "\n".join(differing)
    assert audit.clean, audit
    assert max(each.seconds for each in found) < PROMISE


@pytest.mark.parametrize(
    ("write", "after"),
    [
        pytest.param(1, True, id="after", marks=pytest.mark.live),
        pytest.param(4, False, id="before"),
    ],
)
def test_f1_a_sample_of_killed_writes(write: int, after: bool, sifting, ledger: Ledger):
    world, one, clean = sifting
    judge(list(sift(world, one, clean, write, after=after)), world, ledger)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_f1_every_write_is_killed(after: bool, sifting, ledger: Ledger):
    world, one, clean = sifting
    found: list[Sifted] = []
    for write in range(1, max(len(each.writes) for each in clean) + 1):
        found += sift(world, one, clean, write, after=after)
    judge(found, world, ledger)
    assert {each.operation for each in found} == set(OPERATIONS)


def test_f1_a_clean_run_writes_the_same_and_ends_the_same(sifting, ledger: Ledger):
    world, one, clean = sifting
    again = record(world, one)
    for first, second in zip(clean, again, strict=True):
        assert difference(first.state, second.state) == []
        assert _objects(first) == _objects(second)


def _objects(clean: Clean) -> set[str]:
    """What was written; the epoch aside: the first write of each five minutes begins another."""
    return {
        f"{write.verb} {write.path} {write.digest}"
        for write in clean.writes
        if not write.path.endswith("/configmaps/epoch")
    }
