"""The role: keeps its share of the clusters followed, and sweeps."""

import asyncio
import time

import structlog
from django.db import DatabaseError

from clusters import metrics
from clusters.transport import Limits
from clusters.watch.cluster_watch import ClusterWatch
from clusters.watch.follower import Rhythm
from clusters.watch.inbox import Inbox
from clusters.watch.shares import Share
from clusters.watch.targets import Target, applied_kinds, eligible, signature, targets
from clusters.watch.threads import in_database
from reconcile.sweep import sweep

log = structlog.get_logger(__name__)

_POLL = 1.0
_RECOUNT = 30.0
_SWEEP = 5.0
_RESTART = 5.0
_LEASE = 15.0


class Role:
    """Everything that the watch role does, until it is stopped."""

    def __init__(
        self,
        limits: Limits | None = None,
        rhythm: Rhythm | None = None,
        share: Share | None = None,
    ) -> None:
        self._limits, self._rhythm = limits or Limits(), rhythm or Rhythm()
        self._share = share or Share(_LEASE)
        self._inbox = Inbox()
        self._watches: dict[int, tuple[ClusterWatch, asyncio.Task[None]]] = {}
        self._failed: dict[int, float] = {}
        self._targets: list[Target] = []
        self._signature: object = None
        self._counted_at = -_RECOUNT

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._inbox.serve()),
                group.create_task(self._keep_following()),
                group.create_task(_keep_sweeping()),
            ]
            await stop.wait()
            for task in tasks:
                task.cancel()
        await self._end(list(self._watches))
        try:
            await in_database(self._share.leave)
        except DatabaseError as error:
            log.warning("Database failed", error=str(error))

    async def _keep_following(self) -> None:
        while True:
            try:
                wanted = {target.pk: target for target in await in_database(self._look)}
            except DatabaseError as error:
                log.warning("Database failed", error=str(error))
            else:
                await self._align(wanted)
            await asyncio.sleep(_POLL)

    def _look(self) -> list[Target]:
        """What is to be followed now; read anew when it may have changed, or after a while."""
        mine = self._share.renew(eligible())
        metrics.WATCH_LEASES.set(len(mine))
        now, seen = time.monotonic(), signature(mine)
        if seen != self._signature or now - self._counted_at >= _RECOUNT:
            self._targets = targets(applied_kinds(), mine)
            self._signature, self._counted_at = seen, now
        return self._targets

    async def _align(self, wanted: dict[int, Target]) -> None:
        """Start, change and end what is followed so that it is what is wanted."""
        self._bury()
        ended = [
            pk
            for pk, (watch, _) in self._watches.items()
            if pk not in wanted or watch.target.credential != wanted[pk].credential
        ]
        await self._end(ended)
        for pk, target in wanted.items():
            if pk in self._watches:
                self._watches[pk][0].follow(target.kinds)
            elif time.monotonic() - self._failed.get(pk, -_RESTART) >= _RESTART:
                self._start(target)

    def _start(self, target: Target) -> None:
        watch = ClusterWatch(target, self._inbox, self._limits, self._rhythm)
        self._watches[target.pk] = (watch, asyncio.create_task(watch.run()))
        log.info("Cluster followed", cluster=target.name, kinds=len(target.kinds))

    def _bury(self) -> None:
        """Take away what has ended by itself: it is started anew a little later."""
        for pk, (watch, task) in list(self._watches.items()):
            if not task.done():
                continue
            del self._watches[pk]
            self._failed[pk] = time.monotonic()
            error = None if task.cancelled() else task.exception()
            log.error("Watch failed", cluster=watch.target.name, exc_info=error)

    async def _end(self, pks: list[int]) -> None:
        tasks = [self._watches.pop(pk)[1] for pk in pks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _keep_sweeping() -> None:
    while True:
        try:
            await in_database(sweep)
        except DatabaseError as error:
            log.warning("Database failed", error=str(error))
        await asyncio.sleep(_SWEEP)
