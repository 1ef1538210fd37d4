"""Tenants and projects over HTTP: who may create, change and see them, and what is refused."""

import pytest
from rest_framework.test import APIClient

from clusters.models import Capability, Cluster
from reconcile.models import Event, Work
from tenancy.models import Project, ProjectPlacement, QuotaEntry, Tenant
from tests.api.conftest import pointers, problem, signed_in
from tests.people import person

pytestmark = pytest.mark.django_db
TENANTS = "/api/v1/tenants"


def cluster(name: str, **labels: str) -> Cluster:
    """A registered cluster whose baseline has not been seen yet."""
    row = Cluster(name=name, labels=labels, server=f"https://{name}.example.org")
    row.declare(by="olga")
    return row


@pytest.fixture
def as_olga(olga) -> APIClient:
    return signed_in(olga)


@pytest.fixture
def as_alice(acme) -> APIClient:
    return signed_in(person("alice"))


def test_it_creates_a_tenant_at_once_and_pending(as_olga, alice):
    answer = as_olga.post(TENANTS, {"name": "acme", "owners": ["alice"]}, format="json")
    body = answer.json()
    assert answer.status_code == 201
    assert answer["Location"] == f"{TENANTS}/acme"
    assert (body["generation"], body["status"]["observed_generation"]) == (1, 0)
    assert (body["status"]["phase"], body["owners"]) == ("Pending", ["alice"])


def test_it_answers_the_same_post_with_the_same_tenant(as_olga, alice):
    body = {"name": "acme", "owners": ["alice"], "quota": {"pods": "5"}}
    first = as_olga.post(TENANTS, body, format="json")
    again = as_olga.post(TENANTS, body, format="json")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["uid"] == again.json()["uid"]
    assert again.json()["generation"] == 1


def test_it_names_the_fields_in_which_a_taken_name_differs(as_olga, acme):
    answer = as_olga.post(TENANTS, {"name": "acme", "quota": {"pods": "5"}}, format="json")
    assert pointers(problem(answer, 409, "KN-CONFLICT")) == ["/quota"]


def test_it_places_a_tenant_by_name_and_by_label(as_olga):
    for name, region in (("prod-a", "eu"), ("prod-b", "eu"), ("prod-c", "us")):
        cluster(name, region=region)
    placement = {"clusters": ["prod-c"], "selector": {"region": "eu"}}
    answer = as_olga.post(TENANTS, {"name": "acme", "placement": placement}, format="json")
    placed = [each["cluster"] for each in answer.json()["status"]["placements"]]
    assert placed == ["prod-a", "prod-b", "prod-c"]
    assert Work.objects.filter(kind="tenancy.tenantplacement").count() == 3


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        pytest.param({"name": "Acme"}, "/name", id="upper case"),
        pytest.param({"name": "a--b"}, "/name", id="two hyphens join tenant and project"),
        pytest.param({"name": "a" * 41}, "/name", id="too long for a namespace"),
        pytest.param({"quota": {"pods": "many"}}, "/quota/pods", id="no quantity"),
        pytest.param({"quota": {"pods": 5}}, "/quota/pods", id="a number is no quantity"),
        pytest.param({"quota": {"unicorns": "5"}}, "/quota/unicorns", id="no such resource"),
        pytest.param({"quota": {"count/a b": "5"}}, "/quota/count~1a b", id="a slash in a key"),
        pytest.param({"limits": {"most": {}}}, "/limits/most", id="no such limit"),
        pytest.param({"isolation": "total"}, "/isolation", id="no such preset"),
        pytest.param({"owners": ["nobody"]}, "/owners/0", id="no such user"),
        pytest.param({"placement": {"clusters": ["x"]}}, "/placement", id="no such cluster"),
        pytest.param({"placement": {"regions": []}}, "/placement/regions", id="unknown key"),
        pytest.param({"colour": "red"}, "/colour", id="unknown field"),
        pytest.param(
            {"labels": {"kubenova.io/tenant": "x"}}, "/labels/kubenova.io~1tenant", id="A5 reserved"
        ),
        pytest.param(
            {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}},
            "/labels/pod-security.kubernetes.io~1enforce",
            id="A5 pod security",
        ),
    ],
)
def test_it_points_at_what_is_wrong(as_olga, body, pointer):
    answer = as_olga.post(TENANTS, {"name": "acme", **body}, format="json")
    assert pointer in pointers(problem(answer, 400, "KN-INVALID"))
    assert not Tenant.objects.exists()


def test_it_refuses_a_placement_that_a_cluster_cannot_serve(as_olga):
    row = cluster("prod-a")
    Capability.objects.create(
        cluster=row, name="tenancy.native", version="v1.29", reason="Too old."
    )
    able = cluster("prod-b")
    Capability.objects.create(cluster=able, name="tenancy.native", version="v1.36", served=True)
    body = {"name": "acme", "placement": {"clusters": ["prod-a"]}}
    found = problem(as_olga.post(TENANTS, body, format="json"), 422, "KN-CAPABILITY")
    assert (found["capability"], found["found"]) == ("tenancy.native", "v1.29")
    assert found["clusters"] == ["prod-b"]
    assert not Tenant.objects.exists()


