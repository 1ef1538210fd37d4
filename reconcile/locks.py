"""What PostgreSQL has to be told so that transactions see each other, and never wait in a circle.

SQLite has one writer at a time and needs none of it.
"""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

from reconcile.turns import turns_at

_writing = threading.RLock()
_deep = False  # whether the thread that is writing has the turn of its process

# The order is the same for everybody; the inner query keeps it, whatever the planner does.
_ORDERED = "FROM (SELECT unnest(%s::text[]) AS key ORDER BY 1) AS keys"


def lock_to_touch(keys: Collection[str]) -> None:
    """Let nobody begin to read the keys before the transaction ends.

    Who stores that an intent reads a key waits for whoever is about to touch it, and computes the
    intent after that: no change falls between.
    """
    _lock("pg_advisory_xact_lock", keys)


def lock_to_read(keys: Collection[str]) -> None:
    """Wait for everybody who is touching the keys."""
    _lock("pg_advisory_xact_lock_shared", keys)


def lock_alone(key: str) -> None:
    """Be the only one who holds this key, which nobody reads, until the transaction ends."""
    _lock("pg_advisory_xact_lock", [key])


def has_one_writer() -> bool:
    """Whether a transaction that is open keeps everybody else from writing, as on SQLite."""
    return connection.vendor == "sqlite"


def check_references() -> None:
    """Check foreign keys now and not at the commit: that locks the rows that are referred to."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def _lock(function: str, keys: Collection[str]) -> None:
    if keys and connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {function}(hashtextextended(key, 0)) {_ORDERED}", [list(keys)])


@contextmanager
def one_writer() -> Iterator[None]:
    """Let threads and processes write one after the other where the database has one writer.

    SQLite lets who finds it locked sleep longer and longer, here the next one begins at once. A
    transaction that is open already has had its turn.
    """
    if not has_one_writer() or connection.in_atomic_block:
        yield
        return
    with _writing, _turn():
        yield


@contextmanager
def _turn() -> Iterator[None]:
    """The turn of this process, once for all blocks within; `_writing` is held."""
    global _deep
    name = str(connection.settings_dict["NAME"])
    if _deep or not Path(name).is_file():  # one in memory has no other process
        yield
        return
    with turns_at(f"{name}-turns").turn():
        _deep = True
        try:
            yield
        finally:
            _deep = False
