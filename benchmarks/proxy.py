"""What the access proxy costs: latency beside a direct call, and what it holds on to.

1,000 kubectl-like requests, 50 at once, with 20 watches open, against a sandbox control plane:
directly and through the proxy in turns, five rounds. Prints a table, writes JSON, and fails when a
request fails, a watch misses an event, or file descriptors stay behind.

    python benchmarks/proxy.py [--requests 1000] [--at-once 50] [--watches 20] [--json FILE]
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import aiohttp
import psutil
import yaml
from _calls import Door, Used, caller, core_seconds, each, session, tell, used, watch

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 5
HOW = ("alone", "at once")
ALONE = 40  # requests one after the other in each round
SETTLED = 35.0  # seconds after which the proxy has closed what idles


def main() -> int:
    """Run the benchmark; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--watches", type=int, default=20)
    parser.add_argument("--json", type=Path, default=ROOT / ".run" / "benchmarks" / "proxy.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kubenova-bench-") as folder, stage(Path(folder)) as at:
        direct, proxied, token, process = at
        figures = asyncio.run(measure(options, direct, proxied, token, process))
    show(options, figures)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if figures["descriptors left behind"] <= 2 else 1


# --- The stage: a control plane, a tenant, a kubeconfig, the proxy as a process.


@contextmanager
def stage(folder: Path) -> Iterator[tuple[Door, Door, str, psutil.Process]]:
    """Yield the two doors, a token that is good at both, and the proxy's process."""
    port = _free_port()
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "kubenova.settings",
        "KUBENOVA_STATE": str(folder / "state"),
        "KUBENOVA_CLUSTER_ALLOW_LOOPBACK": "1",
        "KUBENOVA_PROXY_PORT": str(port),
        "KUBENOVA_LOG_LEVEL": "WARNING",
    }
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    from sandbox.plane import ControlPlane

    plane = ControlPlane("bench-proxy", folder=folder / "plane", report=lambda line: None)
    plane.up()
    process = None
    try:
        _declare(plane.kubeconfig.read_text())
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "proxy"],
            stdout=subprocess.DEVNULL,
        )
        config = _issue()
        yield (*_doors(plane, config), psutil.Process(process.pid))
    finally:
        if process:
            process.terminate()
            process.wait(20)
        plane.down(wipe=True)


def _doors(plane: "ControlPlane", config: dict) -> tuple[Door, Door, str]:  # noqa: F821
    from base64 import b64decode

    admin = yaml.safe_load(plane.kubeconfig.read_text())["clusters"][0]["cluster"]
    mine = config["clusters"][0]["cluster"]

    def door(cluster: dict) -> Door:
        return Door(cluster["server"], b64decode(cluster["certificate-authority-data"]).decode())

    return door(admin), door(mine), config["users"][0]["user"]["token"]


def _declare(kubeconfig: str) -> None:
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from clusters.credentials import Given
    from clusters.kubeconfig import parse
    from clusters.models import Cluster
    from clusters.rules import address_rules
    from tenancy.models import Project, Tenant

    call_command("migrate", verbosity=0, interactive=False)
    call_command("createcachetable", verbosity=0)
    cluster = Cluster(name="bench")
    cluster.given = Given.of(parse(kubeconfig.encode(), address_rules()))
    cluster.declare(by="olga")
    _settle(lambda: Cluster.objects.get().phase == "Deployed")
    User.objects.create_user("alice")
    tenant = Tenant(name="acme", placement={"clusters": ["bench"]})
    tenant.owners = ["alice"]
    tenant.declare(by="olga")
    for name in ("blog", "shop"):
        Project(tenant=tenant, name=name).declare(by="alice")
    _settle(lambda: {row.phase for row in Project.objects.all()} == {"Deployed"})


def _settle(reached: Callable[[], bool]) -> None:
    from reconcile.drain import drain

    until = time.monotonic() + 60
    while not reached():
        if time.monotonic() > until:
            raise SystemExit("the stage did not settle within a minute")
        drain(0.5)


