"""Sends an answer to the client: passed on as it comes, made here, or in lines."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import aiohttp
from aiohttp import web

from access.proxy.answers import Refusal
from access.proxy.headers import downwards
from access.proxy.upstream import chunks
from reconcile.values import JSON

SERVER = "kubenova"
# Told the status when the head of an answer is sent.
BEGAN: web.RequestKey[Callable[[int], None]] = web.RequestKey("began")


def refused(refusal: Refusal) -> web.Response:
    """Return the proxy's own answer."""
    return web.Response(
        status=refusal.status,
        body=refusal.body(),
        headers={"Cache-Control": "no-store", "Server": SERVER, **refusal.headers},
        content_type="application/json",
    )


def made(body: bytes, content_type: str = "application/json") -> web.Response:
    """Return an answer that the proxy has put together."""
    headers = {"Cache-Control": "no-cache, private", "Content-Type": content_type}
    headers["Server"] = SERVER
    return web.Response(status=200, body=body, headers=headers)


async def pass_on(request: web.BaseRequest, response: aiohttp.ClientResponse) -> web.StreamResponse:
    """Send the cluster's answer as it comes, headers of the connection left out.

    Raises ConnectionError when the client went away, or when the cluster breaks off: the client
    must not take half an answer for a whole one.
    """
    reply = web.StreamResponse(status=response.status, reason=response.reason)
    for name, value in downwards(response.headers.items()):
        reply.headers.add(name, value)
    length = response.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit():
        reply.content_length = int(length)
    await _begin(request, reply)
    try:
        async for chunk in chunks(response):
            await reply.write(chunk)
    except Refusal as refusal:
        raise ConnectionResetError(refusal.message) from None
    await reply.write_eof()
    return reply


async def stream(
    request: web.BaseRequest, lines: AsyncIterator[bytes], content_type: str = "application/json"
) -> web.StreamResponse:
    """Send lines as they come. Raises ConnectionError as `pass_on` does."""
    reply = web.StreamResponse(headers={"Cache-Control": "no-cache, private"})
    reply.headers["Content-Type"] = content_type
    await _begin(request, reply)
    try:
        async for line in lines:
            await reply.write(line + b"\n")
    except Refusal as refusal:
        raise ConnectionResetError(refusal.message) from None
    await reply.write_eof()
    return reply


async def _begin(request: web.BaseRequest, reply: web.StreamResponse) -> None:
    """Send the head; whoever keeps a log is told of it through BEGAN."""
    reply.headers["Server"] = SERVER
    request[BEGAN](reply.status)
    await reply.prepare(request)


async def lines_of(response: aiohttp.ClientResponse, longest: int) -> AsyncGenerator[bytes, None]:
    """Yield the lines of an answer. Raises Refusal for one longer than `longest` bytes."""
    pending = b""
    async for chunk in chunks(response):
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line
        if len(pending) > longest:
            raise Refusal(502, "A line of the cluster's stream does not end.")


def parsed(body: bytes) -> JSON:
    """Return the JSON object of a cluster's answer. Raises Refusal (502)."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refusal(502, "The cluster's answer is no JSON object.")
    return found
