"""Tunnels of exec, attach and port-forward: after `101 Switching Protocols` bytes go both ways.

What goes through is not understood here (SPDY/3.1 or WebSocket); only the handshake is.
"""

import asyncio
import re
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import web
from aiohttp.http import StreamWriter

from access.proxy.answers import Refusal
from access.proxy.headers import downwards
from access.proxy.upstream import Upstream
from reconcile.errors import ClusterError

_CONNECT = 5.0
_ANSWER = 30.0
_HEAD = 32 * 1024
_REFUSED = 1024 * 1024
_CHUNK = 64 * 1024
_WAITING = 256 * 1024  # bytes from the client that wait for the cluster before it is slowed down
_STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_SWITCHED = frozenset(
    (
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-protocol",
        "x-stream-protocol-version",
    )
)

Headers = Sequence[tuple[str, str]]


class Tunnel(web.StreamResponse):
    """What the server is given back: everything has been sent already."""

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing is left to do."""
        self.force_close()

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to do."""


class Inlet:
    """Takes what the client sends once the protocol has changed, in the place of a parser."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._waiting = bytearray()
        self._news = asyncio.Event()
        self._ended = self._paused = False

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Take what has come; a client that is too fast is slowed down."""
        self._waiting += data
        self._news.set()
        if len(self._waiting) > _WAITING and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        return False, b""

    def feed_eof(self) -> None:
        """The client has gone."""
        self._ended = True
        self._news.set()

    async def take(self) -> bytes:
        """Return what waits, empty when the client has gone."""
        while not self._waiting and not self._ended:
            self._news.clear()
            await self._news.wait()
        data = bytes(self._waiting)
        self._waiting.clear()
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
        return data


@dataclass(frozen=True)
class Answer:
    """The head of an answer, headers with lower-case names."""

    status: int
    headers: Headers

    def first(self, name: str) -> str:
        """Return the first value of a header, empty without any."""
        return next((value for key, value in self.headers if key == name), "")


async def tunnel(
    request: web.BaseRequest, upstream: Upstream, target: str, headers: Headers, protocol: str
) -> tuple[web.StreamResponse, "Link | None"]:
    """Shake hands with the cluster. Returns its answer when it says no.

    When it switches protocols, a `Link` that is to be run comes along. Raises Refusal.
    """
    reader, writer = await _dial(upstream)
    try:
        writer.write(_head(request.method, target, upstream.host, headers, protocol))
        async with asyncio.timeout(_ANSWER):
            answer = await _read_head(reader)
            if answer.status != 101:
                reply = await _reply(answer, reader)
                writer.close()
                return reply, None
    except (TimeoutError, OSError, EOFError, ValueError, asyncio.LimitOverrunError):
        writer.close()
        raise Refusal(504, "The cluster did not complete the upgrade.") from None
    except BaseException:
        writer.close()
        raise
    return Tunnel(), Link(request, reader, writer, answer, protocol)


class Link:
    """Both ends of a tunnel."""

    def __init__(
        self,
        request: web.BaseRequest,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer: Answer,
        protocol: str,
    ) -> None:
        self._request, self._reader, self._writer = request, reader, writer
        self._answer, self._protocol = answer, protocol

    async def run(self) -> None:
        """Copy both ways until one end goes, or the task is cancelled."""
        transport = self._request.transport
        if transport is None:
            self._writer.close()
            return
        inlet = Inlet(transport)
        self._request.protocol.set_parser(inlet)  # type: ignore[arg-type]
        tasks = [
            asyncio.create_task(self._downwards()),
            asyncio.create_task(self._upwards(inlet)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._writer.transport.abort()

    async def _downwards(self) -> None:
        writer = StreamWriter(self._request.protocol, asyncio.get_running_loop())
        with suppress(OSError):
            await writer.write(_switching(self._answer, self._protocol))
            while data := await self._reader.read(_CHUNK):
                await writer.write(data)

    async def _upwards(self, inlet: Inlet) -> None:
        with suppress(OSError):
            while data := await inlet.take():
                self._writer.write(data)
                await self._writer.drain()


async def _dial(upstream: Upstream) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to one of the judged addresses. Raises Refusal (503)."""
    server = upstream.server
    try:
        async with asyncio.timeout(_CONNECT):
            for address in await upstream.resolver.resolve(server.host, server.port):
                with suppress(ConnectionRefusedError):
                    return await asyncio.open_connection(
                        address["host"],
                        server.port,
                        limit=_HEAD,
                        ssl=upstream.context,
                        server_hostname=server.host,
                    )
    except ClusterError:
        raise Refusal(503, "The cluster's address is not allowed.") from None
    except ssl.SSLError:
        raise Refusal(503, "TLS with the cluster failed.") from None
    except (TimeoutError, OSError):
        pass
    raise Refusal(503, "The cluster cannot be reached.")


def _head(method: str, target: str, host: str, headers: Headers, protocol: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: Upgrade"]
    lines += [f"Upgrade: {protocol}", *(["Content-Length: 0"] if method == "POST" else [])]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def _read_head(reader: asyncio.StreamReader) -> Answer:
    """Read status and headers. Raises Refusal (502) for what is no answer of HTTP/1.1."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[:-2]
    match = _STATUS.fullmatch(first)
    if match is None:
        raise Refusal(502, "The cluster's answer cannot be read.")
    found = []
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or not name.isascii() or name.strip() != name:
            raise Refusal(502, "The cluster's answer cannot be read.")
        found.append((name.lower(), value.strip()))
    return Answer(int(match[1]), tuple(found))


async def _reply(answer: Answer, reader: asyncio.StreamReader) -> web.Response:
    """Return the cluster's refusal as it came."""
    body = await _body(answer, reader)
    reply = web.Response(status=answer.status, body=body)
    reply.headers.clear()
    for name, value in downwards(answer.headers):
        reply.headers.add(name, value)
    return reply


async def _body(answer: Answer, reader: asyncio.StreamReader) -> bytes:
    length = answer.first("content-length")
    if length.isascii() and length.isdigit():
        return await reader.readexactly(min(int(length), _REFUSED))
    if answer.first("transfer-encoding").lower() != "chunked":
        return await reader.read(_REFUSED)
    found = b""
    while (size := await _chunk_size(reader)) and len(found) + size <= _REFUSED:
        found += await reader.readexactly(size)
        await reader.readexactly(2)
    return found


async def _chunk_size(reader: asyncio.StreamReader) -> int:
    line = await reader.readline()
    return int(line.partition(b";")[0] or b"0", 16)


def _switching(answer: Answer, protocol: str) -> bytes:
    lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", f"Upgrade: {protocol}"]
    lines += [f"{name}: {value}" for name, value in answer.headers if name in _SWITCHED]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
