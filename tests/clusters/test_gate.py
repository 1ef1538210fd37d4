"""The pressure on a cluster follows what it can bear, and a dead one is spared (F11, F13)."""

import threading
import time
from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY

from clusters.answers import Throttled
from clusters.gate import Gate, Pace
from reconcile.deadline import within
from reconcile.errors import ClusterError, Conflict, Refused, Unauthenticated, Unreachable

QUICK = Pace(writes=8, patience=0.05, tolerance=3, jitter=0.0)


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(clock: Clock) -> Gate:
    return Gate(QUICK, clock=clock)


def fail(gate: Gate, error: ClusterError | None = None, *, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(ClusterError), gate.call():
            raise error or Unreachable("down")


def refused(gate: Gate) -> Unreachable:
    with pytest.raises(Unreachable) as found, gate.call():
        pytest.fail("the call went through")
    return found.value


# --- The breaker.


def test_it_opens_after_several_failures_in_a_row(gate: Gate) -> None:
    fail(gate, times=2)
    assert not gate.open
    fail(gate)
    assert gate.open
    assert refused(gate).retry_after == 1.0


def test_an_answer_between_two_failures_keeps_it_closed(gate: Gate) -> None:
    fail(gate, times=2)
    with gate.call():
        pass
    fail(gate, times=2)
    assert not gate.open


@pytest.mark.parametrize(
    "answer",
    [Refused("no"), Conflict("no"), Unauthenticated("no"), Throttled("less")],
    ids=lambda error: type(error).__name__,
)
def test_a_refusal_is_an_answer_the_cluster_lives(gate: Gate, answer: ClusterError) -> None:
    fail(gate, times=2)
    fail(gate, answer)
    fail(gate, times=2)
    assert not gate.open


def test_one_call_probes_when_the_backoff_is_over(gate: Gate, clock: Clock) -> None:
    fail(gate, times=3)
    clock.now += 1.0
    assert not gate.open
    with gate.call():
        assert gate.open
        refused(gate)
    assert not gate.open
    with gate.call(), gate.call():
        pass


def test_a_failed_probe_lengthens_the_backoff_up_to_ten_seconds(gate: Gate, clock: Clock) -> None:
    fail(gate, times=3)
    waits = []
    for _ in range(9):
        waits.append(refused(gate).retry_after)
        clock.now += waits[-1] or 0
        fail(gate)
    assert waits == [1, 2, 4, 8, 10, 10, 10, 10, 10]


def test_who_doubts_it_may_ask_once(gate: Gate) -> None:
    fail(gate, times=3)
    gate.doubt()
    fail(gate)
    assert refused(gate).retry_after == 2.0


def test_who_doubts_it_waits_for_a_probe_that_is_under_way(gate: Gate) -> None:
    fail(gate, times=3)
    gate.doubt()
    with gate.call():
        gate.doubt()
        refused(gate)
    assert not gate.open


def test_many_calls_that_fail_together_open_it_once(gate: Gate) -> None:
    both = threading.Barrier(8)

    def one() -> None:
        with pytest.raises(Unreachable), gate.call():
            both.wait(5)
            raise Unreachable("down")

    in_threads(one, 8)
    assert refused(gate).retry_after == 1.0


def test_after_a_success_the_backoff_starts_anew(gate: Gate, clock: Clock) -> None:
    fail(gate, times=3)
    clock.now += 1.0
    fail(gate)
    clock.now += 2.0
    with gate.call():
        pass
    fail(gate, times=3)
    assert refused(gate).retry_after == 1.0


def test_a_probe_that_dies_of_our_own_mistake_does_not_lock_it(gate: Gate, clock: Clock) -> None:
    fail(gate, times=3)
    clock.now += 1.0
    with pytest.raises(KeyError), gate.call():
        raise KeyError("ours")
    assert not gate.open


def test_clusters_that_died_together_are_not_probed_together_f24(clock: Clock) -> None:
    waits = set()
    for _ in range(20):
        gate = Gate(Pace(tolerance=1, first=10.0), clock=clock)
        fail(gate)
        waits.add(refused(gate).retry_after)
    assert len(waits) > 10 and all(8.0 <= (wait or 0) <= 10.0 for wait in waits)


def test_the_metrics_tell_whether_it_is_open(clock: Clock) -> None:
    gate = Gate(QUICK, name="dead", clock=clock)
    fail(gate, times=3)
    assert REGISTRY.get_sample_value("kubenova_cluster_breaker_open", {"cluster": "dead"}) == 1
    clock.now += 1.0
    with gate.call():
        pass
    assert REGISTRY.get_sample_value("kubenova_cluster_breaker_open", {"cluster": "dead"}) == 0


# --- A server that asks for less (F11).


def test_one_throttle_holds_nobody_up_f11(gate: Gate) -> None:
    fail(gate, Throttled("less", retry_after=7.0), times=2)
    with gate.call():
        pass
    fail(gate, Throttled("less", retry_after=7.0), times=2)
    assert not gate.open


def test_it_asks_nothing_for_as_long_as_the_server_says_f11(gate: Gate, clock: Clock) -> None:
    fail(gate, Throttled("less, please", retry_after=7.0), times=3)
    assert gate.open
    error = refused(gate)
    assert isinstance(error, Throttled) and error.retry_after == 7.0
    assert error.message == "less, please"
    clock.now += 7.0
    assert not gate.open
    with gate.call():
        pass


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        pytest.param(None, 1.0, id="nothing: a second"),
        pytest.param(1e9, 60.0, id="absurd: a minute, then one asks again"),
    ],
)
def test_it_is_silent_neither_for_ever_nor_not_at_all_f11(gate: Gate, told, kept) -> None:
    fail(gate, Throttled("less", retry_after=told), times=3)
    assert refused(gate).retry_after == kept


