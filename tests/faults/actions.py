"""What a fault does to a request, its answer, or the events of a watch."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from reconcile.values import JSON
from tests.faults.events import Lines
from tests.faults.exchange import Exchange

_LOOK = 0.005
_SETTLING = 0.05  # until the proxy has noticed that a killed client is gone


class Cut(Exception):
    """The connection is to be reset; nothing more is answered."""


@dataclass
class Answer:
    """An answer that is not streamed; `keep` bytes of the body arrive, in `pieces` with pauses."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    keep: int | None = None
    piece: int = 0
    pause: float = 0.0


class Answered(Exception):
    """The proxy answers by itself, without forwarding."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Action:
    """Nothing: what every fault has in common."""

    async def before(self, exchange: Exchange) -> None:
        """Before the request is forwarded. Raises Cut, Answered."""

    async def after(self, exchange: Exchange, answer: Answer) -> None:
        """When the answer is there; may change it. Raises Cut."""

    def lines(self, exchange: Exchange, lines: Lines) -> Lines:
        """Pass on the events of a watch, line by line. Raises Cut."""
        return lines


@dataclass
class Delay(Action):
    """Wait before the request is forwarded, or (after) before its answer is."""

    seconds: float
    late: bool = False

    async def before(self, exchange: Exchange) -> None:
        """Wait."""
        if not self.late:
            await asyncio.sleep(self.seconds)

    async def after(self, exchange: Exchange, answer: Answer) -> None:
        """Wait."""
        if self.late:
            await asyncio.sleep(self.seconds)


@dataclass
class Fail(Action):
    """Answer in the place of the server; a body that is a mapping is sent as JSON."""

    status: int
    body: JSON | str = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    async def before(self, exchange: Exchange) -> None:
        """Answer."""
        text = isinstance(self.body, str)
        body = self.body if isinstance(self.body, str) else json.dumps(self._status())
        kind = {"Content-Type": "text/plain" if text else "application/json"}
        raise Answered(Answer(self.status, kind | self.headers, body.encode()))

    def _status(self) -> JSON:
        assert isinstance(self.body, dict)
        return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.status} | (
            self.body
        )


@dataclass
class Reset(Action):
    """Cut the connection: before the request is forwarded, or when it was carried out."""

    after_forwarding: bool = False

    async def before(self, exchange: Exchange) -> None:
        """Cut."""
        if not self.after_forwarding:
            raise Cut

    async def after(self, exchange: Exchange, answer: Answer) -> None:
        """Cut."""
        raise Cut


@dataclass
class Truncate(Action):
    """Send the head and so many bytes of the body, then cut."""

    keep: int

    async def after(self, exchange: Exchange, answer: Answer) -> None:
        """Shorten."""
        answer.keep = self.keep


@dataclass
class Drip(Action):
    """Send the body in pieces of so many bytes, with a pause after each."""

    piece: int
    pause: float

    async def after(self, exchange: Exchange, answer: Answer) -> None:
        """Slow down."""
        answer.piece, answer.pause = self.piece, self.pause


@dataclass
class Edit(Action):
    """Change the JSON of an answer; returns the new one."""

    change: Callable[[JSON], JSON]

    async def after(self, exchange: Exchange, answer: Answer) -> None:
        """Change."""
        answer.body = json.dumps(self.change(json.loads(answer.body))).encode()


def emptied(found: JSON) -> JSON:
    """A list without its items."""
    return {**found, "items": []}


def paged(found: JSON) -> JSON:
    """A list of which half is still to come, by a token that no server knows."""
    half = found["items"][: len(found["items"]) // 2]
    return {**found, "items": half, "metadata": {**found["metadata"], "continue": "expired"}}


@dataclass
class Hook(Action):
    """Call something, in a thread, while the request or its answer waits."""

    call: Callable[[Exchange], object]
    after_forwarding: bool = False

    async def before(self, exchange: Exchange) -> None:
        """Call."""
        if not self.after_forwarding:
            await asyncio.to_thread(self.call, exchange)

    async def after(self, exchange: Exchange, answer: Answer) -> None:
        """Call."""
        if self.after_forwarding:
            await asyncio.to_thread(self.call, exchange)


@dataclass
class Signal(Action):
    """Signal processes before or after the request is forwarded.

    Who is killed before never gets the request through.
    """

    pids: Callable[[Exchange], Iterable[int]]
    number: signal.Signals = signal.SIGKILL
    after_forwarding: bool = False

    async def before(self, exchange: Exchange) -> None:
        """Signal."""
        if not self.after_forwarding:
            await self._send(exchange)

    async def after(self, exchange: Exchange, answer: Answer) -> None:
        """Signal."""
        if self.after_forwarding:
            await self._send(exchange)

    async def _send(self, exchange: Exchange) -> None:
        await asyncio.to_thread(self._signal, exchange)
        if self.number == signal.SIGKILL:
            await asyncio.sleep(_SETTLING)
            raise Cut

    def _signal(self, exchange: Exchange) -> None:
        pids = list(self.pids(exchange))
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, self.number)
        if self.number == signal.SIGKILL:
            for pid in pids:
                _await_end(pid)


def _await_end(pid: int) -> None:
    """Wait until a process has ended. It is left to its parent to bury, also when we are that."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        while process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(_LOOK)


def client_of(exchange: Exchange) -> list[int]:
    """The process at the other end of the connection."""
    found = psutil.net_connections(kind="tcp")
    return [each.pid for each in found if each.laddr == exchange.peer and each.pid]


@dataclass
class Watched(Action):
    """Change the events of a watch: a function from lines to lines."""

    change: Callable[[Lines], Lines]

    def lines(self, exchange: Exchange, lines: Lines) -> Lines:
        """Change."""
        return self.change(lines)
