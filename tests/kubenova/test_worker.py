"""The worker role as a process: its drains are always there, and nothing stays behind."""

import os
import signal
import subprocess
import sys
import time

import pytest

from kubenova import worker as role
from kubenova.drains import Slot
from tests.kubenova.roles import KILL, ROOT, alive, environment, eventually, family

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """A state folder with a database in it."""
    folder = tmp_path_factory.mktemp("worker")
    for command in (["migrate", "-v0"], ["createcachetable"]):
        subprocess.run(
            [sys.executable, "-m", "django", *command],
            env=environment(folder),
            cwd=ROOT,
            check=True,
        )
    return folder


class Worker:
    """A worker role with two drains that run."""

    def __init__(self, state, **more):
        self.state = state
        self.process = subprocess.Popen(
            [sys.executable, "-m", "django", "worker", "--drains", "2"],
            env=environment(state, KUBENOVA_DRAIN_SECONDS="4", **more),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        eventually(lambda: self.process.poll() is not None or self.drains() == [True, True], 60)
        assert self.process.poll() is None, self.process.stdout.read()
        self.everyone = family(self.process.pid)

    def drains(self):
        """For each slot, whether a drain holds it."""
        slots = sorted(self.state.glob(f"worker-{self.process.pid}/slot-*"))
        return [Slot(path).held_for() is not None for path in slots]

    def draining(self):
        """The processes that drain."""
        everyone = family(self.process.pid)
        return [each for each in everyone if "drain_in_slot" in " ".join(each.cmdline())]

    def ended(self):
        """The exit status, and what it said."""
        status = self.process.wait(45)
        return status, self.process.stdout.read()


@pytest.fixture
def worker(state):
    role = Worker(state)
    yield role
    role.process.kill()
    role.process.wait()
    role.process.stdout.close()


def test_its_drains_are_always_there_until_it_is_told_to_stop(worker, state):
    eventually(lambda: len(worker.draining()) == 2)
    worker.draining()[0].kill()
    began = time.monotonic()
    eventually(lambda: worker.drains() != [True, True])
    eventually(lambda: worker.drains() == [True, True])
    assert time.monotonic() - began < 20  # about half a second on a machine at rest

    missing, rounds, until = 0, 0, time.monotonic() + 6  # longer than a drain lives
    while time.monotonic() < until:
        rounds += 1
        missing += worker.drains() != [True, True]
        time.sleep(0.02)
    assert missing < rounds / 4

    everyone, began = family(worker.process.pid), time.monotonic()
    worker.process.send_signal(signal.SIGTERM)
    status, said = worker.ended()
    assert (status, time.monotonic() - began < 30) == (0, True)
    assert '"event": "worker_stopping"' in said
    assert not alive(everyone)
    assert list(state.glob("worker-*")) == []


@pytest.mark.django_db
def test_it_clears_what_dead_workers_left_and_nothing_else(tmp_path):
    for name in ("worker-notes", f"worker-{os.getpid()}", "worker-999999999"):
        (tmp_path / name).mkdir()
    (tmp_path / "worker-1.bak").touch()
    role.Worker(1, tmp_path / "worker-888888888", "kubenova@test").prepare()
    left = {each.name for each in tmp_path.iterdir()}
    assert left == {
        "worker-notes",
        "worker-1.bak",
        f"worker-{os.getpid()}",
        "worker-888888888",
    }


def test_a_killed_worker_leaves_no_process_behind(worker):
    assert len(worker.everyone) >= 7
    worker.process.send_signal(KILL)
    worker.process.wait()
    eventually(lambda: not alive(worker.everyone))


def test_it_ends_when_its_queue_dies(worker):
    """A signal to the group of the worker would not have reached the queue."""
    queue = next(each for each in worker.everyone if each.ppid() == worker.process.pid)
    assert os.getsid(queue.pid) == queue.pid
    queue.kill()
    status, said = worker.ended()
    assert status == 1
    assert '"event": "queue_died"' in said
    eventually(lambda: not alive(worker.everyone))
