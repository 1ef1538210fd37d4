"""Two `manage.py watch` processes share the clusters; one dies, one is frozen and wakes up.

Whose a watch is, its connection says: a cluster that is handed over is for a moment followed by
the one that has given it up and not yet by the other, and the sums are right all the same.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from clusters.adapters.baseline import Baseline
from clusters.credentials import dump
from tests.clusters.hostile_server import Exchange, HostileServer
from tests.clusters.scripted_watch import begin, chunk, event, page
from tests.kubenova.roles import ROOT, environment, eventually, free_port

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

CLUSTERS = 4
KINDS = len(Baseline.kinds) + 1  # and the definitions of custom resources
BOOKMARK = event("BOOKMARK", {"metadata": {"resourceVersion": "11"}})
LEASE = 15.0  # seconds, unless a test says otherwise
TAKEN_OVER = 30.0
NOISE = 30.0  # what a busy machine is given on top
REGISTER = """
import json
from clusters.models import Cluster
for number, scoped in enumerate(json.loads({scoped!r})):
    Cluster(name=f"c{{number}}", scoped=scoped).declare(by="olga")
"""


class Api:
    """Knows who watches at this moment."""

    def __init__(self) -> None:
        self.watching: set[int] = set()  # the client's port of each watch
        self._lock = threading.Lock()

    def __call__(self, exchange: Exchange) -> None:
        if "watch=true" not in exchange.target:
            return exchange.reply(200, json.dumps(page()))
        port = exchange.sock.getpeername()[1]
        with self._lock:
            self.watching |= {port}
        try:
            begin(exchange)
            while not exchange.server.over.is_set():
                chunk(exchange, BOOKMARK)
                exchange.wait(0.2)
        finally:
            with self._lock:
                self.watching -= {port}


class Watchers:
    """Watch roles on one database, and what it says of them."""

    def __init__(self, state: Path, **settings: str) -> None:
        self.state = state
        self.started: list[subprocess.Popen] = []
        loopback = {"KUBENOVA_CLUSTER_ALLOW_LOOPBACK": "1"}
        self._environment = environment(state, **loopback, **settings)

    def django(self, *arguments: str, stdin: str = "") -> None:
        """Run a management command."""
        command = [sys.executable, "-m", "django", *arguments]
        options = {"env": self._environment, "cwd": ROOT, "text": True, "capture_output": True}
        done = subprocess.run(command, input=stdin, **options)
        assert done.returncode == 0, done.stderr

    def start(self) -> int:
        """Start one; return its pid."""
        with (self.state / f"watch-{len(self.started)}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "django", "watch"],
                env=self._environment,
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.started.append(process)
        return process.pid

    def parts(self) -> dict[int, int]:
        """How many clusters each process holds now, by its pid."""
        query = (
            "SELECT holder, count(*) FROM clusters_watchlease "
            "WHERE until > strftime('%Y-%m-%d %H:%M:%f', 'now') GROUP BY holder"
        )
        file = f"file:{self.state / 'kubenova.sqlite3'}?mode=ro"
        with closing(sqlite3.connect(file, uri=True)) as database:
            return {int(who.rpartition(":")[2]): count for who, count in database.execute(query)}

    def end(self) -> None:
        """Stop those that live, frozen or not."""
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGTERM)
        for process in self.started:
            process.wait(60)


class World:
    """Some clusters, and watchers that share them."""

    def __init__(self, state: Path, stack: ExitStack, **settings: str) -> None:
        self.apis = [Api() for _ in range(CLUSTERS)]
        servers = [stack.enter_context(HostileServer(api)) for api in self.apis]
        self.watchers = Watchers(state, **settings)
        stack.callback(self.watchers.end)
        for command in ("migrate", "createcachetable"):
            self.watchers.django(command)
        scoped = json.dumps([dump(server.credential()) for server in servers])
        self.watchers.django("shell", "-v", "0", stdin=REGISTER.format(scoped=scoped))

    def watches(self, pid: int) -> int:
        """How many watches a process has open, as the clusters see it."""
        ports: set[int] = set()
        with suppress(psutil.Error):
            ports = {each.laddr.port for each in psutil.Process(pid).net_connections("tcp")}
        return sum(len(api.watching & ports) for api in self.apis)

    def shared(self, *parts: int) -> bool:
        """Whether the processes hold and follow so many clusters each; each is followed once."""
        held = self.watchers.parts()
        return (
            sorted(held.values()) == sorted(parts)
            and all(self.watches(pid) == count * KINDS for pid, count in held.items())
            and all(len(api.watching) == KINDS for api in self.apis)
        )


@pytest.fixture
def begun(tmp_path: Path) -> Iterator:
    """Make a world with settings of its own."""
    with ExitStack() as stack:
        yield lambda **settings: World(tmp_path, stack, **settings)


def test_f34_a_second_one_takes_half_and_gives_it_back_when_it_stops(begun):
    world = begun(KUBENOVA_WATCH_LEASE_SECONDS="25")
    world.watchers.start()
    eventually(lambda: world.shared(CLUSTERS))
    second = world.watchers.start()
    eventually(lambda: world.shared(2, 2))
    world.watchers.started[1].send_signal(signal.SIGTERM)
    assert world.watchers.started[1].wait(60) == 0
    assert second not in world.watchers.parts(), "its leases were given back, not waited for"
    eventually(lambda: world.shared(CLUSTERS))


def test_a_killed_one_is_replaced_when_its_leases_have_run_out(begun):
    world = begun()
    killed, other = world.watchers.start(), world.watchers.start()
    eventually(lambda: world.shared(2, 2))
    os.kill(killed, signal.SIGKILL)
    began = time.monotonic()
    eventually(lambda: world.watchers.parts() == {other: CLUSTERS}, TAKEN_OVER + NOISE)
    eventually(lambda: world.shared(CLUSTERS))
    seconds = time.monotonic() - began
    print(f"taken over after {seconds:.1f} s")
    assert seconds > LEASE / 2, "nobody takes what is held"
    assert seconds < TAKEN_OVER + NOISE


def test_f6_a_frozen_one_lets_go_when_it_wakes(begun):
    world = begun(KUBENOVA_WATCH_LEASE_SECONDS="5")
    frozen, other = world.watchers.start(), world.watchers.start()
    eventually(lambda: world.shared(2, 2))
    os.kill(frozen, signal.SIGSTOP)
    eventually(lambda: world.watchers.parts() == {other: CLUSTERS})
    eventually(lambda: world.watches(other) == CLUSTERS * KINDS)
    assert world.watches(frozen) == 2 * KINDS, "its connections stay while it sleeps"
    os.kill(frozen, signal.SIGCONT)
    eventually(lambda: world.shared(2, 2))


def test_prometheus_sees_what_it_does(begun):
    bind = f"127.0.0.1:{free_port()}"
    world = begun(KUBENOVA_METRICS_BIND=bind)
    world.watchers.start()
    eventually(lambda: world.shared(CLUSTERS))

    def scraped() -> list[str]:
        with urlopen(f"http://{bind}/metrics", timeout=5) as answer:
            return answer.read().decode().splitlines()

    wanted = {
        f"kubenova_watches_open {CLUSTERS * KINDS:.1f}",
        f"kubenova_watch_leases {CLUSTERS:.1f}",
    }
    eventually(lambda: wanted <= set(scraped()))
    assert any(line.startswith('kubenova_watch_lists_total{why="first"}') for line in scraped())
