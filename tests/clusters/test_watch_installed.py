"""What the watcher sets off beside verdicts: probes for custom resources, looks at Secrets."""

import asyncio
import json
import time
from datetime import timedelta

import pytest
from django.apps import apps
from django.utils import timezone

from clusters.adapters.baseline import Baseline
from clusters.credentials import dump
from clusters.kinds import CONFIG_MAP, CUSTOM_RESOURCE_DEFINITION, NAMESPACE
from clusters.models import Cluster, Orphan
from clusters.tasks import tidy
from clusters.transport import Limits
from clusters.watch import installed
from clusters.watch.cluster_watch import ClusterWatch
from clusters.watch.follower import Rhythm
from clusters.watch.inbox import Inbox
from clusters.watch.installed import Installed
from clusters.watch.role import Role
from clusters.watch.sightings import Key, Sighting
from clusters.watch.targets import Target, mark_keepers_of_secrets
from clusters.watch.threads import in_database
from reconcile.fingerprints import fingerprint_secrets_under
from reconcile.models import AppliedObject, Work
from reconcile.values import Kind, Live, Ref, Wanted, digest
from tests.clusters.hostile_server import Exchange, HostileServer
from tests.clusters.scripted_watch import begin, chunk, event, page

SECRET = Kind("v1", "Secret", "secrets")


def definition(name: str, uid: str = "u") -> Sighting:
    return Sighting(Key(1, CUSTOM_RESOURCE_DEFINITION, "", name), "fp", uid=uid)


def probes(*acts, monkeypatch, wait: float = 0.4) -> list[int]:
    """How many probes were asked for after each act; an act is an event or a list."""
    monkeypatch.setattr(installed, "_SERVED_AFTER", 0.05)
    count = 0

    async def changed() -> None:
        nonlocal count
        count += 1

    async def run() -> list[int]:
        inbox = Installed(changed, settle=0.02)
        task = asyncio.create_task(inbox.serve())
        counts = []
        for act in acts:
            if isinstance(act, list):
                await inbox.listed(1, CUSTOM_RESOURCE_DEFINITION, act)
            else:
                await inbox.put(act)
            await asyncio.sleep(wait)
            counts.append(count)
        task.cancel()
        return counts

    return asyncio.run(run())


def test_what_was_there_at_first_is_no_news(monkeypatch):
    assert probes([definition("a")], monkeypatch=monkeypatch) == [0]


def test_an_event_is_news_twice_as_it_is_served_a_moment_later(monkeypatch):
    assert probes([], definition("a"), monkeypatch=monkeypatch) == [0, 2]


def test_an_installation_in_many_events_is_one_piece_of_news(monkeypatch):
    burst = [definition(f"d{number}") for number in range(30)]
    counts = probes([], *burst, monkeypatch=monkeypatch, wait=0)
    assert counts[-1] <= 1


LISTS = {
    "the same": ([definition("a"), definition("b")], 0),
    "in another order": ([definition("b"), definition("a")], 0),
    "one more": ([definition("a"), definition("b"), definition("c")], 2),
    "one less": ([definition("a")], 2),
    "none": ([], 2),
    "one made anew": ([definition("a"), definition("b", uid="other")], 2),
}


@pytest.mark.parametrize(("later", "asked"), LISTS.values(), ids=LISTS.keys())
def test_a_later_list_is_compared_with_the_one_before(later, asked, monkeypatch):
    first = [definition("a"), definition("b")]
    assert probes(first, later, monkeypatch=monkeypatch)[-1] == asked


class Api:
    """Nothing on it; a custom resource is installed when `install` is set."""

    def __init__(self) -> None:
        self.install = False
        self.watching = 0

    def __call__(self, exchange: Exchange) -> None:
        if "watch=true" not in exchange.target:
            exchange.reply(200, json.dumps(page()))
            return
        begin(exchange)
        self.watching += 1
        while "customresourcedefinitions" in exchange.target and not self.install:
            if exchange.server.over.is_set():
                return
            exchange.wait(0.02)
        meta = {"name": "tenants.capsule.clastix.io", "uid": "u", "resourceVersion": "12"}
        body = {"kind": "PartialObjectMetadata", "metadata": meta}
        chunk(exchange, event("ADDED", body) if self.install else b"\n")
        exchange.wait(30)


