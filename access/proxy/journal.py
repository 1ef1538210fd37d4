"""Writes down each call: a counter, a line in the log, a row of the audit table in batches."""

import asyncio
import time
import uuid
from collections import deque

import structlog
from django.db import DatabaseError

from access import metrics
from access.models import AuditRecord, KubeconfigGrant
from access.proxy.repeats import Repeats
from access.proxy.snapshot import Open
from access.proxy.targets import Target
from clusters.watch.threads import in_database

log = structlog.get_logger(__name__)

_EVERY = 0.5
_BATCH = 500
_MOST = 20_000


class Entry:
    """One call as it unfolds; `id` correlates it with the cluster's own audit log."""

    def __init__(self, peer: str) -> None:
        self.id, self.peer = uuid.uuid4().hex, peer
        self.target: Target | None = None
        self.opened: Open | None = None
        self.ended = ""  # the name of the grant of a genuine token, when it is over
        self.noted = False
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since it came."""
        return time.monotonic() - self._began


class Journal:
    """Collects records and has them stored."""

    def __init__(self) -> None:
        self._waiting: deque[AuditRecord] = deque()
        self._repeats = Repeats()

    def note(self, entry: Entry, status: int, problem: str = "") -> None:
        """Write down what was answered. A call that nobody can be named for is only counted."""
        entry.noted = True
        target, opened = entry.target, entry.opened
        cluster = opened.cluster if opened else ""
        verb = target.verb if target else ""
        metrics.CALLS.labels(cluster, verb, str(status)).inc()
        metrics.SECONDS.labels(cluster).observe(entry.seconds)
        resource = target.resource if target else None
        log.info(
            "Proxied",
            cluster=target.cluster if target else "",
            tenant=opened.tenant if opened else "",
            grant=opened.name if opened else "",
            actor=opened.subject if opened else "",
            verb=verb,
            resource=str(resource or (target.path if target else "")),
            namespace=resource.namespace if resource else "",
            name=resource.name if resource else "",
            status=status,
            problem=problem,
            milliseconds=round(entry.seconds * 1000, 1),
            correlation_id=entry.id,
        )
        if target and (opened or entry.ended):
            self._keep(entry, target, status)

    def _keep(self, entry: Entry, target: Target, status: int) -> None:
        if len(self._waiting) >= _MOST:
            metrics.UNRECORDED.inc()
            return
        resource, opened = target.resource, entry.opened
        record = AuditRecord.of(
            AuditRecord.Source.PROXY,
            target.verb,
            status,
            actor=opened.subject if opened else "",
            resource=str(resource or target.path),
            namespace=resource.namespace,
            name=resource.name,
            tenant=opened.tenant if opened else "",
            cluster=target.cluster,
            grant=opened.name if opened else entry.ended,
            peer=entry.peer,
            correlation_id=entry.id,
        )
        if not (entry.ended and self._repeats.hold(record)):
            self._waiting.append(record)

    async def keep(self) -> None:
        """Store what has come until cancelled."""
        while True:
            await asyncio.sleep(_EVERY)
            self._waiting.extend(self._repeats.due())
            await self.flush()

    async def close(self) -> None:
        """Store everything, what was held back included."""
        self._waiting.extend(self._repeats.due(all_of_them=True))
        await self.flush()

    async def flush(self) -> None:
        """Store everything that waits; what the database does not take now stays."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            try:
                await in_database(_store, batch)
            except DatabaseError as error:
                self._waiting.extendleft(reversed(batch))
                log.warning("Database failed", error=str(error))
                return


def _store(batch: list[AuditRecord]) -> None:
    """Store records; who uses a grant that has ended is named by the grant."""
    nameless = {record.grant for record in batch if not record.actor}
    rows = KubeconfigGrant.objects.filter(name__in=nameless)
    known = {name: found for name, *found in rows.values_list("name", *_OF_A_GRANT)}
    for record in batch:
        if not record.actor and record.grant in known:
            record.actor, record.tenant = known[record.grant]
    AuditRecord.note_all(batch)


_OF_A_GRANT = ("subject__username", "tenant__name")
