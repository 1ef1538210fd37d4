"""Processes for tests: what is started, what is left, and roles that only pretend."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from kubenova.runner import Role

ROOT = Path(__file__).resolve().parents[2]


def environment(state: Path, **more: str) -> dict[str, str]:
    """The environment of a role with a state of its own, on SQLite."""
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    own = {"KUBENOVA_STATE": str(state), "DJANGO_SETTINGS_MODULE": "kubenova.settings"}
    return kept | own | {"PYTHONPATH": str(ROOT)} | more


def eventually(condition: Callable[[], object], seconds: float = 60.0) -> object:
    """Wait until something is true and return it; fails the test when it never is.

    The default is no promise of the product: a busy machine just has to get there.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)
    return found


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run."""
    return [each for each in processes if each.is_running() and each.status() != "zombie"]


def family(pid: int) -> list[psutil.Process]:
    """A process and all that it has started."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def pretender(name: str, code: str) -> Role:
    """A role that runs a line of Python and dies with its parent."""
    start = "from kubenova.lifeline import tie; tie('test'); import os, signal, time;"
    return Role(name, (sys.executable, "-u", "-c", f"{start} {code}"))


OBEDIENT = pretender("obedient", "print('obedient is up'); time.sleep(60)")
FORKING = pretender("forking", "os.fork(); os.write(1, b'forking is up\\n'); time.sleep(60)")
STUBBORN = pretender(
    "stubborn",
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('stubborn is up'); time.sleep(60)",
)
SHORT = pretender("short", "print('about to fail'); raise SystemExit(3)")
KILL = signal.SIGKILL
