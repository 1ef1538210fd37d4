"""A whole team in one call: all of it or nothing, once, and a checklist until it is done."""

import pytest
from django.utils import timezone

from access.forms import AskForm
from access.preparing import prepared_for
from reconcile.values import Phase
from tenancy.intents import Role
from tenancy.models import Invitation, Onboarding, Project, ProjectPlacement, Tenant
from tests.api.conftest import pointers, problem, signed_in
from tests.delivery.conftest import fleet, people, prod, quick_passwords
from tests.people import person

__all__ = ["fleet", "people", "prod", "quick_passwords"]

TENANTS = "/api/v1/tenants"
pytestmark = pytest.mark.django_db
BODY = {
    "name": "acme",
    "owners": ["alice"],
    "quota": {"pods": "20"},
    "projects": [
        {"name": "shop", "members": [{"username": "charlie", "role": "read-only"}]},
        {"name": "blog", "description": "News", "labels": {"team": "blue"}},
    ],
    "members": [{"username": "bob", "role": "tenant-dev"}],
    "invitations": [
        {"username": "newcomer", "role": "read-only"},
        {"username": "guest", "role": "tenant-dev", "project": "blog"},
    ],
    "grants": [
        {"username": "bob", "role": "read-only", "ttl_seconds": 7200, "description": "To look"},
        {"username": "newcomer", "project": "shop", "verbs": ["view"]},
    ],
}


def post(who: str = "olga", **change):
    """Ask for the team."""
    return signed_in(person(who)).post(TENANTS, BODY | change, format="json")


def checklist(body: dict) -> dict[tuple[str, str], str]:
    """The state of each line of an answer."""
    return {(each["step"], each["subject"]): each["state"] for each in body["status"]["checklist"]}


def test_it_declares_all_of_it_at_once(people):
    answer = post()
    assert (answer.status_code, answer["Location"]) == (201, f"{TENANTS}/acme")
    acme = Tenant.objects.get()
    assert acme.owners == ["alice"] and acme.role_of(people["bob"]) == Role.DEV
    shop, blog = Project.objects.get(name="shop"), Project.objects.get(name="blog")
    assert (shop.role_of(people["charlie"]), blog.labels) == (Role.READ_ONLY, {"team": "blue"})
    invited = Invitation.objects.values_list("username", "project__name", "invited_by")
    assert set(invited) == {("newcomer", None, "olga"), ("guest", "blog", "olga")}


def test_the_same_again_is_the_same_and_changes_nothing(people):
    first, again = post(), post()
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["uid"] == again.json()["uid"] and again.json()["generation"] == 1
    Project.objects.get(name="blog").request_deletion(by="alice")
    assert post().status_code == 200, "what was changed since stays as it is"
    assert (Project.objects.count(), Invitation.objects.count()) == (2, 2)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"members": []}, "/members"),
        ({"projects": [{"name": "shop"}]}, "/projects"),
        ({"grants": []}, "/grants"),
        ({"quota": {"pods": "5"}}, "/quota"),
    ],
)
def test_anything_else_under_the_name_is_refused(people, change, where):
    post()
    assert pointers(problem(post(**change), 409, "KN-CONFLICT")) == [where]


WRONG = [
    ({"projects": [{"name": "a--b"}]}, "/projects/0/name"),
    (
        {"projects": [{"name": "shop"}, {"name": "x", "quota": {"pods": "many"}}]},
        "/projects/1/quota",
    ),
    ({"projects": [{"name": "shop", "colour": "red"}]}, "/projects/0/colour"),
    ({"members": [{"username": "nobody", "role": "tenant-dev"}]}, "/members/0/username"),
    ({"members": [{"username": "bob", "role": "root"}]}, "/members/0/role"),
    ({"invitations": [{"username": "x y", "role": "read-only"}]}, "/invitations/0/username"),
    (
        {"invitations": [{"username": "x", "role": "read-only", "project": "none"}]},
        "/invitations/0/project",
    ),
    ({"grants": [{"username": "bob", "verbs": ["root"]}]}, "/grants/0/verbs/0"),
    ({"grants": [{"username": "bob", "role": "read-only", "verbs": ["view"]}]}, "/grants/0/role"),
]


@pytest.mark.parametrize(("change", "where"), WRONG, ids=lambda each: str(each)[:40])
def test_one_fault_leaves_nothing_behind(people, change, where):
    found = pointers(problem(post(**change), 400, "KN-INVALID"))
    assert [each for each in found if each.startswith(where)] == found
    for model in (Tenant, Project, Invitation, Onboarding):
        assert not model.objects.exists()


