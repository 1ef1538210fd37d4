"""The ledger at work: clusters come, go, fall silent; together they never allow too much."""

from collections import Counter

import pytest
from django.utils import timezone

from clusters.kinds import RESOURCE_QUOTA
from clusters.models import Cluster
from reconcile.drain import take_step
from reconcile.errors import Unreachable
from reconcile.models import Work
from reconcile.refusals import OverQuota
from reconcile.values import Ref
from tenancy.models import Project, ProjectPlacement, QuotaEntry, Tenant, TenantPlacement
from tenancy.rules.quantities import parse
from tenancy.statement import of_project, statement
from tests.clusters.steps import hurry, settle
from tests.fleet import fleet
from tests.people import make_acme
from tests.threads import in_threads

__all__ = ["fleet"]
pytestmark = pytest.mark.django_db

PLACES = ["prod-a", "prod-b", "prod-c"]
CPU = "requests.cpu"


@pytest.fixture
def clusters(fleet):
    """Three clusters."""
    for name in PLACES:
        fleet.register(name)
    return fleet


@pytest.fixture
def acme(clusters, olga) -> Tenant:
    """acme with ten CPUs on three clusters."""
    tenant = make_acme(placement={"clusters": PLACES}, quota={CPU: "10"})
    settle()
    return tenant


def project(name: str = "shop", **columns) -> Project:
    row = Project(tenant=Tenant.objects.get(name="acme"), name=name, **columns)
    row.declare(by="alice")
    return row


def change(row, **columns):
    row = type(row).objects.get(pk=row.pk)
    for name, value in columns.items():
        setattr(row, name, value)
    row.declare(by="olga")
    return row


def hard(fleet, name: str = "shop", resource: str = CPU) -> dict[str, int]:
    """What each cluster enforces, in thousandths."""
    found = {}
    for place in PLACES:
        ref = Ref(RESOURCE_QUOTA, f"acme--{name}", "kubenova")
        if fleet[place].exists(ref):
            text = fleet[place].body(ref)["spec"]["hard"].get(resource, "0")
            found[place] = int(parse(text) * 1000)
    return found


def together(fleet) -> int:
    """What all clusters enforce together, over all projects, in thousandths."""
    names = Project.objects.values_list("name", flat=True)
    return sum(sum(hard(fleet, name).values()) for name in names)


def count(fleet, place: str, *, used: str, name: str = "shop", told: str = "") -> None:
    """The quota controller of a cluster counts, and the watcher notices."""
    ref = Ref(RESOURCE_QUOTA, f"acme--{name}", "kubenova")
    now = told or fleet[place].body(ref)["spec"]["hard"][CPU]
    fleet[place].set_status(ref, {"hard": {CPU: now}, "used": {CPU: used}})
    ProjectPlacement.objects.get(project__name=name, cluster__name=place).mark()
    settle()


def weigh_each_step(fleet) -> None:
    """Take what is due or planned, step by step: never is more enforced than the total."""
    for work in Work.objects.exclude(due_at=None).order_by("due_at", "pk"):
        if lease := Work.objects.claim(work.pk):
            take_step(lease)
            assert together(fleet) <= 10000, f"after {work}"


def column(name: str, **where) -> list[str]:
    rows = QuotaEntry.objects.filter(**where).order_by("project__name", "cluster__name")
    return list(rows.values_list(name, flat=True))


# --- Dividing.


def test_a_total_is_one_for_all_clusters_and_projects(clusters, acme):
    project()
    settle()
    assert hard(clusters) == {"prod-a": 3334, "prod-b": 3333, "prod-c": 3333}
    project("blog")
    settle()
    assert together(clusters) == 10000
    assert sorted(hard(clusters, "blog").values()) == [1666, 1667, 1667]
    assert {row.phase for row in ProjectPlacement.objects.all()} == {"Deployed"}


def test_a_project_has_its_quota_before_its_namespace(acme):
    shop = project()
    row = shop.placements.get(cluster__name="prod-a")
    assert row.intent().quota == {CPU: "3334m"}