def _issue() -> dict:
    from django.contrib.auth.models import User

    from access.issuing import grant_for, issue
    from reconcile.refusals import Unavailable
    from tenancy.models import Tenant

    for _ in range(60):
        try:
            issued = issue(grant_for(User.objects.get(), Tenant.objects.get()))
        except Unavailable:
            time.sleep(0.5)  # the proxy is still starting
            continue
        config: dict = yaml.safe_load(issued.kubeconfig)
        return config
    raise SystemExit("no kubeconfig was issued")


def _free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


# --- What is measured.


async def measure(
    options: argparse.Namespace, direct: Door, proxied: Door, token: str, process: psutil.Process
) -> dict[str, float]:
    """Take all figures: milliseconds, MiB and numbers of descriptors."""
    async with AsyncExitStack() as stack:
        ways = {
            name: await stack.enter_async_context(session(door, token))
            for name, door in (("direct", direct), ("proxied", proxied))
        }
        doors = {"direct": direct.url, "proxied": proxied.url}
        for name, http in ways.items():
            await each(1, 20, caller(http, doors[name]))
        await asyncio.sleep(SETTLED)
        before = used(process)
        events: list[int] = [0] * options.watches
        watching = [
            asyncio.create_task(watch(ways["proxied"], doors["proxied"], events, number))
            for number in range(options.watches)
        ]
        await asyncio.sleep(1.0)
        began = core_seconds(process)
        taken = await in_turns(options, ways, doors)
        during, spent = used(process), core_seconds(process) - began
        await tell(ways["proxied"], doors["proxied"], events)
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
    await asyncio.sleep(SETTLED)
    figures = summed(taken, {"before": before, "during": during, "after": used(process)})
    count = len(taken["proxied alone"]) + len(taken["proxied at once"])
    figures["proxy core ms per request"] = round(spent * 1000 / count, 2)
    figures["watches that saw the change"] = sum(1 for count in events if count)
    return figures


async def in_turns(
    options: argparse.Namespace, ways: dict[str, aiohttp.ClientSession], doors: dict[str, str]
) -> dict[str, list[float]]:
    """Call each way in turns, alone and at once; return the seconds of every call."""
    taken: dict[str, list[float]] = {f"{way} {how}": [] for way in ways for how in HOW}
    for _ in range(ROUNDS):
        for name, http in ways.items():
            call = caller(http, doors[name])
            taken[f"{name} alone"] += await each(1, ALONE, call)
            share = options.requests // ROUNDS
            taken[f"{name} at once"] += await each(options.at_once, share, call)
    return taken


def summed(taken: dict[str, list[float]], held: dict[str, Used]) -> dict[str, float]:
    """Return median, p99 and number of each series of seconds, and what was held when."""
    figures: dict[str, float] = {}
    for name, times in taken.items():
        figures[f"{name} p50 ms"] = round(statistics.median(times) * 1000, 2)
        figures[f"{name} p99 ms"] = round(sorted(times)[int(len(times) * 0.99)] * 1000, 2)
        figures[f"{name} n"] = len(times)
    for name, found in held.items():
        figures[f"descriptors {name}"] = found.descriptors
        figures[f"memory {name} MiB"] = found.memory
    figures["descriptors left behind"] = held["after"].descriptors - held["before"].descriptors
    return figures


def show(options: argparse.Namespace, figures: dict[str, float]) -> None:
    """Print the table."""
    print(f"{options.requests} requests, {options.at_once} at once, {options.watches} watches open")
    print(f"{'':24}{'direct':>10}{'proxied':>10}{'added':>10}")
    for how in HOW:
        for figure in ("p50", "p99"):
            pair = [figures[f"{way} {how} {figure} ms"] for way in ("direct", "proxied")]
            row = "".join(f"{value:10.2f}" for value in (*pair, pair[1] - pair[0]))
            print(f"{how + ' ' + figure + ' ms':24}{row}")
    print(f"core ms per request     {figures['proxy core ms per request']:20.2f}")
    print(f"{'':24}{'before':>10}{'during':>10}{'after':>10}")
    for name, unit in (("descriptors", ""), ("memory", " MiB")):
        row = "".join(f"{figures[f'{name} {when}{unit}']:10}" for when in WHEN)
        print(f"{name + unit:24}{row}")


WHEN = ("before", "during", "after")

if __name__ == "__main__":
    sys.exit(main())