def test_it_lets_only_operators_change_quota_and_placement(as_alice):
    answer = as_alice.patch(f"{TENANTS}/acme", {"quota": {"pods": "999"}}, format="json")
    assert "quota" in problem(answer, 403, "KN-FORBIDDEN")["detail"]
    assert Tenant.objects.get().quota == {}


def test_it_lets_a_tenant_admin_change_what_is_hers(as_alice):
    answer = as_alice.patch(f"{TENANTS}/acme", {"labels": {"team": "blue"}}, format="json")
    assert (answer.status_code, answer.json()["generation"]) == (200, 2)


def test_it_lets_tenant_admins_create_projects_and_nobody_else(acme):
    url = f"{TENANTS}/acme/projects"
    for name, status in (("bob", 403), ("carol", 403), ("charlie", 404), ("alice", 201)):
        answer = signed_in(person(name)).post(url, {"name": "shop"}, format="json")
        assert answer.status_code == status, name
    assert Project.objects.get().namespace == "acme--shop"


def test_it_does_not_let_members_create_tenants(acme):
    answer = signed_in(person("alice")).post(TENANTS, {"name": "mine"}, format="json")
    problem(answer, 403, "KN-FORBIDDEN")


def test_it_makes_whoever_creates_a_tenant_by_permission_its_owner(bob):
    from django.contrib.auth.models import Permission

    bob.user_permissions.add(Permission.objects.get(codename="add_tenant"))
    answer = signed_in(person("bob")).post(TENANTS, {"name": "bobs"}, format="json")
    assert (answer.status_code, answer.json()["owners"]) == (201, ["bob"])


def test_it_shares_the_quota_anew_when_a_project_comes(as_olga):
    cluster("prod-a")
    body = {"name": "acme", "quota": {"pods": "5"}, "placement": {"clusters": ["prod-a"]}}
    as_olga.post(TENANTS, body, format="json")
    for name in ("one", "two"):
        as_olga.post(f"{TENANTS}/acme/projects", {"name": name}, format="json")
    rows = QuotaEntry.objects.order_by("project__name")
    # No cluster was told anything yet: all of it is free.
    assert list(rows.values_list("target", "granted", "held")) == [("3", "3", "3"), ("2", "2", "2")]


def test_it_waits_for_what_a_cluster_was_told_of_the_quota(as_olga):
    cluster("prod-a")
    body = {"name": "acme", "quota": {"pods": "5"}, "placement": {"clusters": ["prod-a"]}}
    as_olga.post(TENANTS, body, format="json")
    as_olga.post(f"{TENANTS}/acme/projects", {"name": "one"}, format="json")
    ProjectPlacement.objects.update(chosen_adapter="tenancy.native")  # its first step has begun
    as_olga.post(f"{TENANTS}/acme/projects", {"name": "two"}, format="json")
    rows = QuotaEntry.objects.order_by("project__name")
    # The second gets its part once the cluster has taken it from the first.
    assert list(rows.values_list("target", "granted", "held")) == [("3", "3", "5"), ("2", "0", "0")]


def test_it_deletes_from_the_inside_out(as_olga, acme):
    as_olga.post(f"{TENANTS}/acme/projects", {"name": "shop"}, format="json")
    answer = as_olga.delete(f"{TENANTS}/acme?confirm=acme")
    assert (answer.status_code, answer.json()["deleting"]) == (202, True)
    assert Project.objects.get().deleting
    assert as_olga.get(f"{TENANTS}/acme").json()["deleting"]
    again = as_olga.post(TENANTS, {"name": "acme"}, format="json")
    problem(again, 409, "KN-DELETING")
    more = as_olga.post(f"{TENANTS}/acme/projects", {"name": "more"}, format="json")
    problem(more, 409, "KN-DELETING")


def test_it_refuses_to_let_a_tenant_admin_delete_the_tenant(as_alice):
    problem(as_alice.delete(f"{TENANTS}/acme"), 403, "KN-FORBIDDEN")


def test_it_hides_a_tenant_from_strangers_as_if_it_were_not_there(acme, charlie):
    client = signed_in(charlie)
    for path in ("", "/members", "/projects", "/projects/shop"):
        headers = {"HTTP_X_CORRELATION_ID": "same"}
        foreign = client.get(f"{TENANTS}/acme{path}", **headers)
        missing = client.get(f"{TENANTS}/nothing{path}", **headers)
        assert foreign.status_code == 404
        assert foreign.content == missing.content


def test_it_tells_of_events_only_to_members(acme, charlie):
    assert Event.objects.filter(tenant="acme").exists()
    seen = signed_in(person("carol")).get("/api/v1/events").json()["items"]
    assert {each["tenant"] for each in seen} == {"acme"}
    assert signed_in(charlie).get("/api/v1/events").json()["items"] == []


def test_it_finds_what_happened_by_correlation_id(as_olga):
    headers = {"HTTP_X_CORRELATION_ID": "the-first-tenant"}
    as_olga.post(TENANTS, {"name": "acme"}, format="json", **headers)
    as_olga.post(TENANTS, {"name": "globex"}, format="json")
    found = as_olga.get("/api/v1/events?correlation_id=the-first-tenant").json()["items"]
    reasons = [(each["name"], each["reason"]) for each in found]
    assert reasons == [("Tenant acme", "Created"), ("Tenant acme", "Requested")]
    assert found[1]["data"] == {"method": "POST", "path": TENANTS}
    assert found[1]["actor"] == "olga"
