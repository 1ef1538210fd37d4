"""Collects sightings for a moment, the last one of each object, and has them judged in batches."""

import asyncio
import time

import structlog
from django.db import DatabaseError, DataError, IntegrityError

from clusters.watch.sightings import Key, Sighting
from clusters.watch.threads import in_database
from clusters.watch.verdicts import Pending, Verdicts
from reconcile.values import Kind

log = structlog.get_logger(__name__)

_AT_ONCE = 0.001
_COLLECT = 0.02
_BATCH = 1000
_FULL = 20_000
_CROWDED = 0.05
_IDLE = 60.0
_AFTER_FAILURE = 1.0


class Inbox:
    """What was seen and not judged yet. When it is full, whoever brings more has to wait."""

    def __init__(self, verdicts: Verdicts | None = None) -> None:
        self._verdicts = verdicts or Verdicts()
        self._pending: dict[Key, Pending] = {}
        self._news = asyncio.Event()

    async def put(self, sighting: Sighting) -> None:
        """Take one sighting, later ones of the same object in the place of earlier ones."""
        while len(self._pending) >= _FULL and sighting.key not in self._pending:
            await asyncio.sleep(_CROWDED)
        now = time.monotonic()
        earlier = self._pending.get(sighting.key)
        self._pending[sighting.key] = Pending(sighting, earlier.since if earlier else now, now)
        self._news.set()

    async def listed(self, cluster_pk: int, kind: Kind, seen: list[Sighting]) -> None:
        """Take all objects of a kind at once: what is known beside them is gone.

        That is only a reason to look: the step reads each object by its name (threat F30).
        Raises DatabaseError.
        """
        known = await in_database(self._verdicts.known, cluster_pk, kind)
        for key in known - {sighting.key for sighting in seen}:
            await self.put(Sighting(key))
        for sighting in seen:
            await self.put(sighting)

    async def serve(self) -> None:
        """Have sightings judged until cancelled."""
        judged = -1.0
        while True:
            await self._wait()
            # A change that comes alone is judged at once, many in a row in batches.
            await asyncio.sleep(max(_AT_ONCE, judged + _COLLECT - time.monotonic()))
            if batch := self._ready():
                await self._judge(batch)
                judged = time.monotonic()

    async def _judge(self, batch: list[Pending]) -> None:
        try:
            later = await in_database(self._verdicts.judge, batch)
        except (IntegrityError, DataError) as error:
            await self._judge_apart(batch, error)
            return
        except DatabaseError as error:
            log.warning("Database failed", error=str(error))
            later = {pending.sighting.key: _AFTER_FAILURE for pending in batch}
        now = time.monotonic()
        for pending in batch:
            key = pending.sighting.key
            if key in later:
                again = Pending(pending.sighting, pending.since, now + later[key])
                self._pending.setdefault(key, again)

    async def _judge_apart(self, batch: list[Pending], error: DatabaseError) -> None:
        """Find the one that the database refuses, so that it holds up no other."""
        if len(batch) == 1:
            log.error("Sighting refused", object=str(batch[0].sighting), error=str(error))
            return
        middle = len(batch) // 2
        await self._judge(batch[:middle])
        await self._judge(batch[middle:])

    async def _wait(self) -> None:
        """Return when a sighting is due, at once or by its time."""
        self._news.clear()
        due = min((pending.due for pending in self._pending.values()), default=None)
        pause = _IDLE if due is None else due - time.monotonic()
        if pause <= 0:
            return
        try:
            async with asyncio.timeout(pause):
                await self._news.wait()
        except TimeoutError:
            return

    def _ready(self) -> list[Pending]:
        """Take at most one batch of what is due."""
        now = time.monotonic()
        due = [pending for pending in self._pending.values() if pending.due <= now][:_BATCH]
        for pending in due:
            del self._pending[pending.sighting.key]
        return due
