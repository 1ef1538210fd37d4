"""The database of a world, read and meddled with from outside of Django, as an operator would.

SQLite by default; with DATABASE_URL a database of its own on that PostgreSQL server.
"""

import json
import os
import re
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.rows import dict_row

Record = dict[str, Any]

# Tables of which a normalised end state consists.
TABLES = (
    *("clusters_cluster", "clusters_clusterbaseline", "tenancy_tenant", "tenancy_project"),
    *("tenancy_tenantplacement", "tenancy_projectplacement", "delivery_app"),
    *("delivery_appplacement", "delivery_revision", "reconcile_appliedobject", "reconcile_work"),
    "reconcile_read",
)
# What differs between two runs that mean the same: identities, times, counters of effort, secrets.
_VOLATILE = frozenset(
    {"since", "moved", "epoch", "epoch_stamp", "requested_by"}
    | {"id", "uid", "owner", "object_id", "correlation_id", "traceparent", "marks", "attempts"}
    | {"applied_fp", "live_fp", "status_fp", "lease_token", "lease_until", "last_transition"}
    | {"due_at", "hash", "spec_hash", "traceback", "ledger", "scoped", "previous", "bootstrap"}
)
_TIMES = ("_at", "_since")
_IDENTITY = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\b[0-9a-f]{32}\b")
_SOON = timedelta(seconds=40)  # a backoff or a wait; what is at rest looks later or never
_PROBED = "clusters.clusterbaseline"  # looks every few minutes


class Database:
    """One database; `url` is what the roles get as DATABASE_URL."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = os.environ.get("DATABASE_URL", "")
        self.name = f"faults_{uuid.uuid4().hex[:8]}"

    @property
    def postgres(self) -> bool:
        """Whether it is PostgreSQL."""
        return self._server.startswith("postgres")

    @property
    def url(self) -> str:
        """For the environment of a role."""
        if not self.postgres:
            return f"sqlite:///{self.path}"
        return urlunsplit(urlsplit(self._server)._replace(path=f"/{self.name}"))

    @property
    def path(self) -> Path:
        """The file, on SQLite."""
        return self._folder / "kubenova.sqlite3"

    def create(self) -> None:
        """Make it, empty."""
        self._on_server(f'CREATE DATABASE "{self.name}"')

    def drop(self) -> None:
        """Remove it."""
        self._on_server(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')

    def copy(self) -> "Copy":
        """Keep what it holds; nobody may be connected on PostgreSQL."""
        if self.postgres:
            kept = f"{self.name}_copy"
            self._on_server(f'DROP DATABASE IF EXISTS "{kept}"')
            self._on_server(f'CREATE DATABASE "{kept}" TEMPLATE "{self.name}"')
            return Copy(self, kept)
        kept_file = self._folder / "copy.sqlite3"
        kept_file.unlink(missing_ok=True)
        with closing(sqlite3.connect(self.path)) as now, closing(sqlite3.connect(kept_file)) as old:
            now.backup(old)
        return Copy(self, str(kept_file))

    def restore(self, kept: str) -> None:
        """Put a copy in its place; nobody may be connected."""
        if self.postgres:
            self.drop()
            self._on_server(f'CREATE DATABASE "{self.name}" TEMPLATE "{kept}"')
            return
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        shutil.copy(kept, self.path)

    def _on_server(self, statement: str) -> None:
        if self.postgres:
            with psycopg.connect(self._server, autocommit=True) as connection:
                connection.execute(statement.encode())

    def rows(self, query: str, *values: object) -> list[Record]:
        """Read rows as dictionaries; `?` stands for a value."""
        if self.postgres:
            sql = query.replace("?", "%s").encode()
            with psycopg.connect(self.url, row_factory=dict_row) as connection:
                return list(connection.execute(sql, values))
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=20)) as reader:
            reader.row_factory = sqlite3.Row
            return [dict(row) for row in reader.execute(query, values)]

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return int(self.rows(f"SELECT count(*) AS n FROM {table}")[0]["n"])

    @contextmanager
    def locked(self, table: str = "reconcile_appliedobject") -> Iterator[None]:
        """Nobody writes to the table (SQLite: at all) until the end of the block."""
        if self.postgres:
            with psycopg.connect(self.url) as connection:
                connection.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE".encode())
                yield
            return
        with self.writing() as writer:
            writer.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                writer.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection to the file; taken in one thread it may be given back in another."""
        connection = sqlite3.connect(
            self.path, timeout=20, isolation_level=None, check_same_thread=False
        )
        with closing(connection):
            yield connection

    # --- What it says.

    def unsettled(self) -> list[Record]:
        """The work that is under way, due, about to be, or failing."""
        now = datetime.now(UTC)
        rows = self.rows("SELECT * FROM reconcile_work WHERE quarantined_at IS NULL")
        return [row for row in rows if _busy(row, now)]

    def state(self) -> dict[str, list[str]]:
        """The normalised rows of every table, sorted."""
        return {
            table: sorted(_steady(row) for row in self.rows(f"SELECT * FROM {table}"))
            for table in TABLES
        }


class Copy:
    """What a database held at some time."""

    def __init__(self, database: Database, kept: str) -> None:
        self._database, self._kept = database, kept

    def restore(self) -> None:
        """Put it back."""
        self._database.restore(self._kept)


def _busy(row: Record, now: datetime) -> bool:
    if row["lease_token"] or row["failures"]:
        return True
    due = _time(row["due_at"])
    return due is not None and due <= now + (timedelta() if row["kind"] == _PROBED else _SOON)


def _time(value: str | datetime | None) -> datetime | None:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


def _steady(row: Record) -> str:
    if "applied_fp" in row:
        row = row | {"at_rest": row["applied_fp"] == row["live_fp"]}
    if "lease_token" in row:
        row = row | {"leased": row["lease_token"] is not None}
    return _IDENTITY.sub("*", json.dumps(_kept(row), sort_keys=True, default=str))


def _kept(value: object) -> object:
    """A value without what differs from run to run; columns of JSON arrive as text on SQLite."""
    if isinstance(value, str) and value[:1] in "[{" and value:
        value = json.loads(value)
    if isinstance(value, list):
        return [_kept(item) for item in value]
    if isinstance(value, dict):
        return {key: _kept(item) for key, item in value.items() if not _volatile(key)}
    return value


def _volatile(column: str) -> bool:
    return column in _VOLATILE or column.endswith(("_id", *_TIMES))
