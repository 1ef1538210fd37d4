"""The drift page: what differs, object by object, and what each person can do about it."""

import re
from datetime import timedelta
from html import unescape
from uuid import uuid4

import pytest
from django.utils import timezone

from clusters.kinds import SERVICE
from portal.context import open_drift
from portal.differences import CLASSES
from reconcile.models import Decision, Drift
from tenancy.models import ProjectPlacement, Tenant
from tests.portal.conftest import As
from tests.tenancy.differences import differing, differing_quota

SITE = "/tenants/acme/projects/shop/apps/site"


@pytest.fixture
def row(deployed):
    """The app on its cluster."""
    return deployed.placements.get()


@pytest.fixture
def drift(row) -> Drift:
    """Its Deployment has one replica instead of three."""
    return differing(row)


@pytest.fixture
def quota(deployed) -> Drift:
    """The quota of the project differs: the operators' to decide about."""
    return differing_quota(ProjectPlacement.objects.get())


def text_of(answer) -> str:
    """What a person reads, without the markup."""
    text = re.sub(r"<[^>]*>", " ", answer.content.decode())
    return re.sub(r"\s+", " ", unescape(text))


def offered(answer) -> set[str]:
    """The ids of all buttons and links that do something about drift."""
    acts = r'id="((?:repair|accept|ignore)-[^"]+)"'
    return set(re.findall(acts, answer.content.decode()))


def next_fetch(answer) -> str:
    found = re.search(r'hx-get="([^"]*drift-state[^"]*)"', answer.content.decode())
    return unescape(found.group(1)) if found else ""


# --- What it shows.


def test_it_shows_what_is_wanted_and_found_by_whom_and_since_when(drift, as_: As) -> None:
    Drift.objects.update(first_seen=timezone.now() - timedelta(hours=3), times=4)
    text = text_of(as_("carol").get("/drift"))
    for words in (
        "Deployment acme--shop/web",
        "App acme/shop/site",
        "on prod-a",
        ".spec.replicas",
        "wanted 3",
        "found 1",
        "changed by a person kubectl-scale",
        "first seen 3 hours ago",
        "last seen just now",
        "4 times",
        "1 field of 1 object",
    ):
        assert words in text


def test_fields_of_one_object_stand_together(row, drift, as_: As) -> None:
    differing(row, ".spec.paused")
    differing(row, ".spec.type", SERVICE)
    answer = as_("bob").get("/drift")
    assert answer.context["count"] == 3
    found = {each.first.object_kind: each.fields for each in answer.context["objects"]}
    assert [each.drift.path for each in found["Deployment"]] == [".spec.paused", ".spec.replicas"]
    assert len(found["Service"]) == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [("missing", "The object is missing"), ("extra", "Nobody declared this object")],
)
def test_what_is_missing_or_extra_is_said_in_words(name, words, row, as_: As) -> None:
    differing(row, "", drift_class=name, wanted=None, found=None, actor="")
    assert words in text_of(as_("carol").get("/drift"))


def test_it_says_when_nothing_differs(deployed, as_: As) -> None:
    text = text_of(as_("carol").get("/drift"))
    assert "Nothing differs" in text and "Nothing differed" in text
    filtered = as_("carol").get("/drift?class=human")
    assert "Nothing differs here" in text_of(filtered)
    assert "Show all" in text_of(filtered)


@pytest.mark.parametrize(
    ("query", "hits"),
    [
        ("", 2),
        ("tenant=acme", 2),
        ("tenant=globex", 0),
        ("cluster=prod-a", 2),
        ("cluster=x", 0),
        ("class=human", 1),
        ("class=autoscaler", 0),
        ("class=nonsense", 0),
        ("age=last-hour", 1),
        ("age=over-hour", 1),
        ("age=over-day", 0),
        ("age=nonsense", 2),
    ],
)
def test_it_is_filtered(query, hits, row, drift, as_: As) -> None:
    earlier = timezone.now() - timedelta(hours=2)
    differing(row, ".spec.paused", drift_class="controller", first_seen=earlier)
    answer = as_("olga").get(f"/drift?{query}")
    assert answer.context["count"] == hits
    assert answer.context["filtered"] is bool(query)


def test_what_is_over_is_told_with_how_it_ended(row, as_: As) -> None:
    now = timezone.now()
    columns = {"resolved_by": "bob", "resolved_at": now, "correlation_id": "watch-1"}
    differing(row, resolution="accepted", **columns)
    answer = as_("carol").get("/drift")
    text = text_of(answer)
    assert "accepted Deployment acme--shop/web on prod-a just now by bob" in text
    assert "/events/watch-1" in answer.content.decode()
    assert not offered(answer)


