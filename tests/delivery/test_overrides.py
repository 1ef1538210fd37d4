"""Overrides and environment of apps: from the request to what each cluster runs."""

import pytest

from clusters.models import Cluster
from delivery.models import App
from tenancy.models import Project, Tenant
from tests.clusters.steps import settle
from tests.delivery.controllers import deployment, roll_out
from tests.delivery.paths import APPS, BODY, SITE, pointers
from tests.delivery.samples import component, with_traits
from tests.people import make_acme

TWO = ("prod-a", "prod-b")
CALM = {"components": [{"name": "web", "properties": {"image": "nginx:1.26"}}]}
MANY = {
    "components": [{"name": "web", "traits": [{"type": "scaler", "properties": {"replicas": 3}}]}]
}


@pytest.fixture
def two(fleet, people) -> Project:
    """acme/shop on prod-a in eu and prod-b in us."""
    for name, region in (("prod-a", "eu"), ("prod-b", "us")):
        fleet.register(name, labels={"region": region})
    tenant = make_acme(placement={"clusters": [*TWO]})
    project = Project(tenant=tenant, name="shop")
    project.declare(by="alice")
    settle()
    return project


def posted(client, **rest):
    return client.post(APPS, {**BODY, **rest}, format="json")


def running(fleet, cluster):
    """Image, variables and replicas of `web` on a cluster."""
    spec = deployment(fleet[cluster])["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    env = {each["name"]: each.get("value") for each in container.get("env", [])}
    return container["image"], env, spec["replicas"]


# --- What each cluster runs.


def test_each_cluster_runs_its_own_version_of_a_component(two, as_, fleet):
    answer = posted(
        as_("bob"),
        environment=[{"name": "REGION", "value": "any"}],
        overrides=[
            {
                "selector": {"region": "eu"},
                "environment": [{"name": "REGION", "value": "eu"}],
                **CALM,
            },
            {"clusters": ["prod-b"], **MANY},
        ],
    )
    assert answer.status_code == 201, answer.json()
    roll_out(fleet, *TWO)
    assert running(fleet, "prod-a") == ("nginx:1.26", {"REGION": "eu"}, 1)
    assert running(fleet, "prod-b") == ("nginx:1.27", {"REGION": "any"}, 3)
    rollout = as_("bob").get(f"{SITE}/rollout").json()["clusters"]
    assert [each["components"][0]["wanted"] for each in rollout] == [1, 3]


def test_labels_that_a_cluster_gets_later_bring_its_overrides(two, as_, fleet):
    posted(as_("bob"), overrides=[{"selector": {"tier": "edge"}, **CALM}])
    roll_out(fleet, *TWO)
    assert running(fleet, "prod-b")[0] == "nginx:1.27"
    cluster = Cluster.objects.get(name="prod-b")
    cluster.labels = {"region": "us", "tier": "edge"}
    cluster.declare(by="olga")
    roll_out(fleet, *TWO)
    assert [running(fleet, name)[0] for name in TWO] == ["nginx:1.27", "nginx:1.26"]
    assert App.objects.get().revision == 1, "the app is as it was declared"


def test_labels_that_bring_together_what_does_not_match_keep_what_runs(two, as_, fleet):
    scaled = {"components": [{"name": "web", "traits": [{"type": "hpa"}]}]}
    overrides = [{"selector": {"region": "us"}, **MANY}, {"selector": {"tier": "edge"}, **scaled}]
    assert posted(as_("bob"), overrides=overrides).status_code == 201
    roll_out(fleet, *TWO)
    cluster = Cluster.objects.get(name="prod-b")
    cluster.labels = {"region": "us", "tier": "edge"}
    cluster.declare(by="olga")
    settle()
    row = App.objects.get().placements.get(cluster__name="prod-b")
    (synced,) = (each for each in row.conditions if each["type"] == "Synced")
    assert synced["reason"] == "WaitingForOverrides" and "hpa" in synced["message"]
    assert running(fleet, "prod-b")[2] == 3
    cluster.labels = {"region": "us"}
    cluster.declare(by="olga")
    roll_out(fleet, *TWO)
    row.refresh_from_db()
    assert row.phase == "Deployed"


# --- They are part of revisions.


def test_they_make_a_revision_and_come_back_with_it(deployed, as_, fleet):
    bob = as_("bob")
    change = {"environment": [{"name": "A", "value": "1"}], "overrides": []}
    assert bob.patch(SITE, change, format="json").json()["revision"] == 2
    assert bob.patch(SITE, change, format="json").json()["revision"] == 2
    overrides = [{"clusters": ["prod-a"], **CALM}]
    assert bob.patch(SITE, {"overrides": overrides}, format="json").json()["revision"] == 3
    assert bob.post(f"{SITE}:rollback", {"revision": 1}, format="json").status_code == 202
    shown = bob.get(SITE).json()
    assert (shown["environment"], shown["overrides"], shown["revision"]) == ([], [], 4)
    assert bob.post(f"{SITE}/revisions/3:unblock").status_code == 202
    assert bob.post(f"{SITE}:rollback", {"revision": 3}, format="json").status_code == 202
    roll_out(fleet)
    assert running(fleet, "prod-a")[:2] == ("nginx:1.26", {"A": "1"})


def test_a_revision_tells_them_and_a_diff_names_what_differs(site, as_):
    bob = as_("bob")
    environment, overrides = [{"name": "A", "value": "1"}], [{"clusters": ["prod-a"], **CALM}]
    bob.patch(SITE, {"environment": environment, "overrides": overrides}, format="json")
    shown = bob.get(f"{SITE}/revisions/2").json()
    assert (shown["environment"], shown["overrides"]) == (environment, overrides)
    before = bob.get(f"{SITE}/revisions/1").json()
    assert (before["environment"], before["overrides"]) == ([], [])
    diff = bob.get(f"{SITE}/revisions/2/diff").json()
    assert [each["path"] for each in diff["changes"]] == [["environment"], ["overrides"]]
    assert "+environment:" in diff["text"]


def test_they_are_exported_and_come_back(site, as_):
    bob = as_("bob")
    environment, overrides = [{"name": "A", "value": "1"}], [{"clusters": ["prod-a"], **CALM}]
    bob.patch(SITE, {"environment": environment, "overrides": overrides}, format="json")
    text = bob.get(f"{SITE}/export").content
    bob.patch(SITE, {"environment": None, "overrides": None}, format="json")
    answer = bob.post(f"{APPS}:import", text, content_type="application/yaml")
    assert [each["result"] for each in answer.json()["items"]] == ["changed"]
    app = App.objects.get()
    assert (app.environment, app.overrides) == (environment, overrides)


# --- What is refused.


@pytest.mark.parametrize(
    ("overrides", "place", "code"),
    [
        pytest.param(
            [{"clusters": ["prod-a", "prod-z"], **CALM}], "/0/clusters/1", "unknown", id="cluster"
        ),
        pytest.param(
            [
                {
                    "clusters": ["prod-a"],
                    "components": [{"name": "web", "properties": {"hostPath": "/"}}],
                }
            ],
            "/0/components/0/properties/hostPath",
            "unknown",
            id="property",
        ),
        pytest.param(
            [
                {"clusters": ["prod-a"], **MANY},
                {
                    "clusters": ["prod-a"],
                    "components": [{"name": "web", "traits": [{"type": "hpa"}]}],
                },
            ],
            "/1/components/0/traits/0/type",
            "conflict",
            id="together",
        ),
    ],
)
def test_a_wrong_override_is_refused_with_its_place(bobs, overrides, place, code):
    answer = posted(bobs, overrides=overrides)
    assert answer.status_code == 400 and pointers(answer) == {f"/overrides{place}": code}
    assert not App.objects.exists()


def test_an_override_of_a_cluster_that_the_project_left_may_stay(two, as_, fleet):
    bob = as_("bob")
    posted(bob, overrides=[{"clusters": ["prod-b"], **CALM}])
    tenant = Tenant.objects.get()
    tenant.placement = {"clusters": ["prod-a"]}
    tenant.declare(by="olga")
    settle()
    answer = bob.patch(SITE, {"components": [component(image="nginx:1.28")]}, format="json")
    assert answer.status_code == 200, answer.json()


SOURCE = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}


