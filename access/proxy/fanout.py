"""Lists over all namespaces: asked in each namespace of the grant, joined into one.

Every part is asked with the caller's own token, so the cluster's RBAC decides on each of them.
"""

import asyncio
import json
import time
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web

from access.proxy.answers import Refusal
from access.proxy.headers import Headers, upwards
from access.proxy.merge import empty, merged, spread
from access.proxy.replies import made, parsed, pass_on
from access.proxy.snapshot import Open
from access.proxy.targets import Target
from access.proxy.upstream import Upstream, whole

AT_ONCE = 8
MOST = 500  # namespaces
_TOTAL = 64 * 1024 * 1024
_KINDS_LAST = 60.0
_DISCOVERY = 8 * 1024 * 1024


@dataclass(frozen=True)
class Kind:
    """A kind that lives in namespaces."""

    name: str
    api_version: str


@dataclass(frozen=True)
class Asked:
    """One call over all namespaces."""

    request: web.BaseRequest
    target: Target
    headers: Headers
    token: str
    opened: Open
    upstream: Upstream
    audit_id: str

    def sent(self, *, plain: bool = False, tunnel: bool = False) -> list[tuple[str, str]]:
        """The headers for the cluster; `plain`: for a body that is to be read here."""
        passed = upwards(self.headers, self.token, tunnel=tunnel)
        passed.append(("audit-id", self.audit_id))
        if not plain:
            return passed
        kept = [(name, value) for name, value in passed if name not in _NEGOTIATED]
        return [*kept, ("accept", _json_of(passed)), ("accept-encoding", "identity")]

    def path(self, namespace: str, raw_query: str) -> str:
        """The request target of the same list in one namespace."""
        above, _, plural = self.target.path.rpartition("/")
        return self.upstream.target(f"{above}/namespaces/{namespace}/{plural}", raw_query)


_NEGOTIATED = frozenset({"accept", "accept-encoding"})


def _json_of(headers: Headers) -> str:
    """The parts of Accept that can be joined: JSON, as lists or Tables."""
    wanted = ",".join(value for name, value in headers if name == "accept")
    kept = [part.strip() for part in wanted.split(",") if part.strip().startswith(_JSON)]
    return ",".join(kept) or _JSON


_JSON = "application/json"


class Kinds:
    """Which resources live in namespaces, by the cluster's own discovery."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[float, dict[str, Kind]]] = {}

    async def namespaced(self, asked: Asked) -> Kind | None:
        """Return the kind of a list when it lives in namespaces. Raises Refusal."""
        found = asked.target.resource
        group_version = f"{found.group}/{found.version}".lstrip("/")
        known = self._known.get((asked.target.cluster, group_version))
        if known is None or known[0] < time.monotonic():
            until = time.monotonic() + _KINDS_LAST
            known = (until, await self._discover(asked, group_version))
            self._known[asked.target.cluster, group_version] = known
        return known[1].get(found.plural)

    async def _discover(self, asked: Asked, group_version: str) -> dict[str, Kind]:
        root = "/apis" if "/" in group_version else "/api"
        target = asked.upstream.target(f"{root}/{group_version}")
        status, _, body = await asked.upstream.read(
            "GET", target, asked.sent(plain=True), _DISCOVERY
        )
        entries = parsed(body).get("resources") if status == 200 else None
        return {
            str(entry.get("name")): Kind(str(entry.get("kind")), group_version)
            for entry in (entries if isinstance(entries, list) else [])
            if isinstance(entry, dict) and entry.get("namespaced") is True
        }


async def listed(asked: Asked, kind: Kind) -> web.StreamResponse:
    """Return the joined list. Raises Refusal."""
    query = urlencode(spread(asked.target.query, watch=False))
    if len(asked.opened.namespaces) > MOST:
        raise Refusal(400, f"You have more than {MOST} namespaces: name one with -n.")
    return await _list(asked, kind, query)


async def alone(asked: Asked, namespace: str) -> web.StreamResponse:
    """One namespace answers for all, with pages and everything."""
    path = asked.path(namespace, asked.target.raw_query)
    async with asked.upstream.call("GET", path, asked.sent()) as response:
        return await pass_on(asked.request, response)


@dataclass(frozen=True)
class _Part:
    status: int
    content_type: str
    body: bytes


async def _list(asked: Asked, kind: Kind, query: str) -> web.StreamResponse:
    gate, room = asyncio.Semaphore(AT_ONCE), _Room()

    async def one(namespace: str) -> _Part:
        async with gate:
            return await _part(asked, namespace, query, room)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(name)) for name in asked.opened.namespaces]
    except* Refusal as errors:
        raise errors.exceptions[0] from None
    parts = [task.result() for task in tasks]
    good = [part for part in parts if part.status == 200]
    # What was granted a moment ago, or goes away just now, is left out; any other failure is told.
    bad = [part for part in parts if part.status != 200]
    if bad and (not good or any(part.status not in (403, 404) for part in bad)):
        worst = max(bad, key=lambda part: part.status)
        return web.Response(
            status=worst.status, body=worst.body, headers={"Content-Type": worst.content_type}
        )
    if not good:
        table = "as=Table" in _json_of(asked.headers)
        return made(json.dumps(empty(kind.name, kind.api_version, table=table)).encode())
    body = merged([parsed(part.body) for part in good])
    return made(json.dumps(body, separators=(",", ":")).encode(), good[0].content_type)


async def _part(asked: Asked, namespace: str, query: str, room: "_Room") -> _Part:
    path = asked.path(namespace, query)
    async with asked.upstream.call("GET", path, asked.sent(plain=True)) as response:
        body = await whole(response, room.left)
        room.left -= len(body)
        kind = response.headers.get("Content-Type", _JSON)
        return _Part(response.status, kind, body)


@dataclass
class _Room:
    """How many bytes all parts together may still have."""

    left: int = _TOTAL
