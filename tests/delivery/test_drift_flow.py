"""Drift from a cluster to a person and back: seen over the API, decided about, carried out."""

import pytest
from rest_framework.test import APIClient

from delivery.adapters.native import DEPLOYMENT
from delivery.models import App
from reconcile.models import Decision, Drift
from reconcile.values import JSON, Ref
from tenancy.models import Tenant
from tests.api.conftest import problem
from tests.delivery.controllers import deployment, roll_out
from tests.delivery.samples import component, with_traits
from tests.fleet import Fleet

WEB = Ref(DEPLOYMENT, "acme--shop", "web")
DRIFT = "/api/v1/drift"


@pytest.fixture
def manual(deployed: App, acme: Tenant, fleet: Fleet) -> App:
    """The app of a tenant that wants to see drift before anything is done about it."""
    acme.repair_mode = "manual"
    acme.declare(by="alice")
    deployed.components = [with_traits(component(), scaler={"replicas": 3})]
    deployed.declare(by="bob")
    roll_out(fleet)
    return deployed


def scaled(fleet: Fleet, replicas: int = 1) -> None:
    """Somebody scales the Deployment by kubectl; the watcher sees it."""

    def edit(body: JSON) -> None:
        body["spec"]["replicas"] = replicas

    fleet["prod-a"].edit(WEB, "kubectl-edit", edit)
    roll_out(fleet)


def replicas(fleet: Fleet) -> int:
    return int(deployment(fleet["prod-a"])["spec"]["replicas"])


def the_one(client: APIClient, query: str = "state=open") -> JSON:
    """The one difference that there is."""
    (found,) = client.get(f"{DRIFT}?{query}").json()["items"]
    return dict(found)


def phase(client: APIClient) -> str:
    return str(client.get("/api/v1/apps/site").json()["status"]["phase"])


def test_what_is_repaired_at_once_is_told_afterwards(deployed, fleet, as_) -> None:
    scaled(fleet, 7)
    assert replicas(fleet) == 1
    found = the_one(as_("carol"), "state=resolved")
    assert (found["path"], found["found"], found["wanted"]) == (".spec.replicas", 7, 1)
    assert (found["resolution"], found["actor"], found["class"]) == (
        "repaired",
        "kubectl-edit",
        "human",
    )
    assert as_("carol").get(f"{DRIFT}?state=open").json()["items"] == []


def test_what_is_shown_first_is_repaired_when_somebody_asks(manual, fleet, as_) -> None:
    scaled(fleet)
    client = as_("bob")
    assert (replicas(fleet), phase(client)) == (1, "Drifted")
    found = the_one(client)
    assert client.post(f"{DRIFT}/{found['uid']}:repair").status_code == 202
    roll_out(fleet)
    assert (replicas(fleet), phase(client)) == (3, "Deployed")
    assert the_one(client, "state=resolved")["resolution"] == "repaired"


def test_what_is_accepted_is_wanted_until_the_spec_moves_on(manual, fleet, as_) -> None:
    scaled(fleet)
    client = as_("bob")
    body = {"object": {"kind": "Deployment", "name": "web"}, "pointer": "/spec/replicas"}
    answer = client.post("/api/v1/apps/site:accept", body, format="json")
    assert answer.json() == {"count": 1}
    roll_out(fleet)
    assert (replicas(fleet), phase(client)) == (1, "Deployed")
    (decision,) = client.get("/api/v1/apps/site/decisions").json()["items"]
    assert (decision["base"], decision["value"], decision["author"]) == (3, 1, "bob")
    manual.refresh_from_db()
    manual.components = [with_traits(component(), scaler={"replicas": 5})]
    manual.declare(by="bob")
    roll_out(fleet)
    assert (replicas(fleet), Decision.objects.count()) == (5, 0)


def test_what_is_ignored_is_left_until_that_is_revoked(manual, fleet, as_) -> None:
    scaled(fleet)
    client = as_("bob")
    body = {"uids": [the_one(client)["uid"]], "reason": "A load test."}
    assert client.post(f"{DRIFT}:ignore", body, format="json").json() == {"count": 1}
    roll_out(fleet)
    assert (replicas(fleet), phase(client)) == (1, "Deployed")
    (rule,) = client.get("/api/v1/apps/site/decisions").json()["items"]
    assert client.delete(f"/api/v1/apps/site/decisions/{rule['uid']}").status_code == 204
    roll_out(fleet)
    assert phase(client) == "Drifted"
    assert client.post(f"{DRIFT}:repair", {"filter": {"app": "site"}}, format="json").json() == {
        "count": 1
    }
    roll_out(fleet)
    assert (replicas(fleet), phase(client)) == (3, "Deployed")


def test_a_rule_that_was_declared_up_front_keeps_drift_away(manual, fleet, as_) -> None:
    client = as_("bob")
    rule = {
        "object": {"kind": "Deployment"},
        "pointer": "/spec/replicas",
        "reason": "It is scaled by hand.",
    }
    assert client.post("/api/v1/apps/site/decisions", rule, format="json").status_code == 201
    scaled(fleet, 2)
    assert (replicas(fleet), phase(client)) == (2, "Deployed")
    assert not Drift.objects.open().exists()


def test_a_missing_object_is_shown_and_made_anew(manual, fleet, as_) -> None:
    fleet["prod-a"].remove(WEB)
    roll_out(fleet)
    client = as_("bob")
    found = the_one(client)
    assert (found["class"], found["path"], found["object"]["name"]) == ("missing", "", "web")
    problem(client.post(f"{DRIFT}/{found['uid']}:accept"), 409, "KN-CONFLICT")
    assert client.post("/api/v1/apps/site:repair").json() == {"count": 1}
    roll_out(fleet)
    assert WEB in fleet["prod-a"].refs(DEPLOYMENT)
    assert not Drift.objects.open().exists()


def test_the_app_has_a_mode_of_its_own(manual, fleet, as_) -> None:
    client = as_("bob")
    answer = client.patch("/api/v1/apps/site", {"repair_mode": "auto"}, format="json")
    assert answer.status_code == 200
    assert client.get("/api/v1/apps/site/rollout").json()["repair_mode"] == "auto"
    roll_out(fleet)
    scaled(fleet)
    assert replicas(fleet) == 3