def test_what_is_over_comes_in_pages_the_latest_first(row, as_: As) -> None:
    for number in range(25):
        moment = timezone.now() - timedelta(minutes=number)
        differing(row, f".spec.x{number}", resolution="repaired", resolved_at=moment)
    first, second = (as_("carol").get(f"/drift?page={number}") for number in (1, 2))
    assert first.context["recent"][0].drift.path == ".spec.x0"
    assert len(second.context["recent"]) == 5
    assert "21–25 of 25" in text_of(second)


def test_a_long_list_says_that_it_is_cut(row, as_: As, monkeypatch) -> None:
    monkeypatch.setattr("portal.drift._OBJECTS", 2)
    for number in range(3):
        differing(row, name=f"web-{number}")
    answer = as_("carol").get("/drift")
    assert len(answer.context["objects"]) == 2
    assert "more than fits on this page" in text_of(answer)


def test_strangers_see_none_of_it(drift, quota, globex, as_: As) -> None:
    assert as_("charlie").get("/drift?tenant=acme").context["count"] == 0
    for act in ("repair", "accept", "ignore"):
        assert as_("charlie").get(f"/drift/{act}?uid={drift.uid}").status_code == 404
        assert as_("charlie").post(f"/drift/{act}", {"uid": drift.uid}).status_code == 404


def test_values_are_shown_and_never_run(row, as_: As) -> None:
    differing(row, found="<script>alert(1)</script>", actor="<b>x</b>")
    text = as_("carol").get("/drift").content.decode()
    assert "<script>alert" not in text and "<b>x</b>" not in text
    assert "&lt;script&gt;alert(1)" in text


# --- What moves.


def test_it_follows_until_nothing_differs(drift, as_: As) -> None:
    client = as_("bob")
    url = next_fetch(client.get("/drift?cluster=prod-a"))
    assert "cluster=prod-a" in url
    assert client.get(url).status_code == 204  # as it looks already
    Drift.objects.update(repair_requested_by="bob")
    answer = client.get(url)
    assert "bob asked for its repair" in text_of(answer)
    assert "<html" not in answer.content.decode()
    Drift.close(Drift.objects.all(), Drift.Resolution.REPAIRED)
    answer = client.get(next_fetch(answer))
    assert "Nothing differs" in text_of(answer)
    assert next_fetch(answer) == ""


@pytest.mark.parametrize(("count", "told"), [(0, ""), (1, "1"), (99, "99"), (101, "99+")])
def test_the_menu_counts_what_differs(count, told, row, people, rf) -> None:
    for number in range(count):
        differing(row, f".spec.x{number}")
    request = rf.get("/")
    request.user = people["carol"]
    assert open_drift(request) == told


def test_the_count_is_in_the_menu_of_every_page(drift, globex, as_: As) -> None:
    assert "Drift 1 open" in text_of(as_("carol").get("/apps"))
    assert "1 open" not in text_of(as_("charlie").get("/apps"))


# --- What one can do.


def test_everybody_is_offered_what_the_role_allows(row, drift, quota, as_: As) -> None:
    found = {name: offered(as_(name).get("/drift")) for name in ("olga", "alice", "bob", "carol")}
    on_app = {f"{act}-{drift.uid}" for act in ("repair", "accept", "ignore")}
    on_quota = {f"{act}-{quota.uid}" for act in ("repair", "accept", "ignore")}
    on_all = {f"{act}-all" for act in ("repair", "accept", "ignore")}
    assert found["olga"] == on_app | on_quota | on_all
    assert found["alice"] == on_app | on_all | {f"repair-{quota.uid}"}
    assert found["bob"] == on_app | on_all
    assert found["carol"] == set()


def test_what_cannot_be_accepted_is_not_offered(row, as_: As) -> None:
    gone = differing(row, "", drift_class="missing")
    secret = differing(row, ".data.password", wanted="••••••", found="••••••")
    found = offered(as_("bob").get("/drift"))
    for each in (gone, secret):
        assert {f"repair-{each.uid}", f"ignore-{each.uid}"} <= found
        assert f"accept-{each.uid}" not in found


def test_a_repair_that_deletes_is_confirmed_first(row, as_: As) -> None:
    stray = differing(row, "", drift_class="extra", name="stray")
    page = as_("bob").get("/drift").content.decode()
    assert "<form" not in page.split('class="fields"')[1].split("</ul>")[0]
    confirm = as_("bob").get(f"/drift/repair?uid={stray.uid}")
    assert "what nobody declared is deleted" in text_of(confirm)
    as_("bob").post("/drift/repair", {"uid": stray.uid})
    stray.refresh_from_db()
    assert stray.repair_requested_by == "bob"


