"""Names resolve among what the caller may see; parents in path, query and body must agree."""

import pytest

from tenancy.intents import Role
from tenancy.models import Project
from tests.api.conftest import pointers, problem

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(acme):
    project = Project(tenant=acme, name="shop")
    project.declare(by="alice")
    return project


@pytest.fixture
def foreign_shop(globex):
    project = Project(tenant=globex, name="shop")
    project.declare(by="charlie")
    return project


def test_a_name_resolves_without_its_tenant_while_it_is_unique_to_the_caller(
    as_alice, shop, foreign_shop
):
    assert as_alice.get("/api/v1/projects/shop").json()["tenant"] == "acme"


def test_an_ambiguous_name_is_refused_with_the_qualified_names(
    as_alice, alice, globex, shop, foreign_shop
):
    globex.admit(alice, Role.DEV, by="olga")
    for call in (as_alice.get, as_alice.patch, as_alice.put, as_alice.delete):
        args = () if call in (as_alice.get, as_alice.delete) else ({},)
        body = problem(call("/api/v1/projects/shop", *args), 409, "KN-AMBIGUOUS")
        assert body["candidates"] == ["acme/shop", "globex/shop"]


@pytest.mark.parametrize(
    "where", ["/api/v1/projects/shop?tenant=globex", "/api/v1/tenants/globex/projects/shop"]
)
def test_the_tenant_narrows_it_down(as_alice, alice, globex, shop, foreign_shop, where):
    globex.admit(alice, Role.DEV, by="olga")
    assert as_alice.get(where).json()["tenant"] == "globex"


def test_the_self_link_names_every_parent(as_alice, acme):
    answer = as_alice.post("/api/v1/projects", {"name": "shop", "tenant": "acme"})
    assert answer.status_code == 201
    assert answer["Location"] == "/api/v1/tenants/acme/projects/shop"
    assert as_alice.get(answer["Location"]).json()["uid"] == answer.json()["uid"]


@pytest.mark.parametrize(
    ("where", "body"),
    [
        pytest.param("/api/v1/tenants/acme/projects", {"name": "shop"}, id="path"),
        pytest.param("/api/v1/projects?tenant=acme", {"name": "shop"}, id="query"),
        pytest.param("/api/v1/projects", {"name": "shop", "tenant": "acme"}, id="body"),
        pytest.param(
            "/api/v1/tenants/acme/projects?tenant=acme",
            {"name": "shop", "tenant": "acme"},
            id="all",
        ),
    ],
)
def test_the_parent_may_be_named_anywhere(as_alice, acme, where, body):
    assert as_alice.post(where, body).json()["tenant"] == "acme"


@pytest.mark.parametrize(
    ("where", "body"),
    [
        pytest.param(
            "/api/v1/tenants/acme/projects", {"name": "a", "tenant": "globex"}, id="path, body"
        ),
        pytest.param(
            "/api/v1/tenants/acme/projects?tenant=globex", {"name": "a"}, id="path, query"
        ),
        pytest.param(
            "/api/v1/projects?tenant=acme", {"name": "a", "tenant": "globex"}, id="query, body"
        ),
    ],
)
def test_a_contradiction_is_refused(as_olga, acme, globex, where, body):
    found = problem(as_olga.post(where, body), 409, "KN-CONFLICT")
    assert pointers(found) == ["/tenant"]
    assert not Project.objects.exists()


def test_an_object_never_moves(as_olga, shop, globex):
    answer = as_olga.patch("/api/v1/tenants/acme/projects/shop", {"tenant": "globex"})
    problem(answer, 409, "KN-CONFLICT")
    answer = as_olga.patch("/api/v1/projects/shop", {"tenant": "globex"})
    problem(answer, 404, "KN-NOT-FOUND")


def test_a_new_object_needs_its_parent(as_olga):
    for answer in (
        as_olga.post("/api/v1/projects", {"name": "shop"}),
        as_olga.put("/api/v1/projects/shop", {}),
    ):
        assert pointers(problem(answer, 400, "KN-INVALID")) == ["/tenant"]


@pytest.mark.parametrize("value", ["Acme", "", "a--b", "a/b", "x" * 64, "a\x00"])
def test_a_parent_that_is_no_name_is_refused(as_olga, value):
    answer = as_olga.get("/api/v1/projects", {"tenant": value})
    assert problem(answer, 400, "KN-INVALID")["errors"][0]["parameter"] == "tenant"


