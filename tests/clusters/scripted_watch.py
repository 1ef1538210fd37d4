"""An API server that tells a watch what a script says, and somebody who follows it."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from clusters.addresses import AddressRules
from clusters.kinds import CONFIG_MAP
from clusters.transport import Limits
from clusters.watch.follower import OURS, Follower, Rhythm, Scope
from clusters.watch.session import Session
from clusters.watch.sightings import Sighting
from reconcile.errors import ClusterError
from reconcile.values import JSON, Kind
from tests.clusters.hostile_server import Exchange, HostileServer

LOOPBACK = AddressRules(allow_loopback=True, allow_private=True)
LIMITS = Limits(connect=1.0, read=1.0, total=2.0, answer_bytes=1024 * 1024)
Script = Callable[[Exchange], None]


def config_map(name: str, version: int = 1, **data: str) -> JSON:
    meta = {
        "name": name,
        "namespace": "acme--web",
        "uid": f"uid-{name}",
        "resourceVersion": str(version),
        "labels": {"app.kubernetes.io/managed-by": "kubenova", "kubenova.io/owner": "a.b"},
    }
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def event(kind: str, body: JSON) -> bytes:
    return json.dumps({"type": kind, "object": body}).encode() + b"\n"


def status(code: int, reason: str, message: str) -> JSON:
    return {"kind": "Status", "code": code, "reason": reason, "message": message}


@dataclass
class ApiServer:
    """Answers lists from `pages` and watches from `script`, in turn; the last one repeats."""

    pages: list[JSON]
    script: list[Script] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
    watches: list[str] = field(default_factory=list)

    def __call__(self, exchange: Exchange) -> None:
        if "watch=true" in exchange.target:
            self.watches.append(exchange.target)
            if not self.script:
                return self.idle(exchange)
            step = self.script[min(len(self.watches), len(self.script)) - 1]
            return step(exchange)
        self.lists.append(exchange.target)
        page = self.pages[min(len(self.lists), len(self.pages)) - 1]
        return exchange.reply(page.get("code", 200), json.dumps(page))

    @staticmethod
    def idle(exchange: Exchange) -> None:
        begin(exchange)
        exchange.wait(30)


def begin(exchange: Exchange) -> None:
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    exchange.send(head.encode())


def chunk(exchange: Exchange, data: bytes) -> None:
    exchange.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def telling(*lines: bytes, rest: float = 30, ends: bool = False) -> Script:
    """A watch that tells its events, then rests, then ends properly or hangs on."""

    def tell(exchange: Exchange) -> None:
        begin(exchange)
        for line in lines:
            chunk(exchange, line)
        exchange.wait(rest)
        if ends:
            exchange.send(b"0\r\n\r\n")

    return tell


def page(*items: JSON, version: str = "10", token: str = "") -> JSON:
    meta = {"resourceVersion": version, **({"continue": token} if token else {})}
    return {"kind": "ConfigMapList", "apiVersion": "v1", "metadata": meta, "items": list(items)}


class Notes:
    """An inbox and a reporter that write down what they are told."""

    def __init__(self) -> None:
        self.listed_names: list[list[str]] = []
        self.sightings: list[Sighting] = []
        self.errors: list[ClusterError] = []
        self.good = 0
        self.restored = 0

    async def put(self, sighting: Sighting) -> None:
        self.sightings.append(sighting)

    async def listed(self, cluster_pk: int, kind: Kind, seen: list[Sighting]) -> None:
        self.listed_names.append([each.key.name for each in seen])

    def restore(self) -> None:
        self.restored += 1

    async def report(self, error: ClusterError | None) -> None:
        if error is None:
            self.good += 1
        else:
            self.errors.append(error)


def follow(
    server: HostileServer,
    until: Callable[[Notes], bool],
    /,
    *,
    seconds: float = 8.0,
    rhythm: Rhythm | None = None,
    rules: AddressRules = LOOPBACK,
    scope: Scope = OURS,
    kind: Kind = CONFIG_MAP,
    **credential: str,
) -> Notes:
    """Follow ConfigMaps until `until` holds; fails when it does not within `seconds`."""
    notes = Notes()

    async def run() -> None:
        async with Session(server.credential(**credential), rules, LIMITS) as session:
            follower = Follower(
                7,
                kind,
                session,
                notes,
                notes.report,
                rhythm,
                scope=scope,
                restored=notes.restore,
            )
            task = asyncio.create_task(follower.run())
            deadline = time.monotonic() + seconds
            while not until(notes) and time.monotonic() < deadline and not task.done():
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if task.done() and not task.cancelled():
                task.result()

    asyncio.run(run())
    assert until(notes), (notes.__dict__, server.behave)
    return notes


def names(notes: Notes) -> list[tuple[str, bool]]:
    return [(each.key.name, each.gone) for each in notes.sightings]
