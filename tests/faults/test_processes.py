"""What becomes of the work when processes die, stop, wake up again, or do things twice."""

import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from itertools import pairwise
from signal import SIGCONT, SIGSTOP

import pytest

from tests.faults.actions import Delay, Hook, Signal, client_of
from tests.faults.exchange import Exchange
from tests.faults.proxy import Faults
from tests.faults.roles import Role, wait_for
from tests.faults.rules import EVERYTHING, WRITE, Match, Rule, nth
from tests.faults.sites import Site
from tests.faults.table import Ledger
from tests.faults.web import NEWER, App
from tests.faults.world import World
from tests.kubenova.roles import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
sample = pytest.mark.live

PROMISE = 30.0


def deployment(tenant: str) -> str:
    """The path of the one Deployment of a tenant."""
    return f"/apis/apps/v1/namespaces/{tenant}--shop/deployments/web"


def settled_shop(world: World, tenant: str) -> App:
    app = world.shop(tenant)
    world.settle()
    return app


def judge(
    world: World, ledger: Ledger, seconds: float, runs: int = 1, promise: float = PROMISE
) -> None:
    """Nothing is lost, doubled or orphaned, and it did not take long."""
    audit = world.audit()
    ledger.add(runs=runs, seconds=seconds, audit=audit)
    assert audit.clean, audit
    assert seconds < promise


# --- F2


@sample
def test_f2_killed_before_it_could_record_what_was_written(world: World, one: Site, ledger: Ledger):
    """The cluster has answered; the worker dies while it waits for the database."""
    app, locks = settled_shop(world, "f2"), ExitStack()
    lock = Hook(lambda _: locks.enter_context(world.database.locked()), after_forwarding=True)
    found: list[Exchange] = []
    note = Hook(found.append, after_forwarding=True)
    patch = Match(verb="PATCH", path=deployment("f2"))
    with locks, one.proxy.rules.during(nth(patch, note, 1), nth(patch, lock, 1)):
        world.change(app, NEWER)
        wait_for(lambda: found, "the write is answered")
        time.sleep(1.0)
        for worker in world.roles.workers:
            worker.kill()
    seconds = world.settle()
    judge(world, ledger, seconds)
    live = one.api.get(deployment("f2"))
    assert live["metadata"]["generation"] == 2, "what was written again changed nothing"


def test_f2_a_restart_at_rest_writes_nothing(world: World, one: Site, ledger: Ledger):
    settled_shop(world, "f2")
    for worker in world.roles.workers:
        worker.kill()
    mark = len(one.proxy.journal)
    world.up()
    seconds = world.settle()
    time.sleep(2.0)
    assert one.proxy.journal.since(mark) == []
    judge(world, ledger, seconds)


# --- F3


@sample
@pytest.mark.parametrize("after", [False, True], ids=["before-the-commit", "after-the-commit"])
def test_f3_a_killed_web_role_keeps_what_it_has_committed(
    after: bool, world: World, ledger: Ledger
):
    world.tenant("f3")
    world.project("f3")
    web = world.roles.web

    def victims(_: Exchange) -> list[int]:
        web.expected = True
        return web.family()

    body = {"name": "web", "tenant": "f3", "project": "shop", "components": []}
    body["components"] = [
        {"name": "web", "type": "webservice", "properties": {"image": "nginx:1.27"}}
    ]
    with Faults(f"http://127.0.0.1:{world.web.port}", tls=False) as front:
        front.rules.add(nth(WRITE, Signal(victims, after_forwarding=after), 1))
        with pytest.raises(ConnectionError):
            world.web.send("POST", "/apps", body, port=front.port)
        assert world.database.count("delivery_app") == int(after)
        world.up()
        again = world.web.send("POST", "/apps", body, port=front.port)
    assert (again["name"], again["generation"]) == ("web", 1)
    assert world.database.count("delivery_app") == 1
    assert world.database.count("delivery_revision") == 1
    app = App("f3", "shop", "web", "nginx:1.27", ("one",))
    world.apps[app.path] = app
    judge(world, ledger, world.settle())


# --- F4

