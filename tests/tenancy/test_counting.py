"""A cluster counts by a new quota at once: the step that has told it looks, no other has to."""

import pytest

from clusters.kinds import RESOURCE_QUOTA
from reconcile.models import AppliedObject, Work
from reconcile.values import Ref
from tenancy.models import Project, ProjectPlacement, Tenant
from tests.clusters.steps import settle
from tests.fleet import fleet
from tests.people import make_acme

__all__ = ["fleet"]
pytestmark = pytest.mark.django_db

QUOTA = Ref(RESOURCE_QUOTA, "acme--shop", "kubenova")


@pytest.fixture
def cluster(fleet, olga):
    """prod-a, with acme and its quota on it."""
    fleet.register("prod-a")
    make_acme(placement={"clusters": ["prod-a"]}, quota={"pods": "10"})
    settle()
    return fleet["prod-a"]


@pytest.fixture
def meanwhile(monkeypatch):
    """Have something done while a step pauses for a cluster's controllers; returns the pauses."""
    pauses: list[float] = []

    def plan(*actions):
        def sleep(seconds):
            pauses.append(seconds)
            if len(pauses) <= len(actions):
                actions[len(pauses) - 1]()

        monkeypatch.setattr("reconcile.models.convergent._PAUSES", (0.03, 0.06))
        monkeypatch.setattr("reconcile.models.convergent.time.sleep", sleep)
        return pauses

    return plan


def declare() -> None:
    Project(tenant=Tenant.objects.get(name="acme"), name="shop").declare(by="alice")


def count(cluster) -> None:
    """What the quota controller does."""
    told = cluster.body(QUOTA)["spec"]["hard"]
    cluster.set_status(QUOTA, {"hard": dict(told), "used": dict.fromkeys(told, "0")})


def nothing() -> None:
    """A controller that has something else to do."""


@pytest.mark.parametrize("before", [0, 1], ids=["at once", "a little later"])
def test_it_sees_what_the_cluster_counts(cluster, meanwhile, before):
    pauses = meanwhile(*[nothing] * before, lambda: count(cluster))
    declare()
    settle()

    placement = ProjectPlacement.objects.get()
    assert placement.facts["quota"] == {"pods": {"hard": "10", "used": "0"}}
    record = AppliedObject.objects.get(kind="ResourceQuota")
    live = cluster.get(QUOTA)
    assert (record.applied_fp, record.status_fp) == (live.fp, live.status_fp), "no news to anybody"
    assert pauses == [0.03, 0.06][: before + 1]
    due = Work.objects.filter(tenant="acme").exclude(due_at=None)
    assert not due.exists(), "nobody has to look again"


def test_it_goes_on_without_what_is_not_counted(cluster, meanwhile):
    pauses = meanwhile()
    declare()
    settle()
    assert ProjectPlacement.objects.get().phase == "Deployed"
    assert pauses == [0.03, 0.06]


def test_at_rest_it_waits_for_nothing(cluster, meanwhile):
    pauses = meanwhile(lambda: count(cluster))
    declare()
    settle()
    pauses.clear()
    ProjectPlacement.objects.get().mark()
    settle()
    assert pauses == []


def test_what_somebody_changes_meanwhile_is_no_status_and_is_repaired(cluster, meanwhile):
    def steal():
        cluster.edit(QUOTA, "vim", lambda body: body["spec"]["hard"].update(pods="999"))
        count(cluster)

    meanwhile(steal, nothing)
    declare()
    settle()
    record = AppliedObject.objects.get(kind="ResourceQuota")
    assert record.applied_fp != cluster.get(QUOTA).fp, "it differs from what was applied"

    ProjectPlacement.objects.get().mark()  # as the watcher does, who sees the difference
    settle()
    assert cluster.body(QUOTA)["spec"]["hard"] == {"pods": "10"}
