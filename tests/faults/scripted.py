"""A server that says what a test tells it to, and notes what it was asked."""

import asyncio
import json
import threading
from typing import Self

from aiohttp import web

from reconcile.values import JSON


class Scripted:
    """Answers by path: JSON as it stands, a list of events as a watch. It runs in a thread."""

    def __init__(self, answers: dict[str, JSON | list[JSON]], pause: float = 0.0) -> None:
        self.answers, self.pause = answers, pause
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._begin(), self._loop).result(10)
        return self

    def __exit__(self, *failure: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def _begin(self) -> None:
        self._server = web.Server(self._serve, access_log=None)
        listener = await self._loop.create_server(self._server, "127.0.0.1", 0)
        self._listener = listener
        self.port = listener.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._listener.close()
        await self._server.shutdown(0.1)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.raw_path}")
        self.headers.append(dict(request.headers))
        await request.read()
        answer = self.answers.get(request.path, {"path": request.path})
        if isinstance(answer, dict):
            return web.json_response(answer)
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for event in answer:
            await response.write(json.dumps(event).encode() + b"\n")
            await asyncio.sleep(self.pause)
        return response