_AGAIN = """
import django, sys
django.setup()
from django_q.tasks import async_task
for queue, slot in zip(sys.argv[1::2], sys.argv[2::2]):
    for _ in range(3):
        async_task("kubenova.drains.drain_in_slot", slot, cluster=queue)
        async_task("reconcile.drain.drain", 3.0, cluster=queue)
"""


def test_f4_what_the_queue_delivers_again_is_not_done_again(
    world: World, one: Site, ledger: Ledger
):
    settled_shop(world, "f4-calm")
    calm = [write.path.replace("f4-calm", "f4") for write in one.proxy.journal.landed]
    arguments: list[str] = []
    for worker in world.roles.workers:
        arguments += [f"kubenova@{socket.gethostname()}:{worker.pid}"]
        arguments += [str(world.folder / f"worker-{worker.pid}" / "slot-0")]
    mark = len(one.proxy.journal)
    with one.proxy.rules.during(Rule(WRITE, Delay(0.5))):
        world.shop("f4")
        subprocess.run(
            [sys.executable, "-c", _AGAIN, *arguments],
            env=world.environment,
            cwd=ROOT,
            check=True,
        )
        seconds = world.settle()
    written = [write.path for write in one.proxy.journal.since(mark) if write.done]
    assert set(written) <= set(calm), "nothing but what is meant"
    created = [write.path for write in one.proxy.journal.since(mark) if write.status == 201]
    assert len(created) == len(set(created)), "and each is created once"
    judge(world, ledger, seconds, runs=len(arguments) * 3)


# --- F5


def race(world: World, site: Site, edits: int) -> float:
    """Edit one app again and again while everybody wants it; return the seconds to rest."""
    app = settled_shop(world, "f5")
    mark = len(site.proxy.journal)
    for number in range(edits):
        world.change(app, f"nginx:1.{number}")
    seconds = world.settle()
    writes = [write for write in site.proxy.journal.since(mark) if write.path == deployment("f5")]
    assert len(writes) <= 2 * edits + 2
    assert all(before.ended <= after.began for before, after in pairwise(writes))
    return seconds


def test_f5_two_workers_never_write_one_object_at_once(world: World, one: Site, ledger: Ledger):
    judge(world, ledger, race(world, one, 40), runs=40)


def test_f5_eight_drains_want_one_object(world: World, one: Site, ledger: Ledger):
    added = world.roles.add_workers(2, KUBENOVA_WORKERS="3")
    try:
        world.up()
        judge(world, ledger, race(world, one, 1000), runs=1000)
    finally:
        world.roles.drop_workers(added)


# --- F6


class Zombie:
    """Stops the worker that sends a write, and keeps the write back until it is let go."""

    def __init__(self, world: World) -> None:
        self._world, self.role = world, None
        self._go = threading.Event()
        self.exchange: Exchange | None = None

    def stop(self, exchange: Exchange) -> None:
        """A hook: stop whoever sends this, and wait."""
        self.role = next(filter(None, map(self._world.roles.owner_of, client_of(exchange))))
        self.role.signal(SIGSTOP)
        self.exchange = exchange
        self._go.wait(120)

    def wake(self) -> Role:
        """The write goes out at last, and its worker goes on."""
        assert self.role
        self._go.set()
        time.sleep(0.5)
        self.role.signal(SIGCONT)
        return self.role


def test_f6_a_zombie_resurrects_nothing(world: World, one: Site, ledger: Ledger):
    app, zombie = settled_shop(world, "f6"), Zombie(world)
    patch = nth(Match(verb="PATCH", path=deployment("f6")), Hook(zombie.stop), 1)
    with one.proxy.rules.during(patch):
        world.change(app, NEWER)
        wait_for(lambda: zombie.exchange, "a worker is caught")
        world.remove_tenant("f6")
        gone = lambda: not world.database.count("tenancy_tenant")  # noqa: E731
        seconds = world.until(gone, "another worker has removed the tenant", 90)
        assert one.of("f6") == []
        zombie.wake()
        world.settle()
    late = next(
        write
        for write in one.proxy.journal.writes
        if write.path == deployment("f6") and write.began > 0 and write.status >= 400
    )
    assert late.status in {403, 404, 409}, "no right any more, no namespace, or another uid"
    assert one.of("f6") == []
    judge(world, ledger, seconds)


