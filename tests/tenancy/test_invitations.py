"""Invitations by user name: who makes, sees and answers them, and what they never tell."""

from datetime import timedelta
from functools import partial

import pytest
from django.utils import timezone

from reconcile.models import Event
from tenancy.intents import Role
from tenancy.models import Invitation, InvitationState, Membership, Project
from tests.api.conftest import pointers, problem, signed_in
from tests.people import make_globex, person
from tests.threads import in_threads

pytestmark = pytest.mark.django_db
TENANT = "/api/v1/tenants/acme/invitations"
PROJECT = "/api/v1/tenants/acme/projects/shop/invitations"
MINE = "/api/v1/invitations"


@pytest.fixture
def shop(acme) -> Project:
    """A project of acme."""
    row = Project(tenant=acme, name="shop")
    row.declare(by="alice")
    return row


def send(who: str, username: str, role: str = "tenant-dev", where: str = TENANT):
    """Ask, as `who`, to invite a user name."""
    body = {"username": username, "role": role}
    return signed_in(person(who)).post(where, body, format="json")


def answer(who: str, uid: str, verb: str):
    """Answer an invitation as `who`."""
    return signed_in(person(who)).post(f"{MINE}/{uid}:{verb}")


def test_it_is_accepted_by_who_bears_the_name(acme):
    sent = send("alice", "dave")
    body = sent.json()
    assert (sent.status_code, body["state"], body["project"]) == (201, "Open", None)
    dave = signed_in(person("dave"))
    assert dave.get(sent["Location"]).json() == body
    assert [each["uid"] for each in dave.get(MINE).json()["items"]] == [body["uid"]]
    assert dave.get("/api/v1/tenants/acme").status_code == 404, "an offer is no membership"
    assert answer("dave", body["uid"], "accept").json()["state"] == "Accepted"
    assert answer("dave", body["uid"], "accept").status_code == 200, "once more changes nothing"
    assert acme.role_of(person("dave")) == Role.DEV
    assert dave.get(MINE).json()["items"] == []


@pytest.mark.parametrize("where", [PROJECT, "/api/v1/projects/shop/invitations"])
def test_one_to_a_project_opens_that_project_alone(acme, shop, where):
    uid = send("alice", "dave", "read-only", where).json()["uid"]
    assert answer("dave", uid, "accept").json()["project"] == "shop"
    assert shop.role_of(person("dave")) == Role.READ_ONLY
    assert acme.role_of(person("dave")) is None


@pytest.mark.parametrize("where", [TENANT, PROJECT])
@pytest.mark.parametrize(
    ("who", "status"), [("alice", 201), ("olga", 201), ("bob", 403), ("charlie", 404)]
)
def test_only_who_manages_the_members_invites_and_lists(acme, shop, olga, who, status, where):
    assert send(who, "dave", where=where).status_code == status
    listed = signed_in(person(who)).get(where)
    assert listed.status_code == (200 if status == 201 else status)
    assert Invitation.objects.exists() is (status == 201)


def test_it_never_tells_whether_a_user_exists(acme):
    person("dave")
    bodies = [send("alice", name).json() for name in ("dave", "nobody")]
    for body in bodies:
        for own in ("uid", "username", "created_at", "expires_at"):
            del body[own]
    assert bodies[0] == bodies[1]


def test_it_waits_for_whoever_signs_in_under_the_name_later(acme):
    uid = send("alice", "newcomer").json()["uid"]
    assert answer("newcomer", uid, "accept").status_code == 200
    assert acme.role_of(person("newcomer")) == Role.DEV


def test_the_same_again_is_the_same_and_another_role_is_refused(acme):
    first, again = send("alice", "dave"), send("alice", "dave")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    found = problem(send("alice", "dave", "tenant-admin"), 409, "KN-CONFLICT")
    assert pointers(found) == ["/role"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"username": "dave", "role": "system:masters"}, "/role"),
        ({"username": "da ve", "role": "tenant-dev"}, "/username"),
        ({"username": "x" * 151, "role": "tenant-dev"}, "/username"),
        ({"username": "dave"}, "/role"),
        ({"username": "dave", "role": "tenant-dev", "state": "Accepted"}, "/state"),
    ],
)
def test_it_points_at_what_is_wrong(acme, body, pointer):
    sent = signed_in(person("alice")).post(TENANT, body, format="json")
    assert pointers(problem(sent, 400, "KN-INVALID")) == [pointer]


def test_a_member_needs_none(acme):
    problem(send("alice", "bob", "tenant-admin"), 409, "KN-CONFLICT")


@pytest.mark.parametrize("verb", ["accept", "decline"])
@pytest.mark.parametrize(("who", "status"), [("alice", 403), ("bob", 404), ("charlie", 404)])
def test_nobody_else_answers_it(acme, globex, verb, who, status):
    uid = send("alice", "dave").json()["uid"]
    assert answer(who, uid, verb).status_code == status
    assert Invitation.objects.get().state == InvitationState.OPEN


def test_only_who_manages_the_members_withdraws_it(acme):
    uid = send("alice", "dave").json()["uid"]
    assert answer("dave", uid, "withdraw").status_code == 403
    assert answer("bob", uid, "withdraw").status_code == 404
    assert answer("alice", uid, "withdraw").json()["state"] == "Withdrawn"
    problem(answer("dave", uid, "accept"), 409, "KN-CONFLICT")
    assert acme.role_of(person("dave")) is None