def test_ten_minutes_of_throttles_cost_few_requests_f11(gate: Gate, clock: Clock) -> None:
    asked, until = 0, clock.now + 600.0
    while clock.now < until:
        for _ in range(20):  # a worker's threads
            try:
                with gate.call(write=True):
                    asked += 1
                    raise Throttled("less", retry_after=5.0)
            except Unreachable:
                continue
        clock.now += 0.5
    assert asked <= 600 / 5 + 3


# --- Writes in flight.


def in_threads(work: Callable[[], object], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)


def test_no_more_writes_are_in_flight_than_allowed() -> None:
    gate, lock = Gate(Pace(writes=3, patience=10.0)), threading.Lock()
    now = most = 0

    def write() -> None:
        nonlocal now, most
        with gate.call(write=True):
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.01)
            with lock:
                now -= 1

    in_threads(write, 12)
    assert (now, most) == (0, 3)


def test_reads_are_not_counted(gate: Gate) -> None:
    narrow = Gate(Pace(writes=1, patience=0.05))
    with narrow.call(write=True), narrow.call(), narrow.call():
        pass


def test_a_write_that_gets_no_turn_is_tried_later() -> None:
    narrow = Gate(Pace(writes=1, patience=0.05))
    with (
        narrow.call(write=True),
        pytest.raises(Unreachable, match="too many writes"),
        narrow.call(write=True),
    ):
        pytest.fail("the call went through")
    with narrow.call(write=True):
        pass


def test_a_write_waits_no_longer_than_its_deadline() -> None:
    narrow, started = Gate(Pace(writes=1, patience=30.0)), time.monotonic()
    with (
        narrow.call(write=True),
        within(0.1),
        pytest.raises(Unreachable, match="too many writes"),
        narrow.call(write=True),
    ):
        pytest.fail("the call went through")
    assert time.monotonic() - started < 5


def test_a_waiting_write_learns_that_the_cluster_died() -> None:
    gate = Gate(Pace(writes=1, patience=10.0, tolerance=1))
    waits = threading.Event()
    found: list[str] = []

    def waiting() -> None:
        waits.set()
        try:
            with gate.call(write=True):
                found.append("went through")
        except Unreachable as error:
            found.append(str(error))

    thread = threading.Thread(target=waiting)
    with pytest.raises(Unreachable), gate.call(write=True):
        thread.start()
        waits.wait(5)
        time.sleep(0.05)
        raise Unreachable("down")
    thread.join(5)
    assert found == ["down"]


def test_a_throttle_halves_them_once_a_second(gate: Gate, clock: Clock) -> None:
    fail(gate, Throttled("less"), times=5)
    assert gate.writes_allowed == 4
    clock.now += 1.0
    fail(gate, Throttled("less"))
    assert gate.writes_allowed == 2


def test_at_least_one_write_is_always_allowed(gate: Gate, clock: Clock) -> None:
    for _ in range(10):
        clock.now += 1.0
        fail(gate, Throttled("less"))
    assert gate.writes_allowed == 1
    clock.now += 1.0
    with gate.call(write=True):
        pass


def test_slow_writes_halve_them_too(gate: Gate, clock: Clock) -> None:
    with gate.call(write=True):
        clock.now += QUICK.slow + 0.1
    assert gate.writes_allowed == 4


def test_slow_reads_do_not(gate: Gate, clock: Clock) -> None:
    with gate.call():
        clock.now += QUICK.slow + 0.1
    assert gate.writes_allowed == 8


def test_they_recover_one_a_round(gate: Gate) -> None:
    fail(gate, Throttled("less"))
    rounds = []
    for _ in range(4):
        for _ in range(gate.writes_allowed + 1):
            with gate.call(write=True):
                pass
        rounds.append(gate.writes_allowed)
    assert rounds == [5, 6, 7, 8]
    for _ in range(20):
        with gate.call(write=True):
            pass
    assert gate.writes_allowed == 8