@pytest.mark.parametrize(
    ("columns", "shop", "blog"),
    [
        pytest.param({}, [3000, 1000, 1000], [3000, 1000, 1000], id="floor"),
        pytest.param({"quota": {CPU: "4"}}, [2400, 800, 800], [3600, 1200, 1200], id="own"),
        pytest.param({"weight": 4}, [4800, 1600, 1600], [1200, 400, 400], id="weight"),
    ],
)
def test_floors_own_totals_and_weights_show_on_the_clusters(clusters, acme, columns, shop, blog):
    change(acme, quota_floors={"prod-a": {CPU: "4"}}, quota_division="weight")
    project(**columns)
    project("blog")
    settle()
    assert list(hard(clusters).values()) == shop
    assert list(hard(clusters, "blog").values()) == blog


def test_a_project_may_bound_what_its_tenant_does_not(clusters, acme):
    project(quota={"pods": "7"})
    project("blog")
    settle()
    assert list(hard(clusters, resource="pods").values()) == [3000, 2000, 2000]
    row = ProjectPlacement.objects.filter(project__name="blog").first()
    assert "pods" not in row.intent().quota


def test_without_a_quota_there_is_no_ledger(clusters, acme):
    project()
    change(acme, quota={})
    settle()
    assert not QuotaEntry.objects.exists()
    assert hard(clusters) == {}


def test_a_cluster_knows_the_part_of_the_tenant_on_it(acme):
    project()
    project("blog")
    settle()
    row = TenantPlacement.objects.get(cluster__name="prod-b")
    assert row.intent().quota == {CPU: "3333m"}


# --- Moving.


def test_nobody_grows_before_another_has_let_go(clusters, acme):
    project()
    settle()
    clusters["prod-a"].always(Unreachable("no route to host"))
    project("blog")
    settle()
    kept = hard(clusters)["prod-a"]
    assert kept == 3334, "it was not told less"
    assert together(clusters) <= 10000
    clusters["prod-a"].heal()
    hurry()
    hurry()
    assert together(clusters) == 10000
    assert column("held") == column("target")


def test_what_still_counts_by_the_old_is_not_given_away(clusters, acme):
    project()
    settle()
    count(clusters, "prod-a", used="1")
    change(acme, quota_floors={"prod-b": {CPU: "8"}})
    settle()
    assert hard(clusters)["prod-a"] < 3334
    assert column("held", cluster__name="prod-a") == ["3334m"], "its controller has not counted"
    slow = ProjectPlacement.objects.get(cluster__name="prod-a")
    assert slow.work.get().due_at is not None, "it is looked at again"
    assert together(clusters) <= 10000 - 2000
    count(clusters, "prod-a", used="1")
    assert column("granted") == ["667m", "8334m", "666m"]
    # One CPU is used there although less is granted: nobody else has it.
    assert column("held", cluster__name="prod-a") == ["1"]


@pytest.mark.parametrize("division", ["even", "weight", "demand"])
@pytest.mark.parametrize("leaves", [True, False], ids=["removed", "frozen"])
def test_who_stays_ends_with_the_total_and_never_above_it(clusters, acme, division, leaves):
    change(acme, quota_division=division)
    project(weight=3)
    project("blog")
    settle()
    count(clusters, "prod-a", used="1300m")
    assert together(clusters) == 10000
    clusters["prod-c"].always(Unreachable("no route to host"))
    staying = {"placement": {"clusters": PLACES[:2]}} if leaves else {}
    change(acme, quota_floors={"prod-a": {CPU: "8"}}, **staying)
    for _ in range(3):
        weigh_each_step(clusters)
    assert together(clusters) == 10000, "who is silent keeps its part, and nothing else is lost"
    assert hard(clusters)["prod-c"] + hard(clusters, "blog")["prod-c"] > 3000
    clusters["prod-c"].heal()
    for _ in range(6):
        Work.objects.filter(kind__startswith="tenancy.").update(due_at=timezone.now())
        weigh_each_step(clusters)
    assert together(clusters) == 10000
    assert hard(clusters)["prod-a"] + hard(clusters, "blog")["prod-a"] >= 8000
    assert ("prod-c" in hard(clusters)) is not leaves
    assert column("target") == column("granted") == column("held")


