"""Which clusters are followed, and that the role keeps up with what is registered."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection
from django.test.utils import CaptureQueriesContext

from clusters.adapters.baseline import Baseline
from clusters.credentials import dump
from clusters.kinds import CONFIG_MAP, NAMESPACE
from clusters.models import Cluster
from clusters.transport import Limits
from clusters.watch.follower import Rhythm
from clusters.watch.inbox import Inbox
from clusters.watch.role import Role
from clusters.watch.sightings import Key, Sighting
from clusters.watch.targets import applied_kinds, eligible, mark_baseline, signature, targets
from clusters.watch.threads import in_database
from clusters.watch.verdicts import Pending
from kubenova.checks import check_watching
from reconcile.models import AppliedObject, Work
from reconcile.values import Kind, Ref
from tests.clusters.hostile_server import Exchange, HostileServer
from tests.clusters.steps import settle

SECRET = Kind("v1", "Secret", "secrets")
KINDS = len(Baseline.kinds) + 1  # and the definitions of custom resources
LIMITS = Limits(connect=1.0, read=1.0, total=2.0)


# --- Which clusters, which kinds.


@pytest.fixture
def cluster(fleet, db) -> Cluster:
    return fleet.register("prod-a")


def applied(cluster: Cluster, ref: Ref) -> None:
    work = Work.objects.get(kind="clusters.clusterbaseline", cluster_id=cluster.pk)
    record = AppliedObject.of(work, ref)
    record.uid, record.wanted_hash, record.applied_fp = "u", "h", "f"
    record.live_fp = record.status_fp = "f"
    record.save()


def test_it_follows_the_kinds_of_its_adapters_and_of_what_was_applied(cluster):
    applied(cluster, Ref(CONFIG_MAP, "kubenova-system", "tenant-acme"))
    (target,) = targets(applied_kinds(), eligible())
    assert (target.pk, target.name) == (cluster.pk, "prod-a")
    assert target.credential == cluster.own_credentials[0]
    names = {kind.name for kind in target.kinds}
    assert {"Namespace", "ClusterRole", "ValidatingAdmissionPolicy", "ConfigMap"} <= names


def test_it_never_follows_secrets(cluster):
    applied(cluster, Ref(SECRET, "kubenova-grants", "grant"))
    (target,) = targets(applied_kinds(), eligible())
    assert "Secret" not in {kind.name for kind in target.kinds}


def test_it_leaves_paused_clusters_alone(cluster):
    cluster.pause(by="olga")
    assert targets(applied_kinds(), eligible()) == []
    cluster.resume(by="olga")
    assert len(targets(applied_kinds(), eligible())) == 1


def test_it_leaves_clusters_that_are_going_alone(cluster):
    cluster.request_deletion(by="olga")
    assert targets(applied_kinds(), eligible()) == []


@pytest.mark.django_db
def test_it_waits_for_a_credential_of_its_own(fleet):
    fleet.declare("prod-a")
    assert targets(applied_kinds(), eligible()) == []


def test_a_credential_that_does_not_open_hides_no_other_cluster(cluster, fleet, tmp_path, settings):
    fleet.register("prod-b")
    sealed = Cluster.objects.filter(name="prod-b").values_list("scoped", flat=True)[0]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE clusters_cluster SET scoped = %s WHERE name = 'prod-a'", [sealed.text]
        )
    assert [target.name for target in targets(applied_kinds(), eligible())] == ["prod-b"]


def renew(cluster: Cluster) -> None:
    cluster.scoped = dump(replace(cluster.own_credentials[0], token="renewed"))
    cluster.save(update_fields=["scoped"])


CHANGES = {
    "a new credential": renew,
    "a new capability": lambda cluster: cluster.capabilities.create(name="new"),
    "one less": lambda cluster: cluster.capabilities.first().delete(),
    "a pause": lambda cluster: cluster.pause(by="olga"),
    "no row any more": lambda cluster: cluster.placements.all().delete(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_its_signature_changes_when_targets_may_have(cluster, fleet, change):
    fleet.register("prod-b")
    before = signature(eligible())
    assert signature(eligible()) == before
    change(cluster)
    assert signature(eligible()) != before


def test_its_signature_costs_as_much_for_many_clusters(cluster, fleet, db):
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            signature(eligible())
        return len(queries)

    one = cost()
    for name in ("prod-b", "prod-c", "prod-d"):
        fleet.register(name)
    assert cost() == one < 12


def test_it_has_a_baseline_look(cluster):
    Work.objects.update(due_at=None)
    mark_baseline(cluster.pk)
    assert [work.kind for work in Work.objects.due()] == ["clusters.clusterbaseline"]


BOUNDS = {
    "no takeover in time": ("WATCH_LEASE_SECONDS", 26),
    "leases that end at once": ("WATCH_LEASE_SECONDS", 1),
    "no look back in time": ("WATCH_PROBE_SECONDS", 301),
    "lists all the time": ("WATCH_RELIST_SECONDS", 1),
    "given up between two bookmarks": ("WATCH_SILENCE_SECONDS", 1),
}


@pytest.mark.parametrize(("name", "value"), BOUNDS.values(), ids=BOUNDS.keys())
def test_it_refuses_settings_that_keep_no_promise(settings, name, value):
    assert check_watching() == []
    setattr(settings, name, value)
    (error,) = check_watching()
    assert error.id == "kubenova.E006"
    assert f"KUBENOVA_{name} is {value}" in error.msg


# --- The inbox.


class Judge:
    """Writes down what it is to judge; `later` is what it answers, an error what it raises."""

    def __init__(self, *answers: dict[Key, float] | DatabaseError) -> None:
        self.answers = list(answers)
        self.batches: list[list[str]] = []

    def judge(self, batch: list[Pending]) -> dict[Key, float]:
        self.batches.append([each.sighting.fp for each in batch])
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, DatabaseError):
            raise answer
        return answer


def key(name: str = "a") -> Key:
    return Key(1, CONFIG_MAP, "acme--web", name)


def judged(judge: Judge, *sightings: Sighting, batches: int = 1) -> list[list[str]]:
    async def run() -> None:
        inbox = Inbox(judge)
        task = asyncio.create_task(inbox.serve())
        for sighting in sightings:
            await inbox.put(sighting)
        until = time.monotonic() + 5
        while len(judge.batches) < batches and time.monotonic() < until:
            await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(run())
    return judge.batches


def test_only_the_last_sighting_of_an_object_counts():
    many = [Sighting(key(), fp=str(number)) for number in range(100)]
    assert judged(Judge(), *many, Sighting(key("b"), fp="b")) == [["99", "b"]]


def test_what_is_to_wait_is_judged_again():
    assert judged(Judge({key(): 0.05}), Sighting(key(), fp="x"), batches=2) == [["x"], ["x"]]


def test_f7_nothing_is_lost_when_the_database_fails():
    judge = Judge(OperationalError("the server closed the connection"))
    assert judged(judge, Sighting(key(), fp="x"), batches=2) == [["x"], ["x"]]


class Refusing(Judge):
    """A database that takes everything but what is called `bad`."""

    def judge(self, batch: list[Pending]) -> dict[Key, float]:
        super().judge(batch)
        if any(each.sighting.fp == "bad" for each in batch):
            raise IntegrityError("duplicate key value violates unique constraint")
        return {}


def test_f31_one_that_the_database_refuses_holds_up_no_other():
    judge, texts = Refusing(), ("a", "b", "bad", "c", "d")
    batches = judged(judge, *(Sighting(key(text), fp=text) for text in texts), batches=5)
    assert batches[0] == list(texts)
    good = [batch for batch in batches if "bad" not in batch]
    assert sorted(text for batch in good for text in batch) == ["a", "b", "c", "d"]
    assert batches.count(["bad"]) == 1, "it is not tried again and again"


@pytest.mark.django_db(transaction=True)
def test_f30_an_empty_list_is_a_reason_to_look_and_never_to_delete(fleet):
    cluster = fleet.register("prod-a")
    Work.objects.update(due_at=None)
    live = fleet["prod-a"]
    live.writes.clear()
    before = live.refs()

    def due() -> int:
        return Work.objects.due().count()

    async def run() -> None:
        inbox = Inbox()
        task = asyncio.create_task(inbox.serve())
        await inbox.listed(cluster.pk, NAMESPACE, [])
        until = time.monotonic() + 5
        while not await in_database(due) and time.monotonic() < until:
            await asyncio.sleep(0.02)
        task.cancel()

    asyncio.run(run())
    assert [work.kind for work in Work.objects.due()] == ["clusters.clusterbaseline"]
    settle()
    assert live.refs() == before
    assert live.writes == []
    cluster.refresh_from_db()
    assert cluster.phase == "Deployed"


# --- The role.


class Api:
    """An API server with nothing on it; `refuse` makes it answer 503."""

    def __init__(self) -> None:
        self.lists = 0
        self.refuse = False
        self.watching = 0

    def __call__(self, exchange: Exchange) -> None:
        if self.refuse:
            exchange.reply(503, json.dumps({"kind": "Status", "code": 503, "message": "starting"}))
            return
        if "watch=true" in exchange.target:
            self.watching += 1
            head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            exchange.send(head.encode())
            while not exchange.server.over.is_set() and not self.refuse:
                exchange.wait(0.05)
            exchange.sock.close()
            return
        self.lists += 1
        body = {"kind": "List", "metadata": {"resourceVersion": "5"}, "items": []}
        exchange.reply(200, json.dumps(body))


def at(server: HostileServer, name: str = "prod-a") -> Cluster:
    """A registered cluster whose API server is `server`; one kind is followed on it."""
    cluster = Cluster(name=name)
    cluster.scoped = dump(server.credential())
    cluster.declare(by="olga")
    Work.objects.update(due_at=None)
    return cluster


def play(scenario: Callable[[], Awaitable[None]]) -> float:
    """Run the role while `scenario` plays; return the seconds that stopping it took."""

    async def run() -> float:
        stop = asyncio.Event()
        role = asyncio.create_task(Role(LIMITS, Rhythm()).run(stop))
        try:
            await scenario()
        finally:
            began = time.monotonic()
            stop.set()
            await role
        return time.monotonic() - began

    return asyncio.run(run())


async def reached(condition: Callable[[], bool], seconds: float = 8.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "not reached"
        await asyncio.sleep(0.02)


@pytest.fixture
def vault(settings, tmp_path):
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"


@pytest.mark.django_db(transaction=True)
def test_it_takes_up_a_new_cluster_and_stops_at_once(vault):
    api = Api()

    async def scenario() -> None:
        await asyncio.sleep(0.3)
        await in_database(at, server)
        await reached(lambda: api.watching == KINDS)

    with HostileServer(api) as server:
        assert play(scenario) < 2.0
    assert api.lists == api.watching, "each once"


@pytest.mark.django_db(transaction=True)
def test_it_lets_go_of_a_paused_cluster_and_takes_it_up_again(vault):
    api = Api()

    async def scenario() -> None:
        cluster = await in_database(at, server)
        await reached(lambda: api.watching >= KINDS)
        await in_database(cluster.pause, "olga")
        await asyncio.sleep(2.0)
        lists = api.lists
        await asyncio.sleep(0.5)
        assert api.lists == lists
        await in_database(cluster.resume, "olga")
        await reached(lambda: api.lists >= 2 * lists)

    with HostileServer(api) as server:
        play(scenario)


@pytest.mark.django_db(transaction=True)
def test_f25_it_uses_a_new_credential_without_a_restart(vault):
    api = Api()

    def renew(cluster: Cluster) -> None:
        cluster.scoped = dump(server.credential(token="renewed-token"))
        cluster.save(update_fields=["scoped"])

    async def scenario() -> None:
        cluster = await in_database(at, server)
        await reached(lambda: api.watching >= KINDS)
        await in_database(renew, cluster)
        await reached(lambda: api.watching >= 2 * KINDS)

    with HostileServer(api) as server:
        play(scenario)
        tokens = [exchange.header("Authorization") for exchange in server.seen]
    assert tokens[0] == "Bearer secret-token"
    assert tokens[-1] == "Bearer renewed-token"


@pytest.mark.django_db(transaction=True)
def test_f24_the_baseline_looks_when_a_cluster_falls_silent_and_when_it_is_back(vault):
    api = Api()

    def baseline_is_due() -> bool:
        return Work.objects.due().filter(kind="clusters.clusterbaseline").exists()

    async def marked() -> None:
        until = time.monotonic() + 8
        while not await in_database(baseline_is_due):
            assert time.monotonic() < until
            await asyncio.sleep(0.05)
        await in_database(Work.objects.all().update, due_at=None)

    async def scenario() -> None:
        await in_database(at, server)
        await reached(lambda: api.watching >= KINDS)
        await asyncio.sleep(0.3)
        await in_database(Work.objects.all().update, due_at=None)
        api.refuse = True
        await marked()
        api.refuse = False
        await marked()

    with HostileServer(api) as server:
        play(scenario)