def test_what_is_under_way_is_not_offered_again(drift, as_: As) -> None:
    Drift.objects.update(repair_requested_by="bob")
    assert not offered(as_("bob").get("/drift")) & {f"repair-{drift.uid}"}


def test_one_click_repairs_a_field(drift, as_: As) -> None:
    answer = as_("bob").post("/drift/repair?cluster=prod-a", {"uid": drift.uid}, follow=True)
    assert answer.redirect_chain == [("/drift?cluster=prod-a", 302)]
    assert "The difference is being repaired." in text_of(answer)
    drift.refresh_from_db()
    assert drift.repair_requested_by == "bob"


def test_an_object_is_repaired_whole(row, drift, as_: As) -> None:
    other = differing(row, ".spec.paused")
    answer = as_("bob").post("/drift/repair", {"uid": [drift.uid, other.uid]}, follow=True)
    assert "2 differences: each is being repaired." in text_of(answer)


def test_ignoring_asks_why_and_until_when(drift, as_: As) -> None:
    client, path = as_("bob"), f"/drift/ignore?uid={drift.uid}"
    text = text_of(client.get(path))
    assert "Ignore 1 difference" in text and ".spec.replicas" in text
    blank = client.post(path, {"uid": drift.uid, "reason": ""})
    assert blank.status_code == 422 and "This field is required." in text_of(blank)
    past = client.post(path, {"uid": drift.uid, "reason": "x", "until": "2001-01-01"})
    assert past.status_code == 422 and "This day is over." in text_of(past)
    sent = {"uid": drift.uid, "reason": "A load test.", "until": "2099-12-31"}
    assert client.post(path, sent)["Location"] == "/drift"
    decision = Decision.objects.get()
    assert (decision.reason, decision.author) == ("A load test.", "bob")
    assert decision.expires_at.isoformat() == "2099-12-31T23:59:59+00:00"


def test_accepting_takes_a_reason_if_one_likes(drift, as_: As) -> None:
    answer = as_("bob").post("/drift/accept", {"uid": drift.uid}, follow=True)
    assert "The difference was accepted." in text_of(answer)
    assert Decision.objects.get().value == 1


def test_a_refusal_is_told_on_the_page(row, as_: As) -> None:
    label = ".metadata.labels['app.kubernetes.io/managed-by']"
    ours = differing(row, label, wanted="kubenova", found="somebody")
    answer = as_("bob").post("/drift/ignore", {"uid": ours.uid, "reason": "x"})
    assert answer.status_code == 422
    assert "it can only be repaired" in text_of(answer)
    assert Drift.objects.open().exists()


def test_a_set_is_confirmed_and_is_what_was_shown(row, drift, as_: As) -> None:
    client = as_("bob")
    page = client.get("/drift/repair?class=human")
    assert "Repair 1 difference" in text_of(page)
    later = differing(row, ".spec.paused")  # after it was shown
    uids = re.findall(r'name="uid" value="([^"]+)"', page.content.decode())
    assert uids == [str(drift.uid)]
    client.post("/drift/repair?class=human", {"uid": uids})
    later.refresh_from_db()
    assert later.repair_requested_by == ""
    assert client.post("/drift/repair?class=human").status_code == 404


def test_a_set_leaves_out_what_is_not_ones_own_and_says_so(drift, quota, as_: As) -> None:
    page = as_("alice").get("/drift/ignore")
    text = text_of(page)
    assert "Ignore 1 difference" in text
    assert "1 difference is left out" in text
    assert "a ResourceQuota bounds the tenant, so an operator decides" in text
    assert str(quota.uid) not in page.content.decode()


def test_carol_decides_nothing(drift, as_: As) -> None:
    for act in ("repair", "accept", "ignore"):
        assert as_("carol").get(f"/drift/{act}").status_code == 403
        answer = as_("carol").post(f"/drift/{act}", {"uid": drift.uid, "reason": "x"})
        assert answer.status_code == 403
    assert not Decision.objects.exists()


@pytest.mark.parametrize("query", ["", "?tenant=globex"])
def test_nothing_to_decide_about_says_so(query, deployed, as_: As) -> None:
    text = text_of(as_("bob").get(f"/drift/repair{query}"))
    assert "Nothing is left to repair" in text


def test_what_ended_meanwhile_is_not_decided_about(drift, as_: As) -> None:
    Drift.close(Drift.objects.all(), Drift.Resolution.REPAIRED)
    answer = as_("bob").post("/drift/accept", {"uid": drift.uid})
    assert "Nothing is left to accept" in text_of(answer)


