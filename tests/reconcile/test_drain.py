"""The resident drain: serves, parks, wakes, shares, stops. Real threads on a real database."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
from django.db import connection, transaction
from django.utils import timezone

from reconcile.drain import Drain, drain
from reconcile.errors import Unreachable
from reconcile.loop import Outcome
from reconcile.models import Work
from reconcile.slots import FIRST
from reconcile.wake import Parking
from tests.reconcile.models import STEPS, Pebble

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(60)]

SOON = 20.0


@pytest.fixture(autouse=True)
def fast(settings, tmp_path):
    """A stop marker of the test's own."""
    settings.STOP_FILE = str(tmp_path / "stop")
    return tmp_path / "stop"


@contextmanager
def serving(stop, *, threads: int = 4, slots: int = 4, drains: int = 1) -> Iterator[None]:
    """Drains that run in threads of their own until the block ends."""

    def run() -> None:
        try:
            Drain(threads, slots).run(30)
        finally:
            connection.close()

    running = [threading.Thread(target=run) for _ in range(drains)]
    for thread in running:
        thread.start()
    try:
        yield
    finally:
        stop.touch()
        for thread in running:
            thread.join(20)
        stop.unlink()
    assert not any(thread.is_alive() for thread in running)


def eventually(reached: Callable[[], bool], seconds: float = SOON) -> float:
    """Wait until `reached()`; return how many seconds it took."""
    began = time.monotonic()
    while not reached():
        assert time.monotonic() - began < seconds, "not reached in time"
        time.sleep(0.005)
    return time.monotonic() - began


def make_due(name: str) -> None:
    """As a request of another process would, on a connection of its own."""
    Pebble.objects.get(name=name).mark()


def at_rest() -> bool:
    return not Work.objects.exclude(due_at=None, lease_token=None).exists()


def test_it_serves_everything_that_is_due(pebble, fast):
    served = []
    for number in range(30):
        pebble(f"{number}", act=lambda row, lease: served.append(row.name))
    with serving(fast):
        eventually(at_rest)

    assert sorted(served) == sorted(str(number) for number in range(30))


def test_it_says_how_many_steps_it_took(pebble):
    for number in range(5):
        pebble(f"{number}")
    assert Drain(2, 2).run(0.5) == 5


def test_it_ends_when_its_time_is_up(db):
    began = time.monotonic()
    Drain(2, 2).run(0.3)
    assert 0.3 <= time.monotonic() - began < 6


def test_the_task_runs_one_for_so_many_seconds(pebble, settings):
    pebble()
    settings.DRAIN_SECONDS = 0.3
    assert drain() == 1


def test_it_stops_at_once_when_the_marker_appears(db, fast):
    began = time.monotonic()
    with serving(fast):
        time.sleep(0.2)
        began = time.monotonic()
    assert time.monotonic() - began < 10, "it would have gone on for 30 s"


def test_it_takes_nothing_when_it_is_to_stop(pebble, fast):
    work = pebble()
    fast.touch()
    assert Drain(2, 2).run(5) == 0
    assert Work.objects.get(pk=work.pk).attempts == 0


def test_it_finishes_the_steps_under_way_before_it_ends_f34(pebble, fast):
    begun, done = threading.Event(), []

    def slow(row, lease):
        begun.set()
        time.sleep(0.5)
        done.append(row.name)

    pebble(act=slow)
    with serving(fast):
        assert begun.wait(SOON)

    assert done == ["pebble"] and at_rest()


