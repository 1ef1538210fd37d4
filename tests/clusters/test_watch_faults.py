"""What a watch may do wrong, by the ids of the threats: nothing stays unnoticed."""

import asyncio
import json
import time
from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY, generate_latest

from clusters.credentials import dump
from clusters.kinds import CONFIG_MAP, CUSTOM_RESOURCE_DEFINITION
from clusters.models import Cluster
from clusters.transport import Limits
from clusters.watch.follower import NAMES, Follower, Rhythm
from clusters.watch.inbox import Inbox
from clusters.watch.role import Role
from clusters.watch.session import Session
from clusters.watch.sightings import sighting_in
from clusters.watch.targets import set_back
from clusters.watch.threads import in_database
from reconcile.models import AppliedObject, Event, Work
from reconcile.values import JSON, Ref
from tests.clusters.hostile_server import Exchange, HostileServer
from tests.clusters.scripted_watch import (
    LIMITS,
    LOOPBACK,
    ApiServer,
    begin,
    config_map,
    event,
    follow,
    names,
    page,
    status,
    telling,
)

REF = Ref(CONFIG_MAP, "acme--web", "a")


# --- F15: 410 Gone in all its forms.


def test_f15_an_expired_continue_token_begins_the_list_anew():
    gone = status(410, "Expired", "The provided continue parameter is too old")
    api = ApiServer([page(config_map("a"), token="t"), gone, page(config_map("b"))])
    with HostileServer(api) as server:
        notes = follow(server, lambda notes: bool(notes.listed_names))
    assert "continue=t" in api.lists[1]
    assert "continue=" not in api.lists[2]
    assert notes.listed_names == [["b"]], "half a list is no list"


def test_f15_what_was_deleted_while_the_version_expired_is_found_gone():
    expired = telling(event("ERROR", status(410, "Expired", "too old resource version")))
    api = ApiServer([page(config_map("a"), config_map("b")), page(config_map("b"))], [expired])
    api.script.append(ApiServer.idle)
    with HostileServer(api) as server:
        notes = follow(server, lambda notes: len(notes.listed_names) == 2)
    assert notes.listed_names == [["a", "b"], ["b"]]
    assert "resourceVersion=10" in api.watches[0]


# --- F17: an etcd that was set back.


def version(body: JSON, number: str) -> JSON:
    return {**body, "metadata": {**body["metadata"], "resourceVersion": number}}


BACKWARDS = {
    "older than the list before": ("9", 1),
    "the same as before": ("10", 0),
    "newer than before": ("11", 0),
    "no number": ("abc", 0),
    "nothing": ("", 0),
    "longer than any version": ("1" * 30, 0),
    "no digit of etcd's": ("²", 0),
}


@pytest.mark.parametrize(("number", "told"), BACKWARDS.values(), ids=BACKWARDS.keys())
def test_f17_it_tells_when_a_list_is_older_than_what_was_seen(number, told):
    api = ApiServer([page(version="10"), page(version=number)])
    with HostileServer(api) as server:
        notes = follow(server, lambda notes: notes.good == 2, rhythm=Rhythm(silence=0.2))
    assert notes.restored == told


def test_f17_events_and_bookmarks_count_as_seen():
    bookmark = event("BOOKMARK", {"kind": "ConfigMap", "metadata": {"resourceVersion": "77"}})
    watch = telling(event("ADDED", config_map("a", 30)), bookmark)
    api = ApiServer([page(version="10"), page(version="50")], [watch])
    with HostileServer(api) as server:
        notes = follow(server, lambda notes: notes.good == 2, rhythm=Rhythm(silence=0.3))
    assert notes.restored == 1


def looks_back(*versions: str) -> tuple[list[bool], list[Exchange]]:
    """What a follower that has seen version 10 makes of those that the server tells now."""
    answers = [page(version="10"), *(page(config_map("x"), version=each) for each in versions)]
    api = ApiServer(answers)

    async def run() -> list[bool]:
        async with Session(server.credential(), LOOPBACK, LIMITS) as session:
            notes = Inbox()
            follower = Follower(7, CONFIG_MAP, session, notes, reported)
            task = asyncio.create_task(follower.run())
            await asyncio.wait_for(listed.wait(), 5)
            found = [await follower.look_back() for _ in versions]
            task.cancel()
            return found

    listed = asyncio.Event()

    async def reported(error: object) -> None:
        listed.set()

    with HostileServer(api) as server:
        found = asyncio.run(run())
        return found, [each for each in server.seen if "limit=1&" in f"{each.target}&"]


@pytest.mark.django_db(transaction=True)
def test_f17_it_looks_back_with_one_cheap_request():
    found, asked = looks_back("10", "9", "500", "3")
    assert found == [False, True, False, True]
    for exchange in asked:
        assert exchange.target.endswith("/configmaps?limit=1"), "no version, no selector"
        assert "PartialObjectMetadataList" in str(exchange.header("Accept"))
    assert len(asked) == 4


