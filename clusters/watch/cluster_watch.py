"""All that is followed on one cluster, and the second looks that make a lost event harmless."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import ParamSpec

import structlog
from django.db import DatabaseError

from clusters.answers import Expired, Throttled
from clusters.rules import address_rules
from clusters.transport import Limits
from clusters.watch import installed
from clusters.watch.follower import NAMES, Follower, Inbox, Rhythm
from clusters.watch.recovery import Recovery
from clusters.watch.session import Interrupted, Session, Silent
from clusters.watch.targets import Target, mark_baseline, mark_keepers_of_secrets, set_back
from clusters.watch.threads import in_database
from reconcile.errors import ClusterError, Missing, Refused, Unauthenticated, Unreachable
from reconcile.values import Kind

log = structlog.get_logger(__name__)

P = ParamSpec("P")
_SLICES = 10  # of the rows with Secrets, one after the other between two full lists
_AGAIN = 1.0
_RESTORES_EVERY = 60.0  # seconds; versions that jump back and forth are no reason to list for ever


class ClusterWatch:
    """One cluster, with one credential."""

    def __init__(self, target: Target, inbox: Inbox, limits: Limits, rhythm: Rhythm) -> None:
        self.target = target
        self._inbox, self._limits, self._rhythm = inbox, limits, rhythm
        self._wanted = target.kinds
        self._changed = asyncio.Event()
        self._down = False
        self._restored, self._restored_at = False, float("-inf")
        self._recovery = Recovery()
        self._followers: dict[Kind, tuple[Follower, asyncio.Task[None]]] = {}

    def follow(self, kinds: frozenset[Kind]) -> None:
        """Follow exactly these kinds from now on."""
        if kinds != self._wanted:
            self._wanted = kinds
            self._changed.set()

    async def run(self) -> None:
        """Follow until cancelled. Raises ClusterError for an address or certificate of no use."""
        session = Session(self.target.credential, address_rules(), self._limits)
        async with session, asyncio.TaskGroup() as group:
            self._begin(group, session)
            while True:
                self._changed.clear()
                if self._restored:
                    await self._forget()
                for kind in set(self._followers) - self._wanted:
                    self._followers.pop(kind)[1].cancel()
                for kind in self._wanted - set(self._followers):
                    follower = self._follower(kind, session)
                    self._followers[kind] = (follower, group.create_task(follower.run()))
                await self._changed.wait()

    def _begin(self, group: asyncio.TaskGroup, session: Session) -> None:
        definitions = installed.Installed(self._probe)
        follower = Follower(
            self.target.pk,
            installed.KIND,
            session,
            definitions,
            self._reporter(installed.KIND),
            self._rhythm,
            scope=NAMES,
            recovery=self._recovery,
            restored=self._set_back,
        )
        for service in (follower.run(), definitions.serve(), self._look_back(), self._resync()):
            group.create_task(service)

    def _follower(self, kind: Kind, session: Session) -> Follower:
        report = self._reporter(kind)
        return Follower(
            self.target.pk,
            kind,
            session,
            self._inbox,
            report,
            self._rhythm,
            recovery=self._recovery,
            restored=self._set_back,
        )

    async def _probe(self) -> None:
        log.info("Custom resources changed", cluster=self.target.name)
        await _surely(mark_baseline, self.target.pk)

    # --- A cluster that was set back (threat F17).

    async def _look_back(self) -> None:
        """Compare the server's version with the newest one seen, for each kind."""
        while True:
            await asyncio.sleep(self._rhythm.probe * random.uniform(0.7, 0.95))
            for follower, _ in list(self._followers.values()):
                try:
                    if await follower.look_back():
                        self._set_back()
                        break
                except (Refused, Missing):
                    continue
                except ClusterError:  # what is down is noticed by whoever follows it
                    break

    def _set_back(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._restored_at < _RESTORES_EVERY:
            return
        self._restored, self._restored_at = True, now
        self._changed.set()

    async def _forget(self) -> None:
        """Have every row of the cluster look at it anew, and follow everything from the start."""
        log.warning("Cluster was set back", cluster=self.target.name)
        await _surely(set_back, self.target.pk)
        self._restored = False
        for _, task in self._followers.values():
            task.cancel()
        self._followers.clear()

    # --- Secrets are never watched.

    async def _resync(self) -> None:
        """Have the rows with Secrets compare them, each once between two full lists."""
        slice = random.randrange(_SLICES)
        while True:
            await asyncio.sleep(self._rhythm.relist / _SLICES * random.uniform(0.8, 1.2))
            slice = (slice + 1) % _SLICES
            await _surely(mark_keepers_of_secrets, self.target.pk, slice, _SLICES)

    # --- Whether the cluster answers.

    def _reporter(self, kind: Kind) -> Callable[[ClusterError | None], Awaitable[None]]:
        async def report(error: ClusterError | None) -> None:
            if error:
                log.info(
                    "Watch interrupted",
                    cluster=self.target.name,
                    kind=kind.name,
                    error=error.message,
                )
            await self._notice(error)

        return report

    async def _notice(self, error: ClusterError | None) -> None:
        """Have the baseline look when the cluster stops answering, and when it answers again."""
        quiet = isinstance(error, Expired | Interrupted | Silent | Throttled)
        down = isinstance(error, Unreachable | Unauthenticated) and not quiet
        if quiet or down == self._down or (error and not down):
            return
        self._down = down
        await _surely(mark_baseline, self.target.pk)


async def _surely(act: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Do it, and again while the database fails: the watches go on meanwhile."""
    while True:
        try:
            await in_database(act, *args, **kwargs)
            return
        except DatabaseError as error:
            log.warning("Database failed", error=str(error))
            await asyncio.sleep(_AGAIN)
