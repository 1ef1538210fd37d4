"""Blocked revisions: what a rollback left does not come back until somebody lifts that."""

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from delivery.models import App, Revision, RevisionBlock
from reconcile.models import Event
from reconcile.refusals import Conflicting
from tests.api.conftest import problem
from tests.clusters.steps import settle
from tests.delivery.controllers import deployment, roll_out
from tests.delivery.paths import APPS, BODY, SITE
from tests.delivery.samples import component


def edit(app: App, image: str) -> None:
    app.refresh_from_db()
    app.components = [component(image=image)]
    assert app.declare(by="bob")


def blocked() -> list[int]:
    return sorted(RevisionBlock.objects.values_list("revision__number", flat=True))


@pytest.fixture
def back(site, prod, fleet) -> App:
    """`site` had nginx:1.27, then nginx:bad, and is back at the first."""
    roll_out(fleet)
    edit(site, "nginx:bad")
    settle()
    assert site.rollback(None, by="alice", message="it crashed")
    return site


# --- Rollbacks block what they leave.


def test_a_rollback_blocks_what_it_leaves(back):
    (block,) = RevisionBlock.objects.all()
    assert (block.revision.number, block.by, block.reason) == (2, "alice", "it crashed")
    event = Event.objects.get(reason="RevisionBlocked")
    assert event.message == "Revision 2 of App acme/shop/site is blocked by alice: it crashed"


def test_the_same_spec_is_refused_whoever_declares_it(back):
    back.refresh_from_db()
    back.components = [component(image="nginx:bad")]
    with pytest.raises(Conflicting, match=r"what revision 2 holds, which alice blocked") as refused:
        back.declare(by="bob")
    assert "/revisions/2:unblock" in refused.value.detail
    assert [fault.code for fault in refused.value.errors] == ["blocked"]
    stored = App.objects.get()
    assert (stored.revision, stored.components) == (3, [component()])


def test_a_rollback_to_it_is_refused(back):
    with pytest.raises(Conflicting, match="blocked"):
        back.rollback(2, by="bob")
    assert App.objects.get().revisions.count() == 3


def test_once_lifted_it_comes_back_and_blocks_nothing(back):
    bad = back.revisions.get(number=2)
    assert back.unblock(bad, by="bob", reason="the image was mended")
    assert not back.unblock(bad, by="bob")
    back.refresh_from_db()
    assert back.rollback(2, by="bob")
    assert (App.objects.get().revision, blocked()) == (4, []), "forward is not back"
    event = Event.objects.get(reason="RevisionUnblocked")
    assert event.message.endswith("no longer blocked, by bob: the image was mended")


def test_what_is_wanted_now_cannot_be_blocked(back):
    for number in (1, 3):
        with pytest.raises(Conflicting, match="what is wanted now"):
            back.block(back.revisions.get(number=number), by="bob", reason="dislike")


def test_a_refused_rollback_blocks_nothing(back, prod):
    edit(back, "nginx:next")
    prod.capabilities.filter(name="delivery.native").update(served=False)
    with pytest.raises(Exception, match="delivery"):
        back.rollback(1, by="bob")
    assert blocked() == [2]


def test_the_last_healthy_one_is_never_a_blocked_one(back, fleet):
    edit(back, "nginx:next")
    roll_out(fleet)
    for number in (1, 3):
        back.block(back.revisions.get(number=number), by="bob", reason="it leaks")
    with pytest.raises(Conflicting, match="healthy and is not blocked"):
        back.rollback(None, by="bob")


def test_ten_edits_and_a_rollback_to_3_stay_through_ten_looks(site, fleet):
    for number in range(2, 11):
        edit(site, f"nginx:{number}")
        settle()
    site.refresh_from_db()
    assert site.rollback(3, by="alice", message="rollback of 3")
    settle()
    for _ in range(10):
        site.placements.get().mark()
        settle()
        (container,) = deployment(fleet["prod-a"])["spec"]["template"]["spec"]["containers"]
        assert container["image"] == "nginx:3"
    newest = site.revisions.get(number=11)
    assert (newest.message, newest.origin, blocked()) == ("rollback of 3", 3, [10])


# --- How many are kept.


