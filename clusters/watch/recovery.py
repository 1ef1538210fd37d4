"""Notices soon that a cluster is back: one that follows it asks often, its answer wakes the others.

Each with a backoff of its own would be dearer, and the last would learn of it a minute late
(threat F24: drift of the time that was lost is repaired kind by kind).
"""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager

from clusters.answers import Expired, Throttled
from reconcile.errors import ClusterError, Unreachable

ASK_EVERY = 10.0
_APART = 1.0  # seconds within which those who are woken list anew


class Recovery:
    """Shared by all that follow one cluster."""

    def __init__(self, ask_every: float = ASK_EVERY) -> None:
        self._ask_every = ask_every
        self._answered = asyncio.Event()
        self._followers = self._waiting = 0
        self._asking = False

    @contextmanager
    def following(self) -> Iterator[None]:
        """Count one more that follows."""
        self._followers += 1
        try:
            yield
        finally:
            self._followers -= 1

    def answered(self) -> None:
        """The cluster has answered somebody: wake all who wait."""
        woken, self._answered = self._answered, asyncio.Event()
        woken.set()

    async def wait(self, error: ClusterError, seconds: float) -> None:
        """Wait until the cluster is asked again: for so long, less when it has answered meanwhile.

        One that answers now and then is asked by each no more often than it is in between. What
        a server that is there refuses, or defers, is no sign that it is away.
        """
        if not isinstance(error, Unreachable) or isinstance(error, Expired | Throttled):
            await asyncio.sleep(seconds)
            return
        answered = self._answered
        self._waiting += 1
        asks = not self._asking and 2 * self._waiting > self._followers
        self._asking |= asks
        soonest = min(seconds, self._ask_every * random.uniform(0.8, 1.2))
        least = asyncio.get_running_loop().time() + soonest
        try:
            async with asyncio.timeout(soonest if asks else seconds):
                await answered.wait()
        except TimeoutError:
            return
        finally:
            self._waiting -= 1
            self._asking &= not asks
        left = max(least - asyncio.get_running_loop().time(), 0.0)
        await asyncio.sleep(left + random.uniform(0, min(_APART, seconds)))
