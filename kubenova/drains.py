"""Keeps WORKERS resident drains running in the queue's worker processes, no fewer and no more.

Each drain holds a slot: a file locked with flock(2). The kernel frees the lock when its holder
ends, however it ends, so the role that supervises sees at once that a drain is missing, without
clocks or heartbeats; and a message delivered twice finds the slot taken and does nothing.
"""

import fcntl
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django_q.brokers import get_broker
from django_q.tasks import async_task

from clusters import transport
from reconcile.drain import drain
from reconcile.heap import settle

AHEAD_SECONDS = 2.0  # so long before its end a drain's successor is asked for
PATIENCE_SECONDS = 2.0  # so long an asked one may take to come
TAIL_SECONDS = 60  # so long the steps under way at the end of a drain may take
_POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Slot:
    """The right to run one drain."""

    path: Path

    def held_for(self) -> float | None:
        """Seconds since a drain took the slot, None when it is free."""
        with self._open() as descriptor:
            if _locks(descriptor, fcntl.LOCK_SH):
                return None
            return max(0.0, time.time() - os.fstat(descriptor).st_mtime)

    @contextmanager
    def held(self, wait: float, longest: float) -> Iterator[bool]:
        """Take the slot, waiting up to `wait` seconds; yields whether it could be had.

        It is free again when the block ends and at the latest after `longest` seconds: what is
        still running then does not keep a successor from starting.
        """
        deadline = time.monotonic() + wait
        with self._open() as descriptor:
            while not (mine := _locks(descriptor, fcntl.LOCK_EX)):
                if time.monotonic() > deadline:
                    break
                time.sleep(_POLL_SECONDS)
            if not mine:
                yield False
                return
            os.utime(descriptor)
            timer = threading.Timer(longest, fcntl.flock, (descriptor, fcntl.LOCK_UN))
            timer.daemon = True
            timer.start()
            try:
                yield True
            finally:
                timer.cancel()
                timer.join()

    @contextmanager
    def _open(self) -> Iterator[int]:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _locks(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def drain_in_slot(path: str) -> int:
    """The task: drain while holding the slot at `path`; return the steps taken.

    Returns 0 at once when the slot stays taken, or its role is gone.
    """
    slot = Slot(Path(path))
    if not slot.path.parent.is_dir():
        return 0
    with slot.held(AHEAD_SECONDS + PATIENCE_SECONDS, settings.DRAIN_SECONDS) as mine:
        return drain() if mine else 0


def make_ready() -> None:
    """Load what the first step would wait for, and settle.

    Called where the queue's processes are forked from: a drain that takes the place of a dead one
    is there at once, and they all share the memory.
    """
    transport.load()
    settle()


class Keeper:
    """Sees to it that every slot has a drain, and that the next one waits when it ends."""

    def __init__(self, slots: Sequence[Slot], queue: str) -> None:
        self._slots, self._queue = slots, queue
        self._asked = dict.fromkeys(slots, float("-inf"))

    def look(self) -> int:
        """Ask for the drains that are missing or about to end; return how many."""
        missing = [slot for slot in self._slots if self._needs_one(slot)]
        if not missing or get_broker(self._queue).queue_size():
            return 0  # what was asked for has not even been picked up
        for slot in missing:
            self._ask(slot)
        return len(missing)

    def _needs_one(self, slot: Slot) -> bool:
        if time.monotonic() - self._asked[slot] < PATIENCE_SECONDS:
            return False
        age = slot.held_for()
        return age is None or age > settings.DRAIN_SECONDS - AHEAD_SECONDS

    def _ask(self, slot: Slot) -> None:
        self._asked[slot] = time.monotonic()
        async_task(
            "kubenova.drains.drain_in_slot",
            str(slot.path),
            cluster=self._queue,
            timeout=settings.DRAIN_SECONDS + TAIL_SECONDS,
        )