def test_old_revisions_go_but_not_what_is_of_use(site, fleet, settings):
    settings.REVISION_HISTORY = 3
    roll_out(fleet)  # 1 was healthy
    for number in range(2, 6):
        edit(site, f"nginx:{number}")
    site.block(site.revisions.get(number=3), by="bob", reason="it leaks")
    for number in range(6, 10):
        edit(site, f"nginx:{number}")
    settle()
    kept = site.revisions.order_by("number").values_list("number", flat=True)
    assert list(kept) == [1, 3, 7, 8, 9]


# --- Over HTTP.


@pytest.fixture
def left(bobs, fleet) -> APIClient:
    """Bob's client; `site` went back from revision 2 to what revision 1 holds."""
    bobs.post(APPS, BODY)
    roll_out(fleet)
    bobs.patch(SITE, {"components": [component(image="nginx:2")]})
    bobs.post(f"{SITE}:rollback", {"revision": 1, "message": "2 was slow"})
    return bobs


def test_the_api_tells_of_a_block(left):
    found = left.get(f"{SITE}/revisions/2").json()["blocked"]
    assert (found["by"], found["reason"]) == ("bob", "2 was slow")
    rows = left.get(f"{SITE}/revisions").json()["items"]
    assert [(row["number"], bool(row["blocked"])) for row in rows] == [
        *((3, False), (2, True), (1, False)),
    ]


def test_the_api_refuses_what_is_blocked(left):
    again = left.patch(SITE, {"components": [component(image="nginx:2")]})
    problem(again, 409, "KN-CONFLICT")
    problem(left.post(f"{SITE}:rollback", {"revision": 2}), 409, "KN-CONFLICT")
    assert left.get(SITE).json()["revision"] == 3


def test_the_api_lifts_and_sets_a_block(left):
    lifted = left.post(f"{SITE}/revisions/2:unblock", {"reason": "mended"})
    assert (lifted.status_code, lifted.json()["blocked"]) == (202, None)
    assert left.post(f"{SITE}/revisions/2:unblock").status_code == 200
    answer = left.post(f"{SITE}/revisions/2:block", {"reason": "not mended"})
    assert (answer.status_code, answer.json()["blocked"]["reason"]) == (202, "not mended")
    assert left.post(f"{SITE}/revisions/2:block", {"reason": "again"}).status_code == 200
    problem(left.post(f"{SITE}/revisions/3:block", {"reason": "x"}), 409, "KN-CONFLICT")


@pytest.mark.parametrize(
    ("body", "code"),
    [({}, "required"), ({"reason": ""}, "blank"), ({"reason": "x" * 301}, "max_length")],
    ids=["no reason", "an empty one", "a long one"],
)
def test_a_block_has_a_reason(left, body, code):
    answer = left.post(f"{SITE}/revisions/1:block", body)
    problem(answer, 400, "KN-INVALID")
    assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [
        ("/reason", code)
    ]


def test_there_is_no_such_revision(left):
    problem(left.post(f"{SITE}/revisions/9:unblock"), 404, "KN-NOT-FOUND")


def test_who_only_reads_lifts_nothing(left, as_):
    carols = as_("carol")
    assert carols.get(f"{SITE}/revisions/2").json()["blocked"]
    problem(carols.post(f"{SITE}/revisions/2:unblock"), 403, "KN-FORBIDDEN")
    assert blocked() == [2]


# --- In the portal.


def test_the_page_lifts_and_sets_a_block(left, client):
    client.force_login(User.objects.get(username="bob"))
    page = "/tenants/acme/projects/shop/apps/site/revisions/2"
    assert "2 was slow" in client.get(page).content.decode()
    assert b"blocked" in client.get("/tenants/acme/projects/shop/apps/site/revisions").content

    told = client.post(f"{page}/unblock", follow=True).content.decode()
    assert "Revision 2 may come back." in told and blocked() == []
    told = client.post(f"{page}/block", {"reason": ""}, follow=True).content.decode()
    assert "Say in up to 300 characters" in told and blocked() == []
    client.post(f"{page}/block", {"reason": "it leaks"}, follow=True)
    assert blocked() == [2]
    now = page.replace("/2", "/3")
    told = client.post(f"{now}/block", {"reason": "x"}, follow=True).content.decode()
    assert "what is wanted now" in told


def test_the_page_of_who_only_reads_offers_nothing(left, client):
    client.force_login(User.objects.get(username="carol"))
    page = "/tenants/acme/projects/shop/apps/site/revisions/2"
    assert "Let it come back" not in client.get(page).content.decode()
    assert client.post(f"{page}/unblock").status_code == 403
    assert Revision.objects.get(number=2).block.by == "bob"
