"""Objects over HTTP: create, read, replace, change, delete, and saying it twice."""

import pytest

from reconcile.models import Event, Work
from tenancy.models import Tenant
from tests.api.conftest import pointers, problem
from tests.people import make_acme

pytestmark = pytest.mark.django_db
TENANT = {"name": "initech", "labels": {"team": "a"}, "isolation": "isolated"}


def test_create_answers_201_with_location_and_etag(as_olga):
    answer = as_olga.post("/api/v1/tenants", TENANT)
    assert answer.status_code == 201
    assert answer["Location"] == "/api/v1/tenants/initech"
    assert answer["ETag"] == '"1"'
    assert as_olga.get(answer["Location"]).json() == answer.json()


def test_a_body_is_flat_with_what_is_observed_under_status(as_olga):
    body = as_olga.post("/api/v1/tenants", TENANT).json()
    assert {"name", "labels", "uid", "generation", "deleting", "created_at", "updated_at"} <= set(
        body
    )
    assert (body["name"], body["labels"], body["generation"]) == ("initech", {"team": "a"}, 1)
    assert body["deleting"] is False
    status = body["status"]
    assert {"phase", "conditions", "observed_generation", "placements"} <= set(status)
    assert (status["phase"], status["observed_generation"]) == ("Pending", 0)


def test_the_same_post_again_answers_200_with_the_same_object(as_olga):
    first = as_olga.post("/api/v1/tenants", TENANT)
    second = as_olga.post("/api/v1/tenants", TENANT)
    assert second.status_code == 200
    assert second.json() == first.json()
    assert Tenant.objects.count() == 1
    assert Event.objects.filter(reason="Created").count() == 1


def test_a_different_post_for_a_visible_name_names_the_fields_that_differ(as_olga):
    as_olga.post("/api/v1/tenants", TENANT)
    other = {**TENANT, "labels": {"team": "b"}, "description": "another"}
    body = problem(as_olga.post("/api/v1/tenants", other), 409, "KN-CONFLICT")
    assert sorted(pointers(body)) == ["/description", "/labels"]
    assert Tenant.objects.get().labels == {"team": "a"}


def test_a_name_that_the_caller_may_not_see_is_taken_and_no_more_is_said(as_charlie, charlie, acme):
    from django.contrib.auth.models import Permission

    charlie.user_permissions.add(Permission.objects.get(codename="add_tenant"))
    same = problem(as_charlie.post("/api/v1/tenants", {"name": "acme"}), 409, "KN-TAKEN")
    other = problem(
        as_charlie.post("/api/v1/tenants", {"name": "acme", "description": "x"}), 409, "KN-TAKEN"
    )
    assert same | {"correlation_id": ""} == other | {"correlation_id": ""}
    assert same["errors"] == [] and "acme" not in same["detail"]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        pytest.param({"name": "Acme"}, ["/name"], id="name"),
        pytest.param({"name": "a--b"}, ["/name"], id="double hyphen"),
        pytest.param({"name": None}, ["/name"], id="null name"),
        pytest.param({"name": 7}, ["/name"], id="number name"),
        pytest.param({"name": ""}, ["/name"], id="empty name"),
        pytest.param({"name": "x" * 41}, ["/name"], id="long name"),
        pytest.param(
            {"labels": {"kubenova.io/owner": "x"}}, ["/labels/kubenova.io~1owner"], id="A5"
        ),
        pytest.param({"labels": {"a": 1, "b c": "x"}}, ["/labels/a", "/labels/b c"], id="labels"),
        pytest.param({"labels": []}, ["/labels"], id="labels a list"),
        pytest.param({"labels": None}, ["/labels"], id="labels null"),
        pytest.param({"labels": {"": "x"}}, ["/labels/"], id="empty label"),
        pytest.param({"nonsense": 1, "more/": 2}, ["/more~1", "/nonsense"], id="unknown fields"),
        pytest.param({"nonsense": 1, "name": "A"}, ["/name", "/nonsense"], id="unknown and wrong"),
        pytest.param({"isolation": "none at all"}, ["/isolation"], id="choice"),
        pytest.param({"isolation": ["isolated"]}, ["/isolation"], id="choice a list"),
        pytest.param({"description": 7}, ["/description"], id="number for text"),
        pytest.param({"placement": {"nodes": []}}, ["/placement/nodes"], id="unknown inside"),
    ],
)
def test_a_wrong_body_is_a_400_that_points_at_all_that_is_wrong(as_olga, changes, wanted):
    body = problem(as_olga.post("/api/v1/tenants", {**TENANT, **changes}), 400, "KN-INVALID")
    assert pointers(body) == wanted
    assert all(each["detail"] for each in body["errors"])
    assert not Tenant.objects.exists()


def test_what_the_model_refuses_points_at_the_field(as_olga):
    body = {**TENANT, "placement": {"clusters": ["nowhere"]}}
    found = problem(as_olga.post("/api/v1/tenants", body), 400, "KN-INVALID")
    assert pointers(found)[0].startswith("/placement")


@pytest.mark.parametrize(
    "extra",
    [
        {"uid": "11111111-1111-4111-8111-111111111111"},
        {"generation": 99},
        {"deleting": True},
        {"created_at": "2000-01-01T00:00:00Z"},
        {"status": {"phase": "Deployed", "observed_generation": 99}},
    ],
    ids=lambda extra: next(iter(extra)),
)
def test_a25_what_is_observed_is_never_taken_from_a_body(as_olga, extra):
    answer = as_olga.post("/api/v1/tenants", {**TENANT, **extra})
    assert answer.status_code == 201
    (name, value), *_ = extra.items()
    assert answer.json()[name] != value
    assert (answer.json()["generation"], answer.json()["status"]["phase"]) == (1, "Pending")


