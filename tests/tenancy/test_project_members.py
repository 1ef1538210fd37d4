"""Members of one project: what they reach of it, and that its tenant stays closed to them."""

import pytest

from access.intents import Verbs
from access.models import KubeconfigGrant
from access.models.grant import verbs_of
from delivery.models import App
from reconcile.models import Event
from tenancy.drift import Act, Powers, drift_for
from tenancy.intents import Role
from tenancy.models import Project, Tenant
from tenancy.timeline import events_for
from tests.api.conftest import problem, signed_in
from tests.delivery.conftest import acme, deployed, fleet, people, prod, quick_passwords, shop, site
from tests.people import make_globex, person
from tests.tenancy.differences import differing

__all__ = ["acme", "deployed", "fleet", "people", "prod", "quick_passwords", "shop", "site"]

SHOP = "/api/v1/tenants/acme/projects/shop"
MEMBERS = f"{SHOP}/members"
pytestmark = pytest.mark.django_db


@pytest.fixture
def blog(acme) -> Project:
    """Another project of acme."""
    row = Project(tenant=acme, name="blog")
    row.declare(by="alice")
    return row


@pytest.fixture
def joined(shop, blog):
    """charlie, a stranger to acme, has a role in its project shop."""

    def join(role: Role = Role.DEV):
        make_globex()
        shop.admit(person("charlie"), role, by="alice")
        return person("charlie")

    return join


def put(who: str, username: str, role: str, where: str = MEMBERS):
    """Ask, as `who`, to give `username` a role."""
    return signed_in(person(who)).put(f"{where}/{username}", {"role": role}, format="json")


@pytest.mark.parametrize("where", [MEMBERS, "/api/v1/projects/shop/members"])
def test_it_admits_lists_and_dismisses_by_both_paths(shop, people, where):
    assert put("alice", "charlie", "tenant-dev", where).json()["role"] == "tenant-dev"
    assert put("alice", "charlie", "tenant-dev", where).status_code == 200
    found = signed_in(person("carol")).get(where).json()["items"]
    assert [(each["username"], each["role"]) for each in found] == [("charlie", "tenant-dev")]
    assert signed_in(person("carol")).get(f"{where}/charlie").json()["role"] == "tenant-dev"
    assert signed_in(person("alice")).delete(f"{where}/charlie").status_code == 204
    problem(signed_in(person("alice")).get(f"{where}/charlie"), 404, "KN-NOT-FOUND")
    told = Event.objects.filter(reason__startswith="Member", object_uid=shop.uid).order_by("pk")
    assert [each.reason for each in told] == ["MemberChanged", "MemberRemoved"]


@pytest.mark.parametrize(
    ("who", "status"),
    [("alice", 200), ("olga", 200), ("bob", 403), ("carol", 403), ("charlie", 404)],
)
def test_it_lets_only_admins_admit(shop, people, who, status):
    person("dave")
    assert put(who, "dave", "read-only").status_code == status
    assert shop.memberships.exists() is (status == 200)


@pytest.mark.parametrize("role", list(Role))
def test_it_shows_the_project_and_nothing_else_of_the_tenant(joined, site, role):
    client = signed_in(joined(role))
    assert client.get(SHOP).json()["tenant"] == "acme"
    for path in (f"{SHOP}/apps/site", MEMBERS, "/api/v1/apps/site", "/api/v1/projects/shop"):
        assert client.get(path).status_code == 200, path
    hidden = ("", "/members", "/projects", "/projects/blog", "/projects/blog/members")
    for path in hidden:
        same = {"HTTP_X_CORRELATION_ID": "same"}
        foreign = client.get(f"/api/v1/tenants/acme{path}", **same)
        missing = client.get(f"/api/v1/tenants/none{path}", **same)
        assert (foreign.status_code, foreign.content) == (404, missing.content), path
    listed = client.get("/api/v1/projects").json()["items"]
    assert [each["name"] for each in listed] == ["shop"]
    assert [each["name"] for each in client.get("/api/v1/tenants").json()["items"]] == ["globex"]


MAY = [
    # what, tenant-admin, tenant-dev, read-only
    (("patch", SHOP, {"description": "Ours"}), 200, 403, 403),
    (("patch", SHOP, {"quota": {"pods": "5"}}), 403, 403, 403),
    (("patch", SHOP, {"weight": 1000}), 403, 403, 403),
    (("delete", SHOP, None), 403, 403, 403),
    (("delete", f"{SHOP}/apps/site", None), 202, 202, 403),
    (("put", f"{MEMBERS}/bob", {"role": "read-only"}), 200, 403, 403),
    (("delete", f"{MEMBERS}/charlie", None), 204, 403, 403),
    (("post", "/api/v1/projects", {"name": "more", "tenant": "acme"}), 404, 404, 404),
    (("put", "/api/v1/tenants/acme/members/charlie", {"role": "tenant-admin"}), 404, 404, 404),
]


