"""At most and at least so many clusters: which are taken, and what is said when they lack."""

import pytest

from clusters.models import Cluster
from delivery.models import App
from reconcile.drain import take_step
from reconcile.models import Work
from tenancy.models import Project, Tenant
from tenancy.models.counted import TooFewClusters
from tests.api.conftest import pointers, problem, signed_in
from tests.delivery.samples import component
from tests.people import make_acme

pytestmark = pytest.mark.django_db
EU = {"region": "eu"}


@pytest.fixture
def clusters():
    """Four clusters of one region, by name."""

    def made(name: str) -> Cluster:
        row = Cluster(name=name, labels=EU, server=f"https://{name}.example.org")
        row.declare(by="olga")
        return row

    return {name: made(name) for name in ("a", "b", "c", "d")}


def placed(row) -> list[str]:
    """Where it is, and is not leaving."""
    rows = row.placements.filter(deletion_requested_at=None, unselected=False)
    return sorted(rows.values_list("cluster__name", flat=True))


def step(row) -> dict:
    """Take its step in the database; return its Synced condition."""
    row.mark()
    take_step(Work.objects.claim(row.work.get().pk))
    row.refresh_from_db()
    return next(each for each in row.conditions if each["type"] == "Synced")


@pytest.mark.parametrize(
    ("placement", "wanted"),
    [
        pytest.param({"selector": EU, "max": 2}, ["a", "b"], id="by name"),
        pytest.param({"selector": EU, "clusters": ["d"], "max": 2}, ["a", "d"], id="named first"),
        pytest.param({"clusters": ["d", "c", "b"], "max": 2}, ["b", "c"], id="of the named ones"),
        pytest.param({"selector": EU, "max": 9}, ["a", "b", "c", "d"], id="fewer than may be"),
        pytest.param({"selector": EU, "min": 4}, ["a", "b", "c", "d"], id="just enough"),
    ],
)
def test_it_takes_at_most_so_many(clusters, placement, wanted):
    assert placed(make_acme(placement=placement)) == wanted


def test_it_stays_where_it_is_when_another_one_would_come_first(clusters):
    acme = make_acme(placement={"clusters": ["c"]})
    acme.placement = {"selector": EU, "max": 2}
    acme.declare(by="olga")
    assert placed(acme) == ["a", "c"]


def test_one_that_is_named_comes_before_those_where_it_is(clusters):
    acme = make_acme(placement={"selector": EU, "max": 1})
    acme.placement = {"selector": EU, "max": 1, "clusters": ["d"]}
    acme.declare(by="olga")
    assert placed(acme) == ["d"]


def test_another_one_takes_the_place_of_one_that_no_longer_matches(clusters):
    acme = make_acme(placement={"selector": EU, "max": 1})
    clusters["a"].labels = {}
    clusters["a"].declare(by="olga")
    step(acme)
    assert placed(acme) == ["b"]


def test_too_few_at_declaration_are_refused_with_the_numbers(clusters, olga):
    body = {"name": "acme", "placement": {"clusters": ["a"], "min": 2}}
    answer = signed_in(olga).post("/api/v1/tenants", body, format="json")
    found = problem(answer, 422, "KN-TOO-FEW-CLUSTERS")
    assert (found["found"], found["needed"], pointers(found)) == (1, 2, ["/placement/min"])
    assert not Tenant.objects.exists()


def test_too_few_later_are_told_and_stand_in_the_way_of_nothing_else(clusters):
    acme = make_acme(placement={"selector": EU, "min": 4})
    assert step(acme)["reason"] != "NotEnoughClusters"
    clusters["d"].labels = {}
    clusters["d"].declare(by="olga")
    told = step(acme)
    assert (told["reason"], told["status"]) == ("NotEnoughClusters", "Unknown")
    assert told["message"].startswith("3 clusters match, and at least 4")
    assert acme.phase == "Pending"
    acme.description = "What has nothing to do with it"
    assert acme.declare(by="olga")


def test_it_binds_apps_within_the_clusters_of_their_project(clusters):
    acme = make_acme(placement={"clusters": ["b", "c", "d"]})
    shop = Project(tenant=acme, name="shop")
    shop.declare(by="alice")
    app = App(project=shop, name="site", components=[component()])
    app.placement = {"selector": EU, "max": 2}
    app.declare(by="bob")
    assert placed(app) == ["b", "c"]
    app.placement = {"max": 1}
    app.declare(by="bob")
    assert placed(app) == ["b"]
    app.placement = {"selector": EU, "min": 4}
    with pytest.raises(TooFewClusters):
        app.declare(by="bob")
