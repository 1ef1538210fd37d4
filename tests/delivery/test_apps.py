"""Apps: what declaring one does, in the database and on clusters."""

import pytest
from django.core.exceptions import ValidationError
from django.db.models.signals import pre_save

from clusters.kinds import SERVICE
from delivery.adapters.native import DEPLOYMENT
from delivery.models import App, AppPlacement
from reconcile.errors import Refused
from reconcile.models import Event
from reconcile.refusals import Deleting, Unserved
from reconcile.values import Ref
from tenancy.models import Project
from tests.clusters.steps import settle
from tests.delivery.controllers import deployment, errors_of, look, report, roll_out
from tests.delivery.samples import component

WEB = Ref(DEPLOYMENT, "acme--shop", "web")
EXPOSED = [{"port": 80, "expose": True}]


def condition(row, kind):
    row.refresh_from_db()
    return next(each for each in row.conditions if each["type"] == kind)


# --- The way to the cluster.


def test_it_becomes_deployed_when_the_cluster_says_so(site, fleet):
    assert (site.phase, site.generation, site.observed_generation) == ("Pending", 1, 0)
    settle()
    site.refresh_from_db()
    assert site.phase == "Applying"
    roll_out(fleet)
    site.refresh_from_db()
    assert (site.phase, site.observed_generation) == ("Deployed", 1)
    assert condition(site, "Ready")["status"] == "True"


def test_it_waits_for_the_namespace_of_its_project(acme, fleet):
    project = Project(tenant=acme, name="shop")
    project.declare(by="alice")
    fleet["prod-a"].fail_on("apply", None, Refused("no namespaces today"))
    app = App(project=project, name="site", components=[component()])
    app.declare(by="bob")
    settle()
    assert condition(app, "Synced")["reason"] == "WaitingForProject"
    assert fleet["prod-a"].refs(DEPLOYMENT) == []


def test_a_new_image_reaches_the_cluster_with_its_revision(deployed, fleet):
    deployed.components = [component(image="nginx:1.28")]
    deployed.declare(by="bob")
    roll_out(fleet)
    found = deployment(fleet["prod-a"])
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1.28"
    assert found["metadata"]["annotations"]["kubenova.io/revision"] == "2"


def test_a_component_that_is_no_longer_declared_goes_with_its_service(shop, fleet):
    app = App(
        project=shop, name="site", components=[component(ports=EXPOSED), component("api", "worker")]
    )
    app.declare(by="bob")
    roll_out(fleet)
    assert fleet["prod-a"].exists(Ref(SERVICE, "acme--shop", "web"))
    app.refresh_from_db()
    app.components = [component("api", "worker")]
    app.declare(by="bob")
    roll_out(fleet)
    assert [ref.name for ref in fleet["prod-a"].refs(DEPLOYMENT)] == ["api"]
    assert fleet["prod-a"].refs(SERVICE) == []


def test_a_service_goes_when_no_port_is_exposed_any_more(shop, fleet):
    app = App(project=shop, name="site", components=[component(ports=EXPOSED)])
    app.declare(by="bob")
    roll_out(fleet)
    app.refresh_from_db()
    app.components = [component(ports=[{"port": 80}])]
    app.declare(by="bob")
    roll_out(fleet)
    assert fleet["prod-a"].refs(SERVICE) == []
    assert fleet["prod-a"].refs(DEPLOYMENT) == [WEB]


def test_it_shows_why_a_rollout_failed_and_heals(deployed, fleet):
    failed = {
        "type": "Progressing",
        "status": "False",
        "reason": "ProgressDeadlineExceeded",
        "message": "It has timed out progressing.",
    }
    report(fleet["prod-a"], WEB, availableReplicas=0, conditions=[failed])
    look()
    ready = condition(deployed, "Ready")
    assert (deployed.phase, ready["reason"]) == ("Error", "RolloutFailed")
    assert "web: It has timed out progressing." in ready["message"]
    roll_out(fleet)
    deployed.refresh_from_db()
    assert deployed.phase == "Deployed"


def test_a_foreign_deployment_of_the_same_name_is_never_adopted(shop, fleet):
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "acme--shop"},
        "spec": {"replicas": 7},
    }
    fleet["prod-a"].apply_as("kubectl", WEB, body)
    app = App(project=shop, name="site", components=[component()])
    app.declare(by="bob")
    settle()
    assert condition(app, "Synced")["reason"] == "Taken"
    assert deployment(fleet["prod-a"])["spec"] == {"replicas": 7}