@pytest.mark.django_db(transaction=True)
def test_a_custom_resource_that_is_installed_has_the_cluster_probed(settings, tmp_path):
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"
    api = Api()

    def register() -> None:
        Cluster(name="prod-a", scoped=dump(server.credential())).declare(by="olga")
        Work.objects.update(due_at=None)

    def baseline_is_due() -> bool:
        return Work.objects.due().filter(kind="clusters.clusterbaseline").exists()

    async def run() -> float:
        stop = asyncio.Event()
        role = asyncio.create_task(Role(Limits(connect=1, read=1, total=2), Rhythm()).run(stop))
        await in_database(register)
        while api.watching <= len(Baseline.kinds):
            await asyncio.sleep(0.02)
        assert not await in_database(baseline_is_due)
        api.install, began = True, time.monotonic()
        while not await in_database(baseline_is_due):
            assert time.monotonic() - began < 5
            await asyncio.sleep(0.02)
        stop.set()
        await role
        return time.monotonic() - began

    with HostileServer(api) as server:
        assert asyncio.run(run()) < 4.0


# --- Secrets.


@pytest.fixture
def keepers(db, fleet) -> list[Work]:
    """Twenty rows on a cluster that have a Secret there, and one that has none."""
    cluster = fleet.register("prod-a")
    works = []
    for number in range(21):
        work = Work.objects.create(
            kind="access.grantplacement", object_id=number, owner=f"o{number}"
        )
        Work.objects.filter(pk=work.pk).update(cluster_id=cluster.pk)
        kind = SECRET if number < 20 else CONFIG_MAP
        record = AppliedObject.of(work, Ref(kind, "kubenova-grants", f"s{number}"))
        record.uid = record.wanted_hash = record.applied_fp = "x"
        record.save()
        works.append(work)
    Work.objects.update(due_at=None)
    return works


def test_rows_with_secrets_look_in_turns_and_all_of_them(keepers):
    cluster = Cluster.objects.get()
    turns = []
    for slice in range(10):
        mark_keepers_of_secrets(cluster.pk, slice, 10)
        turns.append(set(Work.objects.due().values_list("pk", flat=True)))
        Work.objects.update(due_at=None)
    assert set().union(*turns) == {work.pk for work in keepers[:20]}
    assert sum(map(len, turns)) == 20, "each once"
    assert max(map(len, turns)) <= 3


def test_rows_with_secrets_elsewhere_are_left_alone(keepers):
    assert mark_keepers_of_secrets(Cluster.objects.get().pk + 1, 0, 1) == 0
    assert mark_keepers_of_secrets(Cluster.objects.get().pk, 0, 1) == 20


@pytest.mark.django_db(transaction=True)
def test_the_watcher_has_all_of_them_look_between_two_lists(keepers):
    wanted, pk = {work.pk for work in keepers[:20]}, Cluster.objects.get().pk

    def looked() -> set[int]:
        return set(Work.objects.due().values_list("pk", flat=True))

    async def run() -> None:
        target = Target(pk, "prod-a", server.credential(), frozenset())
        watch = ClusterWatch(target, Inbox(), Limits(), Rhythm(relist=2.0))
        task = asyncio.create_task(watch.run())
        while await in_database(looked) != wanted:
            await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with HostileServer(Api()) as server:
        asyncio.run(asyncio.wait_for(run(), 8))


def secret(value: str, kind: Kind = SECRET) -> Live:
    meta = {"name": "s", "namespace": "kubenova-grants", "uid": "u"}
    body = {"apiVersion": "v1", "kind": kind.name, "metadata": meta, "data": {"password": value}}
    return Live(Ref(kind, "kubenova-grants", "s"), body)


def remembered(value: str, kind: Kind = SECRET) -> set[str]:
    """All that the database would hold of the object."""
    live = secret(value, kind)
    return {live.fp, Wanted.of(live.body, [kind]).hash}


def test_what_is_remembered_of_a_secret_tells_nothing_without_our_key():
    guesses = {digest(secret("hunter2").body), digest({"password": "hunter2"})}
    assert remembered("hunter2").isdisjoint(guesses)
    assert remembered("hunter2", CONFIG_MAP) & {digest(secret("hunter2", CONFIG_MAP).body)}


def test_what_is_remembered_of_a_secret_changes_with_its_value_and_with_our_key():
    before = remembered("hunter2")
    assert before == remembered("hunter2")
    assert before.isdisjoint(remembered("hunter3"))
    fingerprint_secrets_under(b"another")
    try:
        assert before.isdisjoint(remembered("hunter2"))
    finally:
        apps.get_app_config("reconcile").ready()
    assert before == remembered("hunter2")


def test_orphans_that_went_long_ago_are_tidied_away(fleet, db, settings):
    cluster = fleet.register("prod-a")
    for name in ("there", "lately", "long-ago"):
        Orphan.objects.note(cluster.pk, Ref(NAMESPACE, "", name), name, "x.y")
    now = timezone.now()
    Orphan.objects.filter(name="lately").update(gone_at=now - timedelta(days=1))
    Orphan.objects.filter(name="long-ago").update(gone_at=now - timedelta(days=400))
    assert tidy() == 1
    assert {row.name for row in Orphan.objects.all()} == {"there", "lately"}
