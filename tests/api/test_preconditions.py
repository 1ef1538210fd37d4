"""ETags guard writes; what is being deleted takes none."""

import pytest

from reconcile.models import Event
from tenancy.models import Project, Tenant
from tests.api.conftest import problem

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
@pytest.mark.parametrize(
    ("header", "status"),
    [
        ('"1"', None),
        ("*", None),
        ('"0", "1"', None),
        ('"2"', 412),
        ('W/"1"', 412),
        ("1", 412),
        ("", 412),
    ],
)
def test_if_match_guards_every_write(as_olga, acme, method, header, status):
    body = () if method == "delete" else ({"description": "x"},)
    answer = getattr(as_olga, method)("/api/v1/tenants/acme", *body, HTTP_IF_MATCH=header)
    if status:
        problem(answer, 412, "KN-PRECONDITION")
        acme.refresh_from_db()
        assert (acme.generation, acme.deleting) == (1, False)
    else:
        assert answer.status_code in {200, 202}


def test_if_match_refuses_to_create(as_olga):
    problem(as_olga.put("/api/v1/tenants/new", {}, HTTP_IF_MATCH="*"), 412, "KN-PRECONDITION")
    assert not Tenant.objects.exists()


def test_if_none_match_creates_only(as_olga, acme):
    problem(as_olga.put("/api/v1/tenants/acme", {}, HTTP_IF_NONE_MATCH="*"), 412, "KN-PRECONDITION")
    assert as_olga.put("/api/v1/tenants/new", {}, HTTP_IF_NONE_MATCH="*").status_code == 201


def test_delete_answers_202_and_the_object_stays_readable(as_olga, acme):
    answer = as_olga.delete("/api/v1/tenants/acme")
    assert answer.status_code == 202 and answer.json()["deleting"] is True
    assert as_olga.get("/api/v1/tenants/acme").json()["deleting"] is True
    assert as_olga.delete("/api/v1/tenants/acme").status_code == 202
    assert Event.objects.filter(reason="DeletionRequested").count() == 1


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda api: api.post("/api/v1/tenants", {"name": "acme"}), id="post"),
        pytest.param(lambda api: api.put("/api/v1/tenants/acme", {}), id="put"),
        pytest.param(
            lambda api: api.patch("/api/v1/tenants/acme", {"description": "x"}), id="patch"
        ),
        pytest.param(
            lambda api: api.post("/api/v1/tenants/acme/projects", {"name": "a"}), id="child"
        ),
        pytest.param(lambda api: api.put("/api/v1/projects/a?tenant=acme", {}), id="child by put"),
    ],
)
def test_nothing_is_written_to_what_is_being_deleted(as_olga, acme, write):
    acme.request_deletion(by="olga")
    problem(write(as_olga), 409, "KN-DELETING")


def test_a_list_inside_of_what_is_being_deleted_can_be_read(as_alice, acme):
    Project(tenant=acme, name="shop").declare(by="alice")
    acme.request_deletion(by="olga")
    (item,) = as_alice.get("/api/v1/tenants/acme/projects").json()["items"]
    assert item["deleting"] is True


def test_what_is_gone_is_not_found(as_olga, acme):
    acme.delete()
    problem(as_olga.get("/api/v1/tenants/acme"), 404, "KN-NOT-FOUND")
