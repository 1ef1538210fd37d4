"""Objects that carry our label without a record: extra, orphaned, or just being made."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.intents import SYSTEM_NAMESPACE
from clusters.kinds import CONFIG_MAP, NAMESPACE
from clusters.models import Cluster, ClusterBaseline, Orphan
from clusters.watch.sightings import Key, Sighting, sighting_of
from clusters.watch.verdicts import PATIENCE, PATIENCE_OF_A_STEP, Pending, Verdicts
from reconcile.errors import Unreachable
from reconcile.models import AppliedObject, Drift, Event, Work
from reconcile.values import JSON, MANAGED_BY, MANAGER, OWNER, Live, Ref
from tests.api.conftest import signed_in
from tests.memory_cluster import MemoryCluster
from tests.people import alice, olga, quick_passwords

__all__ = ["alice", "olga", "quick_passwords"]

pytestmark = pytest.mark.django_db

STRAY = Ref(CONFIG_MAP, SYSTEM_NAMESPACE, "stray")
NOBODY = "tenancy.tenantplacement.00000000000000000000000000000000"


@pytest.fixture
def cluster(fleet) -> Cluster:
    """At rest: nothing is due."""
    cluster = fleet.register("prod-a")
    Work.objects.update(due_at=None)
    return cluster


@pytest.fixture
def live(cluster, fleet) -> MemoryCluster:
    return fleet["prod-a"]


@pytest.fixture
def work(cluster) -> Work:
    """That of the baseline: a row whose objects are on the cluster."""
    return Work.objects.get(kind="clusters.clusterbaseline", cluster_id=cluster.pk)


def put(live: MemoryCluster, owner: str, **meta: object) -> None:
    labels = {MANAGED_BY: MANAGER, OWNER: owner}
    body: JSON = {"name": STRAY.name, "namespace": STRAY.namespace, "labels": labels, **meta}
    live.apply_as("mallory", STRAY, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": body})


def seen(cluster: Cluster, live: MemoryCluster, *, age: float = PATIENCE + 1) -> Pending:
    """The stray as it is now, first seen so many seconds ago."""
    found, now = live.get(STRAY), time.monotonic()
    key = Key(cluster.pk, STRAY.kind, STRAY.namespace, STRAY.name)
    sighting = sighting_of(cluster.pk, found) if found else Sighting(key)
    return Pending(sighting, now - age, now)


# --- Extra: its owner is known.


def test_an_extra_object_is_drift_of_its_owner(cluster, live, work):
    put(live, work.owner)
    assert Verdicts().judge([seen(cluster, live)]) == {}
    drift = Drift.objects.open().get()
    assert (drift.work, drift.ref, drift.drift_class) == (work, STRAY, "extra")
    assert drift.object_uid == live.get(STRAY).uid
    assert drift.actor.startswith("mallory")
    assert [row.pk for row in Work.objects.due()] == [work.pk]
    assert not Orphan.objects.exists()
    assert live.exists(STRAY)


def test_an_extra_object_that_is_known_marks_nothing_again(cluster, live, work):
    put(live, work.owner)
    Verdicts().judge([seen(cluster, live)])
    Work.objects.update(due_at=None)
    for verdicts in (Verdicts(), Verdicts()):
        verdicts.judge([seen(cluster, live)])
    assert not Work.objects.due().exists()
    assert Drift.objects.count() == 1


def test_an_extra_object_that_goes_closes_its_drift(cluster, live, work):
    put(live, work.owner)
    verdicts = Verdicts()
    verdicts.judge([seen(cluster, live)])
    Work.objects.update(due_at=None)
    live.remove(STRAY)
    verdicts.judge([seen(cluster, live)])
    assert Drift.objects.get().resolution == "gone"
    assert Work.objects.due().exists(), "the row may say that it is as wanted"


def test_one_that_went_while_nobody_watched_is_closed_by_the_list(cluster, live, work):
    put(live, work.owner)
    Verdicts().judge([seen(cluster, live)])
    live.remove(STRAY)
    fresh = Verdicts()
    assert Key(cluster.pk, CONFIG_MAP, STRAY.namespace, STRAY.name) in fresh.known(
        cluster.pk, CONFIG_MAP
    )
    fresh.judge([seen(cluster, live)])
    assert not Drift.objects.open().exists()


def test_one_that_is_recorded_after_all_is_extra_no_more(cluster, live, work):
    put(live, work.owner)
    verdicts = Verdicts()
    verdicts.judge([seen(cluster, live)])
    record = AppliedObject.of(work, STRAY)
    record.uid, record.wanted_hash = live.get(STRAY).uid, "h"
    record.applied_fp = record.live_fp = live.get(STRAY).fp
    record.status_fp = live.get(STRAY).status_fp
    record.save()
    verdicts.judge([seen(cluster, live)])
    assert not Drift.objects.open().exists()


def test_one_that_is_just_being_made_is_waited_for(cluster, live, work):
    put(live, work.owner)
    assert len(Verdicts().judge([seen(cluster, live, age=0)])) == 1
    assert not Drift.objects.exists()


def test_one_whose_step_takes_long_is_waited_for_longer(cluster, live, work):
    put(live, work.owner)
    Work.objects.update(lease_until=timezone.now() + timedelta(minutes=1))
    assert len(Verdicts().judge([seen(cluster, live)])) == 1
    assert not Drift.objects.exists()
    assert Verdicts().judge([seen(cluster, live, age=PATIENCE_OF_A_STEP + 1)]) == {}
    assert Drift.objects.open().count() == 1


def test_one_of_a_row_that_is_going_is_left_to_its_deletion(cluster, live, work):
    put(live, work.owner)
    ClusterBaseline.objects.update(deletion_requested_at=timezone.now())
    Verdicts().judge([seen(cluster, live)])
    assert not Drift.objects.exists() and not Orphan.objects.exists()


@pytest.mark.parametrize("owner", ["known", "unknown"])
def test_what_a_controller_made_of_ours_is_no_stray(cluster, live, work, owner):
    made_by = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "c", "uid": "u"}
    put(
        live,
        work.owner if owner == "known" else NOBODY,
        ownerReferences=[{**made_by, "controller": True}],
    )
    Verdicts().judge([seen(cluster, live)])
    assert not Drift.objects.exists() and not Orphan.objects.exists()


# --- Orphans: nobody owns them.


def test_an_orphan_is_listed_with_when_it_was_seen(cluster, live):
    put(live, NOBODY)
    Verdicts().judge([seen(cluster, live)])
    orphan = Orphan.objects.get()
    assert (orphan.ref, orphan.uid, orphan.owner) == (STRAY, live.get(STRAY).uid, NOBODY)
    first, last = orphan.first_seen, orphan.last_seen
    Verdicts().judge([seen(cluster, live)])
    orphan.refresh_from_db()
    assert orphan.first_seen == first and orphan.last_seen > last
    told = Event.objects.get(reason="OrphanFound")
    assert told.data["object"] == f"ConfigMap {SYSTEM_NAMESPACE}/stray"
    assert told.object_uid == cluster.uid
    assert live.exists(STRAY), "an orphan is reported, never removed"
    assert not Work.objects.due().exists()


def test_an_orphan_that_goes_is_closed(cluster, live):
    put(live, NOBODY)
    verdicts = Verdicts()
    verdicts.judge([seen(cluster, live)])
    live.remove(STRAY)
    verdicts.judge([seen(cluster, live)])
    assert Orphan.objects.get().gone_at is not None
    assert not Orphan.objects.there().exists()


def test_an_orphan_whose_owner_is_known_again_becomes_extra(cluster, live, work):
    put(live, NOBODY)
    verdicts = Verdicts()
    verdicts.judge([seen(cluster, live)])
    put(live, work.owner)
    verdicts.judge([seen(cluster, live)])
    assert not Orphan.objects.there().exists()
    assert Drift.objects.open().get().work == work


def test_an_object_that_names_an_owner_on_another_cluster_is_an_orphan(cluster, live, fleet):
    fleet.register("prod-b")
    other = Work.objects.exclude(cluster_id=cluster.pk).get(kind="clusters.clusterbaseline")
    put(live, other.owner)
    Verdicts().judge([seen(cluster, live)])
    assert Orphan.objects.get().cluster == cluster
    assert not Drift.objects.exists()


def test_those_long_gone_are_pruned(cluster):
    Orphan.objects.note(cluster.pk, STRAY, "u1", NOBODY)
    Orphan.objects.note(cluster.pk, STRAY._replace(name="old"), "u2", NOBODY)
    Orphan.objects.filter(uid="u2").update(gone_at=timezone.now() - timedelta(days=31))
    assert Orphan.objects.prune(days=30) == 1
    assert [row.uid for row in Orphan.objects.all()] == ["u1"]


def test_many_strays_cost_few_queries(cluster, live, work, django_assert_max_num_queries):
    put(live, NOBODY)
    one = seen(cluster, live).sighting
    many = [
        Pending(
            Sighting(one.key._replace(name=f"s{number}"), "fp", owner=NOBODY, dependent=True),
            time.monotonic() - PATIENCE - 1,
            time.monotonic(),
        )
        for number in range(200)
    ]
    with django_assert_max_num_queries(3):
        Verdicts().judge(many)


@pytest.mark.parametrize(
    "meta",
    [
        {"name": "a\x00b"},
        {"name": "a\nb"},
        {"name": "x" * 254},
        {"namespace": "n" * 254},
        {"uid": "u" * 65},
        {"labels": {OWNER: "o" * 64}},
        {"labels": {OWNER: "\ud800"}},
    ],
    ids=lambda meta: next(iter(meta)),
)
def test_a8_a_name_that_the_database_cannot_hold_is_no_sighting(cluster, live, meta):
    body = live.body(Ref(NAMESPACE, "", SYSTEM_NAMESPACE))
    whole = {**body, "metadata": {**body["metadata"], **meta}}
    ref = Ref(CONFIG_MAP, whole["metadata"].get("namespace", ""), whole["metadata"]["name"])
    with pytest.raises(Unreachable):
        sighting_of(cluster.pk, Live(ref, whole))


# --- Over HTTP.


URL = "/api/v1/clusters/prod-a/orphans"


def test_operators_see_the_orphans_of_a_cluster_in_pages(cluster, live, olga):
    for number in range(3):
        ref = STRAY._replace(name=f"stray-{number}")
        Orphan.objects.note(cluster.pk, ref, f"u{number}", NOBODY)
    client = signed_in(olga)
    first = client.get(URL, {"limit": 2}).json()
    assert [each["name"] for each in first["items"]] == ["stray-0", "stray-1"]
    assert set(first["items"][0]) >= {"kind", "namespace", "owner", "first_seen", "gone_at"}
    second = client.get(first["next"]).json()
    assert [each["name"] for each in second["items"]] == ["stray-2"]


def test_nobody_else_sees_them(cluster, alice):
    assert signed_in(alice).get(URL).status_code == 404


def test_orphans_of_another_cluster_are_not_among_them(cluster, fleet, olga):
    other = fleet.register("prod-b")
    Orphan.objects.note(other.pk, STRAY, "u", NOBODY)
    assert signed_in(olga).get(URL).json()["items"] == []


def test_orphans_take_no_other_parameter(cluster, olga):
    assert signed_in(olga).get(URL, {"kind": "ConfigMap"}).status_code == 400


def test_the_admin_shows_orphans_and_who_watches(cluster, live, client, django_user_model):
    admin = django_user_model.objects.create_superuser("root-olga", password="x")
    client.force_login(admin)
    Orphan.objects.note(cluster.pk, STRAY, "u", NOBODY)
    assert NOBODY in client.get("/admin/clusters/orphan/").content.decode()
    assert "nobody" in client.get(f"/admin/clusters/cluster/{cluster.pk}/change/").content.decode()
