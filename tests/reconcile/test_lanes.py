"""Several calls at once: in their order, in fewer threads where more steps make calls."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from reconcile.lanes import parallel


def test_results_keep_their_order():
    assert parallel(lambda number: number * 2, range(100)) == list(range(0, 200, 2))
    assert parallel(lambda number: number, []) == []


def test_a_lone_step_makes_all_of_its_calls_at_once():
    together = threading.Barrier(13)

    parallel(lambda _: together.wait(5), range(13))

    assert not together.broken


def test_of_many_steps_each_makes_two_calls_at_a_time():
    begun, over = threading.Barrier(7 * 2 + 1), threading.Event()

    def busy(_: int) -> None:
        begun.wait(5)
        over.wait(5)

    with ThreadPoolExecutor(7) as others:
        waiting = [others.submit(parallel, busy, [0, 1]) for _ in range(7)]
        begun.wait(5)
        used = parallel(lambda _: threading.get_ident(), range(10))
        over.set()
        for each in waiting:
            each.result()

    assert used == [used[0], threading.get_ident()] * 5


def test_what_a_call_raises_is_raised_once_all_of_them_have_ended():
    ended = []

    def call(number: int) -> None:
        if number == 12:
            raise ValueError("the last")
        ended.append(number)

    with pytest.raises(ValueError, match="the last"):
        parallel(call, range(13))
    assert sorted(ended) == list(range(12))