def test_it_wakes_within_tens_of_milliseconds(pebble, fast):
    """After a commit by another connection, though it would park for a second."""
    served: list[float] = []
    pebble(act=lambda row, lease: served.append(time.monotonic()))
    waits = []
    with serving(fast):
        eventually(at_rest)
        for _ in range(10):
            time.sleep(0.12)
            count, asked = len(served), time.monotonic()
            make_due("pebble")
            eventually(lambda count=count: len(served) > count)
            waits.append(served[-1] - asked)
            eventually(at_rest)

    assert sorted(waits)[len(waits) // 2] < 0.45, waits


def test_parking_ends_with_news_and_not_without(pebble):
    work = pebble()
    parking = Parking()
    try:
        while parking.wait(0.05):
            pass
        began = time.monotonic()
        assert not parking.wait(0.2) and time.monotonic() - began >= 0.2

        threading.Timer(0.1, _mark_in_a_thread, [work.pk]).start()
        assert parking.wait(20) and time.monotonic() - began < 10
    finally:
        parking.close()


def _mark_in_a_thread(pk: int) -> None:
    Work.objects.filter(pk=pk).mark()
    connection.close()


def test_a_mark_that_is_rolled_back_wakes_nobody_and_marks_nothing(pebble):
    work = pebble()
    before = work.marks
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Work.objects.filter(pk=work.pk).mark()
        raise ZeroDivisionError
    work.refresh_from_db()

    assert work.marks == before


def test_it_looks_again_when_a_step_asked_for_it(pebble, fast):
    times = []

    def again(row, lease):
        times.append(time.monotonic())
        return Outcome(look_in=0.3 if len(times) < 3 else None)

    pebble(act=again)
    with serving(fast):
        eventually(lambda: len(times) == 3)

    assert all(later - sooner >= 0.3 for sooner, later in pairwise(times))


def test_a_failing_step_is_not_repeated_without_a_pause(pebble, fast):
    calls = []

    def fail(row, lease):
        calls.append(row.name)
        return Outcome(10, Unreachable("down"))

    pebble(act=fail)
    with serving(fast):
        time.sleep(0.5)

    assert len(calls) == 1


def test_a_step_that_was_marked_meanwhile_is_taken_again_law_g(pebble, fast):
    runs = []

    def marked_while_running(row, lease):
        runs.append(row.name)
        if len(runs) == 1:
            Pebble.objects.get().mark()

    pebble(act=marked_while_running)
    with serving(fast):
        eventually(at_rest)

    assert len(runs) == 2


# --- Slots and turns.


class Crowd:
    """Counts how many steps are in it at once, and the most that there ever were."""

    def __init__(self, seconds: float = 0.05) -> None:
        self._lock, self._seconds = threading.Lock(), seconds
        self.now: Counter[int | None] = Counter()
        self.most: Counter[int | None] = Counter()
        self.served: list[str] = []

    def step(self, row, lease) -> None:
        with self._lock:
            self.now[row.shelf_pk] += 1
            self.most |= self.now
        time.sleep(self._seconds)
        with self._lock:
            self.now[row.shelf_pk] -= 1
            self.served.append(row.name)


def test_it_takes_several_steps_at_once_and_no_more_than_it_has_threads(pebble, fast):
    crowd = Crowd()
    for number in range(12):
        pebble(f"{number}", crowd.step)
    with serving(fast, threads=3):
        eventually(at_rest)

    assert crowd.most[None] == 3 and len(crowd.served) == 12


def test_a_cluster_has_only_so_many_slots(pebble, fast):
    crowd = Crowd()
    for number in range(8):
        pebble(f"one {number}", crowd.step, shelf_pk=1)
        pebble(f"two {number}", crowd.step, shelf_pk=2)
    with serving(fast, threads=8, slots=2):
        eventually(at_rest)

    assert crowd.most == {1: 2, 2: 2} and len(crowd.served) == 16


def test_a_cluster_that_answers_quickly_gets_more_slots(pebble, fast):
    crowd = Crowd(seconds=0.2)
    for number in range(40):
        pebble(f"{number}", crowd.step, shelf_pk=1)
    with serving(fast, threads=12, slots=8):
        eventually(lambda: crowd.most[1] > FIRST, seconds=30)
        eventually(at_rest, seconds=30)

    assert crowd.most[1] <= 8 and len(crowd.served) == 40


def test_a_cluster_that_died_at_rest_has_few_steps_in_it_f13(pebble, fast):
    hang, stuck = threading.Event(), []

    def hanging(row, lease):
        stuck.append(row.name)
        hang.wait(20)

    for number in range(12):
        pebble(f"dead {number}", hanging, shelf_pk=1)
    with serving(fast, threads=12, slots=12):
        try:
            eventually(lambda: len(stuck) == FIRST)
            time.sleep(0.3)
            assert len(stuck) == FIRST
        finally:
            Work.objects.filter(cluster_id=1, lease_token=None).delete()
            hang.set()


def test_a_slot_that_is_freed_is_taken_at_once(pebble, fast):
    """Twenty steps of 20 ms through one slot: not one second of parking for each."""
    crowd = Crowd(seconds=0.02)
    for number in range(20):
        pebble(f"{number}", crowd.step, shelf_pk=1)
    with serving(fast, threads=4, slots=1):
        took = eventually(at_rest)

    assert took < 15


def test_a_cluster_that_hangs_holds_up_no_other_f13(pebble, fast):
    hang, served = threading.Event(), []

    def hanging(row, lease):
        hang.wait(20)

    for number in range(10):
        pebble(f"dead {number}", hanging, shelf_pk=1)
    for number in range(10):
        pebble(f"live {number}", lambda row, lease: served.append(row.name), shelf_pk=2)
    with serving(fast, threads=4, slots=2):
        try:
            eventually(lambda: len(served) == 10)
        finally:
            Work.objects.filter(cluster_id=1, lease_token=None).delete()
            hang.set()


def test_steps_that_are_stuck_leave_the_others_all_their_threads_f13(pebble, fast, monkeypatch):
    monkeypatch.setattr("reconcile.drain._SLOW_SECONDS", 0.1)
    hang, stuck, crowd = threading.Event(), [], Crowd(seconds=0.05)

    def hanging(row, lease):
        stuck.append(row.name)
        hang.wait(20)

    for number in range(2):
        pebble(f"dead {number}", hanging, shelf_pk=1)
    with serving(fast, threads=2, slots=2):
        try:
            eventually(lambda: len(stuck) == 2)
            for number in range(6):
                pebble(f"live {number}", crowd.step, shelf_pk=2)
            eventually(lambda: len(crowd.served) == 6)
        finally:
            hang.set()
    assert max(crowd.most.values()) == 2


def test_what_waits_for_the_database_alone_is_never_taken_for_stuck(pebble, fast, monkeypatch):
    monkeypatch.setattr("reconcile.drain._SLOW_SECONDS", 0.02)
    crowd = Crowd(seconds=0.1)
    for number in range(6):
        pebble(f"{number}", crowd.step)
    with serving(fast, threads=2):
        eventually(lambda: len(crowd.served) == 6)
    assert max(crowd.most.values()) == 2


def test_a_tenant_with_much_to_do_does_not_starve_another(pebble, fast):
    crowd = Crowd(seconds=0.01)
    for number in range(60):
        pebble(f"acme {number}", crowd.step, tenant="acme")
    pebble("globex", crowd.step, tenant="globex")
    with serving(fast, threads=2):
        eventually(lambda: "globex" in crowd.served)
        assert crowd.served.index("globex") < 10
        eventually(at_rest, seconds=20)


def test_a_full_cluster_does_not_make_it_ask_for_work_again_and_again(pebble, fast, monkeypatch):
    """Who waits for a slot is remembered for a moment, which here lasts as long as it takes."""
    monkeypatch.setattr("reconcile.drain._GOOD_SECONDS", 60)
    crowd, asked = Crowd(seconds=0.02), []

    def count(execute, sql, *rest):
        asked.append("ROW_NUMBER" in sql)
        return execute(sql, *rest)

    def step(row, lease):
        crowd.step(row, lease)
        if len(crowd.served) == 40:
            fast.touch()

    for number in range(40):
        pebble(f"{number}", step, shelf_pk=1)
    with connection.execute_wrapper(count):
        Drain(4, 2).run(30)

    assert len(crowd.served) == 40
    assert 1 <= sum(asked) <= 8, "it would be more than once for each of them"


# --- Several drains.


def test_two_drains_share_the_work_without_doubling_it_f5(pebble, fast):
    crowd = Crowd(seconds=0.005)
    for number in range(60):
        pebble(f"{number}", crowd.step)
    with serving(fast, drains=2):
        eventually(at_rest, seconds=20)

    assert Counter(crowd.served) == {str(number): 1 for number in range(60)}


def test_two_drains_never_work_on_one_row_at_once_f5(pebble, fast):
    inside, overlaps, runs = threading.Lock(), [], []

    def alone(row, lease):
        overlaps.append(inside.acquire(blocking=False))
        time.sleep(0.005)
        if overlaps[-1]:
            inside.release()
        runs.append(row.name)

    pebble(act=alone)
    with serving(fast, drains=3):
        for _ in range(40):
            make_due("pebble")
            time.sleep(0.005)
        eventually(at_rest)

    assert all(overlaps) and len(runs) > 1


# --- Leases.


def test_it_keeps_the_lease_of_a_long_step(pebble, fast, settings):
    settings.LEASE_SECONDS = 3
    runs = []

    def long(row, lease):
        runs.append(lease.token)
        time.sleep(4)
        lease.check()

    work = pebble(act=long)
    with serving(fast, drains=2):
        eventually(lambda: len(runs) == 1)
        eventually(at_rest)
    work.refresh_from_db()

    assert len(runs) == 1 and work.traceback == "", "nobody else took it meanwhile"


def test_it_keeps_the_lease_of_its_last_steps_too_f34(pebble, fast, settings):
    """Its time is up while a step is under way that takes longer than a lease lasts."""
    settings.LEASE_SECONDS = 3
    left = []

    def long(row, lease):
        time.sleep(4)
        left.append(lease.work.lease_until and lease.mine.get().lease_until > timezone.now())

    pebble(act=long)
    Drain(2, 2).run(0.2)

    assert left == [True]


def test_what_a_killed_drain_left_is_taken_up_when_its_lease_runs_out_f1(pebble, fast, settings):
    settings.LEASE_SECONDS = 1
    work = pebble()
    assert Work.objects.claim(work.pk), "and never released"
    with serving(fast):
        took = eventually(at_rest)

    assert took > 0.5


def test_a_defect_in_one_row_does_not_stop_the_drain_f31(pebble, fast):
    served = []

    def explode(row, lease):
        raise ZeroDivisionError

    pebble("poison", explode)
    pebble("fine", lambda row, lease: served.append(row.name))
    with serving(fast):
        eventually(lambda: served == ["fine"])
        make_due("fine")
        eventually(lambda: served == ["fine", "fine"])

    assert (
        "ZeroDivisionError"
        in Work.objects.get(owner=Pebble.objects.get(name="poison").owner).traceback
    )


def test_a_row_that_raises_no_ordinary_exception_leaves_its_lease_to_run_out(
    pebble, fast, settings
):
    settings.LEASE_SECONDS = 1
    deaths = []

    def die(row, lease):
        deaths.append(row.name)
        raise SystemExit

    pebble(act=die)
    with serving(fast):
        eventually(lambda: len(deaths) == 2)
        STEPS.clear()
        eventually(at_rest)


def test_a_slow_cluster_is_left_one_slot_f13(pebble, fast, monkeypatch):
    """It keeps one thread waiting, and no more, once it is known to be slow."""
    monkeypatch.setattr("reconcile.drain._SLOW_SECONDS", 0.05)
    under_way, most, served = [0], [0], []

    def crawl(row, lease):
        under_way[0] += 1
        most[0] = max(most[0], under_way[0]) if len(served) > 4 else 0
        time.sleep(0.15)
        served.append(row.name)
        under_way[0] -= 1

    for number in range(12):
        pebble(f"{number}", crawl, shelf_pk=1)
    with serving(fast, threads=8, slots=4):
        eventually(lambda: len(served) == 12)
    assert most[0] == 1


def test_a_cluster_that_is_quick_again_has_all_its_slots_f13(pebble, fast, monkeypatch):
    monkeypatch.setattr("reconcile.drain._SLOW_SECONDS", 1.0)
    meeting, together = threading.Barrier(3), []

    def meet(row, lease):
        together.append(meeting.wait(SOON))

    pebble("slow", act=lambda row, lease: time.sleep(1.2), shelf_pk=1)
    with serving(fast, threads=4, slots=3):
        eventually(at_rest)
        pebble("quick", shelf_pk=1)
        eventually(at_rest)
        for number in range(3):
            pebble(f"{number}", act=meet, shelf_pk=1)
        eventually(lambda: len(together) == 3)
