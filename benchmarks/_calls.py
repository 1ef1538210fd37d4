"""Calls through a door to an API server, timed and counted: what the benchmarks of doors share."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp
import psutil

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
PODS = "/api/v1/namespaces/acme--shop/pods?limit=500"
MAPS = "/api/v1/namespaces/acme--shop/configmaps"
ONE = f"{MAPS}/kube-root-ca.crt"


@dataclass(frozen=True)
class Door:
    """A way to the API server: its base URL and the CA that vouches for it."""

    url: str
    ca_pem: str


@dataclass(frozen=True)
class Used:
    """What the proxy's process holds."""

    descriptors: int
    memory: int  # MiB


def session(door: Door, token: str) -> aiohttp.ClientSession:
    """A client with that one token, as many connections as it likes."""
    context = ssl.create_default_context(cadata=door.ca_pem)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=context),
        headers={"Authorization": f"Bearer {token}", "Accept": TABLE},
    )


def caller(http: aiohttp.ClientSession, url: str) -> Callable[[int], Awaitable[float]]:
    """Return a function that makes the n-th request and returns its seconds."""

    async def call(number: int) -> float:
        began = time.perf_counter()
        async with http.get(url + (PODS if number % 2 else ONE)) as response:
            await response.read()
            if response.status != 200:
                raise SystemExit(f"{url}: {response.status}")
        return time.perf_counter() - began

    return call


async def each(at_once: int, count: int, call: Callable[[int], Awaitable[float]]) -> list[float]:
    """Make `count` calls, `at_once` of them at a time."""
    gate = asyncio.Semaphore(at_once)

    async def one(number: int) -> float:
        async with gate:
            return await call(number)

    return list(await asyncio.gather(*(one(number) for number in range(count))))


async def watch(http: aiohttp.ClientSession, url: str, events: list[int], number: int) -> None:
    """Count the events of a watch."""
    async with http.get(f"{url}{MAPS}?watch=1") as response:
        async for line in response.content:
            events[number] += b"seen-by-all" in line


async def tell(http: aiohttp.ClientSession, url: str, events: list[int]) -> None:
    """Make a change that every watch has to see."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "seen-by-all"}}
    async with http.post(url + MAPS, json=body) as response:
        if response.status != 201:
            raise SystemExit(f"the change was refused: {await response.text()}")
    until = time.monotonic() + 10
    while not all(events):
        if time.monotonic() > until:
            raise SystemExit("a watch did not see the change")
        await asyncio.sleep(0.05)


def used(process: psutil.Process) -> Used:
    """What the process holds now."""
    return Used(process.num_fds(), process.memory_info().rss // 1024**2)


def core_seconds(process: psutil.Process) -> float:
    """Processor time that it has used so far."""
    times = process.cpu_times()
    return float(times.user + times.system)
