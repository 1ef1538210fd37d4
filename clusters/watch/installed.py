"""Notices that custom resources were installed or removed, so that the cluster is probed anew."""

import asyncio
from collections.abc import Awaitable, Callable

from clusters.kinds import CUSTOM_RESOURCE_DEFINITION
from clusters.watch.sightings import Sighting
from reconcile.values import Kind, digest

KIND = CUSTOM_RESOURCE_DEFINITION
_SETTLE = 0.5  # one installation brings several definitions, each in several events
_SERVED_AFTER = 3.0  # seconds until what is established is served, at the latest


class Installed:
    """An inbox that keeps no object: a hash of what is installed is all it remembers."""

    def __init__(self, changed: Callable[[], Awaitable[None]], settle: float = _SETTLE) -> None:
        self._changed, self._settle = changed, settle
        self._news = asyncio.Event()
        self._known = ""

    async def put(self, sighting: Sighting) -> None:
        """Any event means news: a definition is served a moment after it was created."""
        self._news.set()

    async def listed(self, cluster_pk: int, kind: Kind, seen: list[Sighting]) -> None:
        """Compare with what was there at the last list or event; the first one is no news."""
        found = digest(sorted([each.key.name, each.uid] for each in seen))
        if self._known not in ("", found):
            self._news.set()
        self._known = found

    async def serve(self) -> None:
        """Tell of news until cancelled: soon, and once more when all is surely served."""
        while True:
            await self._news.wait()
            await asyncio.sleep(self._settle)
            self._news.clear()
            await self._changed()
            await asyncio.sleep(_SERVED_AFTER)
            if not self._news.is_set():
                await self._changed()