def test_a_removed_cluster_keeps_its_part_until_it_is_empty(clusters, acme):
    project()
    settle()
    clusters["prod-c"].always(Unreachable("no route to host"))
    change(acme, placement={"clusters": PLACES[:2]})
    settle()
    assert hard(clusters) == {"prod-a": 3334, "prod-b": 3333, "prod-c": 3333}
    moving = {part.cluster: part.why for part in statement(Tenant.objects.get()).moving}
    assert "It is being removed from prod-c" in moving["prod-c"]
    assert moving["prod-a"] == "It gets 5 as soon as others let go."
    clusters["prod-c"].heal()
    hurry()
    assert hard(clusters) == {"prod-a": 5000, "prod-b": 5000}
    assert not QuotaEntry.objects.filter(cluster__name="prod-c").exists()


def test_a_cluster_that_is_selected_no_longer_keeps_its_part(clusters, acme):
    for row in Cluster.objects.all():
        row.labels = {"tier": "gold"}
        row.declare(by="olga")
    change(acme, placement={"selector": {"tier": "gold"}})
    project()
    settle()
    lost = Cluster.objects.get(name="prod-c")
    lost.labels = {}
    lost.declare(by="olga")
    settle()
    assert TenantPlacement.objects.get(cluster=lost).unselected
    assert hard(clusters) == {"prod-a": 3334, "prod-b": 3333, "prod-c": 3333}
    assert together(clusters) == 10000


def test_a_deleted_project_leaves_its_part_to_the_others(clusters, acme):
    project()
    blog = project("blog")
    settle()
    blog.request_deletion(by="alice")
    settle()
    hurry()
    assert sum(hard(clusters).values()) == 10000


def test_a_forgotten_cluster_leaves_its_part_to_the_others(clusters, acme):
    project()
    settle()
    ProjectPlacement.objects.get(cluster__name="prod-c").forget()
    TenantPlacement.objects.get(cluster__name="prod-c").forget()
    change(acme, placement={"clusters": PLACES[:2]})
    settle()
    assert list(hard(clusters).values())[:2] == [5000, 5000]


def test_a_lower_total_is_told_everywhere_and_gives_nobody_more(clusters, acme):
    project()
    settle()
    change(acme, quota={CPU: "4"})
    settle()
    assert together(clusters) == 4000
    assert Counter(column("held")) == Counter(["1334m", "1333m", "1333m"])


def test_at_rest_balancing_writes_nothing(clusters, acme, django_assert_max_num_queries):
    project()
    settle()
    before = list(QuotaEntry.objects.values())
    with django_assert_max_num_queries(12) as asked:
        Tenant.objects.get().balance()
    assert not [each for each in asked.captured_queries if each["sql"].startswith("UPDATE")]
    assert list(QuotaEntry.objects.values()) == before


def test_what_an_earlier_release_has_told_counts_as_held(clusters, acme):
    project()
    settle()
    count(clusters, "prod-a", used="0", told="10")
    QuotaEntry.objects.all().delete()
    Tenant.objects.get().balance()
    assert column("held") == ["10", "0", "0"]
    assert column("granted") == ["3334m", "0", "0"]


# --- By demand.


def test_by_demand_a_part_goes_where_it_is_used(clusters, acme, settings):
    settings.QUOTA_REBALANCE_SECONDS = 0
    change(acme, quota_division="demand")
    project()
    settle()
    assert hard(clusters)["prod-a"] == 3334
    count(clusters, "prod-a", used="3300m")
    assert hard(clusters)["prod-a"] == 5534
    assert together(clusters) == 10000


def test_by_demand_it_rests_in_between(clusters, acme, settings):
    settings.QUOTA_REBALANCE_SECONDS = 600
    change(acme, quota_division="demand")
    project()
    settle()
    count(clusters, "prod-a", used="3300m")
    assert hard(clusters)["prod-a"] == 3334
    assert Tenant.objects.get().work.get().due_at is not None


# --- Refusing.


