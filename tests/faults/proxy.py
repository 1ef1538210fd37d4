"""An asyncio TLS reverse proxy in front of one API server that can go wrong in every way.

It runs in a thread of its own; every method may be called from any other thread. Its certificate
is of an authority of its own: a cluster is registered with `proxy.url` and `proxy.authority`.
Without `tls` it speaks plain HTTP, for what stands in front of the web role.
"""

import asyncio
import socket
import ssl
import struct
import tempfile
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar
from weakref import WeakSet

import aiohttp
from aiohttp import web
from yarl import URL

from tests.clusters.certificates import authority
from tests.faults.actions import Action, Answer, Answered, Cut
from tests.faults.events import Lines
from tests.faults.exchange import Exchange, Journal, Written
from tests.faults.rules import Rules

T = TypeVar("T")
_AUTHORITY = "fault-proxy-ca"
_HOPS = {"host", "connection", "transfer-encoding", "content-length", "keep-alive"}
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a close becomes a reset
_LOOK = 0.25
_CALL = 30.0


class Faults:
    """A proxy to `upstream`, whose certificate `upstream_ca` (a PEM file) has signed.

    `serial`: one write at a time, so that their order is the same in each run.
    """

    def __init__(
        self, upstream: str, upstream_ca: Path | None = None, *, seed: int = 0, tls: bool = True
    ) -> None:
        self.upstream, self._upstream_ca = upstream, upstream_ca
        self.rules, self.journal = Rules(seed), Journal()
        self.serial = False
        self.authorization = ""  # sent in the place of the client's own, when set
        self.port = 0
        self._tls = tls
        self._count = 0
        self._serving = True
        self._client: aiohttp.ClientSession | None = None
        self._open: WeakSet[asyncio.Transport] = WeakSet()
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def authority(self) -> str:
        """The PEM of the authority that signed its certificate."""
        return authority(_AUTHORITY).pem

    @property
    def away(self) -> bool:
        """Whether it does not serve."""
        return not self._serving

    # --- From any thread.

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._begin())
        return self

    def __exit__(self, *failure: object) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL)
        self._loop.close()

    def reopen(self) -> None:
        """Listen as at the beginning."""
        self._run(self._listen(self._server, self._context()))
        self._serving = True

    def refuse(self) -> None:
        """Listen no more and cut every connection: whoever calls is refused."""
        self._serving = False
        self._run(self._close())

    def swallow(self) -> None:
        """Accept connections and never say a word: not even TLS begins."""
        self._serving = False
        self._run(self._listen(asyncio.Protocol, None))

    def point_at(self, upstream: str, upstream_ca: Path | None) -> None:
        """Put another server behind the same URL."""
        if (upstream, upstream_ca) != (self.upstream, self._upstream_ca):
            self.upstream, self._upstream_ca = upstream, upstream_ca
            self._run(self._cut_all())
            self._run(self._dial())

    def cut(self) -> None:
        """Cut every connection; new ones are welcome."""
        self._run(self._cut_all())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL)

    # --- In its own thread.

    async def _begin(self) -> None:
        self._turn = asyncio.Lock()
        await self._dial()
        self._server = web.Server(self._serve, access_log=None, keepalive_timeout=600)
        await self._listen(self._server, self._context())

    async def _dial(self) -> None:
        """Forget the connections to what was behind it before."""
        if self._client:
            await self._client.close()
        context = (
            ssl.create_default_context(cafile=self._upstream_ca) if self._upstream_ca else True
        )
        connector = aiohttp.TCPConnector(limit=0, ssl=context)
        self._client = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
            trust_env=False,
        )

    async def _end(self) -> None:
        await self._close()
        await self._server.shutdown(0.1)
        if self._client:
            await self._client.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _listen(self, protocol: Any, context: ssl.SSLContext | None) -> None:
        await self._close()
        self._listener = await self._loop.create_server(
            protocol, "127.0.0.1", self.port, ssl=context, reuse_address=True
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._listener:
            self._listener.close()
            self._listener = None
        await self._cut_all()

    async def _cut_all(self) -> None:
        for transport in list(self._open):
            _reset(transport)

    def _context(self) -> ssl.SSLContext | None:
        if not self._tls:
            return None
        pair = authority(_AUTHORITY).issue("fault-proxy", "127.0.0.1")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(pair.cert + pair.key)
            file.flush()
            context.load_cert_chain(Path(file.name))
        return context

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.transport:
            self._open.add(request.transport)
        exchange = await self._received(request)
        actions, written = self.rules.of(exchange), self.journal.begin(exchange)
        try:
            async with self._in_turn(exchange):
                return await self._play(exchange, actions, written)
        except Answered as own:
            written.status = own.answer.status
            return await _answer(request, own.answer)
        except (Cut, aiohttp.ClientError, ConnectionError):
            _reset(request.transport)
            return web.Response(status=502)  # to nobody

    async def _received(self, request: web.BaseRequest) -> Exchange:
        self._count += 1
        name = request.transport.get_extra_info("peername") if request.transport else None
        return Exchange(
            self._count,
            request.method,
            request.path,
            dict(request.query),
            request.headers.get("User-Agent", ""),
            await request.read(),
            tuple(name[:2]) if name else ("", 0),
            request,
        )

    @asynccontextmanager
    async def _in_turn(self, exchange: Exchange) -> AsyncIterator[None]:
        if not (self.serial and exchange.writes):
            yield
            return
        async with self._turn:
            if not exchange.there:
                raise Cut  # killed while it waited
            yield

    async def _play(
        self, exchange: Exchange, actions: list[Action], written: Written
    ) -> web.StreamResponse:
        for action in actions:
            await action.before(exchange)
        if not exchange.there:
            raise Cut  # what came of it would be written long after everybody has given it up
        async with self._forwarded(exchange) as found:
            if exchange.watches and found.status == 200:
                return await self._stream(exchange, actions, found)
            answer = Answer(found.status, _passed_on(found.headers), await found.read())
        written.status, written.ended = answer.status, self._loop.time()
        for action in actions:
            await action.after(exchange, answer)
        assert exchange.request
        return await _answer(exchange.request, answer)

    @asynccontextmanager
    async def _forwarded(self, exchange: Exchange) -> AsyncIterator[aiohttp.ClientResponse]:
        request = exchange.request
        assert request and self._client
        headers = _passed_on(request.headers)
        if self.authorization:
            headers["Authorization"] = self.authorization
        async with self._client.request(
            exchange.verb,
            URL(f"{self.upstream}{request.raw_path}", encoded=True),
            data=exchange.body or None,
            headers=headers,
            allow_redirects=False,
        ) as found:
            yield found

    async def _stream(
        self, exchange: Exchange, actions: list[Action], found: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        assert exchange.request
        response = web.StreamResponse(status=200, headers=_passed_on(found.headers))
        response.enable_chunked_encoding()
        await response.prepare(exchange.request)
        lines = _while_there(exchange, _lines(found.content))
        for action in actions:
            lines = action.lines(exchange, lines)
        async for line in lines:
            if line:
                await response.write(line)
        return response


def _passed_on(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOPS}


def _reset(transport: asyncio.Transport | None) -> None:
    """Close a connection so that the other end gets a reset, not an end."""
    if transport is None or transport.is_closing():
        return
    with suppress(OSError):
        found = transport.get_extra_info("socket")
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


async def _answer(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_length = len(answer.body)
    await response.prepare(request)
    body = answer.body if answer.keep is None else answer.body[: answer.keep]
    step = answer.piece or len(body) or 1
    for start in range(0, len(body), step):
        await response.write(body[start : start + step])
        await asyncio.sleep(answer.pause)
    if len(body) < len(answer.body):
        raise Cut
    return response


async def _lines(content: aiohttp.StreamReader) -> Lines:
    pending = b""
    async for chunk in content.iter_any():
        *whole, pending = (pending + chunk).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if pending:
        yield pending


async def _while_there(exchange: Exchange, lines: Lines) -> Lines:
    """The lines until the client has gone: a quiet watch would never notice."""
    following: asyncio.Task[bytes | None] | None = None
    try:
        while exchange.there:
            following = following or asyncio.ensure_future(anext(lines, None))  # type: ignore[arg-type]
            done, _ = await asyncio.wait({following}, timeout=_LOOK)
            if not done:
                continue
            line, following = following.result(), None
            if line is None:
                return
            yield line
        raise Cut
    finally:
        if following:
            following.cancel()
