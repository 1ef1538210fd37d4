"""Lists and watches of namespaces: the one thing that is read with an account of KubeNova's own.

RBAC cannot show a part of a cluster-scoped list. So the proxy asks as `kubenova-namespaces`, which
may read namespaces and nothing else, and shows those of the grant.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime

import aiohttp
from aiohttp import web

from access.proxy.answers import Refusal
from access.proxy.directory import Directory
from access.proxy.fanout import Asked
from access.proxy.filters import NAMESPACES_PATH, Lens, accepted, judged, restricted
from access.proxy.replies import lines_of, made, parsed, pass_on, stream
from access.proxy.snapshot import Open
from access.proxy.upstream import ENDLESS, Upstream, whole
from clusters.intents import NAMESPACE_READER, SYSTEM_NAMESPACE

_LIST = 32 * 1024 * 1024
_LINE = 4 * 1024 * 1024
_LIFE = 3600
_RENEW = 0.8  # of its life, then a token is made anew
_LOOK = 0.5  # seconds after which what was held back is looked at again
_TOKEN_PATH = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/serviceaccounts/{NAMESPACE_READER}/token"


@dataclass(frozen=True)
class _Token:
    value: str = field(repr=False)
    until: float  # monotonic seconds


class Readers:
    """Tokens of the account that reads namespaces, one per cluster, kept in memory alone."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._tokens: dict[str, _Token] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def token(self, cluster: str, upstream: Upstream) -> str:
        """Return a token for a cluster, new when need be. Raises Refusal (503)."""
        async with self._locks.setdefault(cluster, asyncio.Lock()):
            known = self._tokens.get(cluster)
            if known is None or known.until < time.monotonic():
                self._tokens[cluster] = known = await self._ask(cluster, upstream)
        return known.value

    def forget(self, cluster: str) -> None:
        """A token that the cluster does not take any more is of no use."""
        self._tokens.pop(cluster, None)

    async def _ask(self, cluster: str, upstream: Upstream) -> _Token:
        credential = self._directory.credentials.get(cluster)
        if credential is None:
            raise Refusal(503, "KubeNova has no working credential for the cluster.")
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": _LIFE},
        }
        headers = [
            ("authorization", f"Bearer {credential.token}"),
            ("content-type", "application/json"),
        ]
        sent, target = json.dumps(body).encode(), upstream.target(_TOKEN_PATH)
        status, _, answer = await upstream.read("POST", target, headers, 64 * 1024, sent)
        token = _token_in(answer) if status == 201 else None
        if token is None:
            raise Refusal(503, "KubeNova may not list namespaces on the cluster: ask an operator.")
        return token


def _token_in(answer: bytes) -> _Token | None:
    try:
        told = json.loads(answer)["status"]
        life = datetime.fromisoformat(told["expirationTimestamp"]).timestamp() - time.time()
        value = str(told["token"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    fit = value.isascii() and value.isprintable() and " " not in value
    return _Token(value, time.monotonic() + life * _RENEW) if fit else None


class Namespaces:
    """Answers the lists and watches of namespaces."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._readers = Readers(directory)

    async def answer(self, asked: Asked) -> web.StreamResponse:
        """Return a list, or stream a watch until either side ends it. Raises Refusal."""
        target, opened = asked.target, asked.opened
        accept = ",".join(value for name, value in asked.headers if name == "accept")
        query = restricted(target.query, opened.tenant)
        token = await self._readers.token(opened.cluster, asked.upstream)
        sent = [
            ("accept", accepted(accept)),
            ("accept-encoding", "identity"),
            ("authorization", f"Bearer {token}"),
            ("audit-id", asked.audit_id),
        ]
        path = asked.upstream.target(NAMESPACES_PATH, query)
        patience = ENDLESS if target.watch else None
        async with asked.upstream.call("GET", path, sent, patience=patience) as response:
            if response.status in (401, 403):
                self._readers.forget(opened.cluster)
                raise Refusal(503, "The cluster does not let KubeNova list namespaces now.")
            if response.status != 200:
                return await pass_on(asked.request, response)
            kind = response.headers.get("Content-Type", "application/json")
            if target.watch:
                async with aclosing(self._events(response, opened)) as lines:
                    return await stream(asked.request, lines, kind)
            body = judged(parsed(await whole(response, _LIST)), opened.namespaces)
            return made(json.dumps(body, separators=(",", ":")).encode(), kind)

    async def _events(
        self, response: aiohttp.ClientResponse, opened: Open
    ) -> AsyncGenerator[bytes, None]:
        """Yield the events that the grant may see, as it is at each moment."""
        lens = Lens()
        lines = lines_of(response, _LINE)
        coming = asyncio.ensure_future(anext(lines, b""))
        try:
            while True:
                await asyncio.wait([coming], timeout=_LOOK if lens.held else None)
                granted = self._granted(opened)
                for line in lens.release(granted):
                    yield line
                if not coming.done():
                    continue
                if not (line := coming.result()):
                    return
                coming = asyncio.ensure_future(anext(lines, b""))
                if shown := lens.pass_on(line, granted):
                    yield shown
        finally:
            coming.cancel()

    def _granted(self, opened: Open) -> tuple[str, ...]:
        now = self._directory.known(*opened.key)
        return now.namespaces if now else ()
