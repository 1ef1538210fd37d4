"""The wake channel: a hint to parked drains that rows have become due.

PostgreSQL: LISTEN/NOTIFY, sent with the transaction. SQLite: `PRAGMA data_version` of a connection
of its own changes whenever another connection has committed.
"""

import time

from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

CHANNEL = "kubenova_work"
_SQLITE_POLL = 0.015


def wake() -> None:
    """Hint that something is due; takes effect when the transaction commits."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])


class Parking:
    """Waits for the wake channel on a database connection of its own."""

    def __init__(self) -> None:
        self._connection: BaseDatabaseWrapper = connections.create_connection("default")
        self._version = 0
        if self._connection.vendor == "postgresql":
            with self._connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")

    def wait(self, seconds: float) -> bool:
        """Park for at most `seconds`; True when something may have become due."""
        if self._connection.vendor == "postgresql":
            return self._listen(seconds)
        return self._watch_version(seconds)

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

    def _listen(self, seconds: float) -> bool:
        raw = self._connection.connection
        return next(iter(raw.notifies(timeout=seconds, stop_after=1)), None) is not None

    def _watch_version(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._changed():
                return True
            time.sleep(_SQLITE_POLL)
        return False

    def _changed(self) -> bool:
        with self._connection.cursor() as cursor:
            cursor.execute("PRAGMA data_version")
            version = int(cursor.fetchone()[0])
        changed = version != self._version
        self._version = version
        return changed
