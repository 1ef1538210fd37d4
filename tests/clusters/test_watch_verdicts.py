"""What a sighting means for the rows: pure comparison, marks, how long it took."""

import re
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import REGISTRY

from clusters.intents import ACCOUNT, SYSTEM_NAMESPACE
from clusters.kinds import CONFIG_MAP, NAMESPACE, SERVICE_ACCOUNT
from clusters.models import Cluster
from clusters.watch import verdicts
from clusters.watch.sightings import Key, Sighting, sighting_of
from clusters.watch.verdicts import PATIENCE, Pending, Verdicts
from reconcile.models import AppliedObject, Event, Work
from reconcile.values import Ref
from tests.memory_cluster import MemoryCluster

pytestmark = pytest.mark.django_db

SYSTEM = Ref(NAMESPACE, "", SYSTEM_NAMESPACE)


@pytest.fixture
def cluster(fleet) -> Cluster:
    """At rest: nothing is due."""
    cluster = fleet.register("prod-a")
    Work.objects.update(due_at=None)
    return cluster


@pytest.fixture
def live(cluster, fleet) -> MemoryCluster:
    return fleet["prod-a"]


def pending(sighting: Sighting, *, age: float = 0.0) -> Pending:
    now = time.monotonic()
    return Pending(sighting, now - age, now)


def seen(cluster: Cluster, live: MemoryCluster, ref: Ref, *, age: float = 0.0) -> Pending:
    found = live.get(ref)
    key = Key(cluster.pk, ref.kind, ref.namespace, ref.name)
    return pending(sighting_of(cluster.pk, found) if found else Sighting(key), age=age)


def due() -> int:
    return Work.objects.due().count()


def relabel(body: dict) -> None:
    body["metadata"]["labels"]["foreign"] = "hand"


def test_its_own_writes_settle_without_a_mark(cluster, live):
    refs = [row.ref for row in AppliedObject.objects.all()]
    batch = [seen(cluster, live, ref) for ref in refs]
    assert len(batch) > 15
    assert Verdicts().judge(batch) == {}
    assert due() == 0


def test_a_foreign_change_marks_the_row_that_owns_the_object(cluster, live):
    live.edit(SYSTEM, "kubectl-label", relabel)
    Verdicts().judge([seen(cluster, live, SYSTEM)])
    record = AppliedObject.objects.get(kind="Namespace", name=SYSTEM_NAMESPACE)
    assert record.live_fp == live.get(SYSTEM).fp != record.applied_fp
    assert [work.kind for work in Work.objects.due()] == ["clusters.clusterbaseline"]


def test_what_is_known_already_marks_nothing_again(cluster, live):
    live.edit(SYSTEM, "kubectl-label", relabel)
    judge = Verdicts()
    judge.judge([seen(cluster, live, SYSTEM)])
    Work.objects.update(due_at=None)
    judge.judge([seen(cluster, live, SYSTEM)])
    Verdicts().judge([seen(cluster, live, SYSTEM)])
    assert due() == 0


def test_a_change_that_was_taken_back_is_looked_at_as_well(cluster, live):
    before = live.get(SYSTEM)
    live.edit(SYSTEM, "kubectl-label", relabel)
    Verdicts().judge([seen(cluster, live, SYSTEM)])
    Work.objects.update(due_at=None)
    Verdicts().judge([pending(sighting_of(cluster.pk, before))])
    assert due() == 1


def test_a_deleted_object_marks_its_row(cluster, live):
    ref = Ref(SERVICE_ACCOUNT, SYSTEM_NAMESPACE, ACCOUNT)
    live.remove(ref)
    Verdicts().judge([seen(cluster, live, ref)])
    assert due() == 1


def test_an_object_made_anew_by_others_marks_its_row(cluster, live):
    before = live.get(SYSTEM)
    body = {"apiVersion": "v1", "kind": "Namespace"}
    live.remove(SYSTEM)
    live.apply_as(
        "helm", SYSTEM, body | {"metadata": {"name": SYSTEM_NAMESPACE, "labels": before.labels}}
    )
    assert live.get(SYSTEM).uid != before.uid
    Verdicts().judge([seen(cluster, live, SYSTEM)])
    assert due() == 1


def test_its_status_alone_marks_the_row_at_most_once_a_second(cluster, live):
    judge = Verdicts()
    live.set_status(SYSTEM, {"phase": "Terminating"})
    assert judge.judge([seen(cluster, live, SYSTEM)]) == {}
    assert due() == 1
    Work.objects.update(due_at=None)
    live.set_status(SYSTEM, {"phase": "Active"})
    again = seen(cluster, live, SYSTEM)
    later = judge.judge([again])
    assert due() == 0
    assert 0.5 < later[again.sighting.key] <= 1.0


def lease(minutes: int) -> None:
    until = timezone.now() + timedelta(minutes=minutes)
    Work.objects.update(lease_until=until)


def test_a_row_whose_step_is_under_way_is_judged_afterwards(cluster, live):
    live.edit(SYSTEM, "kubectl-label", relabel)
    lease(minutes=1)
    judge, batch = Verdicts(), [seen(cluster, live, SYSTEM)]
    assert list(judge.judge(batch)) == [batch[0].sighting.key]
    assert due() == 0
    fp = batch[0].sighting.fp
    AppliedObject.objects.filter(name=SYSTEM_NAMESPACE).update(applied_fp=fp, live_fp=fp)
    lease(minutes=-1)
    assert judge.judge(batch) == {}
    assert due() == 0


