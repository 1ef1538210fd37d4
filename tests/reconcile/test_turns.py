"""Processes that write to one file take turns: one at a time, and nobody is left out."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from reconcile import turns
from reconcile.turns import Turns

_GREEDY = """
import sys, time
from reconcile.turns import Turns
mine = Turns(sys.argv[1])
print("there", flush=True)
while True:
    with mine.turn():
        time.sleep(0.002)
"""
_HOLDING = """
import sys, time
from reconcile.turns import Turns
with Turns(sys.argv[1]).turn():
    print("there", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """Start a process that takes turns; it is killed in the end."""
    begun = []

    def begin(program: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", program, str(tmp_path / "turns")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        begun.append(process)
        assert process.stdout and process.stdout.readline() == b"there\n"
        return process

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


@pytest.fixture
def mine(tmp_path):
    return Turns(str(tmp_path / "turns"))


def test_one_at_a_time(mine, other):
    other(_GREEDY)
    for _ in range(50):
        with mine.turn():
            began = time.monotonic()
            time.sleep(0.001)
            assert not mine_is_free(mine), "nobody else has it meanwhile"
            assert time.monotonic() > began


def mine_is_free(mine: Turns) -> bool:
    """Whether another process could have it now: a child asks, as locks belong to processes."""
    child = os.fork()
    if child == 0:
        os._exit(1 if mine._take(turns._DESK, time.monotonic() - 1) else 0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 1


def test_who_waits_is_not_left_out_by_one_who_takes_turn_after_turn(mine, other):
    other(_GREEDY)
    worst = 0.0
    for _ in range(100):
        began = time.monotonic()
        with mine.turn():
            worst = max(worst, time.monotonic() - began)
    assert worst < turns._PATIENCE_SECONDS / 2


def test_a_process_that_dies_with_it_gives_it_back(mine, other):
    other(_HOLDING).kill()
    began = time.monotonic()
    with mine.turn():
        assert time.monotonic() - began < turns._PATIENCE_SECONDS
        assert not mine_is_free(mine)


def test_one_that_is_stopped_with_it_does_not_stop_all_f6(mine, other, monkeypatch):
    monkeypatch.setattr(turns, "_PATIENCE_SECONDS", 0.2)
    other(_HOLDING).send_signal(signal.SIGSTOP)
    began = time.monotonic()
    with mine.turn():
        assert 0.2 <= time.monotonic() - began < 5
    # Nothing was taken, so nothing is given back: it is still the other's.
    assert not mine_is_free(mine)


def test_a_block_that_raises_gives_it_back(mine):
    with pytest.raises(ValueError), mine.turn():
        raise ValueError
    assert mine_is_free(mine)


def test_threads_take_it_one_after_the_other_and_a_block_inside_joins():
    """As `one_writer` has it, whatever the database of the tests is."""
    from reconcile.locks import has_one_writer, one_writer

    if not has_one_writer():
        pytest.skip("PostgreSQL lets many write at once")
    inside = threading.Event()
    order = []

    def write(name: str) -> None:
        with one_writer(), one_writer():
            order.append(f"{name} begins")
            inside.wait(0.01)
            order.append(f"{name} ends")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.split()[0] for each in order[::2]] == [each.split()[0] for each in order[1::2]]
