"""Records when a cluster says that the token of a grant that has ended is dead.

No token is stored anywhere. But whoever uses one of an ended grant, or is cut while using it,
brings it along: the cluster is asked about it (TokenReview) until it refuses it, for a while.
"""

import asyncio
import hashlib
from datetime import datetime

import structlog
from django.db import DatabaseError, transaction
from django.utils import timezone

from access.models import KubeconfigGrant
from access.proxy.answers import Refusal
from access.proxy.identity import Doorkeeper
from access.proxy.upstream import Upstream
from clusters.watch.threads import in_database

log = structlog.get_logger(__name__)

_EVERY = 1.0
_TIMES = 30
_AT_ONCE = 50
_KNOWN = 10_000

Key = tuple[str, str, bytes]


class Obituaries:
    """Asks once per cluster and token, however many calls end."""

    def __init__(self, doorkeeper: Doorkeeper) -> None:
        self._doorkeeper = doorkeeper
        self._asking: dict[Key, asyncio.Task[None]] = {}
        self._done: set[Key] = set()

    def follow(self, cluster: str, grant: str, token: str, upstream: Upstream) -> None:
        """Ask from now on until the cluster refuses the token, unless that is being done."""
        key = (cluster, grant, hashlib.sha256(token.encode()).digest())
        if key in self._asking or key in self._done or len(self._asking) >= _AT_ONCE:
            return
        if len(self._done) >= _KNOWN:
            self._done.clear()
        self._asking[key] = task = asyncio.create_task(self._ask(key, token, upstream))
        task.add_done_callback(lambda _: self._asking.pop(key, None))

    async def close(self) -> None:
        """Ask no more."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, key: Key, token: str, upstream: Upstream) -> None:
        for _ in range(_TIMES):
            try:
                if not await self._doorkeeper.is_alive(key[0], token, upstream):
                    await in_database(_record, key[0], key[1], timezone.now())
                    self._done.add(key)
                    return
            except (Refusal, DatabaseError) as error:
                log.debug("Token not reviewed", cluster=key[0], grant=key[1], error=str(error))
            except RuntimeError:  # the way to the cluster was closed: its address has changed
                return
            await asyncio.sleep(_EVERY)


def _record(cluster: str, grant: str, at: datetime) -> None:
    with transaction.atomic():  # its clusters may end it at the same time
        for row in KubeconfigGrant.objects.select_for_update().filter(name=grant):
            row.record_dead(cluster, at)
