"""Deleting a tenant or project: shown first, confirmed by name, refused while protected."""

import pytest

from reconcile.models import AppliedObject
from tenancy.models import Project, Tenant
from tests.api.conftest import problem, signed_in
from tests.clusters.steps import settle
from tests.delivery.conftest import acme, deployed, fleet, people, prod, quick_passwords, shop, site
from tests.people import person

__all__ = ["acme", "deployed", "fleet", "people", "prod", "quick_passwords", "shop", "site"]

ACME = "/api/v1/tenants/acme"
SHOP = f"{ACME}/projects/shop"
pytestmark = pytest.mark.django_db


def as_(name: str):
    """The client of somebody."""
    return signed_in(person(name))


def test_it_shows_all_that_would_go_and_changes_nothing(deployed, acme):
    found = as_("carol").get(f"{ACME}/deletion").json()
    assert found["counts"] == {"project": 1, "app": 1, "member": 3}
    assert {"kind": "app", "name": "acme/shop/site"} in found["inside"]
    assert (found["confirm"], found["protected"], found["cut"]) == ("acme", False, 0)
    (cluster,) = found["clusters"]
    assert (cluster["cluster"], cluster["namespaces"]) == ("prod-a", ["acme--shop"])
    assert cluster["objects"] == AppliedObject.objects.filter(work__tenant="acme").count() > 3
    assert not Tenant.objects.get().deleting


@pytest.mark.parametrize("path", [SHOP, "/api/v1/projects/shop"])
def test_it_shows_what_goes_with_a_project(deployed, path):
    found = as_("bob").get(f"{path}/deletion").json()
    assert (found["name"], found["counts"]) == ("shop", {"app": 1})
    assert 0 < found["clusters"][0]["objects"] < AppliedObject.objects.count()


@pytest.mark.parametrize(("who", "path"), [("olga", ACME), ("alice", SHOP)])
@pytest.mark.parametrize("query", ["", "?confirm=", "?confirm=Acme", "?confirm=globex"])
def test_it_asks_for_the_name_as_long_as_anything_is_inside(site, who, path, query):
    found = problem(as_(who).delete(f"{path}{query}"), 409, "KN-CONFIRM")
    assert found["confirm"] == path.rpartition("/")[2]
    assert f"{path}?confirm={found['confirm']}" in found["detail"]
    assert not Project.objects.get().deleting


@pytest.mark.parametrize(("who", "path"), [("olga", ACME), ("alice", SHOP)])
def test_it_goes_once_it_is_confirmed(site, who, path):
    name = path.rpartition("/")[2]
    answer = as_(who).delete(f"{path}?confirm={name}")
    assert (answer.status_code, answer.json()["deleting"]) == (202, True)
    assert as_(who).delete(path).status_code == 202, "it is on its way: nothing to confirm"


def test_what_is_empty_needs_no_confirmation(acme, people):
    Project(tenant=acme, name="blog").declare(by="alice")
    assert as_("alice").delete(f"{ACME}/projects/blog").status_code == 202
    problem(as_("alice").delete(f"{ACME}/projects/blog?confirm=x"), 409, "KN-CONFIRM")


def test_only_a_deletion_is_confirmed(site):
    problem(as_("olga").get(f"{ACME}?confirm=acme"), 400, "KN-INVALID")


def test_a_plan_shows_it_too_and_stands_for_the_confirmation(deployed):
    planned = as_("olga").delete(f"{ACME}?dryRun=plan")
    assert planned.json()["summary"]["delete"] > 3
    assert not Tenant.objects.get().deleting
    answer = as_("olga").delete(ACME, HTTP_IF_PLAN=planned.json()["hash"])
    assert answer.status_code == 202


def test_a_protected_tenant_stays_and_the_answer_tells_the_way_out(acme, site):
    acme.deletion_protection = True
    acme.declare(by="olga")
    assert as_("alice").get(f"{ACME}/deletion").json()["protected"]
    found = problem(as_("olga").delete(f"{ACME}?confirm=acme"), 409, "KN-PROTECTED")
    assert "deletion_protection" in found["detail"]
    refused = as_("alice").patch(ACME, {"deletion_protection": False}, format="json")
    problem(refused, 403, "KN-FORBIDDEN")
    as_("olga").patch(ACME, {"deletion_protection": False}, format="json")
    assert as_("olga").delete(f"{ACME}?confirm=acme").status_code == 202


def test_it_ends_with_nothing_owned_anywhere(deployed, prod):
    as_("olga").delete(f"{ACME}?confirm=acme")
    settle()
    assert not Tenant.objects.filter(name="acme").exists()
    left = AppliedObject.objects.exclude(work__kind="clusters.clusterbaseline")
    assert not left.exists()


@pytest.mark.parametrize(("who", "page"), [("olga", "/tenants/acme"), ("alice", SHOP[7:])])
def test_the_page_shows_what_goes_before_it_asks_for_the_name(deployed, people, who, page, client):
    client.force_login(people[who], backend="django.contrib.auth.backends.ModelBackend")
    text = client.get(f"{page}/delete").content.decode()
    assert "acme--shop" in text and "App acme/shop/site" in text
    assert client.post(f"{page}/delete", {"name": "else"}).status_code == 422
    assert not Project.objects.get().deleting
    assert client.post(f"{page}/delete", {"name": page.rpartition("/")[2]}).status_code == 302
    assert Project.objects.get().deleting


def test_the_page_of_a_protected_tenant_says_so_and_deletes_nothing(acme, people, client):
    acme.deletion_protection = True
    acme.declare(by="olga")
    client.force_login(people["olga"], backend="django.contrib.auth.backends.ModelBackend")
    answer = client.post("/tenants/acme/delete", {"name": "acme"})
    assert answer.status_code == 422 and "deletion_protection" in answer.content.decode()
    assert not Tenant.objects.get().deleting
