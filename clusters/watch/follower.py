"""Follows one kind on one cluster: a list, then a watch, and anew on any doubt."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

import structlog
from django.db import DatabaseError

from clusters import metrics
from clusters.answers import Answer, Expired, Throttled, error_of
from clusters.client import MAX_PAGES, PAGE
from clusters.objects import page_of
from clusters.paths import Query, collection, selector
from clusters.watch.recovery import Recovery
from clusters.watch.session import Interrupted, Session, Silent
from clusters.watch.sightings import Sighting, sighting_in, sighting_of
from reconcile.errors import ClusterError, Unreachable
from reconcile.values import JSON, MANAGED_BY, MANAGER, Kind

log = structlog.get_logger(__name__)

_SOON = 0.2
_NUDGE = 0.4  # of the silence that is borne: then there is time left for a bookmark
_SHORTEST = 1.0
_STANDS = 5.0  # seconds: a watch that was open for so long was no failure, though nothing happened
_AFTER_DATABASE = 2.0
_METADATA = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"


@dataclass(frozen=True)
class Rhythm:
    """Seconds: without a byte before a watch counts as dead, from one full list to the next, and
    at most from one look at the server's version to the next.
    """

    silence: float = 90.0
    relist: float = 600.0
    probe: float = 300.0


@dataclass(frozen=True)
class Scope:
    """Which objects of a kind are followed, and whether their metadata alone."""

    query: Query
    metadata_only: bool = False

    def form(self, what: str = "") -> str:
        """The Accept header for one object, or for a `List`."""
        return _METADATA.format(what) if self.metadata_only else ""


OURS = Scope((("labelSelector", selector({MANAGED_BY: MANAGER})),))
NAMES = Scope((), metadata_only=True)


class Inbox(Protocol):
    """Takes what was seen."""

    async def put(self, sighting: Sighting) -> None:
        """Take one sighting, later ones of the same object in the place of earlier ones."""
        ...

    async def listed(self, cluster_pk: int, kind: Kind, seen: list[Sighting]) -> None:
        """Take all objects of a kind at once: what is known beside them is gone."""
        ...


class Follower:
    """One kind on one cluster. `report` is told after each list (None) and of each failure.

    `restored` is called when the server's version is older than one that it told before: its
    etcd was set back, and a watch that is open may stay silent for ever (threat F17).
    """

    def __init__(
        self,
        cluster_pk: int,
        kind: Kind,
        session: Session,
        inbox: Inbox,
        report: Callable[[ClusterError | None], Awaitable[None]],
        rhythm: Rhythm | None = None,
        *,
        scope: Scope = OURS,
        recovery: Recovery | None = None,
        restored: Callable[[], None] = lambda: None,
    ) -> None:
        self._cluster_pk, self._kind = cluster_pk, kind
        self._session, self._inbox, self._report = session, inbox, report
        self._rhythm, self._scope, self._restored = rhythm or Rhythm(), scope, restored
        self._recovery = recovery or Recovery()
        self._newest = 0
        self._heard = False  # anything on the watch that is open
        self._failures = 0

    async def run(self) -> None:
        """Follow until cancelled. Whatever is in doubt is listed anew, with jittered backoff."""
        with self._recovery.following():
            await self._run()

    async def _run(self) -> None:
        why = "first"
        while True:
            try:
                metrics.RELISTS.labels(why).inc()
                version = await self._list()
                self._recovery.answered()
                await self._report(None)
                await self._follow(version)
                why = "time"
            except ClusterError as error:
                why = "doubt"
                self._failures += 1
                await self._report(error)
                await self._recovery.wait(error, self._pause(error))
            except DatabaseError as error:
                why = "doubt"
                log.warning("Database failed", error=str(error))
                await asyncio.sleep(_AFTER_DATABASE * random.uniform(0.8, 1.2))

    async def look_back(self) -> bool:
        """Ask for one object and with it the server's version; whether that went backwards.

        Raises ClusterError.
        """
        newest = self._newest
        return 0 < _number(_version(await self._one())) < newest

    async def _one(self) -> JSON:
        query = (("limit", "1"),)
        return await self._session.read(collection(self._kind), query, accept=NAMES.form("List"))

    def _pause(self, error: ClusterError) -> float:
        """What is expired or silent is listed anew at once, unless it goes on and on (F15, F16)."""
        if isinstance(error, Expired | Silent) and self._failures == 1:
            return random.uniform(0, _SOON)
        return error.delay(self._failures)

    async def _list(self) -> str:
        """Read all objects in scope; return the version that the watch continues from."""
        seen: list[Sighting] = []
        token = ""
        for _ in range(MAX_PAGES):
            page = page_of(self._kind, await self._page(token))
            seen += [sighting_of(self._cluster_pk, live) for live in page.items]
            token = page.token
            if not token:
                if 0 < _number(page.resource_version) < self._newest:
                    self._restored()
                self._saw(page.resource_version)
                await self._inbox.listed(self._cluster_pk, self._kind, seen)
                return page.resource_version
        raise Unreachable(f"the list of {self._kind.plural} does not end")

    async def _page(self, token: str) -> JSON:
        query: Query = (
            *self._scope.query,
            ("limit", str(PAGE)),
            *((("continue", token),) if token else ()),
        )
        body = await self._session.read(
            collection(self._kind), query, accept=self._scope.form("List")
        )
        if self._scope.metadata_only and isinstance(body.get("items"), list):
            return {**body, "items": [self._named(item) for item in body["items"]]}
        return body

    def _named(self, body: JSON) -> JSON:
        """Metadata alone comes as a kind of its own, whatever it is of."""
        if not self._scope.metadata_only or not isinstance(body, dict):
            return body
        return {**body, "apiVersion": self._kind.api_version, "kind": self._kind.name}

    async def _follow(self, version: str) -> None:
        """Watch; what goes wrong says nothing of the cluster, which has just answered."""
        try:
            await self._watch(version)
        except (Expired, Silent, Throttled):
            raise
        except Unreachable as error:
            raise Interrupted(error.message, retry_after=error.retry_after) from error

    async def _watch(self, version: str) -> None:
        """Follow changes from `version` until a full list is due. Raises ClusterError in doubt."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._rhythm.relist * random.uniform(1.0, 1.2)
        while (left := until - loop.time()) > 0:
            began = loop.time()
            try:
                with metrics.WATCHES_OPEN.track_inprogress():
                    version = await self._stream(version, left)
            finally:
                if loop.time() - began >= _STANDS:
                    self._failures = 0
            if loop.time() - began < min(_SHORTEST, left):
                raise Unreachable("the watch ended at once")

    async def _stream(self, version: str, seconds: float) -> str:
        query: Query = (
            *self._scope.query,
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", str(int(seconds) + 1)),
        )
        form, silence = self._scope.form(), self._rhythm.silence
        lines = self._session.lines(collection(self._kind), query, silence=silence, accept=form)
        async with aclosing(lines), self._nudged():
            async for line in lines:
                version = await self._take(line) or version
                self._failures, self._heard = 0, True
        return version

    @asynccontextmanager
    async def _nudged(self) -> AsyncIterator[None]:
        """Have a server tell bookmarks of a kind that nobody changes.

        It keeps back those that are no newer than the list that the watch continues; to read one
        object brings it up to date.
        """
        self._heard = False
        task = asyncio.create_task(self._nudge())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _nudge(self) -> None:
        await asyncio.sleep(self._rhythm.silence * _NUDGE)
        if not self._heard:
            with suppress(ClusterError):  # whoever follows notices what is down
                await self._one()

    async def _take(self, line: bytes) -> str:
        """Hand on one event; return its version. Raises the error that it tells of."""
        if not line.strip():
            return ""
        kind, body = _event(line)
        metrics.WATCH_EVENTS.labels(kind if kind in _TYPES else "other").inc()
        if kind == "ERROR":
            raise error_of(Answer(_code(body), {}, json.dumps(body).encode()))
        self._saw(_version(body))
        if kind == "BOOKMARK":
            return _version(body)
        sighting = sighting_in(self._cluster_pk, self._kind, self._named(body))
        if kind == "DELETED":
            sighting = Sighting(sighting.key, owner=sighting.owner)
        await self._inbox.put(sighting)
        return _version(body)

    def _saw(self, version: str) -> None:
        self._newest = max(self._newest, _number(version))


_TYPES = frozenset({"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"})


def _event(line: bytes) -> tuple[str, JSON]:
    try:
        event = json.loads(line)
        kind, body = event["type"], event["object"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise Unreachable("the watch holds something that is no event") from None
    if not isinstance(kind, str) or not isinstance(body, dict):
        raise Unreachable("the watch holds something that is no event")
    return kind, body


def _code(status: JSON) -> int:
    code = status.get("code")
    return code if isinstance(code, int) and 400 <= code < 600 else 500


def _version(body: JSON) -> str:
    meta = body.get("metadata")
    version = meta.get("resourceVersion") if isinstance(meta, dict) else None
    return version[:64] if isinstance(version, str) else ""


def _number(version: str) -> int:
    """Versions are compared where they are numbers, as those of etcd are; 0 for any other."""
    return int(version) if version.isascii() and version.isdigit() and len(version) < 20 else 0