@pytest.mark.parametrize(
    "name",
    [
        "id",
        "pk",
        "phase",
        "conditions",
        "observed_generation",
        "declared_by",
        "correlation_id",
        "deletion_requested_at",
        "members",
        "is_staff",
        "role",
        "memberships",
        "tenant",
    ],
)
def test_a25_columns_are_no_fields(as_olga, name):
    body = problem(as_olga.post("/api/v1/tenants", {**TENANT, name: "x"}), 400, "KN-INVALID")
    assert pointers(body) == [f"/{name}"]


def test_get_returns_the_object_with_its_etag(as_alice):
    answer = as_alice.get("/api/v1/tenants/acme")
    assert answer.status_code == 200 and answer["ETag"] == '"1"'
    assert answer.json()["name"] == "acme"


def test_put_creates_then_replaces_and_resets_what_is_left_out(as_olga):
    first = as_olga.put("/api/v1/tenants/initech", {"labels": {"a": "b"}, "description": "x"})
    assert first.status_code == 201 and first["Location"] == "/api/v1/tenants/initech"
    second = as_olga.put("/api/v1/tenants/initech", {"description": "y"})
    assert second.status_code == 200
    assert (second.json()["labels"], second.json()["description"]) == ({}, "y")
    assert second.json()["generation"] == 2 and second["ETag"] == '"2"'


def test_put_of_what_is_there_changes_nothing(as_olga):
    body = as_olga.post("/api/v1/tenants", TENANT).json()
    marks = Work.objects.get(kind="tenancy.tenant").marks
    answer = as_olga.put("/api/v1/tenants/initech", body)
    assert answer.status_code == 200 and answer.json()["generation"] == 1
    assert Work.objects.get(kind="tenancy.tenant").marks == marks


def test_what_was_read_can_be_edited_and_sent_back(as_olga):
    body = as_olga.post("/api/v1/tenants", TENANT).json()
    answer = as_olga.put("/api/v1/tenants/initech", {**body, "description": "edited"})
    assert answer.status_code == 200 and answer.json()["description"] == "edited"


@pytest.mark.parametrize("kind", ["application/json", "application/merge-patch+json"])
def test_patch_merges(as_alice, kind):
    import json

    def patch(body):
        return as_alice.generic("PATCH", "/api/v1/tenants/acme", json.dumps(body), kind)

    assert patch({"labels": {"a": "1", "b": "2"}, "description": "x"}).json()["labels"] == {
        "a": "1",
        "b": "2",
    }
    merged = patch({"labels": {"a": None, "c": "3"}}).json()
    assert (merged["labels"], merged["description"]) == ({"b": "2", "c": "3"}, "x")
    reset = patch({"labels": None, "description": None}).json()
    assert (reset["labels"], reset["description"], reset["generation"]) == ({}, "", 4)


def test_patch_with_nothing_changes_nothing(as_alice):
    answer = as_alice.patch("/api/v1/tenants/acme", {})
    assert answer.status_code == 200 and answer.json()["generation"] == 1


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"labels": {"k8s.io/a": "x"}}, ["/labels/k8s.io~1a"]),
        ({"nonsense": None}, ["/nonsense"]),
        ({"isolation": 7}, ["/isolation"]),
    ],
)
def test_a_wrong_patch_points_at_what_is_wrong(as_alice, body, wanted):
    found = problem(as_alice.patch("/api/v1/tenants/acme", body), 400, "KN-INVALID")
    assert pointers(found) == wanted


@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_name_never_changes(as_olga, acme, method):
    answer = getattr(as_olga, method)("/api/v1/tenants/acme", {"name": "other"})
    assert pointers(problem(answer, 409, "KN-CONFLICT")) == ["/name"]


def test_a_name_that_is_null_in_a_patch_is_refused(as_olga, acme):
    answer = as_olga.patch("/api/v1/tenants/acme", {"name": None})
    assert answer.status_code in {400, 409}


def test_reading_is_not_changing(as_carol):
    assert as_carol.get("/api/v1/tenants/acme").status_code == 200
    for answer in (
        as_carol.patch("/api/v1/tenants/acme", {"description": "x"}),
        as_carol.put("/api/v1/tenants/acme", {}),
        as_carol.delete("/api/v1/tenants/acme"),
        as_carol.post("/api/v1/tenants/acme/projects", {"name": "shop"}),
        as_carol.post("/api/v1/projects", {"name": "shop", "tenant": "acme"}),
        as_carol.put("/api/v1/projects/shop?tenant=acme", {}),
        as_carol.post("/api/v1/tenants", {"name": "new"}),
    ):
        problem(answer, 403, "KN-FORBIDDEN")


def test_a_write_names_who_made_it(as_alice, acme):
    as_alice.patch("/api/v1/tenants/acme", {"description": "x"}, HTTP_X_CORRELATION_ID="trace-1")
    event = Event.objects.filter(reason="Changed").get()
    assert (event.actor, event.correlation_id) == ("alice", "trace-1")


def test_a_list_of_a_thousand_costs_as_many_queries_as_a_list_of_one(
    as_olga, django_assert_max_num_queries
):
    for number in range(12):
        Tenant(name=f"t-{number}").declare(by="olga")
    with django_assert_max_num_queries(6):
        assert len(as_olga.get("/api/v1/tenants").json()["items"]) == 12


def test_a_tenant_can_be_made_by_who_holds_the_permission(nobody):
    make_acme()
    problem(nobody.post("/api/v1/tenants", TENANT), 401, "KN-UNAUTHENTICATED")