def test_f6_what_a_zombie_creates_too_late_is_told_of(world: World, one: Site, ledger: Ledger):
    """A write under way when its worker stops cannot be called back: it is an orphan then."""
    zombie = Zombie(world)
    namespace = "/api/v1/namespaces/f6-late--shop"
    rule = nth(Match(verb="PATCH", path=f"{namespace}$"), Hook(zombie.stop), 1)
    with one.proxy.rules.during(rule):
        world.tenant("f6-late")
        world.project("f6-late")
        wait_for(lambda: zombie.exchange, "a worker is caught")
        world.remove_tenant("f6-late")
        gone = lambda: not world.database.count("tenancy_tenant")  # noqa: E731
        seconds = world.until(gone, "another worker has removed the tenant", 90)
        zombie.wake()
        world.settle()
    told = "SELECT * FROM reconcile_event WHERE reason = 'OrphanFound'"
    try:
        if one.api.find(namespace):
            world.until(
                lambda: any("f6-late" in row["message"] for row in world.database.rows(told)),
                "the orphan is told of",
                30,
            )
    finally:
        if one.api.find(namespace):
            one.api.delete(namespace)
            one.api.wait(namespace, lambda found: found is None)
    judge(world, ledger, seconds)


# --- F31


def test_f31_a_row_that_kills_its_worker_is_set_aside(world: World, one: Site, ledger: Ledger):
    world.shop("f31-poison")
    world.settle()
    poison = Rule(Match(verb="PATCH", path=deployment("f31-poison")), Signal(client_of))
    with one.proxy.rules.during(poison):
        (app,) = world.apps.values()
        world.change(app, NEWER)
        world.until(lambda: poison.met, "it has killed for the first time")
        other = world.shop("f31")
        calm = world.until(lambda: world.phase(other.path) == "Deployed", "others go on", 60)
        aside = "SELECT * FROM reconcile_work WHERE quarantined_at IS NOT NULL"
        world.until(lambda: world.database.rows(aside), "it is set aside", 180)
        world.until(lambda: world.phase(app.path) == "Error", "people are told", 20)
        time.sleep(8.0)
        assert poison.met == 5, "nobody touches it again"
    world.change(app, "nginx:1.29")
    seconds = world.settle()
    ledger.add(runs=5, seconds=calm)
    judge(world, ledger, seconds, runs=0)


# --- F34


def test_f34_a_worker_that_is_asked_to_end_hands_its_work_over(
    world: World, one: Site, ledger: Ledger
):
    slow = Rule(WRITE, Delay(1.5))
    with one.proxy.rules.during(slow), world.as_it_is():
        app = world.shop("f34")
        wait_for(lambda: slow.met, "something is being written")
        ended = [worker.stop() for worker in world.roles.workers]
    assert [status for status, _ in ended] == [0, 0]
    assert max(seconds for _, seconds in ended) < 10.0
    world.up()
    seconds = world.settle()
    assert world.phase(app.path) == "Deployed"
    judge(world, ledger, seconds)


@pytest.mark.parametrize("name", ["web", "watch"])
def test_f34_the_other_roles_end_in_time_too(name: str, world: World, ledger: Ledger):
    role: Role = getattr(world.roles, name)
    status, seconds = role.stop()
    assert (status, seconds < 10.0) == (0, True)
    world.up()
    judge(world, ledger, world.settle())


# --- Everything at once.


def test_f1_all_roles_are_killed_while_a_tenant_moves_in(world: World, one: Site, ledger: Ledger):
    """With the leases that are the default: nobody else may take over for 15 s."""
    world.down()
    world.up(KUBENOVA_LEASE_SECONDS="15")
    seen = Rule(EVERYTHING, Hook(lambda _: None))
    app = world.shop("f1")
    with one.proxy.rules.during(seen):
        wait_for(lambda: seen.met > 3, "it has begun")
        for role in world.roles.all:
            role.kill()
    seconds = world.settle()
    world.up()
    assert world.phase(app.path) == "Deployed"
    judge(world, ledger, seconds)
