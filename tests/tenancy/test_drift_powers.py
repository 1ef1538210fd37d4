"""Who sees which drift, and who may decide what about it."""

from uuid import uuid4

import pytest

from clusters.kinds import DEPLOYMENT, NETWORK_POLICY
from reconcile.models import Drift, Work
from reconcile.refusals import NotAllowed
from tenancy.drift import (
    About,
    Act,
    Powers,
    at_field,
    drift_for,
    inside,
    placement_of,
    resolve,
    within,
)
from tenancy.models import Project, ProjectPlacement
from tests.delivery.conftest import acme, deployed, fleet, people, prod, quick_passwords, shop, site
from tests.people import make_globex
from tests.tenancy.differences import differing, differing_quota

__all__ = ["acme", "deployed", "fleet", "people", "prod", "quick_passwords", "shop", "site"]


@pytest.fixture
def of_app(deployed) -> Drift:
    """A Deployment of the app has one replica instead of three."""
    return differing(deployed.placements.get())


@pytest.fixture
def of_project(deployed) -> Drift:
    """A network policy of the project differs."""
    row = ProjectPlacement.objects.get()
    return differing(row, ".spec.policyTypes", NETWORK_POLICY, "kubenova")


@pytest.fixture
def of_quota(deployed) -> Drift:
    """The quota of the project differs."""
    return differing_quota(ProjectPlacement.objects.get())


@pytest.fixture
def of_cluster(prod) -> Drift:
    """The baseline of the cluster differs."""
    return differing(prod.placements.get())


@pytest.mark.parametrize(
    ("name", "count"), [("olga", 3), ("alice", 2), ("bob", 2), ("carol", 2), ("charlie", 0)]
)
def test_members_see_that_of_their_tenants_and_operators_all(
    name, count, of_app, of_project, of_cluster, people
):
    make_globex()
    assert drift_for(people[name]).count() == count


def test_who_has_left_sees_none(of_app, people):
    people["alice"].is_active = False
    assert not drift_for(people["alice"]).exists()
    assert not Powers.of(people["alice"]).may(Act.REPAIR, of_app)


RULES = [
    # who, what, repair, accept, ignore
    ("olga", "of_cluster", True, True, True),
    ("olga", "of_quota", True, True, True),
    ("alice", "of_app", True, True, True),
    ("alice", "of_project", True, True, True),
    ("alice", "of_quota", True, False, False),  # operators have bounded her with it
    ("bob", "of_app", True, True, True),
    ("bob", "of_project", False, False, False),
    ("bob", "of_quota", False, False, False),
    ("carol", "of_app", False, False, False),
    ("carol", "of_project", False, False, False),
    ("charlie", "of_app", False, False, False),
]


@pytest.mark.parametrize(("name", "what", "repair", "accept", "ignore"), RULES)
def test_a_decision_reaches_as_far_as_the_role(name, what, repair, accept, ignore, people, request):
    drift, powers = request.getfixturevalue(what), Powers.of(people[name])
    found = [powers.may(act, drift) for act in (Act.REPAIR, Act.ACCEPT, Act.IGNORE)]
    assert found == [repair, accept, ignore]


@pytest.mark.parametrize(
    ("label", "kind", "allowed"),
    [
        ("tenancy.tenant", "", False),
        ("tenancy.project", "", False),
        ("tenancy.tenant", "Deployment", True),
        ("tenancy.tenant", "LimitRange", False),
        ("delivery.app", "", True),
        ("delivery.app", "RoleBinding", False),
    ],
)
def test_a_rule_for_any_object_of_a_tenant_would_reach_its_bounds(
    label, kind, allowed, acme, people
):
    about = About(label, uuid4(), "acme")
    assert Powers.of(people["alice"]).reach(Act.IGNORE, about, kind) is allowed


def test_powers_cost_two_queries_however_many_rows_are_asked_about(
    of_app, of_quota, people, django_assert_num_queries
):
    powers = Powers.of(people["bob"])  # permissions are cached from here on
    with django_assert_num_queries(2):
        powers = Powers.of(people["bob"])
        for drift in (of_app, of_quota) * 10:
            powers.may(Act.ACCEPT, drift)


def test_all_of_a_set_is_done_or_none(of_app, of_quota, people):
    with pytest.raises(NotAllowed, match="a ResourceQuota bounds the tenant"):
        resolve(people["alice"], Act.IGNORE, [of_app, of_quota], reason="A test.")
    assert Drift.objects.open().count() == 2


def test_a_repair_is_asked_for_and_the_work_is_due(of_app, people):
    Work.objects.update(due_at=None)
    assert resolve(people["bob"], Act.REPAIR, [of_app]) == 1
    of_app.refresh_from_db()
    assert of_app.repair_requested_by == "bob"
    assert Work.objects.due().filter(pk=of_app.work_id).exists()


def test_what_is_over_is_passed_over(of_app, people):
    Drift.close(Drift.objects.all(), Drift.Resolution.REPAIRED)
    assert resolve(people["bob"], Act.REPAIR, [of_app]) == 0


def test_a_project_holds_what_its_apps_do(of_app, of_project, acme, shop):
    other = Project(tenant=acme, name="data")
    other.declare(by="alice")
    assert set(inside(acme)) == set(inside(shop)) == {of_app, of_project}
    assert not inside(other).exists()
    assert set(inside(of_app.work and Project.objects.get(name="shop"))) == {of_app, of_project}
    only_apps = Drift.objects.filter(within(Project.objects.all(), "app", name="site"))
    assert list(only_apps) == [of_app]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.template", True),
        (".spec.template.spec.containers[name=web].image", True),
        (".spec.template.spec.containers", True),
        (".spec.temp", False),
        (".spec.template.spec.containers[name=web].image.x", False),
    ],
)
def test_a_field_stands_for_all_inside_of_it(path, found, deployed):
    drift = differing(
        deployed.placements.get(), ".spec.template.spec.containers[name=web].image", DEPLOYMENT
    )
    assert at_field([drift], path) == ([drift] if found else [])


def test_it_is_named_after_what_was_declared(of_app, of_cluster):
    assert placement_of(of_app) == "App acme/shop/site"
    assert placement_of(of_cluster) == "Baseline of prod-a"
