"""Apps on clusters: which ones, and how the rollout tells of them."""

from datetime import datetime, timedelta

import pytest
import time_machine

from delivery.adapters.native import DEPLOYMENT
from delivery.models import App
from reconcile.errors import Refused
from reconcile.values import Ref
from tenancy.models import Project, Tenant
from tests.clusters.steps import settle
from tests.delivery.controllers import errors_of, look, report, roll_out
from tests.delivery.samples import component, with_traits

WEB = Ref(DEPLOYMENT, "acme--shop", "web")


@pytest.fixture
def fleet_of_two(fleet, db, people):
    """acme/shop on prod-a and prod-b."""
    fleet.register("prod-a", labels={"region": "eu"})
    fleet.register("prod-b", labels={"region": "us"})
    tenant = Tenant(name="acme", placement={"clusters": ["prod-a", "prod-b"]})
    tenant.declare(by="olga")
    project = Project(tenant=tenant, name="shop")
    project.declare(by="alice")
    settle()
    return project


@pytest.mark.parametrize(
    ("placement", "names"),
    [
        pytest.param({}, ["prod-a", "prod-b"], id="everywhere"),
        pytest.param({"clusters": ["prod-b"]}, ["prod-b"], id="by name"),
        pytest.param({"selector": {"region": "eu"}}, ["prod-a"], id="by label"),
        pytest.param(
            {"clusters": ["prod-b"], "selector": {"region": "eu"}}, ["prod-a", "prod-b"], id="both"
        ),
        pytest.param({"selector": {"region": "asia"}}, [], id="nowhere"),
        pytest.param({"clusters": []}, [], id="an empty list selects nothing"),
    ],
)
def test_it_is_placed(fleet_of_two, placement, names):
    app = App(project=fleet_of_two, name="site", components=[component()], placement=placement)
    app.declare(by="bob")
    assert [row.cluster.name for row in app.placements.all()] == names


def test_it_is_never_placed_outside_of_its_project(fleet_of_two, fleet):
    fleet.register("prod-c", labels={"region": "eu"})
    app = App(
        project=fleet_of_two,
        name="site",
        components=[component()],
        placement={"selector": {"region": "eu"}},
    )
    app.declare(by="bob")
    assert [row.cluster.name for row in app.placements.all()] == ["prod-a"]


def test_it_follows_its_project_to_a_new_cluster(fleet_of_two, fleet):
    app = App(project=fleet_of_two, name="site", components=[component()])
    app.declare(by="bob")
    roll_out(fleet, "prod-a", "prod-b")
    fleet.register("prod-c")
    tenant = fleet_of_two.tenant
    tenant.placement = {"clusters": ["prod-a", "prod-b", "prod-c"]}
    tenant.declare(by="olga")
    roll_out(fleet, "prod-a", "prod-b", "prod-c")
    assert fleet["prod-c"].exists(WEB)
    app.refresh_from_db()
    assert app.phase == "Deployed"


def test_it_leaves_a_cluster_that_it_no_longer_selects(fleet_of_two, fleet):
    app = App(project=fleet_of_two, name="site", components=[component()])
    app.declare(by="bob")
    roll_out(fleet, "prod-a", "prod-b")
    app.refresh_from_db()
    app.placement = {"clusters": ["prod-b"]}
    app.declare(by="bob")
    settle()
    assert not fleet["prod-a"].exists(WEB)
    assert fleet["prod-b"].exists(WEB)
    app.refresh_from_db()
    assert app.revision == 1


def test_a_placement_that_its_project_outgrew_blocks_no_other_change(fleet_of_two, fleet):
    app = App(
        project=fleet_of_two,
        name="site",
        components=[component()],
        placement={"clusters": ["prod-a", "prod-b"]},
    )
    app.declare(by="bob")
    settle()
    tenant = fleet_of_two.tenant
    tenant.placement = {"clusters": ["prod-a"]}
    tenant.declare(by="olga")
    settle()
    app.refresh_from_db()
    app.components = [component(image="nginx:1.28")]
    assert app.declare(by="bob")
    app.placement = {"clusters": ["prod-b"]}
    assert errors_of(app) == {"placement": [("unknown", ("clusters", 0))]}


# --- Rollout.


def test_pods_move_to_the_nodes_that_their_tenant_is_given(site, fleet):
    settle()
    tenant = Tenant.objects.get()
    for restrictions, nodes in (
        ({"node_selector": {"pool": "acme"}}, {"pool": "acme"}),
        ({"node_selector": {"pool": "batch"}}, {"pool": "batch"}),
        ({}, None),
    ):
        tenant.restrictions = restrictions
        tenant.declare(by="olga")
        settle()
        pod = fleet["prod-a"].body(WEB)["spec"]["template"]["spec"]
        assert pod.get("nodeSelector") == nodes


def test_the_rollout_tells_how_each_component_fares(site, fleet):
    (placement,) = site.placements.all()
    (row,) = placement.rollout()
    assert (row["phase"], row["revision"], row["ready"], row["wanted"]) == ("Pending", None, 0, 1)
    roll_out(fleet)
    placement = site.placements.get()
    (row,) = placement.rollout()
    assert (row["phase"], row["revision"], row["ready"], row["wanted"]) == ("Deployed", 1, 1, 1)
    assert row["message"] == ""


def test_the_rollout_is_never_deployed_before_the_change_is(deployed, fleet):
    deployed.components = [with_traits(component(), scaler={"replicas": 3})]
    deployed.declare(by="bob")
    (row,) = deployed.placements.get().rollout()
    assert (row["phase"], row["revision"], row["ready"], row["wanted"]) == ("Applying", 1, 1, 3)
    settle()
    (row,) = deployed.placements.get().rollout()
    assert (row["phase"], row["revision"], row["ready"], row["wanted"]) == ("Applying", 2, 1, 3)
    roll_out(fleet)
    (row,) = deployed.placements.get().rollout()
    assert (row["phase"], row["revision"], row["ready"], row["wanted"]) == ("Deployed", 2, 3, 3)


def test_the_rollout_tells_why_a_plan_does_not_take(deployed, fleet):
    fleet["prod-a"].fail_on("apply", WEB, Refused("exceeded quota"))
    deployed.components = [component(image="nginx:1.28"), component("api", "worker")]
    deployed.declare(by="bob")
    settle()
    rows = deployed.placements.get().rollout()
    assert [(row["name"], row["phase"], row["revision"]) for row in rows] == [
        ("web", "Error", 1),
        ("api", "Error", None),
    ]
    assert {row["message"] for row in rows} == {"exceeded quota"}


def test_since_is_when_a_component_came_into_its_phase(deployed, fleet):
    def since() -> str:
        return deployed.placements.get().rollout()[0]["since"]

    first = since()
    with time_machine.travel(timedelta(hours=1), tick=False):
        look()
        assert since() == first
        report(fleet["prod-a"], WEB, availableReplicas=0)
        look()
        second = since()
    assert datetime.fromisoformat(second) - datetime.fromisoformat(first) >= timedelta(hours=1)
    with time_machine.travel(timedelta(hours=2), tick=False):
        look()
        assert since() == second
