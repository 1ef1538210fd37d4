"""How many steps a cluster takes at once."""

import pytest

from reconcile.slots import FIRST, Slots


@pytest.fixture
def slots() -> Slots:
    return Slots(16)


def quick(slots: Slots, times: int, cluster: int = 1) -> None:
    for _ in range(times):
        slots.ended(cluster, slow=False, last=False)


def test_a_cluster_begins_with_few():
    assert (Slots(16).of(1), Slots(2).of(1)) == (FIRST, 2)


def test_each_step_that_comes_back_quickly_opens_one_more_up_to_the_most(slots):
    quick(slots, 3)
    assert (slots.of(1), slots.of(2)) == (FIRST + 3, FIRST)
    quick(slots, 100)
    assert slots.of(1) == 16


def test_a_slow_step_leaves_one_and_takes_back_what_was_earned_f13(slots):
    quick(slots, 100)
    slots.ended(1, slow=True, last=False)
    assert slots.of(1) == 1
    quick(slots, 1)
    assert slots.of(1) == FIRST + 1


def test_where_a_step_is_stuck_there_is_one_whatever_was_earned_f13(slots):
    quick(slots, 100)
    assert (slots.of(1, stuck=True), slots.of(1)) == (1, 16)


def test_a_cluster_that_has_come_to_rest_begins_anew_f13(slots):
    """It may die before it has to do something again."""
    quick(slots, 100)
    slots.ended(1, slow=False, last=True)
    assert slots.of(1) == FIRST