def test_uids_that_are_none_are_not_found(drift, as_: As) -> None:
    for uid in ("x", str(uuid4()), "%00"):
        assert as_("bob").get(f"/drift/repair?uid={uid}").status_code == 404


# --- On the pages of tenants, projects and apps.


@pytest.mark.parametrize(
    ("path", "own"),
    [("/tenants/acme", False), ("/tenants/acme/projects/shop", True), (SITE, True)],
)
def test_the_mode_and_what_differs_are_on_every_page(path, own, drift, as_: As) -> None:
    text = text_of(as_("carol").get(path))
    assert "Repair mode auto" in text and ("(the tenant's)" in text) is own
    assert "1 field differs" in text
    Tenant.objects.update(repair_mode="manual")
    assert "Repair mode manual" in text_of(as_("carol").get(path))


def test_decisions_are_listed_with_why_and_revoked(deployed, acme, as_: As) -> None:
    rule = Decision.ignore(deployed, "bob", reason="It scales.", pointer="/spec/replicas")
    text = text_of(as_("carol").get(SITE))
    assert "ignore any object /spec/replicas" in text
    assert "It scales." in text and "until revoked" in text
    assert f"/decisions/{rule.uid}/revoke" not in as_("carol").get(SITE).content.decode()
    assert f"/decisions/{rule.uid}/revoke" in as_("bob").get(SITE).content.decode()
    assert as_("carol").post(f"/decisions/{rule.uid}/revoke").status_code == 403
    assert Decision.objects.exists()
    answer = as_("bob").post(f"/decisions/{rule.uid}/revoke", follow=True)
    assert answer.redirect_chain == [(SITE, 302)]
    assert "taken back" in text_of(answer)
    assert not Decision.objects.exists()


def test_decisions_above_are_listed_and_revoked_where_they_were_made(
    deployed, acme, globex, as_: As
) -> None:
    rule = Decision.ignore(acme, "olga", reason="All scale.", manager="keda", object_kind="X")
    answer = as_("alice").get(SITE)
    assert "made on Tenant acme" in text_of(answer)
    assert f"/decisions/{rule.uid}/revoke" not in answer.content.decode()
    assert as_("charlie").post(f"/decisions/{rule.uid}/revoke").status_code == 404
    assert as_("charlie").get(f"/decisions/{rule.uid}/revoke").status_code == 405


def test_an_operators_bound_is_not_revoked_by_a_tenant_admin(acme, shop, as_: As) -> None:
    rule = Decision.ignore(acme, "olga", reason="x", pointer="/x", object_kind="ResourceQuota")
    assert as_("alice").post(f"/decisions/{rule.uid}/revoke").status_code == 403
    assert Decision.objects.exists()


def test_an_accepted_value_is_shown_beside_the_declared_one(deployed, drift, as_: As) -> None:
    Drift.accept([drift], "bob", "Enough.")
    text = text_of(as_("carol").get(SITE))
    assert "declared 1 accepted 1" in text or "declared absent accepted 1" in text


# --- In the forms.


def test_a_tenant_admin_chooses_the_mode_of_the_tenant(deployed, acme, as_: As) -> None:
    client, path = as_("alice"), "/tenants/acme/edit"
    assert 'name="repair_mode"' in client.get(path).content.decode()
    sent = {"generation": acme.generation, "isolation": "isolated"}
    client.post(path, {**sent, "repair_mode": "manual"})
    acme.refresh_from_db()
    assert acme.repair_mode == "manual"
    client.post(path, {**sent, "generation": acme.generation})  # as a script that knows no modes
    acme.refresh_from_db()
    assert acme.repair_mode == "manual"
    answer = client.post(path, {**sent, "generation": acme.generation, "repair_mode": "never"})
    assert answer.status_code == 422


def test_a_developer_chooses_the_mode_of_an_app(deployed, as_: As) -> None:
    client, path = as_("bob"), f"{SITE}/edit?as=yaml"
    page = client.get(path).content.decode()
    assert "As the tenant has it" in page
    components = "- {name: web, type: webservice, properties: {image: 'nginx:1.27'}}"
    sent = {"generation": deployed.generation, "health_deadline": 60, "text": components}
    client.post(path, {**sent, "repair_mode": "manual"})
    deployed.refresh_from_db()
    assert deployed.repair_mode == "manual"
    text = text_of(as_("carol").get(SITE))
    assert "Repair mode manual" in text and "(the tenant's)" not in text


def test_every_class_has_a_word() -> None:
    assert set(CLASSES) == set(Drift.Class)