class Restored:
    """An API server whose watches never end; from `older` on, it tells an older version.

    It does not tell of roles, whatever is asked.
    """

    def __init__(self) -> None:
        self.older = False
        self.lists = self.looks = 0

    def __call__(self, exchange: Exchange) -> None:
        if "watch=true" in exchange.target:
            begin(exchange)
            while not exchange.server.over.is_set():
                exchange.wait(0.05)
            return None
        looks = exchange.target.endswith("?limit=1")
        if looks and "roles" in exchange.target:
            return exchange.reply(403, json.dumps(status(403, "Forbidden", "no")))
        self.looks += looks
        self.lists += not looks
        return exchange.reply(200, json.dumps(page(version="40" if self.older else "50")))


def at(server: HostileServer) -> Cluster:
    cluster = Cluster(name="prod-a", scoped=dump(server.credential()))
    cluster.declare(by="olga")
    Work.objects.update(due_at=None)
    return cluster


async def reached(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not await in_database(condition):
        assert time.monotonic() < until, "not reached"
        await asyncio.sleep(0.02)


def play(api: Restored, scenario: Callable) -> None:
    async def run() -> None:
        stop = asyncio.Event()
        rhythm = Rhythm(probe=0.4)
        role = asyncio.create_task(Role(Limits(connect=1, read=1, total=2), rhythm).run(stop))
        try:
            await scenario()
        finally:
            stop.set()
            await role

    asyncio.run(run())


def told() -> bool:
    return Event.objects.filter(reason="ClusterRestored").exists()


@pytest.mark.django_db(transaction=True)
def test_f17_a_silent_watch_on_a_restored_cluster_is_given_up(settings, tmp_path):
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"
    api = Restored()

    async def scenario() -> None:
        await in_database(at, server)
        await reached(lambda: api.looks >= 8)
        assert not await in_database(told), "nothing has happened yet"
        before = api.lists
        api.older = True
        await reached(told)
        await reached(lambda: api.lists >= 2 * before - 1)  # not that of custom resources
        looks = api.looks
        await reached(lambda: api.looks >= looks + 16)

    with HostileServer(api) as server:
        play(api, scenario)
    assert Event.objects.filter(reason="ClusterRestored").count() == 1, "told once"
    assert set(Work.objects.due()) == set(Work.objects.exclude(cluster_id=None))


@pytest.mark.django_db
def test_f17_every_row_of_that_cluster_alone_is_compared_anew(fleet):
    restored, other = fleet.register("prod-a"), fleet.register("prod-b")
    Work.objects.update(due_at=None)
    set_back(restored.pk)
    due = set(Work.objects.due().values_list("cluster_id", flat=True))
    assert due == {restored.pk}
    told = Event.objects.get(reason="ClusterRestored")
    assert (told.object_uid, told.type) == (restored.uid, "Warning")
    assert {work.correlation_id for work in Work.objects.due()} == {told.correlation_id}
    assert not Event.objects.filter(reason="ClusterRestored", object_uid=other.uid).exists()
    set_back(other.pk + 99)


# --- F18: events that come twice, out of order, cut, or not at all.


def test_f18_a_cut_line_loses_nothing_that_came_before_it():
    def cut(exchange: Exchange) -> None:
        begin(exchange)
        line = event("ADDED", config_map("a", 11)) + b'{"type": "ADDED", "obj'
        exchange.send(f"{len(line):x}\r\n".encode() + line + b"\r\n0\r\n\r\n")
        exchange.sock.close()

    api = ApiServer([page(), page(config_map("a"), config_map("b"))], [cut, ApiServer.idle])
    with HostileServer(api) as server:
        notes = follow(server, lambda notes: len(notes.listed_names) == 2)
    assert names(notes) == [("a", False)]
    assert notes.listed_names[-1] == ["a", "b"]


def record(work: Work, body: JSON) -> AppliedObject:
    """What is remembered of an object that was applied as `body`."""
    seen = sighting_in(work.cluster_id, CONFIG_MAP, body)
    row = AppliedObject.of(work, REF)
    row.uid, row.wanted_hash = seen.uid, "h"
    row.applied_fp = row.live_fp = seen.fp
    row.status_fp = seen.status_fp
    row.save()
    return row


@pytest.fixture
def baseline(fleet, transactional_db) -> Work:
    """The work of a cluster at rest, on which ConfigMap a was applied."""
    cluster = fleet.register("prod-a")
    work = Work.objects.get(kind="clusters.clusterbaseline", cluster_id=cluster.pk)
    record(work, config_map("a", x="ours"))
    Work.objects.update(due_at=None)
    return work


def watched(baseline: Work, api: ApiServer, until: Callable[[], bool], relist: float) -> None:
    """Follow with the real inbox until something is true of the database."""

    async def reported(error: object) -> None: ...

    async def run() -> None:
        inbox = Inbox()
        async with Session(server.credential(), LOOPBACK, LIMITS) as session:
            follower = Follower(
                baseline.cluster_id, CONFIG_MAP, session, inbox, reported, Rhythm(relist=relist)
            )
            tasks = [asyncio.create_task(each) for each in (follower.run(), inbox.serve())]
            await reached(until)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    with HostileServer(api) as server:
        asyncio.run(run())


def due() -> bool:
    return Work.objects.due().exists()


def idle_until_over(exchange: Exchange) -> None:
    """Bookmarks and nothing else, until the list is due."""
    begin(exchange)
    exchange.wait(1.2)
    exchange.send(b"0\r\n\r\n")


def test_f18_a_dropped_event_is_healed_by_the_next_full_list(baseline):
    changed = page(config_map("a", 12, x="theirs"), version="12")
    api = ApiServer([page(config_map("a", x="ours")), changed], [idle_until_over])
    watched(baseline, api, due, relist=1.0)
    assert len(api.lists) == 2, "the first list was as applied"


def test_f18_a_dropped_deletion_is_healed_by_the_next_full_list(baseline):
    api = ApiServer([page(config_map("a", x="ours")), page(version="12")], [idle_until_over])
    watched(baseline, api, due, relist=1.0)
    assert AppliedObject.objects.get(name="a", kind="ConfigMap").live_fp == ""


ORDERS = {
    "twice": [("MODIFIED", "theirs"), ("MODIFIED", "theirs"), ("MODIFIED", "theirs")],
    "out of order": [("MODIFIED", "theirs"), ("DELETED", "theirs"), ("MODIFIED", "ours")],
    "deleted twice": [("DELETED", "ours"), ("DELETED", "ours")],
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
def test_f18_events_twice_or_out_of_order_end_as_the_next_full_list_says(baseline, order):
    told = telling(
        *(event(kind, config_map("a", 11, x=text)) for kind, text in order), rest=1.2, ends=True
    )
    truth = config_map("a", 12, x="truth")
    api = ApiServer([page(config_map("a", x="ours")), page(truth, version="12")], [told])
    fp = sighting_in(baseline.cluster_id, CONFIG_MAP, truth).fp

    def settled() -> bool:
        return AppliedObject.objects.filter(name="a", live_fp=fp).exists()

    watched(baseline, api, settled, relist=1.0)
    assert due()


# --- Metadata alone.


def test_it_follows_names_alone_where_no_more_is_needed():
    item = {"metadata": {"name": "tenants.capsule.clastix.io", "uid": "u", "labels": {}}}
    watch = telling(event("ADDED", {"kind": "PartialObjectMetadata", **item}))
    api = ApiServer([page(item)], [watch])
    kind = CUSTOM_RESOURCE_DEFINITION
    with HostileServer(api) as server:
        notes = follow(server, lambda notes: bool(notes.sightings), scope=NAMES, kind=kind)
        accepts = [str(exchange.header("Accept")) for exchange in server.seen]
    assert notes.listed_names == [["tenants.capsule.clastix.io"]]
    assert names(notes) == [("tenants.capsule.clastix.io", False)]
    assert "PartialObjectMetadataList;" in accepts[0]
    assert "PartialObjectMetadata;" in accepts[1]
    assert not any("labelSelector" in each for each in (*api.lists, *api.watches))


# --- What is counted.


def sampled(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def counted() -> dict[str, float]:
    return {
        **{kind: sampled("kubenova_watch_events_total", type=kind) for kind in ("ADDED", "ERROR")},
        **{why: sampled("kubenova_watch_lists_total", why=why) for why in ("first", "doubt")},
        "open": sampled("kubenova_watches_open"),
    }


def test_it_counts_lists_by_why_events_by_type_and_what_is_open():
    gone = event("ERROR", status(410, "Expired", "too old"))
    tells = telling(event("ADDED", config_map("a", 11)), event("ADDED", config_map("b", 12)), gone)
    api = ApiServer([page()], [tells, ApiServer.idle])
    before, opened = counted(), []

    def twice(notes: object) -> bool:
        opened.append(sampled("kubenova_watches_open") - before["open"])
        return len(api.watches) == 2 and 1 in opened

    with HostileServer(api) as server:
        follow(server, twice)
    after = {name: value - before[name] for name, value in counted().items()}
    assert after == {"ADDED": 2, "ERROR": 1, "first": 1, "doubt": 1, "open": 0}


def test_a8_types_of_events_that_no_api_server_has_make_no_metric():
    odd = telling(event("\x00" * 50, config_map("a", 11)))
    with HostileServer(ApiServer([page()], [odd])) as server:
        follow(server, lambda notes: bool(notes.sightings))
    assert "\x00" not in generate_latest().decode()