@pytest.mark.parametrize(
    ("column", "value", "place"),
    [
        ("environment", [SOURCE], "/environment/0"),
        (
            "overrides",
            [{"clusters": ["prod-a"], "environment": [SOURCE]}],
            "/overrides/0/environment/0",
        ),
    ],
    ids=["environment", "overrides"],
)
def test_they_refer_to_secrets_of_the_project_alone(bobs, fleet, column, value, place):
    answer = posted(bobs, **{column: value})
    assert pointers(answer) == {f"{place}/valueFrom/secretKeyRef/name": "unknown"}
    secret = "/api/v1/tenants/acme/projects/shop/secrets/db"
    bobs.put(secret, {"data": {"password": "one"}}, format="json")
    assert posted(bobs, **{column: value}).status_code == 201
    settle()
    template = deployment(fleet["prod-a"])["spec"]["template"]
    assert template["metadata"]["annotations"]["kubenova.io/secrets"] == "db=1"
    assert bobs.delete(secret).status_code == 409, "an app refers to it"


def test_a_trait_is_left_out_where_it_is_disabled(two, as_, fleet):
    disabled = {"name": "web", "traits": [{"type": "scaler", "disable": True}]}
    posted(
        as_("bob"),
        components=[with_traits(component(), scaler={"replicas": 4})],
        overrides=[{"clusters": ["prod-b"], "components": [disabled]}],
    )
    settle()
    assert [running(fleet, name)[2] for name in TWO] == [4, 1]
