"""Processes that write to one SQLite file take turns.

SQLite lets who finds the file locked sleep, longer and longer, while others go on writing. Who
waits here is the next, and begins within a millisecond.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_PAUSE_SECONDS = 0.0005
_PATIENCE_SECONDS = 2.0  # then SQLite decides, as it does for those who take no turns
_GATE, _DESK = 0, 1  # bytes of the file: who holds the gate gets the desk next


class Turns:
    """Turns at the file `path`, which has nothing in it. One thread of a process at a time."""

    def __init__(self, path: str) -> None:
        """Open the file; the locks of a process that dies are given back."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the turn, but not for ever: one that was stopped with it must not stop all."""
        until = time.monotonic() + _PATIENCE_SECONDS
        mine = self._take(_GATE, until)
        if mine:
            try:
                mine = self._take(_DESK, until)
            finally:
                self._leave(_GATE)
        try:
            yield
        finally:
            if mine:
                self._leave(_DESK)

    def _take(self, place: int, until: float) -> bool:
        while True:
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            except OSError:
                if time.monotonic() > until:
                    return False
                time.sleep(_PAUSE_SECONDS)
            else:
                return True

    def _leave(self, place: int) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, place)


@cache
def turns_at(path: str) -> Turns:
    """The ones of this process at a file."""
    return Turns(path)
