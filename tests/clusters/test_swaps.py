"""A cluster that took the place of another, and one that took KubeNova's rights away."""

import pytest
from django.test import Client
from rest_framework.test import APIClient

from clusters.credentials import Given
from clusters.kinds import NAMESPACE
from clusters.models import Cluster, ClusterBaseline
from reconcile.errors import Forbidden
from reconcile.guard import Reason
from reconcile.models import Work
from reconcile.values import OWNER, Ref
from tests.api.conftest import problem, signed_in
from tests.clusters.steps import hurry, settle
from tests.fleet import Fleet, admin
from tests.memory_cluster import MemoryCluster
from tests.people import olga, quick_passwords

__all__ = ["olga", "quick_passwords"]

pytestmark = pytest.mark.django_db
SYSTEM = Ref(NAMESPACE, "", "kubenova-system")
KUBE_SYSTEM = Ref(NAMESPACE, "", "kube-system")
CONFIRM = "/api/v1/clusters/prod-a:confirm"


@pytest.fixture
def first(fleet: Fleet) -> MemoryCluster:
    """The cluster that prod-a was."""
    fleet.register("prod-a")
    return fleet["prod-a"]


@pytest.fixture
def swapped(first: MemoryCluster, fleet: Fleet) -> MemoryCluster:
    """Another one that answers in its place, and is held."""
    other = fleet.start("prod-a", MemoryCluster(finishes=True))
    cluster = Cluster.objects.get()
    cluster.give(Given.of(admin("prod-a")), by="olga")
    settle()
    assert Cluster.objects.get().report_only == Reason.IDENTITY
    return other


@pytest.fixture
def as_olga(olga) -> APIClient:
    return signed_in(olga)


def confirm(client: APIClient, **fields: str):
    return client.post(CONFIRM, {"reason": Reason.IDENTITY, **fields}, format="json")


def owner(live: MemoryCluster) -> str:
    return live.body(SYSTEM)["metadata"]["labels"][OWNER]


def test_the_api_tells_which_cluster_answers_and_confirms_that_one(swapped, as_olga):
    told = as_olga.get("/api/v1/clusters/prod-a").json()["status"]["report_only"]
    assert told["uid"] == swapped.get(KUBE_SYSTEM).uid
    assert confirm(as_olga, uid=told["uid"]).status_code == 202
    assert not Cluster.objects.get().report_only


def test_a_confirmation_of_another_than_the_one_that_answers_is_refused(swapped, as_olga):
    found = problem(confirm(as_olga, uid="seen-yesterday"), 409, "KN-CONFLICT")
    assert found["uid"] == swapped.get(KUBE_SYSTEM).uid
    assert Cluster.objects.get().report_only == Reason.IDENTITY


def test_without_a_uid_it_is_confirmed_as_before(swapped, as_olga):
    assert confirm(as_olga).status_code == 202
    assert not Cluster.objects.get().report_only


def test_the_page_confirms_the_one_that_it_has_shown(swapped, olga):
    client = Client()
    client.force_login(olga)
    page = "/clusters/prod-a/confirm"
    uid = swapped.get(KUBE_SYSTEM).uid
    assert f'name="uid" value="{uid}"' in client.get(page).content.decode()
    form = {"name": "prod-a", "reason": Reason.IDENTITY}
    client.post(page, {**form, "uid": "seen-yesterday"})
    assert Cluster.objects.get().report_only == Reason.IDENTITY
    client.post(page, {**form, "uid": uid})
    assert not Cluster.objects.get().report_only


def test_the_one_before_can_be_registered_again_beside_it(swapped, first, fleet, as_olga):
    before = owner(first)
    confirm(as_olga)
    settle()
    hurry()
    assert Cluster.objects.get().phase == "Deployed"
    assert owner(swapped) != before
    fleet.start("prod-old", first)
    old = fleet.declare("prod-old")
    settle()
    old.refresh_from_db()
    assert (old.phase, owner(first)) == ("Deployed", before)
    assert old.baseline.owner == before, "it goes on with what is there"
    owners = set(ClusterBaseline.objects.values_list("uid", flat=True))
    assert len(owners) == 2 == Work.objects.filter(kind="clusters.clusterbaseline").count()


def test_rights_that_are_gone_are_told_with_the_way_out(first):
    cluster = Cluster.objects.get()
    first.fail_on("get", KUBE_SYSTEM, Forbidden("namespaces kube-system is forbidden"))
    cluster.baseline.mark()
    settle()
    for _ in range(5):  # shown only when it lasts
        hurry()
    cluster.refresh_from_db()
    told = next(each["message"] for each in cluster.conditions if each["type"] == "Synced")
    assert "is forbidden" in told and "rights there are gone" in told
    assert "PUT /api/v1/clusters/prod-a/credential" in told
