"""The machine that is measured on: whether it is at rest, and who has used its processors."""

import os
import platform
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil
from _figures import JSON, rounded

QUIET_SECONDS = 5.0
QUIET_IDLE = 85.0  # per cent


class Busy(SystemExit):
    """The machine has something else to do: what would be measured is that."""


def idle(seconds: float = QUIET_SECONDS) -> float:
    """Return how much of the processors nobody has used for so long, in per cent."""
    before = psutil.cpu_times()
    time.sleep(seconds)
    after = psutil.cpu_times()
    return idle_between(before._asdict(), after._asdict())


def idle_between(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Return the idle share of the time between two readings of the system's clock, in per cent.

    Waiting for a disk is not idle: others are then using it. `guest` is part of `user` already.
    """
    names = [name for name in after if not name.startswith("guest")]
    spent = {name: after[name] - before[name] for name in names}
    total = sum(spent.values())
    return 100.0 * spent["idle"] / total if total else 100.0


def describe(*, busy: bool) -> dict[str, object]:
    """Say what machine it is and how busy. Raises Busy unless that is allowed."""
    free = idle()
    if free < QUIET_IDLE and not busy:
        raise Busy(
            f"The machine is busy: {free:.0f} % idle for {QUIET_SECONDS:.0f} s, "
            f"{QUIET_IDLE:.0f} % are needed. Wait, or measure all the same with --busy."
        )
    return {
        "at": time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "idle before, %": round(free),
        "load before": [round(value, 2) for value in os.getloadavg()],
        "quiet": free >= QUIET_IDLE,
    }


def core_seconds(pids: Iterable[int]) -> float:
    """Return the processor time of these processes and of all that they have started, in seconds.

    Children that have ended count when they were waited for.
    """
    total = 0.0
    for pid in pids:
        for process in _family(pid):
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            total += times.user + times.system
            total += times.children_user + times.children_system
    return total


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def pin(pids: Iterable[int], core: int) -> None:
    """Keep these processes, with all that they start from now on, on one core.

    A thread that has come is asked as well: the system knows of threads alone.
    """
    for pid in pids:
        for process in _family(pid):
            with suppress(psutil.Error):
                for thread in process.threads():
                    with suppress(ProcessLookupError):
                        os.sched_setaffinity(thread.id, {core})


@dataclass
class Spent:
    """What a block has cost: wall seconds, and core-seconds by the name of who spent them."""

    wall: float = 0.0
    cores: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Core-seconds of all."""
        return sum(self.cores.values())


SERVER = (
    *("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"),
    "vela-core",
)


def cost_of(spent: Spent, count: int, things: str, thing: str) -> JSON:
    """What so many things have cost: how many a second, and the processor time that each took."""
    server = sum(spent.cores.get(name, 0.0) for name in SERVER)
    return {
        "seconds": round(spent.wall, 2),
        f"{things}/s": rounded(count / spent.wall),
        f"core-ms per {thing}, server": rounded(server * 1000 / count),
        f"core-ms per {thing}, client": rounded((spent.total - server) * 1000 / count),
    }


@contextmanager
def spending(processes: Mapping[str, Iterable[int]], *, mine: bool = False) -> Iterator[Spent]:
    """Measure a block: `processes` are pids by the name of their part, `mine` adds this one."""
    spent = Spent()
    before = {name: core_seconds(pids) for name, pids in processes.items()}
    own, began = time.process_time(), time.perf_counter()
    yield spent
    spent.wall = time.perf_counter() - began
    after = {name: core_seconds(pids) for name, pids in processes.items()}
    spent.cores = {name: round(after[name] - before[name], 2) for name in processes}
    if mine:
        spent.cores["client"] = round(time.process_time() - own, 2)