def test_it_is_for_whoever_may_create_tenants(people):
    problem(post("alice"), 403, "KN-FORBIDDEN")
    assert not Tenant.objects.exists()


def test_only_a_new_tenant_takes_it(people):
    client = signed_in(people["olga"])
    put = client.put(f"{TENANTS}/acme", {"projects": []}, format="json")
    assert pointers(problem(put, 400, "KN-INVALID")) == ["/projects"]
    plain = {"name": "acme", "owners": ["alice"]}
    assert client.post(TENANTS, plain, format="json").status_code == 201
    assert client.get(f"{TENANTS}/acme").json()["status"]["checklist"] == []


def test_the_checklist_tells_what_is_done_and_why_the_rest_is_not(people):
    found = checklist(post().json())
    assert found == {
        ("tenant", "acme"): "pending",
        ("project", "acme/shop"): "pending",
        ("quota", "acme/shop"): "pending",
        ("project", "acme/blog"): "pending",
        ("quota", "acme/blog"): "pending",
        ("member", "bob"): "done",
        ("invitation", "newcomer"): "pending",
        ("invitation", "guest"): "pending",
        ("grant", "bob in acme"): "done",
        ("grant", "newcomer in acme/shop"): "pending",
    }


def test_the_checklist_follows_and_ends_once_all_was_done(people):
    post()
    client, acme = signed_in(people["alice"]), Tenant.objects.get()
    for row in Invitation.objects.all():
        row.accept(person(row.username))
    Tenant.objects.update(observed_generation=1, phase=Phase.DEPLOYED, quota={})
    Project.objects.update(observed_generation=1, phase=Phase.DEPLOYED)
    found = checklist(client.get(f"{TENANTS}/acme").json())
    assert set(found.values()) == {"done"}
    acme.dismiss(people["bob"], by="alice")
    assert client.get(f"{TENANTS}/acme").json()["status"]["checklist"] == []


def test_the_checklist_names_what_failed(people):
    post()
    Invitation.objects.filter(username="newcomer").get().decline(person("newcomer"))
    Invitation.objects.filter(username="guest").update(expires_at=timezone.now())
    Tenant.objects.get().dismiss(people["bob"], by="alice")
    Project.objects.filter(name="shop").update(phase=Phase.ERROR)
    ProjectPlacement.objects.all().delete()
    Project.objects.filter(name="blog").delete()
    found = checklist(signed_in(people["alice"]).get(f"{TENANTS}/acme").json())
    failed = {key for key, state in found.items() if state == "failed"}
    assert failed == {
        ("project", "acme/shop"),
        ("project", "blog"),
        ("member", "bob"),
        ("invitation", "newcomer"),
        ("invitation", "guest"),
    }


def test_a_prepared_grant_is_one_click_away_and_no_token_was_made(people):
    post()
    acme = Tenant.objects.get()
    wanted = {"verbs": ["logs", "view"], "ttl_seconds": 7200, "description": "To look"}
    assert prepared_for(people["bob"], acme) == wanted
    assert prepared_for(people["alice"], acme) == {}
    assert prepared_for(people["bob"], Project.objects.get(name="shop")) == {}
    form = AskForm(user=people["bob"], above=acme, initial=wanted)
    assert (form.initial["verbs"], form.initial["ttl_seconds"]) == (["logs", "view"], 7200)
    beyond = AskForm(user=people["bob"], above=acme, initial={"verbs": ["secrets", "view"]})
    assert beyond.initial["verbs"] == ["view"], "never more than the role allows by then"
    assert not acme.grants.exists()


def test_it_is_planned_as_every_other_write(people, prod):
    planned = signed_in(people["olga"]).post(
        f"{TENANTS}?dryRun=plan", BODY | {"placement": {"clusters": ["prod-a"]}}, format="json"
    )
    assert planned.status_code == 200 and planned.json()["summary"]["create"] > 2
    assert not Tenant.objects.exists() and not Onboarding.objects.exists()


def test_the_page_shows_the_checklist_until_all_was_done(people, client):
    post()
    client.force_login(people["alice"], backend="django.contrib.auth.backends.ModelBackend")
    text = client.get("/tenants/acme").content.decode()
    assert "Getting started" in text and "It is not answered yet." in text
    Onboarding.objects.update(done_at=timezone.now())
    assert "Getting started" not in client.get("/tenants/acme").content.decode()