@pytest.mark.parametrize(
    ("role", "column"), [(Role.ADMIN, 1), (Role.DEV, 2), (Role.READ_ONLY, 3)], ids=str
)
@pytest.mark.parametrize("row", MAY, ids=lambda row: " ".join(map(str, row[0])))
def test_it_reaches_as_far_as_the_role_in_the_project(joined, site, role, column, row):
    (method, path, body), *statuses = row
    answer = getattr(signed_in(joined(role)), method)(path, body, format="json")
    assert answer.status_code == statuses[column - 1], answer.content


def test_the_role_in_the_tenant_is_never_taken_by_that_in_the_project(shop, people):
    shop.admit(people["alice"], Role.READ_ONLY, by="olga")
    shop.admit(people["carol"], Role.DEV, by="alice")
    assert shop.may(people["alice"], "manage_members") and shop.may(people["carol"], "deliver")
    assert not shop.tenant.may(people["carol"], "deliver")


def test_it_binds_them_in_the_namespace_of_that_project_alone(joined, shop, blog):
    joined()
    assert shop.placements.get().intent().members["tenant-dev"] == (
        "kubenova:bob",
        "kubenova:charlie",
    )
    assert blog.placements.get().intent().members["tenant-dev"] == ("kubenova:bob",)


def test_who_has_left_reaches_nothing(joined, shop):
    charlie = joined(Role.ADMIN)
    charlie.is_active = False
    charlie.save()
    assert not Project.objects.visible_to(charlie).exists()
    assert not App.objects.visible_to(charlie).exists()
    assert not shop.may(charlie, "change") and not shop.may(charlie, "view")
    assert "kubenova:charlie" not in shop.people().get("tenant-admin", ())


def test_they_read_what_happened_in_their_project_alone(joined, shop, blog, site, acme):
    charlie = joined()
    Event.record(acme, "Secretive", "…")
    Event.record(blog, "Secretive", "…")
    Event.record(site.placements.get(), "Noted", "…")
    told = events_for(charlie).filter(tenant="acme")
    assert {each.kind for each in told} >= {"project", "app", "appplacement", "projectplacement"}
    assert told.filter(reason="Noted").exists()
    assert not told.filter(reason="Secretive").exists()
    assert not told.filter(kind="tenant").exists()


def test_they_see_and_decide_about_drift_of_their_project_alone(joined, site, blog, shop):
    of_app = differing(site.placements.get())
    of_project, of_blog = differing(shop.placements.get()), differing(blog.placements.get())
    charlie = joined(Role.DEV)
    assert set(drift_for(charlie)) == {of_app, of_project}
    powers = Powers.of(charlie)
    assert powers.may(Act.REPAIR, of_app) and not powers.may(Act.REPAIR, of_project)
    shop.admit(charlie, Role.ADMIN, by="alice")
    powers = Powers.of(charlie)
    assert powers.may(Act.REPAIR, of_project) and not powers.may(Act.REPAIR, of_blog)


def test_their_kubeconfigs_open_the_project_as_far_as_their_role_there(joined, shop, acme):
    charlie = joined(Role.READ_ONLY)
    assert verbs_of(charlie, shop) == {Verbs.VIEW, Verbs.LOGS}
    assert verbs_of(charlie, acme) == frozenset()
    grant = KubeconfigGrant(tenant=acme, project=shop, subject=charlie, verbs=["view", "edit"])
    assert grant.allowed() == {"view"}
    assert KubeconfigGrant(tenant=acme, subject=charlie, verbs=["view"]).allowed() == frozenset()
    shop.dismiss(charlie, by="alice")
    assert grant.allowed() == frozenset()
    answer = signed_in(charlie).post("/api/v1/projects/shop:issue-kubeconfig", {}, format="json")
    assert answer.status_code == 404


def test_admins_of_a_project_see_its_grants_and_no_others(joined, shop, acme, people):
    columns = {"tenant": acme, "subject": people["bob"], "ttl_seconds": 3600}
    columns |= {"expires_at": shop.created_at}
    KubeconfigGrant.objects.create(name="grant-shop", project=shop, **columns)
    KubeconfigGrant.objects.create(name="grant-acme", **columns)
    charlie = joined(Role.DEV)
    assert not KubeconfigGrant.objects.visible_to(charlie).exists()
    shop.admit(charlie, Role.ADMIN, by="alice")
    assert [row.name for row in KubeconfigGrant.objects.visible_to(charlie)] == ["grant-shop"]


def test_a_project_that_goes_takes_no_members(joined, shop):
    shop.request_deletion(by="alice")
    problem(put("alice", "charlie", "tenant-dev"), 409, "KN-DELETING")
    assert Tenant.objects.filter(name="acme").exists()
