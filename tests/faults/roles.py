"""The roles of KubeNova as real processes that a test can kill, stop and start."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from kubenova.lifeline import following
from tests.kubenova.roles import ROOT, eventually, family, free_port

START_SECONDS = 60.0
STOP_SECONDS = 40.0  # of which a role takes eight at most on a machine that is idle


class Died(Exception):
    """A role ended although nobody had asked for it; the end of its log."""


class Role:
    """One process of a role and all that it starts; `ready` says whether it serves.

    Start it from the main thread only: the kernel ends it with the thread that started it.
    """

    def __init__(
        self, name: str, arguments: Iterable[str], environment: dict[str, str], logs: Path
    ) -> None:
        self.name, self.log = name, logs / f"{name}.log"
        self._command = [sys.executable, "-m", "django", *arguments]
        self.environment = environment
        self.process: subprocess.Popen[bytes] | None = None
        self.expected = False  # whether its end is part of the test

    @property
    def running(self) -> bool:
        """Whether its first process lives."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """Of its first process."""
        assert self.process is not None, f"{self.name} was not started"
        return self.process.pid

    def start(self) -> None:
        """Start it; returns at once."""
        self.expected = False
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                env=following(self.environment),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def family(self) -> list[int]:
        """The pids of it and of all that it has started; empty when it is gone."""
        if not self.running:
            return []
        with suppress(psutil.NoSuchProcess):
            return [process.pid for process in family(self.pid)]
        return []

    def kill(self) -> None:
        """Kill it with all that it has started, as a machine that loses power does."""
        self.expected = True
        pids = self.family()
        for number in (signal.SIGSTOP, signal.SIGKILL):  # first nobody moves any more
            self.signal(number, pids)
        for pid in pids:
            eventually(lambda pid=pid: _ended(pid), STOP_SECONDS)
        if self.process:
            self.process.wait(STOP_SECONDS)

    def stop(self) -> tuple[int, float]:
        """Ask it to end; return its exit status and how many seconds that took."""
        self.expected = True
        began = time.monotonic()
        if not self.process:
            return 0, 0.0
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(STOP_SECONDS)
        return status, time.monotonic() - began

    def signal(self, number: signal.Signals, pids: Iterable[int] | None = None) -> None:
        """Send a signal to all of it."""
        for pid in self.family() if pids is None else pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def check(self) -> None:
        """Raise Died when it has ended by itself."""
        if self.process is None or self.running or self.expected:
            return
        lines = self.log.read_text(errors="replace").splitlines()[-6:]
        lines = [line[:200] for line in lines]
        raise Died("\n".join([f"{self.name} ended with {self.process.returncode}", *lines]))


class Roles:
    """All roles of one world: a web role, workers (`worker-0`, …) and a watcher."""

    def __init__(self, environment: dict[str, str], folder: Path, workers: int) -> None:
        self._folder, self.port = folder, free_port()
        bind = f"127.0.0.1:{self.port}"
        self.web = Role("web", ["web", "--bind", bind], environment, folder)
        self.watch = Role("watch", ["watch"], environment, folder)
        self._environment = environment
        self.workers = [self._worker(number) for number in range(workers)]

    def _worker(self, number: int, **more: str) -> Role:
        return Role(f"worker-{number}", ["worker"], self._environment | more, self._folder)

    @property
    def all(self) -> list[Role]:
        """Every role."""
        return [self.web, *self.workers, self.watch]

    def add_workers(self, count: int, **more: str) -> list[Role]:
        """Start so many more workers, with more in their environment."""
        added = [self._worker(len(self.workers) + number, **more) for number in range(count)]
        self.workers += added
        for role in added:
            role.start()
        return added

    def drop_workers(self, added: Iterable[Role]) -> None:
        """End these workers for good."""
        for role in added:
            role.stop()
            self.workers.remove(role)

    def keep(self) -> None:
        """Start whatever does not run. Raises Died for what ended by itself."""
        for role in self.all:
            role.check()
            if not role.running:
                role.start()

    def stop(self) -> None:
        """End them all."""
        for role in self.all:
            if role.running:
                role.signal(signal.SIGCONT)
                role.process.send_signal(signal.SIGTERM)  # type: ignore[union-attr]
        for role in self.all:
            if role.process:
                role.process.wait(STOP_SECONDS)

    def draining(self, role: Role) -> bool:
        """Whether a worker takes steps by now: one of its drains holds its slot."""
        state = Path(role.environment["KUBENOVA_STATE"])
        return any(map(_held, state.glob(f"worker-{role.pid}/slot-*")))

    def owner_of(self, pid: int) -> Role | None:
        """The role that a process belongs to."""
        return next((role for role in self.all if pid in role.family()), None)


def wait_for(condition: Callable[[], object], what: str, seconds: float = START_SECONDS) -> float:
    """Wait until something is true; return how many seconds that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - began


def _ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _held(slot: Path) -> bool:
    with slot.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
