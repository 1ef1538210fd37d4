"""Simulations over HTTP: who may, what is refused, what is told."""

import pytest

from policies.models import Simulation
from tests.api.conftest import pointers, problem
from tests.policies.conftest import SETS, attach, make_set
from tests.policies.simulated import HUB, deployment
from tests.policies.test_simulating import rest

pytestmark = pytest.mark.django_db
SIMULATE, ALL = f"{SETS}/strict:simulate", f"{SETS}/strict/simulations"


@pytest.fixture
def bound(fleet, shop):
    deployment(fleet, "bad", "nginx")
    deployment(fleet, "bad-too", "nginx:2")
    deployment(fleet, "good", "r.example.org/web")
    row = attach(make_set(**HUB), mode="audit")
    rest()
    return row


def test_it_is_begun_followed_and_read(as_, bound):
    begun = as_("olga").post(SIMULATE, {"attachment": "everyone"})
    assert begun.status_code == 202 and begun.json()["state"] == "running"
    rest()
    found = as_("olga").get(begun["Location"]).json()
    assert (found["state"], found["version"], found["objects"]) == ("done", 1, 3)
    assert found["counts"] == {"denied": 2, "predicted": 0, "unjudged": 0}
    assert found["by_tenant"] == [{"value": "acme", "verdict": "denied", "count": 2}]
    assert found["by_kind"][0]["value"] == "Deployment"
    assert found["by_rule"][0]["value"] == "image_registries"
    assert found["sample"][0]["message"] == "The image nginx is not allowed here."
    (cluster,) = found["clusters"]
    assert (cluster["cluster"], cluster["namespaces_done"], cluster["namespaces"]) == (
        *("prod-a", 1),
        1,
    )


def test_they_are_listed_and_their_findings_paged(as_, bound):
    client = as_("olga")
    first = client.post(SIMULATE, {"tenants": ["acme"]}).json()["uid"]
    second = client.post(SIMULATE, {"every_tenant": True, "version": 1}).json()["uid"]
    rest()
    assert [each["uid"] for each in client.get(ALL).json()["items"]] == [second, first]
    page = client.get(f"{ALL}/{first}/findings?limit=1").json()
    assert [each["name"] for each in page["items"]] == ["bad"]
    assert [each["name"] for each in client.get(page["next"]).json()["items"]] == ["bad-too"]


def test_an_older_version_is_simulated_as_well(as_, bound):
    client = as_("olga")
    client.put(f"{SETS}/strict", {"rules": {}})
    begun = client.post(SIMULATE, {"version": 1, "attachment": "everyone"})
    rest()
    assert client.get(begun["Location"]).json()["counts"]["denied"] == 2


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/attachment"),
        ({"attachment": "everyone", "tenants": ["acme"]}, "/attachment"),
        ({"attachment": "other"}, "/attachment"),
        ({"version": 9, "tenants": ["acme"]}, "/version"),
        ({"tenants": ["unknown"]}, "/tenants"),
        ({"tenant_selector": "a in ("}, "/tenant_selector"),
        ({"tenants": ["acme"], "mode": "warn"}, "/mode"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(as_, bound, body, pointer):
    answer = as_("olga").post(SIMULATE, body)
    assert pointers(problem(answer, 400, "KN-INVALID")) == [pointer]
    assert not Simulation.objects.exists()


def test_the_same_key_begins_one(as_, bound):
    keyed = {"headers": {"Idempotency-Key": "once"}}
    answers = [as_("olga").post(SIMULATE, {"tenants": ["acme"]}, **keyed) for _ in range(2)]
    assert answers[0].json()["uid"] == answers[1].json()["uid"]
    assert Simulation.objects.count() == 1


def test_members_may_not_and_strangers_find_nothing(as_, bound):
    uid = as_("olga").post(SIMULATE, {"tenants": ["acme"]}).json()["uid"]
    rest()
    paths = (ALL, f"{ALL}/{uid}", f"{ALL}/{uid}/findings")
    for name, status in (("alice", 403), ("charlie", 404)):
        assert as_(name).post(SIMULATE, {"tenants": ["acme"]}).status_code == status
        assert [as_(name).get(path).status_code for path in paths] == [status] * 3


def test_operators_read_them_in_the_admin(as_, bound, admin_client):
    as_("olga").post(SIMULATE, {"tenants": ["acme"]})
    row = Simulation.objects.get()
    shown = admin_client.get("/admin/policies/simulation/").content.decode()
    assert "Simulation of version 1 of PolicySet strict" in shown
    page = admin_client.get(f"/admin/policies/simulation/{row.pk}/change/")
    assert page.status_code == 200 and 'name="_save"' not in page.content.decode()
