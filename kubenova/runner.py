"""Starts roles as child processes, shows what they say and leaves none behind.

Each child has a session of its own and is signalled by its pid: a signal to the group would hang
the queue for ever. When the runner is killed the kernel ends the children (`kubenova.lifeline`).
"""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

import psutil

from kubenova.lifeline import following

STOP_SECONDS = 12.0  # every role stops within 10
LAST_LINES = 20
_LOOK_SECONDS = 0.1

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Role:
    """A role and the command that plays it."""

    name: str
    command: tuple[str, ...]


class RoleDied(Exception):
    """A role ended by itself: its name, exit status and last lines."""

    def __init__(self, name: str, status: int, lines: Sequence[str]) -> None:
        super().__init__(f"{name} ended with status {status}")
        self.name, self.status, self.lines = name, status, tuple(lines)


class PortTaken(Exception):
    """The port is in use; the message names by whom, and the way out."""


@dataclass
class Stop:
    """Whether somebody asked to stop, and whether they asked again."""

    asked: threading.Event = field(default_factory=threading.Event)
    hurry: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def on_signals(cls) -> "Stop":
        """Listen to SIGINT and SIGTERM (and to SIGHUP, of a terminal that is closed)."""
        stop = cls()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, stop._ask)
        return stop

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        (self.hurry if self.asked.is_set() else self.asked).set()


class Child:
    """A running role: its process, its log file and its last lines."""

    def __init__(self, role: Role, logs: Path, environment: dict[str, str], tell: Tell) -> None:
        self.role = role
        self.lines: deque[str] = deque(maxlen=LAST_LINES)
        self.process = subprocess.Popen(
            role.command,
            env=following(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            bufsize=1,
            start_new_session=True,
        )
        log = (logs / f"{role.name}.log").open("w", buffering=1)
        arguments = (self.process.stdout, log, tell)
        self._pump = threading.Thread(target=self._copy, args=arguments, daemon=True)
        self._pump.start()

    def _copy(self, output: IO[str], log: IO[str], tell: Tell) -> None:
        with output, log:
            for line in output:
                self.lines.append(line.rstrip("\n"))
                log.write(line)
                tell(f"{self.role.name:>7} | {self.lines[-1]}")

    def died(self) -> RoleDied | None:
        """Return what to say when it has ended, None while it runs."""
        status = self.process.poll()
        if status is None:
            return None
        self._pump.join(1.0)
        return RoleDied(self.role.name, status, list(self.lines))


class Children:
    """All the roles of one run."""

    def __init__(self, logs: Path, environment: dict[str, str], tell: Tell) -> None:
        self._logs, self._environment, self._tell = logs, environment, tell
        self._children: list[Child] = []
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, roles: Sequence[Role]) -> None:
        """Start them all; to be called from the main thread, whose end would be theirs."""
        for role in roles:
            self._children.append(Child(role, self._logs, self._environment, self._tell))

    def check(self) -> None:
        """Raise RoleDied when one of them has ended."""
        for child in self._children:
            if died := child.died():
                raise died

    def wait(self, stop: Stop, until: Callable[[], bool] = lambda: False) -> bool:
        """Wait until that is so (True) or a stop is asked for (False). Raises RoleDied."""
        while not until():
            self.check()
            if stop.asked.wait(_LOOK_SECONDS):
                return False
        return True

    def stop(self, stop: Stop) -> list[str]:
        """End them all, the last started first; return the names of those that had to be killed."""
        for child in reversed(self._children):
            if child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while self._running() and time.monotonic() < deadline and not stop.hurry.is_set():
            time.sleep(_LOOK_SECONDS)
        killed = self._running()
        for child in killed:
            child.process.kill()
        for child in self._children:
            child.process.wait()
        return [child.role.name for child in killed]

    def _running(self) -> list[Child]:
        return [child for child in self._children if child.process.poll() is None]


def end_descendants() -> None:
    """Kill whatever this process has started and is still there, such as a build under way."""
    left = psutil.Process().children(recursive=True)
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=5)


def check_port(port: int, option: str) -> None:
    """Raise PortTaken when nobody can listen on that port of 127.0.0.1."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortTaken(
                f"Port {port} cannot be used: {error.strerror}{_user_of(port)}. "
                f"Choose another one with {option}."
            ) from error


def _user_of(port: int) -> str:
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return ""
    for connection in connections:
        listens = connection.status == "LISTEN" and connection.laddr.port == port
        if listens and connection.pid:
            return f" by {psutil.Process(connection.pid).name()}, pid {connection.pid}"
    return ""


def manage(*arguments: str) -> tuple[str, ...]:
    """Return the command line of one of our management commands."""
    return (sys.executable, "-m", "django", *arguments)