def test_the_eleventh_cpu_is_refused_with_the_ledger(acme):
    project(quota={CPU: "6"})
    project("blog", quota={CPU: "4"})
    with pytest.raises(OverQuota) as refused:
        project("wiki", quota={CPU: "1"})
    assert refused.value.detail == (
        "requests.cpu: 1 is asked for, and 0 of the tenant's 10 is available "
        "(blog 4, shop 6 are promised)."
    )
    assert refused.value.extra["ledger"] == [
        {
            "resource": CPU,
            "total": "10",
            "promised": [
                {"project": "blog", "amount": "4"},
                {"project": "shop", "amount": "6"},
            ],
            "available": "0",
        }
    ]
    assert not Project.objects.filter(name="wiki").exists()
    assert not QuotaEntry.objects.filter(project__name="wiki").exists()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        pytest.param({"quota": {CPU: "5"}}, "6 is promised to projects (shop 6)", id="total"),
        pytest.param(
            {"quota_floors": {"prod-a": {CPU: "6"}, "prod-b": {CPU: "5"}}},
            "11 is promised to clusters (prod-a 6, prod-b 5), and the total is 10",
            id="floors",
        ),
        pytest.param(
            {"quota_floors": {"prod-z": {CPU: "1"}}},
            "it is not on prod-z",
            id="a cluster of others",
        ),
        pytest.param(
            {"quota_floors": {"prod-a": {"pods": "1"}}},
            "pods has a floor on prod-a and no total",
            id="a floor without a total",
        ),
        pytest.param(
            {"placement": {"clusters": ["prod-a"]}, "quota_floors": {"prod-b": {CPU: "1"}}},
            "it is not on prod-b",
            id="a cluster that goes",
        ),
    ],
)
def test_a_tenant_keeps_what_it_has_promised(acme, columns, said):
    project(quota={CPU: "6"})
    with pytest.raises(OverQuota) as refused:
        change(acme, **columns)
    assert said in refused.value.detail
    assert Tenant.objects.get().quota == {CPU: "10"}


def test_a_project_may_ask_for_what_it_has(acme):
    shop = project(quota={CPU: "6"})
    change(shop, quota={CPU: "10"})
    with pytest.raises(OverQuota):
        change(shop, quota={CPU: "10001m"})


def test_a_stale_look_at_the_tenant_promises_nothing_twice(acme):
    stale = Tenant.objects.get()
    change(acme, quota={CPU: "2"})
    with pytest.raises(OverQuota, match="3 is asked for, and 2"):
        Project(tenant=stale, name="shop", quota={CPU: "3"}).declare(by="alice")


# --- Telling.


def test_the_statement_adds_up(clusters, acme):
    project(quota={CPU: "6"})
    project("blog")
    settle()
    count(clusters, "prod-a", used="1500m")
    found = statement(Tenant.objects.get())
    (line,) = found.lines
    assert (line.total, line.granted, line.held) == ("10", "10", "10")
    assert (line.promised, line.available, line.used) == ("6", "4", "1500m")
    assert (line.percent, line.text) == (15, "1.5 of 10")
    assert [(each.name, each.promised) for each in line.projects] == [("blog", ""), ("shop", "6")]
    assert [each.used for each in line.clusters] == ["1500m", "0", "0"]
    assert found.moving == ()


def test_a_project_reads_of_itself_alone(clusters, acme):
    project(quota={CPU: "6"})
    project("blog")
    settle()
    found = of_project(Project.objects.get(name="blog"))
    assert {part.project for part in found.parts} == {"blog"}
    (line,) = found.lines
    assert (line.total, line.granted, line.text) == ("", "4", "0 of 4")


@pytest.mark.django_db(transaction=True)
def test_two_at_once_do_not_both_take_the_last_cpu(olga):
    make_acme(quota={CPU: "1"})

    def take(name: str) -> None:
        project(name, quota={CPU: "1"})

    raised = in_threads(lambda: take("shop"), lambda: take("blog"))
    assert [type(error) for error in raised] == [OverQuota]
    assert Project.objects.count() == 1
