"""Pages of people: invitations from being sent to being answered, and members of one project."""

import pytest

from tenancy.intents import Role
from tenancy.models import Invitation, Project, Tenant
from tests.people import person
from tests.portal.conftest import As

MEMBERS = "/tenants/acme/members"
SHOP = "/tenants/acme/projects/shop"


def invite(as_: As, who: str, username: str, where: str = "/tenants/acme/invitations"):
    """Send the form of an invitation."""
    return as_(who).post(where, {"username": username, "role": "tenant-dev"})


@pytest.mark.parametrize(
    ("where", "opened"), [("/tenants/acme", "/tenants/acme"), (SHOP, SHOP)], ids=["tenant", "shop"]
)
def test_one_click_accepts_what_two_fields_have_offered(shop, as_: As, where, opened) -> None:
    assert invite(as_, "alice", "charlie", f"{where}/invitations")["Location"] == f"{where}/members"
    uid = Invitation.objects.get().uid
    assert "charlie" in as_("alice").get(f"{where}/members").content.decode()
    home = as_("charlie").get("/").content.decode()
    assert f"/invitations/{uid}/accept" in home and "You are invited" in home
    assert as_("charlie").get(opened).status_code == 404
    assert as_("charlie").post(f"/invitations/{uid}/accept")["Location"] == opened
    assert as_("charlie").get(opened).status_code == 200
    assert "You are invited" not in as_("charlie").get("/").content.decode()


def test_it_can_be_declined_and_withdrawn(acme, as_: As) -> None:
    for who, verb, back in (("charlie", "decline", "/"), ("alice", "withdraw", MEMBERS)):
        invite(as_, "alice", "charlie")
        uid = Invitation.objects.open().get().uid
        assert as_(who).post(f"/invitations/{uid}/{verb}")["Location"] == back
        assert not Invitation.objects.open().exists()
    assert acme.role_of(person("charlie")) is None


@pytest.mark.parametrize(("who", "status"), [("bob", 403), ("charlie", 404)])
def test_who_does_not_manage_the_members_neither_invites_nor_sees_who_is(
    shop, as_: As, who, status
) -> None:
    invite(as_, "alice", "newcomer")
    for where in ("/tenants/acme", SHOP):
        assert invite(as_, who, "dave", f"{where}/invitations").status_code == status
    assert Invitation.objects.count() == 1
    assert "newcomer" not in as_("bob").get(MEMBERS).content.decode()


@pytest.mark.parametrize("verb", ["accept", "decline", "withdraw"])
def test_nobody_answers_for_another(acme, as_: As, verb) -> None:
    invite(as_, "alice", "dave")
    uid = Invitation.objects.get().uid
    assert as_("charlie").post(f"/invitations/{uid}/{verb}").status_code == 404
    own = 302 if verb == "withdraw" else 403
    assert as_("alice").post(f"/invitations/{uid}/{verb}").status_code == own
    assert as_("charlie").get(f"/invitations/{uid}/{verb}").status_code == 405


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"username": "", "role": "tenant-dev"}, "Name a user"),
        ({"username": "dave", "role": "system:masters"}, "Name a user"),
        ({"username": "da ve", "role": "tenant-dev"}, "valid username"),
        ({"username": "bob", "role": "tenant-dev"}, "already"),
    ],
)
def test_the_page_says_what_is_wrong(acme, as_: As, form, told) -> None:
    client = as_("alice")
    client.post("/tenants/acme/invitations", form)
    assert told in client.get(MEMBERS).content.decode()
    assert not Invitation.objects.exists()


def test_what_is_too_late_is_told(acme, as_: As) -> None:
    invite(as_, "alice", "charlie")
    row = Invitation.objects.get()
    row.withdraw("alice")
    client = as_("charlie")
    client.post(f"/invitations/{row.uid}/accept")
    assert "withdrawn" in client.get("/").content.decode()


def test_an_admin_manages_the_members_of_a_project(shop, as_: As) -> None:
    where, form = f"{SHOP}/members", {"username": "charlie", "role": "read-only"}
    assert as_("alice").post(where, form)["Location"] == where
    page = as_("carol").get(where).content.decode()
    assert "charlie" in page and "bob" in page and "Remove" not in page
    assert as_("bob").post(where, form).status_code == 403
    assert as_("alice").post(f"{where}/charlie/remove")["Location"] == where
    assert shop.role_of(person("charlie")) is None


def test_who_leaves_a_project_is_led_home(shop, as_: As) -> None:
    shop.admit(person("charlie"), Role.ADMIN, by="alice")
    assert as_("charlie").post(f"{SHOP}/members/charlie/remove")["Location"] == "/"
    assert as_("charlie").get(f"{SHOP}/members").status_code == 404


def test_a_member_of_a_project_is_led_nowhere_that_is_closed(shop, site, as_: As) -> None:
    shop.admit(person("charlie"), Role.ADMIN, by="alice")
    client = as_("charlie")
    pages = (SHOP, f"{SHOP}/members", f"{SHOP}/edit", f"{SHOP}/apps/site", f"{SHOP}/new-app")
    for path in pages:
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert 'href="/tenants/acme"' not in answer.content.decode(), path
    for path in ("/tenants/acme", MEMBERS, "/tenants/acme/edit", "/tenants/acme/new-project"):
        assert client.get(path).status_code == 404, path
    for path in ("/", "/apps", "/drift", "/activity", "/search?q=s"):
        assert client.get(path).status_code == 200, path
    assert 'href="/tenants/acme"' in as_("alice").get(SHOP).content.decode()


def test_a_project_is_deleted_by_admins_of_its_tenant_alone(shop, as_: As) -> None:
    shop.admit(person("charlie"), Role.ADMIN, by="alice")
    assert as_("charlie").post(f"{SHOP}/delete", {"name": "shop"}).status_code == 403
    assert as_("alice").post(f"{SHOP}/delete", {"name": "shop"}).status_code == 302
    assert Project.objects.get().deleting and not Tenant.objects.get(name="acme").deleting
