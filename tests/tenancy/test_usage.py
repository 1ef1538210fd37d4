"""What is used of a quota: read from clusters, summed, told for people, and never applied for."""

from fractions import Fraction

import pytest

from reconcile.values import Ref
from tenancy.adapters.native import RESOURCE_QUOTA
from tenancy.models import Project, ProjectPlacement
from tenancy.rules.quantities import legible, measure
from tenancy.rules.usage import Usage, quota_facts, total, usages
from tests.api.conftest import signed_in
from tests.clusters.steps import settle
from tests.fleet import fleet
from tests.people import make_acme, make_globex, person

__all__ = ["fleet"]

SHOP = {"quota": {"pods": {"hard": "20", "used": "3"}}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("4Gi", Fraction(2**32), id="as people write"),
        pytest.param("100u", Fraction(1, 10**4), id="millionths"),
        pytest.param("5n", Fraction(5, 10**9), id="billionths"),
        pytest.param("1e3", Fraction(1000), id="exponent"),
        pytest.param("12E-1", Fraction(12, 10), id="negative exponent"),
    ],
)
def test_it_measures_what_api_servers_write(text, value):
    assert measure(text) == value


@pytest.mark.parametrize("text", ["", "-1", "1e999", "e3", "many", "1ee3"])
def test_it_measures_nothing_else(text):
    with pytest.raises(ValueError, match="is not a quantity"):
        measure(text)


@pytest.mark.parametrize(
    ("value", "resource", "text"),
    [
        (Fraction(1, 4), "requests.cpu", "0.25"),
        (Fraction(4), "limits.cpu", "4"),
        (Fraction(60), "pods", "60"),
        (Fraction(3 * 2**29), "requests.memory", "1.5Gi"),
        (Fraction(512), "memory", "512"),
        (Fraction(2**20), "requests.storage", "1Mi"),
        (Fraction(10 * 2**40), "fast.storageclass.storage.k8s.io/requests.storage", "10Ti"),
        (Fraction(0), "requests.memory", "0"),
    ],
)
def test_people_read_cores_and_large_units(value, resource, text):
    assert legible(value, resource) == text


@pytest.mark.parametrize(
    ("used", "hard", "percent"),
    [
        ("0", "20", 0),
        ("3", "20", 15),
        ("1999m", "2", 99),
        ("30", "20", 150),
        ("1", "0", 100),
        ("0", "0", 0),
        ("much", "20", 0),
    ],
)
def test_it_knows_how_full_a_quota_is(used, hard, percent):
    assert Usage("pods", used, hard).percent == percent


@pytest.mark.parametrize(
    ("status", "facts"),
    [
        pytest.param({}, {}, id="not counted yet"),
        pytest.param({"hard": {"pods": "20"}, "used": {"pods": "3"}}, SHOP, id="counted"),
        pytest.param(
            {"hard": {"pods": "20"}},
            {"quota": {"pods": {"hard": "20", "used": "0"}}},
            id="about to be counted",
        ),
        pytest.param({"hard": "x", "used": ["y"]}, {}, id="what no API server says"),
        pytest.param({"hard": {"pods": "9" * 41, "x": 7}}, {}, id="nor this"),
    ],
)
def test_facts_are_what_the_status_of_the_quota_says(status, facts):
    assert quota_facts(status) == facts


def test_a_tenant_uses_what_its_namespaces_use():
    quota = {"pods": "60", "requests.cpu": "4"}
    cpu = {"hard": "2", "used": "250m"}
    spaces = [SHOP, {"quota": {"requests.cpu": cpu, "services": cpu}}, SHOP, {}]
    assert total(quota, spaces) == [Usage("pods", "6", "60"), Usage("requests.cpu", "250m", "4")]
    assert usages({}) == []


# --- On a cluster.


@pytest.fixture
def shop(fleet, olga) -> Project:
    """A project on two clusters, half of a tenant of twenty pods."""
    for name in ("prod-a", "prod-b"):
        fleet.register(name)
    acme = make_acme(placement={"clusters": ["prod-a", "prod-b"]}, quota={"pods": "20"})
    for name in ("blog", "shop"):
        Project(tenant=acme, name=name).declare(by="alice")
    settle()
    return Project.objects.get(name="shop")


def use(fleet, cluster: str, namespace: str, pods: str) -> None:
    """The quota controller counts, and the watcher notices."""
    status = {"hard": {"pods": "5"}, "used": {"pods": pods}}
    fleet[cluster].set_status(Ref(RESOURCE_QUOTA, namespace, "kubenova"), status)
    for placement in ProjectPlacement.objects.filter(cluster__name=cluster):
        placement.mark()
    settle()


def test_what_is_used_is_kept_and_nothing_is_applied_for_it(fleet, shop):
    fleet["prod-a"].writes.clear()
    use(fleet, "prod-a", "acme--shop", "7")
    placement = ProjectPlacement.objects.get(project=shop, cluster__name="prod-a")
    assert placement.facts == {"quota": {"pods": {"hard": "5", "used": "7"}}}
    assert placement.phase == "Deployed"
    use(fleet, "prod-a", "acme--shop", "8")
    placement.refresh_from_db()
    assert placement.facts["quota"]["pods"]["used"] == "8"
    assert fleet["prod-a"].writes == []


def test_a_quota_that_is_taken_away_leaves_no_facts(fleet, shop):
    use(fleet, "prod-a", "acme--shop", "7")
    shop.tenant.quota = {}
    shop.tenant.declare(by="olga")
    settle()
    assert not ProjectPlacement.objects.exclude(facts={}).exists()


def test_the_api_tells_per_cluster_what_is_used(fleet, shop):
    use(fleet, "prod-a", "acme--shop", "7")
    use(fleet, "prod-a", "acme--blog", "2")
    client = signed_in(person("carol"))
    project = client.get("/api/v1/projects/shop").json()["status"]["placements"]
    assert [(each["cluster"], each["quota"]) for each in project] == [
        ("prod-a", [{"resource": "pods", "used": "7", "hard": "5"}]),
        ("prod-b", []),
    ]
    tenant = client.get("/api/v1/tenants/acme").json()["status"]["placements"]
    assert [(each["cluster"], each["quota"]) for each in tenant] == [
        ("prod-a", [{"resource": "pods", "used": "9", "hard": "10"}]),
        ("prod-b", [{"resource": "pods", "used": "0", "hard": "10"}]),
    ]


def test_without_a_quota_nothing_is_told_to_be_used(fleet, olga):
    fleet.register("prod-a")
    make_globex(placement={"clusters": ["prod-a"]})
    settle()
    answer = signed_in(person("charlie")).get("/api/v1/tenants/globex").json()
    assert answer["status"]["placements"][0]["quota"] == []


def test_a_list_of_tenants_costs_no_query_per_tenant(
    fleet, shop, django_assert_max_num_queries, django_assert_num_queries
):
    client = signed_in(person("olga"))
    with django_assert_max_num_queries(25) as first:
        assert client.get("/api/v1/tenants").status_code == 200
    make_globex(placement={"clusters": ["prod-a"]}, quota={"pods": "5"})
    with django_assert_num_queries(len(first.captured_queries)):
        assert len(client.get("/api/v1/tenants").json()["items"]) == 2
