"""What can become of the events of a watch: functions from lines to lines."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

from reconcile.values import JSON

Lines = AsyncIterator[bytes]

EXPIRED: JSON = {
    "kind": "Status",
    "apiVersion": "v1",
    "status": "Failure",
    "message": "too old resource version",
    "reason": "Expired",
    "code": 410,
}


async def swallowed(lines: Lines) -> Lines:
    """Nothing arrives any more, and the connection stays."""
    async for _ in lines:
        continue
    yield b""


async def doubled(lines: Lines) -> Lines:
    """Every event arrives twice."""
    async for line in lines:
        yield line
        yield line


async def reordered(lines: Lines) -> Lines:
    """Every two events arrive in the wrong order; the first waits for the second at most 0.3 s."""
    held: list[bytes] = []
    async for line in waited(lines, 0.3):
        if line:
            held.append(line)
        if len(held) == 2 or (held and not line):
            for each in reversed(held):
                yield each
            held = []


async def waited(lines: Lines, seconds: float) -> Lines:
    """The lines, and an empty one whenever none came for a while."""
    following: asyncio.Task[bytes] | None = None
    while True:
        if following is None:
            following = asyncio.ensure_future(anext(lines, b"END"))  # type: ignore[arg-type]
        done, _ = await asyncio.wait({following}, timeout=seconds)
        if not done:
            yield b""
            continue
        line = following.result()
        following = None
        if line == b"END":
            return
        yield line


def lossy(number: int) -> Callable[[Lines], Lines]:
    """The `number`-th event (from 1) never arrives."""

    async def change(lines: Lines) -> Lines:
        seen = 0
        async for line in lines:
            seen += 1
            if seen != number:
                yield line

    return change


async def cut_short(lines: Lines) -> Lines:
    """The first event arrives by half, then the stream ends."""
    async for line in lines:
        yield line[: len(line) // 2].rstrip(b"\n")
        return


async def expired(lines: Lines) -> Lines:
    """The first thing to arrive says that the version is too old."""
    yield json.dumps({"type": "ERROR", "object": EXPIRED}).encode() + b"\n"


async def ended(lines: Lines) -> Lines:
    """The stream ends at once, as one does whose time is up."""
    for line in ():
        yield line
