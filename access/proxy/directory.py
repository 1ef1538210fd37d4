"""Which grants are open at this moment, and the calls that are under way for each of them.

One task reads the database every POLL seconds, half a second at the most. Whatever was revoked,
has expired or lost its subject is cut there and then; while the database cannot be read nobody is
let in, and after a while nobody stays.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import structlog
from django.conf import settings
from django.db import DatabaseError

from access import metrics
from access.proxy.answers import Refusal
from access.proxy.snapshot import Open, Reader, Snapshot
from clusters.kubeconfig import Credential
from clusters.watch.threads import in_database

log = structlog.get_logger(__name__)

POLL = 0.2
_SLOWEST = 0.5
_EFFORT = 10  # a reading may take a tenth of the time
_MISSED_FOR = 1.0  # seconds that a Secret which is not there is not looked for again
_MOST_MISSED = 10_000
_TOO_OLD = 5.0  # seconds without a reading: new calls are refused
_MUCH_TOO_OLD = 15.0  # calls under way end too

Key = tuple[str, str]


class Ticket:
    """A call that is under way; `cut` tells that its grant has ended."""

    def __init__(self, opened: Open, task: asyncio.Task[object]) -> None:
        self.opened, self.cut = opened, False
        self._task = task

    def end(self) -> None:
        """End the call now, wherever it is."""
        if not self.cut:
            self.cut = True
            self._task.cancel()


class Directory:
    """The open grants and clusters, never older than a moment."""

    def __init__(self, reader: Reader | None = None) -> None:
        self._reader = reader or Reader()
        self._snapshot = Snapshot()
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._missed: dict[tuple[str, str, str], float] = {}
        self._calls: defaultdict[Key, set[Ticket]] = defaultdict(set)

    @property
    def credentials(self) -> Mapping[str, Credential]:
        """KubeNova's own credential by the name of its cluster."""
        return self._snapshot.credentials

    async def keep(self) -> None:
        """Read and cut until cancelled."""
        while True:
            began = time.monotonic()
            try:
                await self.refresh()
            except DatabaseError as error:
                log.warning("Database failed", error=str(error))
            self._cut()
            took = time.monotonic() - began
            await asyncio.sleep(min(max(POLL, took * _EFFORT), _SLOWEST))

    async def refresh(self) -> None:
        """Read the database now, or wait for whoever is reading. Raises DatabaseError."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        await asyncio.shield(self._reading)

    async def _read(self) -> None:
        began = time.monotonic()
        self._snapshot = await in_database(self._reader.read)
        self._read_at = began
        metrics.GRANTS.set(len({name for _, name in self._snapshot.grants}))

    async def find(self, cluster: str, grant: str, anchor: str, anchor_uid: str) -> Open | None:
        """Return the grant if it opens the cluster now, to a token bound to that Secret.

        One just made is looked for once more. Raises Refusal (503) while the database cannot be
        read.
        """
        if time.monotonic() - self._read_at > _TOO_OLD:
            raise Refusal(503, "KubeNova's database cannot be read: try again in a moment.")
        wanted = (anchor, anchor_uid)
        found = self.known(cluster, grant)
        if (found is None or found.bound != wanted) and self._worth_a_look((cluster, *wanted)):
            try:
                await self._read_from_now_on()
            except DatabaseError:
                return None
            found = self.known(cluster, grant)
        return found if found and found.bound == wanted else None

    def _worth_a_look(self, key: tuple[str, str, str]) -> bool:
        """A Secret is recorded before its token is made: one that was missed does not appear."""
        now = time.monotonic()
        if self._missed.get(key, 0.0) > now:
            return False
        if len(self._missed) >= _MOST_MISSED:
            self._missed.clear()
        self._missed[key] = now + _MISSED_FOR
        return True

    async def _read_from_now_on(self) -> None:
        """Wait for a reading that has begun after this call. Raises DatabaseError."""
        since = time.monotonic()
        while self._read_at < since:
            await self.refresh()

    def known(self, cluster: str, grant: str) -> Open | None:
        """Return the grant as it was read last, None for one that is not open."""
        found = self._snapshot.grants.get((cluster, grant))
        return found if found and found.expires_at > time.time() else None

    @contextmanager
    def entered(self, opened: Open) -> Iterator[Ticket]:
        """Note that a call of this task is under way. Raises Refusal (429) for one too many."""
        calls, task = self._calls[opened.key], asyncio.current_task()
        if len(calls) >= settings.PROXY_STREAMS_PER_GRANT:
            raise Refusal(429, "Too many requests of this grant are open.", {"Retry-After": "1"})
        if task is None:
            raise RuntimeError("a call is a task")
        ticket = Ticket(opened, task)
        calls.add(ticket)
        metrics.OPEN_CALLS.labels(opened.cluster).inc()
        try:
            yield ticket
        finally:
            calls.discard(ticket)
            if not calls:
                self._calls.pop(opened.key, None)
            metrics.OPEN_CALLS.labels(opened.cluster).dec()

    def _cut(self) -> None:
        stale = time.monotonic() - self._read_at > _MUCH_TOO_OLD
        for (cluster, name), calls in list(self._calls.items()):
            now = None if stale else self.known(cluster, name)
            for ticket in list(calls):
                if now is None or _ended(ticket.opened, now):
                    ticket.end()
                    log.info("Call cut", cluster=cluster, grant=name)


def _ended(then: Open, now: Open) -> bool:
    """Whether what a call began with is over: another token has taken its place, or verbs went."""
    return then.anchor_uid != now.anchor_uid or not then.verbs <= now.verbs
