"""One request from its first byte to its last: understand, authenticate, pass on, write down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.web_exceptions import HTTPException

from access.intents import Verbs
from access.proxy.answers import Refusal, Unauthorized
from access.proxy.chorus import Chorus, Granted
from access.proxy.directory import Directory
from access.proxy.fanout import Asked, Kinds, alone, listed
from access.proxy.headers import bearer, read_headers, upgrade
from access.proxy.identity import Doorkeeper
from access.proxy.journal import Entry, Journal
from access.proxy.namespaces import Namespaces
from access.proxy.obituaries import Obituaries
from access.proxy.replies import BEGAN, SERVER, pass_on, refused
from access.proxy.snapshot import Open
from access.proxy.targets import Resource, read_target
from access.proxy.tunnel import tunnel
from access.proxy.upstream import ENDLESS, Upstream, Upstreams

MAX_BODY = 4 * 1024 * 1024  # API servers take 3 MiB
_BODY_SECONDS = 30.0
_HEALTH = "/healthz"
_NAMESPACES = Resource(version="v1", plural="namespaces")
_NEEDED = {
    "pods/attach": Verbs.EXEC,
    "pods/exec": Verbs.EXEC,
    "pods/portforward": Verbs.PORT_FORWARD,
}


class Gateway:
    """What the server does with each request."""

    def __init__(self, directory: Directory | None = None) -> None:
        self.directory = directory or Directory()
        self.journal = Journal()
        self._doorkeeper = Doorkeeper(self.directory)
        self._obituaries = Obituaries(self._doorkeeper)
        self._upstreams = Upstreams()
        self._namespaces = Namespaces(self.directory)
        self._kinds = Kinds()

    async def close(self) -> None:
        """Close what is open towards clusters and store what was noted."""
        await self._obituaries.close()
        await self._upstreams.close()
        await self.journal.close()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request. Raises ConnectionError where the connection is to end."""
        if request.method == "GET" and request.raw_path == _HEALTH:
            return web.Response(text="ok\n", headers={"Server": SERVER})
        entry = Entry(request.remote or "")
        # A stream is written down when it begins, not hours later when it ends.
        request[BEGAN] = lambda status: self.journal.note(entry, status)
        try:
            reply = await self._answered(request, entry)
        except Refusal as refusal:
            entry.ended = refusal.grant if isinstance(refusal, Unauthorized) else ""
            self.journal.note(entry, refusal.status, refusal.message)
            reply = refused(refusal)
        if not entry.noted:
            self.journal.note(entry, reply.status)
        if not reply.prepared:
            reply.headers["Audit-Id"] = entry.id
        return reply

    async def _answered(self, request: web.BaseRequest, entry: Entry) -> web.StreamResponse:
        headers = read_headers(request.raw_headers)
        if request.version < (1, 1):
            raise Refusal(505, "Speak HTTP/1.1.")
        entry.target = target = read_target(request.method, request.raw_path)
        token, protocol = bearer(headers), upgrade(headers)
        credential = self.directory.credentials.get(target.cluster)
        if credential is None:
            raise Unauthorized
        upstream = self._upstreams.of(target.cluster, credential)
        entry.opened = opened = await self._admitted(target.cluster, token, upstream)
        asked = Asked(request, target, headers, token, opened, upstream, entry.id)
        async with self._held(asked, entry):
            if protocol:
                return await self._tunnel(asked, protocol)
            return await self._pass(asked)

    async def _admitted(self, cluster: str, token: str, upstream: Upstream) -> Open:
        try:
            return await self._doorkeeper.admit(cluster, token, upstream)
        except Unauthorized as refusal:
            if refusal.grant:
                self._obituaries.follow(cluster, refusal.grant, token, upstream)
            raise

    @asynccontextmanager
    async def _held(self, asked: Asked, entry: Entry) -> AsyncIterator[None]:
        """Hold the call to its grant: when that ends, so does the call.

        Raises Unauthorized then, or ConnectionError when the answer has begun.
        """
        with self.directory.entered(asked.opened) as ticket:
            try:
                yield
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not ticket.cut or task is None:
                    raise
                task.uncancel()
                place, grant = asked.target.cluster, asked.opened.name
                self._obituaries.follow(place, grant, asked.token, asked.upstream)
                if not entry.noted:
                    raise Unauthorized from None
                raise ConnectionResetError("The grant has ended.") from None

    async def _pass(self, asked: Asked) -> web.StreamResponse:
        target = asked.target
        if target.method == "GET" and target.resource == _NAMESPACES:
            return await self._namespaces.answer(asked)
        if target.collection and (kind := await self._kinds.namespaced(asked)):
            if len(asked.opened.namespaces) == 1 and not target.watch:
                return await alone(asked, asked.opened.namespaces[0])
            if target.watch:
                return await Chorus(asked, self._granted(asked)).answer()
            return await listed(asked, kind)
        body = await _body(asked.request)
        path = asked.upstream.target(target.path, target.raw_query)
        patience = ENDLESS if target.follows else None
        async with asked.upstream.call(
            target.method, path, asked.sent(), body=body, patience=patience
        ) as response:
            return await pass_on(asked.request, response)

    def _granted(self, asked: Asked) -> Granted:
        def granted() -> tuple[str, ...]:
            now = self.directory.known(*asked.opened.key)
            return now.namespaces if now else ()

        return granted

    async def _tunnel(self, asked: Asked, protocol: str) -> web.StreamResponse:
        resource = asked.target.resource
        needed = _NEEDED.get(str(resource))
        if needed is None:
            raise Refusal(400, "Only exec, attach and port-forward of pods can be upgraded.")
        if needed not in asked.opened.verbs:  # a stream would outlive the change of a RoleBinding
            raise Refusal(403, f"This kubeconfig does not allow {needed}.")
        path = asked.upstream.target(asked.target.path, asked.target.raw_query)
        sent = asked.sent(tunnel=True)
        reply, link = await tunnel(asked.request, asked.upstream, path, sent, protocol)
        if link:
            asked.request[BEGAN](101)
            await link.run()
        return reply


async def _body(request: web.BaseRequest) -> bytes | None:
    """Return the whole body. Raises Refusal (400, 408, 413)."""
    if not request.body_exists:
        return None
    if (request.content_length or 0) > MAX_BODY:
        raise Refusal(413, "The body is too large.")
    found = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.content.iter_any():
                found += chunk
                if len(found) > MAX_BODY:
                    raise Refusal(413, "The body is too large.")
    except TimeoutError:
        raise Refusal(408, "The body did not come in time.") from None
    except HTTPException:
        raise Refusal(400, "The body cannot be read.") from None
    return bytes(found)