def test_a_changed_image_is_set_back_and_told(deployed, fleet):
    def hack(body):
        body["spec"]["template"]["spec"]["containers"][0]["image"] = "evil:1"

    fleet["prod-a"].edit(WEB, "kubectl-set", hack)
    roll_out(fleet)
    container = deployment(fleet["prod-a"])["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "nginx:1.27"
    event = Event.objects.get(reason="DriftRepaired")
    assert event.actor == "kubectl-set"
    assert ".spec.template.spec.containers[name=web].image" in event.message


def test_deletion_leaves_nothing_behind(deployed, fleet):
    deployed.request_deletion(by="bob")
    settle()
    assert not App.objects.exists()
    assert not AppPlacement.objects.exists()
    assert fleet["prod-a"].refs(DEPLOYMENT) == []


def test_its_apps_go_before_a_project_does(deployed, fleet):
    deployed.project.request_deletion(by="alice")
    settle()
    assert not App.objects.exists()
    assert not Project.objects.exists()


# --- What is refused.


def test_a_component_name_belongs_to_one_app_of_the_project(site, shop):
    other = App(project=shop, name="other", components=[component("api"), component("web")])
    assert errors_of(other) == {"components": [("taken", (1, "name"))]}
    with pytest.raises(ValidationError, match="App site has a component of this name"):
        other.declare(by="bob")


def test_another_project_may_use_the_name(site, acme):
    lab = Project(tenant=acme, name="lab")
    lab.declare(by="alice")
    assert App(project=lab, name="site", components=[component()]).declare(by="bob")


def test_an_app_keeps_its_own_names(deployed):
    deployed.description = "the shop"
    assert deployed.declare(by="bob")


def test_a_name_that_was_taken_meanwhile_is_refused_in_the_transaction(shop):
    late = App(project=shop, name="late", components=[component("web")])

    def overtake(instance, **kwargs):
        if instance is late:
            App(project=shop, name="early", components=[component("web")]).declare(by="alice")

    pre_save.connect(overtake, sender=App)
    try:
        assert errors_of(late) == {"components": [("taken", (0, "name"))]}
    finally:
        pre_save.disconnect(overtake, sender=App)
    assert not App.objects.filter(name="late").exists()


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        pytest.param({"name": "a--b"}, {"name": [("name", None)]}, id="name"),
        pytest.param(
            {"labels": {"app.oam.dev/name": "x"}},
            {"labels": [("label", ("app.oam.dev/name",))]},
            id="a reserved label",
        ),
        pytest.param({"components": []}, {"components": [("blank", None)]}, id="no components"),
        pytest.param(
            {"components": [component(image="")]},
            {"components": [("pattern", (0, "properties", "image"))]},
            id="a component",
        ),
        pytest.param(
            {"placement": {"clusters": ["prod-a", "prod-z"]}},
            {"placement": [("unknown", ("clusters", 1))]},
            id="a cluster that the project is not placed on",
        ),
        pytest.param(
            {"health_deadline": 5}, {"health_deadline": [("min_value", None)]}, id="deadline"
        ),
    ],
)
def test_it_refuses(shop, columns, expected):
    app = App(**{"project": shop, "name": "site", "components": [component()], **columns})
    assert errors_of(app) == expected


def test_a_project_on_its_way_out_takes_no_apps(shop):
    shop.request_deletion(by="alice")
    with pytest.raises(Deleting):
        App(project=shop, name="site", components=[component()]).declare(by="bob")


def test_a_cluster_that_cannot_run_apps_is_named(shop, prod):
    prod.capabilities.filter(name="delivery.native").update(served=False, reason="no Deployments")
    with pytest.raises(Unserved) as caught:
        App(project=shop, name="site", components=[component()]).declare(by="bob")
    assert caught.value.extra["capability"] == "delivery.native"
    assert caught.value.extra["cluster"] == "prod-a"
    assert not App.objects.exists()


# --- Who sees and may.


@pytest.mark.parametrize(
    ("name", "sees", "may"),
    [
        ("alice", True, True),
        ("bob", True, True),
        ("carol", True, False),
        ("charlie", False, False),
        ("olga", True, True),
    ],
)
@pytest.mark.parametrize("action", ["change", "delete", "rollback"])
def test_who_sees_it_and_may(site, people, name, sees, may, action):
    user = people[name]
    assert App.objects.visible_to(user).exists() is sees
    assert site.may(user, "view") is sees
    assert site.may(user, action) is may


def test_who_was_deactivated_sees_and_may_nothing(site, people):
    for user in people.values():
        user.is_active = False
        user.save()
        assert not App.objects.visible_to(user).exists()
        assert not site.may(user, "change")