@pytest.mark.parametrize("value", [7, None, ["acme"], {"name": "acme"}, "Acme", ""])
def test_a_parent_in_a_body_that_is_no_name_is_refused(as_olga, acme, value):
    answer = as_olga.post("/api/v1/projects", {"name": "shop", "tenant": value})
    assert pointers(problem(answer, 400, "KN-INVALID")) == ["/tenant"]


# --- Strangers: a foreign object is a missing one (A23, A24).


def without_ids(answer):
    document = answer.json() | {"correlation_id": ""}
    return answer.status_code, answer["Content-Type"], document


CALLS = [
    pytest.param("get", "/api/v1/tenants/{tenant}", None, id="get tenant"),
    pytest.param("put", "/api/v1/tenants/{tenant}", {}, id="put tenant"),
    pytest.param("put", "/api/v1/tenants/{tenant}", {"bad": 1}, id="put tenant, bad body"),
    pytest.param("patch", "/api/v1/tenants/{tenant}", {"description": "x"}, id="patch tenant"),
    pytest.param("patch", "/api/v1/tenants/{tenant}", {"bad": 1}, id="patch tenant, bad body"),
    pytest.param("delete", "/api/v1/tenants/{tenant}", None, id="delete tenant"),
    pytest.param("get", "/api/v1/tenants/{tenant}/projects", None, id="list projects"),
    pytest.param("post", "/api/v1/tenants/{tenant}/projects", {"name": "a"}, id="create project"),
    pytest.param(
        "post", "/api/v1/projects", {"name": "a", "tenant": "{tenant}"}, id="create by body"
    ),
    pytest.param("post", "/api/v1/projects?tenant={tenant}", {"name": "a"}, id="create by query"),
    pytest.param("get", "/api/v1/projects/{project}", None, id="get project"),
    pytest.param("get", "/api/v1/projects/{project}?tenant={tenant}", None, id="get by query"),
    pytest.param("get", "/api/v1/tenants/{tenant}/projects/{project}", None, id="get by path"),
    pytest.param("put", "/api/v1/projects/{project}?tenant={tenant}", {}, id="put project"),
    pytest.param("patch", "/api/v1/projects/{project}", {"labels": {}}, id="patch project"),
    pytest.param("delete", "/api/v1/projects/{project}", None, id="delete project"),
]


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
def test_a24_a_foreign_object_is_answered_byte_for_byte_like_a_missing_one(
    as_charlie, acme, shop, method, path, body
):
    def call(tenant, project):
        names = {"tenant": tenant, "project": project}
        filled = body and {
            key: value.format(**names) if isinstance(value, str) else value
            for key, value in body.items()
        }
        return getattr(as_charlie, method)(
            path.format(**names), *([] if body is None else [filled])
        )

    foreign = without_ids(call("acme", "shop"))
    assert foreign[0] == 404
    assert foreign == without_ids(call("nope", "none"))
    for row in (acme, shop):
        row.refresh_from_db()
        assert (row.generation, row.deleting) == (1, False)
    assert Project.objects.count() == 1


def test_a24_lists_and_filters_show_nothing_foreign(as_charlie, acme, shop):
    for query in ("", "?phase=Pending", "?labelSelector=!a", "?ordering=-created_at", "?limit=1"):
        assert [
            each["name"] for each in as_charlie.get(f"/api/v1/tenants{query}").json()["items"]
        ] == ["globex"]
    assert as_charlie.get("/api/v1/projects").json()["items"] == []
    assert as_charlie.get("/api/v1/projects?tenant=acme").json()["items"] == []


def test_a24_nobody_gets_401_for_everything(nobody, acme, shop):
    for where in (
        "tenants",
        "tenants/acme",
        "tenants/nope",
        "projects/shop",
        "tenants/acme/projects",
    ):
        problem(nobody.get(f"/api/v1/{where}"), 401, "KN-UNAUTHENTICATED")


def test_a27_who_is_removed_sees_nothing_at_the_next_request(as_bob, bob, acme, shop):
    assert as_bob.get("/api/v1/tenants/acme").status_code == 200
    acme.dismiss(bob, by="alice")
    problem(as_bob.get("/api/v1/tenants/acme"), 404, "KN-NOT-FOUND")
