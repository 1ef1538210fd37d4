"""Members of a tenant: who may change them, and that a change counts at once."""

import pytest

from reconcile.models import Work
from tenancy.intents import Role
from tenancy.models import Membership, Project
from tests.api.conftest import problem, signed_in
from tests.people import person

pytestmark = pytest.mark.django_db
MEMBERS = "/api/v1/tenants/acme/members"


def put(who: str, username: str, role: str):
    """Ask, as `who`, to give `username` a role."""
    return signed_in(person(who)).put(f"{MEMBERS}/{username}", {"role": role}, format="json")


def test_it_lists_members_with_their_roles(acme):
    found = signed_in(person("carol")).get(MEMBERS).json()["items"]
    assert [(each["username"], each["role"]) for each in found] == [
        ("alice", "tenant-admin"),
        ("bob", "tenant-dev"),
        ("carol", "read-only"),
    ]


@pytest.mark.parametrize(
    ("who", "status"),
    [("alice", 200), ("olga", 200), ("bob", 403), ("carol", 403), ("charlie", 404)],
)
def test_it_lets_only_tenant_admins_and_operators_admit(acme, olga, who, status):
    person("dave")
    assert put(who, "dave", "read-only").status_code == status
    assert Membership.objects.filter(user__username="dave").exists() is (status == 200)


def test_it_is_idempotent_to_admit(acme):
    answers = [put("alice", "bob", "tenant-dev") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert Membership.objects.filter(user__username="bob").count() == 1


def test_a27_a_demotion_counts_at_the_next_request(acme):
    assert put("alice", "alice", "read-only").status_code == 409, "she is the last one"
    assert put("alice", "bob", "tenant-admin").status_code == 200
    assert put("bob", "alice", "read-only").status_code == 200
    problem(put("alice", "carol", "tenant-admin"), 403, "KN-FORBIDDEN")


def test_it_keeps_the_last_tenant_admin_unless_an_operator_says_so(acme, olga):
    refused = signed_in(person("alice")).delete(f"{MEMBERS}/alice")
    problem(refused, 409, "KN-CONFLICT")
    assert signed_in(olga).delete(f"{MEMBERS}/alice").status_code == 204


def test_it_refuses_users_and_roles_that_do_not_exist(acme):
    problem(put("alice", "nobody", "tenant-dev"), 400, "KN-INVALID")
    problem(put("alice", "bob", "system:masters"), 400, "KN-INVALID")


def test_it_ends_a_membership_and_with_it_the_sight_of_the_tenant(acme):
    assert signed_in(person("alice")).delete(f"{MEMBERS}/bob").status_code == 204
    assert signed_in(person("bob")).get("/api/v1/tenants/acme").status_code == 404
    missing = signed_in(person("alice")).delete(f"{MEMBERS}/bob")
    problem(missing, 404, "KN-NOT-FOUND")


def test_a_change_of_members_marks_what_was_computed_from_them(acme):
    from clusters.models import Cluster

    Cluster(name="prod-a", server="https://prod-a.example.org").declare(by="olga")
    acme.placement = {"clusters": ["prod-a"]}
    acme.declare(by="olga")
    Project(tenant=acme, name="shop").declare(by="olga")
    work = Work.objects.get(kind="tenancy.projectplacement")
    work.reads.create(key=acme.members_key)
    Work.objects.update(due_at=None)
    acme.admit(person("dave"), Role.DEV, by="alice")
    work.refresh_from_db()
    assert work.due_at is not None


@pytest.mark.parametrize(
    "body",
    [
        {"owner_subjects": [{"kind": "Group", "name": "devs"}]},
        {"role_bindings": [{"role": "view", "subjects": [{"kind": "Group", "name": "devs"}]}]},
        {"deletion_protection": True},
        {"cordoned": True},
    ],
    ids=lambda body: next(iter(body)),
)
def test_who_is_bound_besides_the_members_is_for_operators(acme, olga, body):
    url, name = "/api/v1/tenants/acme", next(iter(body))
    refused = signed_in(person("alice")).patch(url, body, format="json")
    assert name in problem(refused, 403, "KN-FORBIDDEN")["detail"]
    assert signed_in(olga).patch(url, body, format="json").json()[name] == body[name]
