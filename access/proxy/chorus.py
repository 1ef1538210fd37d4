"""Watches over all namespaces: one stream per namespace of the grant, heard as one."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from access.proxy.answers import Refusal
from access.proxy.fanout import Asked
from access.proxy.merge import Splice, spread
from access.proxy.replies import lines_of, pass_on, stream
from access.proxy.upstream import ENDLESS

MOST = 100  # namespaces
_LINE = 4 * 1024 * 1024
_LOOK = 1.0  # seconds after which a namespace that was granted since joins in
_LEFT_OUT = (403, 404)  # of a namespace that was granted a moment ago, or goes away just now

Granted = Callable[[], tuple[str, ...]]


class Chorus:
    """The streams of one call."""

    def __init__(self, asked: Asked, granted: Granted) -> None:
        self._asked, self._granted = asked, granted
        self._query = spread(asked.target.query, watch=True)
        self._voices: dict[str, aiohttp.ClientResponse] = {}
        self._pumps: set[asyncio.Task[None]] = set()
        self._lines: asyncio.Queue[bytes] = asyncio.Queue(maxsize=100)

    async def answer(self) -> web.StreamResponse:
        """Stream until either side ends it. Raises Refusal."""
        if len(self._asked.opened.namespaces) > MOST:
            raise Refusal(400, f"You have more than {MOST} namespaces: name one with -n.")
        try:
            for namespace in self._asked.opened.namespaces:
                refused = await self._join(namespace, urlencode(self._query))
                if refused and (refused.status not in _LEFT_OUT or self._last(namespace)):
                    return await pass_on(self._asked.request, refused)
            async with aclosing(self._heard()) as lines:
                return await stream(self._asked.request, lines, self._content_type())
        finally:
            await self._end()

    def _content_type(self) -> str:
        kinds = (
            v.headers.get("Content-Type", "") for v in self._voices.values() if v.status == 200
        )
        return next(kinds, "") or "application/json"

    def _last(self, namespace: str) -> bool:
        """Whether every namespace has refused."""
        alone = not any(voice.status == 200 for voice in self._voices.values())
        return alone and namespace == self._asked.opened.namespaces[-1]

    async def _join(self, namespace: str, query: str) -> aiohttp.ClientResponse | None:
        """Open the stream of a namespace; return the answer when it is none."""
        path, sent = self._asked.path(namespace, query), self._asked.sent(plain=True)
        voice = await self._asked.upstream.open("GET", path, sent, patience=ENDLESS)
        self._voices[namespace] = voice
        if voice.status != 200:
            return voice
        self._pumps.add(asyncio.create_task(self._pump(voice)))
        return None

    async def _pump(self, voice: aiohttp.ClientResponse) -> None:
        async for line in lines_of(voice, _LINE):
            await self._lines.put(line)

    async def _heard(self) -> AsyncGenerator[bytes, None]:
        """Yield the lines of all, as they come, until one stream ends."""
        splice = Splice()
        coming = asyncio.create_task(self._lines.get())
        try:
            while coming.done() or not self._ended():
                await asyncio.wait([coming], timeout=_LOOK)
                if coming.done():
                    if line := splice.pass_on(coming.result()):
                        yield line
                    coming = asyncio.create_task(self._lines.get())
                else:
                    await self._join_new()
        finally:
            coming.cancel()

    def _ended(self) -> bool:
        return self._lines.empty() and any(pump.done() for pump in self._pumps)

    async def _join_new(self) -> None:
        """What was granted since is heard from its beginning."""
        fresh = [pair for pair in self._query if pair[0] != "resourceVersion"]
        for namespace in set(self._granted()) - set(self._voices):
            if len(self._voices) < MOST:
                await self._join(namespace, urlencode(fresh))

    async def _end(self) -> None:
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        for voice in self._voices.values():
            voice.close()