def test_it_is_declined_once_and_for_all(acme):
    uid = send("alice", "dave").json()["uid"]
    assert [answer("dave", uid, "decline").status_code for _ in range(2)] == [200, 200]
    problem(answer("dave", uid, "accept"), 409, "KN-CONFLICT")
    assert send("alice", "dave").status_code == 201, "one may ask anew"


def test_it_ends_after_some_days_and_is_made_anew(acme, settings):
    settings.INVITATION_DAYS = 3
    uid = send("alice", "dave").json()["uid"]
    row = Invitation.objects.get()
    assert timedelta(days=2.9) < row.expires_at - timezone.now() <= timedelta(days=3)
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert signed_in(person("dave")).get(MINE).json()["items"] == []
    assert "expired" in problem(answer("dave", uid, "accept"), 409, "KN-CONFLICT")["detail"]
    assert send("alice", "dave").status_code == 201
    listed = signed_in(person("alice")).get(TENANT).json()["items"]
    assert [each["state"] for each in listed] == ["Open", "Withdrawn"]


def test_it_takes_nothing_from_a_role_that_reaches_further(acme):
    uid = send("alice", "dave", "read-only").json()["uid"]
    acme.admit(person("dave"), Role.ADMIN, by="olga")
    assert answer("dave", uid, "accept").status_code == 200
    assert acme.role_of(person("dave")) == Role.ADMIN


def test_it_is_worth_what_its_author_may_do_when_it_is_accepted(acme, olga):
    acme.admit(person("bob"), Role.ADMIN, by="alice")
    uid = send("bob", "dave", "tenant-admin").json()["uid"]
    acme.dismiss(person("bob"), by="alice")
    problem(answer("dave", uid, "accept"), 409, "KN-CONFLICT")
    assert acme.role_of(person("dave")) is None
    assert Invitation.objects.get().state == InvitationState.OPEN


def test_nothing_on_its_way_out_takes_anybody_in(acme, shop):
    uid = send("alice", "dave", where=PROJECT).json()["uid"]
    shop.request_deletion(by="alice")
    problem(send("alice", "erin", where=PROJECT), 409, "KN-DELETING")
    problem(answer("dave", uid, "accept"), 409, "KN-DELETING")
    assert signed_in(person("dave")).get(MINE).json()["items"] == []


def test_what_happened_to_it_is_told_with_who_did_it(acme):
    uid = send("alice", "dave").json()["uid"]
    answer("dave", uid, "accept")
    withdrawn = send("alice", "erin").json()["uid"]
    answer("alice", withdrawn, "withdraw")
    told = Event.objects.filter(object_uid=acme.uid, correlation_id__gt="").order_by("pk")
    wanted = {"MemberInvited", "InvitationAccepted", "MemberChanged", "InvitationWithdrawn"}
    assert [(each.reason, each.actor) for each in told if each.reason in wanted][-5:] == [
        ("MemberInvited", "alice"),
        ("MemberChanged", "dave"),
        ("InvitationAccepted", "dave"),
        ("MemberInvited", "alice"),
        ("InvitationWithdrawn", "alice"),
    ]


def test_a_tenant_takes_no_more_than_so_many_at_once(acme):
    until = timezone.now() + timedelta(days=1)
    columns = {"tenant": acme, "role": Role.DEV, "invited_by": "alice", "expires_at": until}
    Invitation.objects.bulk_create(
        Invitation(username=f"u{number}", **columns) for number in range(200)
    )
    problem(send("alice", "dave"), 409, "KN-LIMIT")


def test_those_to_another_tenant_are_out_of_sight(acme):
    make_globex()
    uid = send("alice", "dave").json()["uid"]
    charlie, same = signed_in(person("charlie")), {"HTTP_X_CORRELATION_ID": "same"}
    foreign = charlie.get(f"{MINE}/{uid}", **same)
    missing = charlie.get(f"{MINE}/00000000-0000-4000-8000-000000000000", **same)
    assert (foreign.status_code, foreign.content) == (404, missing.content)


@pytest.mark.django_db(transaction=True)
def test_a_storm_of_answers_has_one_outcome(acme):
    person("dave")
    for _ in range(3):
        Membership.objects.filter(user__username="dave").delete()
        row, _ = Invitation.invite(acme, "dave", Role.DEV, by="alice")
        ways = [lambda own: own.accept(person("dave"))] * 3
        ways += [lambda own: own.decline(person("dave")), lambda own: own.withdraw("alice")]
        own = [Invitation.objects.get(pk=row.pk) for _ in ways]
        in_threads(*(partial(way, one) for way, one in zip(ways, own, strict=True)))
        row.refresh_from_db()
        assert row.state != InvitationState.OPEN
        accepted = row.state == InvitationState.ACCEPTED
        assert (acme.role_of(person("dave")) is not None) is accepted


@pytest.mark.django_db(transaction=True)
def test_a_storm_of_the_same_invitation_makes_one(acme):
    calls = [lambda: Invitation.invite(acme, "dave", Role.DEV, by="alice")] * 5
    assert in_threads(*calls) == []
    assert Invitation.objects.count() == 1
