"""Keeps the pressure on one cluster within what it can bear, and spares a dead one.

Writes in flight grow by one a round and shrink by half on 429 or slowness (additive increase,
multiplicative decrease, as TCP does). After several unreachable answers in a row the breaker opens:
nothing is asked until its backoff is over, then one call probes. After several 429 in a row nothing
is asked for as long as the server said with Retry-After (threat F11).
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf

from clusters import metrics
from clusters.answers import Throttled
from reconcile.deadline import left
from reconcile.errors import ClusterError, Unreachable

Clock = Callable[[], float]


@dataclass(frozen=True)
class Pace:
    """How a gate behaves; times are seconds."""

    writes: int = 50
    slow: float = 5.0  # a write that lasts longer is a sign of overload
    patience: float = 30.0  # how long a write waits for its turn
    tolerance: int = 5  # unreachable answers in a row that open the breaker
    first: float = 1.0
    ceiling: float = 10.0
    longest_told: float = 60.0  # of a Retry-After
    jitter: float = (
        0.2  # the part of a backoff that is drawn: dead clusters are not probed together
    )


class Gate:
    """The gate of one cluster in this process. Safe to share by threads."""

    def __init__(
        self, pace: Pace | None = None, *, name: str = "", clock: Clock = time.monotonic
    ) -> None:
        """`name` is the cluster's, for the metrics; without one nothing is told."""
        self.pace = pace or Pace()
        self._name = name
        self._clock = clock
        self._turn = threading.Condition()
        self._limit = float(self.pace.writes)
        self._in_flight = 0
        self._shrunk_at = -inf
        self._failures = 0
        self._openings = 0
        self._open_until = -inf
        self._probing = False
        self._throttles = 0
        self._told_until = -inf
        self._why = ""

    @property
    def open(self) -> bool:
        """Whether a call now would be refused without asking the cluster."""
        with self._turn:
            return self._is_open() or self._clock() < self._told_until

    @property
    def writes_allowed(self) -> int:
        """How many writes may be in flight at once at present."""
        with self._turn:
            return int(self._limit)

    def doubt(self) -> None:
        """Let the next call ask an open breaker's cluster: who calls has a backoff of its own."""
        with self._turn:
            self._open_until = -inf

    @contextmanager
    def call(self, *, write: bool = False) -> Iterator[None]:
        """Let one call through and learn from how it ends.

        Raises Unreachable when the breaker is open or no turn came in time; what the call raises
        goes through.
        """
        probe = self._enter(write)
        started = self._clock()
        outcome: ClusterError | None = None
        try:
            yield
        except ClusterError as error:
            outcome = error
            raise
        finally:
            self._leave(write, probe, outcome, self._clock() - started)

    def _is_open(self) -> bool:
        if self._failures < self.pace.tolerance:
            return False
        return self._probing or self._clock() < self._open_until

    def _enter(self, write: bool) -> bool:
        with self._turn:
            patience = max(min(self.pace.patience, left()), 0.0)
            room = not write or self._turn.wait_for(self._has_room_or_is_open, patience)
            if (told := self._told_until - self._clock()) > 0:
                raise Throttled(self._why, retry_after=told)
            if self._is_open():
                wait = max(self._open_until - self._clock(), 0.0)
                # The words of the last failure: a condition that shows them does not flap.
                raise Unreachable(self._why, retry_after=wait)
            if not room:
                raise Unreachable("too many writes are under way on this cluster")
            probe = self._failures >= self.pace.tolerance
            self._probing = self._probing or probe
            self._in_flight += write
            return probe

    def _has_room_or_is_open(self) -> bool:
        return self._in_flight < int(self._limit) or self._is_open()

    def _leave(
        self, write: bool, probe: bool, outcome: ClusterError | None, seconds: float
    ) -> None:
        with self._turn:
            self._in_flight -= write
            if probe:
                self._probing = False
            self._count(outcome, probe)
            if isinstance(outcome, Throttled) or (write and seconds > self.pace.slow):
                self._shrink()
            elif write and outcome is None:
                self._limit = min(self._limit + 1 / self._limit, float(self.pace.writes))
            self._turn.notify_all()

    def _count(self, outcome: ClusterError | None, probe: bool) -> None:
        """A refusal or a throttle is an answer: the cluster lives.

        Of many calls that fail together only one opens the breaker; only probes lengthen it.
        """
        if not isinstance(outcome, Unreachable) or isinstance(outcome, Throttled):
            if self._openings:
                self._show(is_open=False)
            self._failures = self._openings = 0
            self._obey(outcome)
            return
        self._failures += 1
        self._why = outcome.message
        if self._failures < self.pace.tolerance or (self._openings and not probe):
            return
        backoff = min(self.pace.first * 2.0 ** min(self._openings, 16), self.pace.ceiling)
        drawn = backoff * random.uniform(1.0 - self.pace.jitter, 1.0)
        self._open_until = self._clock() + drawn
        self._openings += 1
        self._show(is_open=True)

    def _show(self, *, is_open: bool) -> None:
        if self._name:
            metrics.BREAKER_OPEN.labels(self._name).set(is_open)

    def _obey(self, outcome: ClusterError | None) -> None:
        """Ask nothing for as long as the server said, when it says so again and again."""
        if not isinstance(outcome, Throttled):
            self._throttles = 0
            return
        self._throttles += 1
        self._why = outcome.message
        if self._throttles >= self.pace.tolerance:
            told = min(outcome.retry_after or self.pace.first, self.pace.longest_told)
            self._told_until = self._clock() + told

    def _shrink(self) -> None:
        """Halve at most once a second: the calls of one bad moment are one sign, not many."""
        now = self._clock()
        if now - self._shrunk_at >= 1.0:
            self._limit = max(self._limit / 2, 1.0)
            self._shrunk_at = now
