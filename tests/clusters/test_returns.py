"""A cluster that was away comes back: nobody storms it, and it gets the writes that it lacks."""

from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.answers import Throttled
from clusters.kinds import NAMESPACE
from clusters.models import Cluster
from reconcile.drain import take_step
from reconcile.errors import Unreachable
from reconcile.models import Work
from reconcile.values import Ref
from tenancy.models import Project, ProjectPlacement, Tenant
from tests.clusters.steps import settle
from tests.fleet import Fleet
from tests.people import quick_passwords

__all__ = ["quick_passwords"]

pytestmark = pytest.mark.django_db
TENANTS, PROJECTS = 4, 5


@pytest.fixture
def cluster(fleet: Fleet, settings) -> Cluster:
    """A cluster with tenants of several projects each, and one that is dead afterwards."""
    cluster = fleet.register("prod-a")
    for number in range(TENANTS):
        tenant = Tenant(name=f"team-{number}", placement={"clusters": ["prod-a"]})
        tenant.declare(by="olga")
        for name in range(PROJECTS):
            Project(tenant=tenant, name=f"p{name}").declare(by="olga")
    settle_all()
    assert set(ProjectPlacement.objects.values_list("phase", flat=True)) == {"Deployed"}
    settings.UNREACHABLE_GRACE_SECONDS = 0
    return cluster


def settle_all() -> None:
    """Take steps until nothing is due."""
    while Work.objects.due().exists():
        try:
            settle()
        except AssertionError:  # more steps than a test usually takes
            continue


def die(cluster: Cluster, fleet: Fleet) -> None:
    """Let it not answer, and let everybody notice."""
    fleet["prod-a"].always(Unreachable("cannot connect"))
    cluster.baseline.mark()
    settle_all()
    hurry_all()
    assert cluster.baseline.phase == "Error"


def hurry_all() -> None:
    """Take every step that is planned for later now, and what follows."""
    Work.objects.exclude(due_at=None).update(due_at=timezone.now() - timedelta(seconds=1))
    settle_all()


def waits() -> list[tuple[str, float]]:
    """The tenant of each placement that is due, and in how many seconds, in that order."""
    now = timezone.now()
    placed = ["tenancy.projectplacement", "tenancy.tenantplacement"]
    rows = Work.objects.exclude(due_at=None).filter(kind__in=placed)
    return [(row.tenant, (row.due_at - now).total_seconds()) for row in rows.order_by("due_at")]


def space(number: int, name: int) -> Ref:
    return Ref(NAMESPACE, "", f"team-{number}--p{name}")


def unlabel(body: dict) -> None:
    body["metadata"]["labels"].pop("kubenova.io/project")


def test_back_after_hours_its_writes_are_the_drift_f24(cluster, fleet: Fleet):
    live = fleet["prod-a"]
    die(cluster, fleet)
    touched = {space(0, 1), space(3, 2)}
    live.heal()
    for ref in touched:
        live.edit(ref, "kubectl-edit", unlabel)
    live.writes.clear()
    hurry_all()
    hurry_all()
    assert {ref for _, ref in live.writes} == touched
    assert len(live.writes) == len(touched)
    assert set(ProjectPlacement.objects.values_list("phase", flat=True)) == {"Deployed"}


def test_changes_made_meanwhile_are_made_once_f24(cluster, fleet: Fleet):
    live = fleet["prod-a"]
    die(cluster, fleet)
    row = Project.objects.get(tenant__name="team-1", name="p1")
    for number in range(5):
        row.labels = {"round": str(number)}
        row.declare(by="olga")
        settle_all()
    live.heal()
    live.writes.clear()
    hurry_all()
    hurry_all()
    assert live.writes == [("apply", space(1, 1))]
    assert live.body(space(1, 1))["metadata"]["labels"]["round"] == "4"


def test_its_rows_return_one_after_another_and_tenants_take_turns_f24(
    cluster, fleet: Fleet, settings
):
    settings.CLUSTER_ROWS_PER_SECOND = 2
    die(cluster, fleet)
    Work.objects.update(due_at=None)
    fleet["prod-a"].heal()
    cluster.baseline.mark()
    settle_one("clusters.clusterbaseline")
    found = waits()
    rows = TENANTS * (PROJECTS + 1)
    assert len(found) == rows
    assert found[-1][1] > rows / 2 * 0.8, "many are spread over a long time"
    assert len({tenant for tenant, _ in found[:TENANTS]}) == TENANTS


def settle_one(kind: str) -> None:
    """Take the one step of a kind that is due."""
    lease = Work.objects.claim(Work.objects.due().get(kind=kind).pk)
    take_step(lease)


def test_few_rows_return_at_once_f24(cluster, fleet: Fleet):
    die(cluster, fleet)
    Work.objects.update(due_at=None)
    fleet["prod-a"].heal()
    cluster.baseline.mark()
    settle_one("clusters.clusterbaseline")
    assert waits()[-1][1] < 1.0


def test_nobody_asks_a_dead_cluster_again_and_again_f24(cluster, fleet: Fleet):
    live = fleet["prod-a"]
    die(cluster, fleet)
    assert min(seconds for _, seconds in waits()) > 200
    live.calls.clear()
    hurry_all()
    assert len(live.calls) <= 4, "the baseline alone looks"


def test_a_cluster_that_asks_for_less_is_left_in_peace_and_holds_up_no_other_f11(
    cluster, fleet: Fleet
):
    other = fleet.register("prod-b")
    fleet["prod-a"].always(Throttled("too many requests", retry_after=30.0))
    Tenant(name="globex", placement={"clusters": ["prod-a", "prod-b"]}).declare(by="olga")
    Project(tenant=Tenant.objects.get(name="globex"), name="till").declare(by="olga")
    ProjectPlacement.objects.filter(project__tenant__name="team-0").first().mark()
    fleet["prod-a"].calls.clear()
    settle_all()
    assert fleet["prod-b"].exists(Ref(NAMESPACE, "", "globex--till"))
    assert other.baseline.phase == "Deployed"
    asked = len(fleet["prod-a"].calls)
    settle_all()
    assert len(fleet["prod-a"].calls) == asked, "nothing is due before the server said so"
    assert all(seconds > 25 for tenant, seconds in waits() if tenant == "team-0")


def test_half_of_a_placement_that_fails_leaves_the_other_half_f36(cluster, fleet: Fleet):
    fleet.register("prod-b")
    fleet["prod-a"].always(Unreachable("down"))
    Tenant(name="globex", placement={"clusters": ["prod-a", "prod-b"]}).declare(by="olga")
    row = Project(tenant=Tenant.objects.get(name="globex"), name="till")
    row.declare(by="olga")
    settle_all()
    hurry_all()
    hurry_all()
    phases = dict(row.placements.values_list("cluster__name", "phase"))
    assert phases["prod-b"] == "Deployed" and phases["prod-a"] != "Deployed"
    row.refresh_from_db()
    assert "prod-a" in row.conditions[0]["message"]