def test_a_step_that_takes_long_does_not_hide_a_change(cluster, live):
    live.edit(SYSTEM, "kubectl-label", relabel)
    lease(minutes=1)
    marks = Work.objects.get(kind="clusters.clusterbaseline").marks
    assert Verdicts().judge([seen(cluster, live, SYSTEM, age=PATIENCE + 1)]) == {}
    assert Work.objects.get(kind="clusters.clusterbaseline").marks == marks + 1


STORIES = {
    "at rest": ({"due_at": None, "lease_token": None}, True),
    "still progressing": ({"due_at": timezone.now() + timedelta(days=1)}, False),
}


@pytest.mark.parametrize(("row", "begins"), STORIES.values(), ids=STORIES.keys())
def test_a_foreign_change_begins_a_story_of_its_own_unless_one_is_told(cluster, live, row, begins):
    Work.objects.update(correlation_id="a" * 32, **row)
    live.edit(SYSTEM, "kubectl-label", relabel)
    Verdicts().judge([seen(cluster, live, SYSTEM)])
    (work,) = Work.objects.due()
    assert (work.correlation_id != "a" * 32) == begins
    assert len(work.correlation_id) == 32


def test_its_status_alone_goes_on_with_the_story_that_is_told(cluster, live):
    Work.objects.update(correlation_id="a" * 32)
    live.set_status(SYSTEM, {"phase": "Terminating"})
    Verdicts().judge([seen(cluster, live, SYSTEM)])
    assert {work.correlation_id for work in Work.objects.due()} == {"a" * 32}


def test_a_foreign_change_begins_a_trace_that_its_repair_continues(cluster, live, monkeypatch):
    monkeypatch.setattr(verdicts, "tracer", TracerProvider().get_tracer("test"))
    live.edit(SYSTEM, "kubectl-label", relabel)
    Verdicts().judge([seen(cluster, live, SYSTEM)])
    (work,) = Work.objects.due()
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[13]", work.traceparent)


def sampled(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_it_measures_how_long_a_change_waited_for_its_mark(cluster, live):
    count, total = (f"kubenova_watch_mark_seconds_{what}" for what in ("count", "sum"))
    before = sampled(count), sampled(total)
    live.edit(SYSTEM, "kubectl-label", relabel)
    Verdicts().judge([seen(cluster, live, SYSTEM, age=0.5)])
    assert sampled(count) == before[0] + 1
    assert 0.5 <= sampled(total) - before[1] < 5


def test_what_went_before_it_was_recorded_is_nothing(cluster):
    key = Key(cluster.pk, CONFIG_MAP, "acme--web", "short-lived")
    assert Verdicts().judge([pending(Sighting(key), age=PATIENCE + 1)]) == {}
    assert not Event.objects.filter(reason="OrphanFound").exists()


def test_it_tells_the_same_object_on_two_clusters_apart(cluster, live, fleet):
    other = fleet.register("prod-b")
    Work.objects.update(due_at=None)
    live.edit(SYSTEM, "kubectl-label", relabel)
    Verdicts().judge([seen(cluster, live, SYSTEM), seen(other, fleet["prod-b"], SYSTEM)])
    assert [work.cluster_id for work in Work.objects.due()] == [cluster.pk]


def test_it_knows_what_was_applied_of_a_kind(cluster):
    found = Verdicts().known(cluster.pk, NAMESPACE)
    applied = AppliedObject.objects.filter(kind="Namespace")
    assert {key.name for key in found} == set(applied.values_list("name", flat=True))
    assert SYSTEM_NAMESPACE in {key.name for key in found}
    assert Verdicts().known(cluster.pk + 1, NAMESPACE) == set()


def test_it_judges_many_objects_with_few_queries(cluster, live, django_assert_max_num_queries):
    batch = [seen(cluster, live, row.ref) for row in AppliedObject.objects.all()]
    kinds = {each.sighting.key.kind for each in batch}
    with django_assert_max_num_queries(len(kinds)):
        Verdicts().judge(batch)


PLACES = {
    "in a namespace": Ref(CONFIG_MAP, "shop-7", "kubenova"),
    "of the cluster": Ref(NAMESPACE, "", "shop-7"),
}


@pytest.mark.parametrize("ref", PLACES.values(), ids=PLACES.keys())
def test_it_finds_an_object_by_its_place_however_much_is_recorded(cluster, ref):
    """The same names are in the namespaces of all tenants: each event would read all of those."""
    work = Work.objects.get(kind="clusters.clusterbaseline", cluster_id=cluster.pk)
    others = [ref._replace(namespace=f"shop-{n}") for n in range(7)] if ref.namespace else []
    AppliedObject.objects.bulk_create(AppliedObject.of(work, each) for each in (*others, ref))
    key = Key(cluster.pk, ref.kind, ref.namespace, ref.name)
    with CaptureQueriesContext(connection) as captured:
        Verdicts().judge([pending(Sighting(key, "changed"))])
    changed = AppliedObject.objects.get(live_fp="changed")
    assert changed.ref == ref and due() == 1
    assert _plans(captured[0]["sql"]), "read through the index of places"


def _plans(statement: str) -> bool:
    """Whether the database reads that through the index of places; PostgreSQL is not asked.

    It may scan a table of so few rows, and is right to.
    """
    if connection.vendor != "sqlite":
        return True
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
        return any("applied_by_place" in str(row) for row in cursor.fetchall())
