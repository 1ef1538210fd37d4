"""Several calls of a cluster at once, in as many threads as are worth their price."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import cache
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
# Made as they are needed; so many that the steps on a cluster that hangs leave enough (threat F13).
_WAVE_THREADS = 256
_CALLS, _FEWEST = 16, 2  # calls at once by the steps of a process together, and by each at least


def parallel(function: Callable[[A], B], items: Sequence[A]) -> list[B]:
    """Apply `function` to all items, several at once; results in order.

    A step that is alone has a thread for each call, of many steps at a time each has two: to hand
    a call to a thread costs as much processor time as to make it, and they fill each other's waits.
    """
    with _at_work(os.getpid()) as steps:
        lanes = min(len(items), max(_CALLS // steps, _FEWEST))
        if lanes < 2:
            return [function(item) for item in items]

        def lane(number: int) -> list[B]:
            return [function(item) for item in items[number::lanes]]

        pool, last = _pool(os.getpid()), lanes - 1
        others = [pool.submit(copy_context().run, lane, number) for number in range(last)]
        try:
            mine = lane(last)
        finally:
            wait(others)
        done = [*(each.result() for each in others), mine]
    return [done[n % lanes][n // lanes] for n in range(len(items))]


class _AtWork:
    """Counts the steps of this process that make their calls at the moment."""

    def __init__(self) -> None:
        self._count, self._lock = 0, threading.Lock()

    def __enter__(self) -> int:
        with self._lock:
            self._count += 1
            return self._count

    def __exit__(self, *raised: object) -> None:
        with self._lock:
            self._count -= 1


@cache
def _at_work(pid: int) -> _AtWork:
    """One a process: a fork may come in the middle of a count."""
    return _AtWork()


@cache
def _pool(pid: int) -> ThreadPoolExecutor:
    """One pool a process: threads do not survive a fork."""
    return ThreadPoolExecutor(_WAVE_THREADS, thread_name_prefix=f"wave-{pid}")
