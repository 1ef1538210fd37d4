"""Several watchers share the clusters: each takes its fair part by leases that the others see."""

import os
import socket
import time
import uuid
from collections.abc import Collection

import structlog

from clusters.models import Watcher, WatchLease

log = structlog.get_logger(__name__)


class Share:
    """The part of one watcher.

    A lease lasts `seconds` and is renewed three times in that time, so that a watcher that died
    is replaced soon after, and one that was frozen finds its leases gone when it wakes.
    """

    def __init__(self, seconds: float, holder: str = "") -> None:
        self.token = uuid.uuid4()
        self.holder = holder or f"{socket.gethostname()}:{os.getpid()}"
        self._seconds = seconds
        self._renewed = -seconds
        self._held: set[int] = set()

    def renew(self, clusters: Collection[int]) -> set[int]:
        """Keep, give and take; return which of `clusters` are this watcher's from now on.

        Raises DatabaseError.
        """
        self._stay()
        mine = WatchLease.objects.held(self.token)
        held = set(mine.values_list("cluster_id", flat=True))
        part = -(-len(clusters) // max(Watcher.living().count(), 1))
        kept = set(sorted(held & set(clusters))[:part])
        if held - kept:
            mine.filter(cluster_id__in=held - kept).let_go()
        if len(kept) < part:
            kept |= self._take(set(clusters) - kept, part - len(kept))
        self._tell(kept)
        return kept

    def leave(self) -> None:
        """Give everything back, so that others need not wait. Raises DatabaseError."""
        Watcher.leave(self.token)

    def _stay(self) -> None:
        """Renew in time; whoever slept longer than its leases last has none to renew."""
        now = time.monotonic()
        if now - self._renewed < self._seconds / 3:
            return
        Watcher.stay(self.token, self.holder, self._seconds)
        WatchLease.objects.held(self.token).renew(self._seconds)
        self._renewed = now

    def _take(self, wanted: set[int], count: int) -> set[int]:
        WatchLease.objects.offer(wanted)
        busy = set(WatchLease.objects.standing().values_list("cluster_id", flat=True))
        taken: set[int] = set()
        for pk in sorted(wanted - busy):
            if len(taken) == count:
                break
            if WatchLease.objects.take(pk, self.token, self.holder, self._seconds):
                taken.add(pk)
        return taken

    def _tell(self, held: set[int]) -> None:
        if held == self._held:
            return
        lost, won = len(self._held - held), len(held - self._held)
        log.info("Clusters shared", held=len(held), lost=lost, won=won)
        self._held = held
