"""The listening side: TLS, bounds on what a stranger may send, and the end of it all."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from django.conf import settings
from django.db import DatabaseError

from access.proxy.answers import Refusal
from access.proxy.certificates import server_files
from access.proxy.directory import Directory
from access.proxy.gateway import Gateway
from access.proxy.headers import MAX_HEADERS
from access.proxy.replies import refused
from access.proxy.targets import MAX_TARGET

log = structlog.get_logger(__name__)

_HANDSHAKE = 10.0
_IDLE = 75.0  # seconds for a whole head to come, also on a connection that is kept
_BACKLOG = 512
_STOP = 1.0
_RENEW = 6 * 3600.0


class _Protocol(RequestHandler):
    """One connection. What cannot be read is refused in a word, without a traceback in the log."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer with a Status and end the connection."""
        if status < 500:
            log.info("Request not readable", peer=request.remote or "")
        elif not isinstance(exc, ConnectionError):  # an end that was meant is no failure
            log.error("Request failed", exc_info=exc)
        if request.writer.output_size > 0 or isinstance(exc, ConnectionError):
            raise ConnectionResetError("Nothing more can be said.")
        words = "The request cannot be read." if status < 500 else "Something broke in the proxy."
        reply = refused(Refusal(status, words))
        reply.force_close()
        return reply


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        """Return what handles the next connection."""
        return _Protocol(self, loop=self._loop, **self._kwargs)


@asynccontextmanager
async def serving(host: str, port: int, directory: Directory | None = None) -> AsyncIterator[int]:
    """Serve inside of the block; yields the port. Raises OSError for one that is taken."""
    gateway, context = Gateway(directory), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _load(context)
    try:
        await gateway.directory.refresh()
    except DatabaseError as error:
        log.warning("Database failed", error=str(error))
    server = _Server(
        gateway.handle,
        handler_cancellation=True,
        access_log=None,
        keepalive_timeout=_IDLE,
        lingering_time=_STOP,
        max_line_size=MAX_TARGET + 64,
        max_field_size=16 * 1024,
        max_headers=MAX_HEADERS,
        auto_decompress=False,
    )
    listener = await asyncio.get_running_loop().create_server(
        server, host, port, ssl=context, ssl_handshake_timeout=_HANDSHAKE, backlog=_BACKLOG
    )
    tasks = [
        asyncio.create_task(gateway.directory.keep()),
        asyncio.create_task(gateway.journal.keep()),
        asyncio.create_task(_renew(context)),
    ]
    try:
        yield int(listener.sockets[0].getsockname()[1])
    finally:
        listener.close()
        await server.shutdown(_STOP)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await gateway.close()


def _load(context: ssl.SSLContext) -> None:
    certificate, key = server_files()
    context.load_cert_chain(certificate, key)


async def _renew(context: ssl.SSLContext) -> None:
    """Take a newer certificate into use; connections that stand keep theirs."""
    while True:
        await asyncio.sleep(_RENEW)
        _load(context)


async def serve(host: str, port: int, stop: asyncio.Event) -> None:
    """Serve until `stop` is set."""
    async with serving(host, port) as bound:
        log.info("proxy_started", host=host, port=bound, url=settings.PROXY_URL)
        await stop.wait()
        log.info("proxy_stopping")
