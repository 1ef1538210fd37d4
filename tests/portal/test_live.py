"""Fragments that fetch themselves, and stop; what happened and what differs."""

import re
import time
from datetime import timedelta
from html import unescape
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from delivery.adapters.native import DEPLOYMENT
from delivery.models import App, AppPlacement
from portal.templatetags.portal import distance, plain, quantity, seconds
from reconcile.correlation import correlate
from reconcile.models import Event
from reconcile.pages.polling import LONGEST
from reconcile.values import JSON, Ref
from tenancy.models import Tenant
from tests.clusters.steps import hurry, settle
from tests.delivery.controllers import roll_out
from tests.delivery.samples import component
from tests.portal.conftest import As

SITE = "/tenants/acme/projects/shop/apps/site"
STAGES = ("Created", "Planned", "Applied", "Observed", "Deployed")
LISTS = ["/", "/tenants", "/apps", "/tenants/acme", "/tenants/acme/projects/shop", SITE]


def next_fetch(text: str) -> str:
    """Where the fragment fetches itself from; empty when it has stopped."""
    found = re.search(r'hx-get="([^"]*)" hx-trigger="every 2s"', text)
    return unescape(found.group(1)) if found else ""


@pytest.mark.parametrize("path", LISTS)
def test_it_follows_what_is_unsettled_and_then_stops(path: str, site, fleet, as_: As) -> None:
    client, tenant = as_("alice"), Tenant.objects.get(name="acme")
    tenant.description = "Changed a moment ago"
    tenant.declare(by="alice")
    url = next_fetch(client.get(path).content.decode())
    assert url
    assert client.get(url).status_code == 204  # as it looks already
    roll_out(fleet)
    answer = client.get(url)
    assert answer.status_code == 200
    assert "Deployed" in answer.content.decode()
    assert next_fetch(answer.content.decode()) == ""
    assert "<html" not in answer.content.decode()


def test_it_pauses_after_a_while(site, as_: As) -> None:
    client = as_("alice")
    path = f"{SITE}/state?seen=old&since={int(time.time()) - LONGEST - 1}"
    text = client.get(path).content.decode()
    assert next_fetch(text) == ""
    assert "Updates paused" in text


@pytest.mark.parametrize("since", ["", "x", "-1", "9" * 30], ids=["none", "word", "minus", "long"])
def test_it_follows_on_when_told_nonsense(since: str, site, as_: As) -> None:
    text = as_("alice").get(f"{SITE}/state?since={since}").content.decode()
    assert f"since={int(time.time())}"[:-2] in next_fetch(text)


def test_a_filter_stays_while_it_follows(site, as_: As) -> None:
    url = next_fetch(as_("alice").get("/apps?q=si&phase=Pending").content.decode())
    assert "q=si" in url
    assert "phase=Pending" in url


def test_what_waits_for_an_operator_is_not_followed(globex, as_: As) -> None:
    settle()
    text = as_("charlie").get("/tenants/globex").content.decode()
    assert "NoClusterSelected" in text
    assert next_fetch(text) == ""


def test_what_is_gone_is_not_found(deployed, as_: As) -> None:
    client = as_("alice")
    deployed.request_deletion(by="alice")
    url = next_fetch(client.get(SITE).content.decode())
    assert "Deleting" in client.get(url.split("?")[0]).content.decode()
    for _ in range(10):
        hurry()
    assert client.get(url).status_code == 404


def test_home_says_what_is_not_settled_and_why(site, as_: As) -> None:
    text = as_("alice").get("/").content.decode()
    assert "App acme/shop/site" in text
    assert "Not observed yet." in text


def test_home_says_when_all_is_well(deployed, as_: As) -> None:
    assert "Everything is settled" in as_("alice").get("/").content.decode()


def test_home_tells_a_newcomer_what_to_do(people, as_: As) -> None:
    assert "You belong to no tenant yet" in as_("charlie").get("/").content.decode()


def tampered(body: JSON) -> None:
    body["spec"]["replicas"] = 7


@pytest.fixture
def repaired(deployed: App, fleet) -> Event:
    """Somebody scaled the Deployment by kubectl; it was set right."""
    fleet["prod-a"].edit(Ref(DEPLOYMENT, "acme--shop", "web"), "kubectl-edit", tampered)
    for placement in AppPlacement.objects.all():
        placement.mark()
    settle()
    return Event.objects.get(reason="DriftRepaired")


def test_drift_tells_what_was_changed_and_by_whom(repaired: Event, as_: As) -> None:
    text = as_("carol").get("/drift").content.decode()
    for word in ("Deployment acme--shop/web", ".spec.replicas", "kubectl-edit", "7", "1"):
        assert word in text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("tenant=acme", True),
        ("cluster=prod-a", True),
        ("tenant=globex", False),
        ("cluster=x", False),
    ],
)
def test_drift_is_filtered(query: str, found: bool, repaired: Event, as_: As) -> None:
    text = as_("olga").get(f"/drift?{query}").content.decode()
    assert (".spec.replicas" in text) is found


def test_a_stranger_sees_no_drift(repaired: Event, globex, as_: As) -> None:
    assert ".spec.replicas" not in as_("charlie").get("/drift?tenant=acme").content.decode()


def test_a_timeline_tells_what_one_request_set_going(shop, fleet, as_: As) -> None:
    with correlate("request-1"):
        App(project=shop, name="site", components=[component()]).declare(by="bob")
    roll_out(fleet)
    answer = as_("carol").get(reverse("timeline", args=["request-1"]))
    reasons = [event.reason for event in answer.context["events"]]
    assert reasons[0] == "Created"
    assert reasons[-1] == "Deployed"
    assert answer.context["actors"] == ["bob"]
    assert list(dict.fromkeys(reason for reason in reasons if reason in STAGES)) == list(STAGES)
    (place,) = answer.context["places"]
    assert (place.event.cluster, place.event.reason) == ("prod-a", "Deployed")
    assert 0 <= place.offset <= answer.context["took"]
    text = " ".join(answer.content.decode().split())
    assert "1 object to write: 1 apply (new)." in text
    assert re.search(r"took [0-9]+ ms", text) and re.search(r">\+[0-9]+ ms</time>", text)


def test_stages_are_shown_where_one_asks_for_them(deployed, as_: As) -> None:
    def reasons(path: str) -> set[str]:
        events = as_("carol").get(path).context["events"]
        return {event.reason for event in getattr(events, "rows", events)}

    for path in ("/", "/activity", "/tenants/acme/activity", f"{SITE}/activity"):
        assert not reasons(path) & {"Planned", "Applied", "Observed"}, path
        assert "Deployed" in reasons(path), path
    assert {"Planned", "Applied", "Observed"} <= reasons("/activity?stages=yes")
    assert reasons("/activity?reason=Planned") == {"Planned"}


def test_a_timeline_is_in_the_order_of_what_happened(acme, as_: As) -> None:
    with correlate("request-1"):
        late, early = (Event.record(acme, "Noted", word) for word in ("late", "early"))
    Event.objects.filter(pk=early.pk).update(at=late.at - timedelta(seconds=90))
    answer = as_("carol").get(reverse("timeline", args=["request-1"]))
    assert [event.message for event in answer.context["events"]] == ["early", "late"]
    assert answer.context["took"] == 90 and "1 min 30 s" in answer.content.decode()


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 ms"),
        (0.0404, "40 ms"),
        (2.54, "2.5 s"),
        (59.9, "59.9 s"),
        (200, "3 min 20 s"),
        (7260, "2 h 1 min"),
    ],
)
def test_durations_are_told_as_people_do(number: float, text: str) -> None:
    assert seconds(number) == text


@pytest.mark.parametrize("path", ["/events/request-1", "/events/a%2Fb", "/events/%00"])
def test_a_stranger_sees_no_timeline(path: str, shop, globex, as_: As) -> None:
    with correlate("request-1"):
        shop.tenant.dismiss(shop.tenant.members.first(), by="olga")
    assert as_("charlie").get(path).status_code == 404


@pytest.mark.parametrize("kind", ["app", "appplacement"])
def test_an_event_leads_to_the_page_of_its_object(kind: str, deployed, globex, as_: As) -> None:
    row = deployed if kind == "app" else deployed.placements.get()
    path = reverse("object", args=[kind, row.uid])
    assert as_("carol").get(path)["Location"] == SITE
    assert as_("charlie").get(path).status_code == 404
    assert as_("carol").get(reverse("object", args=["user", row.uid])).status_code == 404


def test_an_event_of_what_is_gone_or_not_ones_own_leads_to_its_history(
    deployed, globex, as_: As
) -> None:
    event = Event.objects.create(
        kind="kubeconfiggrant",
        object_uid=uuid4(),
        name="Grant grant-1 of alice",
        tenant="acme",
        reason="Created",
        message="Created by alice.",
    )
    path = reverse("object", args=[event.kind, event.object_uid])
    text = as_("carol").get(path, follow=True).content.decode()
    assert "All that happened to <strong>Grant grant-1 of alice</strong>" in text
    assert "App acme/shop/site" not in text.split("<ul")[-1]
    assert as_("charlie").get(path).status_code == 404
    assert as_("carol").get(reverse("object", args=[event.kind, uuid4()])).status_code == 404


def test_activity_is_filtered_and_goes_back_in_time(acme, as_: As) -> None:
    for number in range(60):
        Event.record(acme, "Noted", f"Note {number}.")
    client = as_("carol")
    first = client.get("/activity?reason=Noted")
    assert [len(first.context["events"].rows), first.context["events"].older is None] == [50, False]
    older = client.get(f"/activity?reason=Noted&before={first.context['events'].older}")
    assert [event.message for event in older.context["events"].rows][-1] == "Note 0."
    assert len(older.context["events"].rows) == 10
    for query in ("before=nonsense", "object=nonsense"):
        assert client.get(f"/activity?{query}").status_code == 200
    assert client.get(f"/activity?before={'9' * 40}").status_code == 200


@pytest.mark.parametrize(
    ("words", "found"),
    [("sho", "Project acme/shop"), ("ACM", "Tenant acme"), ("sit", "App acme/shop/site")],
)
def test_search_finds_names(words: str, found: str, site, globex, as_: As) -> None:
    assert found in as_("carol").get("/search", {"q": words}).content.decode()
    assert found not in as_("charlie").get("/search", {"q": words}).content.decode()


def test_search_finds_a_correlation_id(acme, as_: As) -> None:
    with correlate("request-7"):
        acme.description = "new"
        acme.declare(by="olga")
    assert "/events/request-7" in as_("carol").get("/search?q=request-7").content.decode()


def test_search_sends_only_results_as_one_types(site, as_: As) -> None:
    text = as_("carol").get("/search?q=site", headers={"HX-Request": "true"}).content.decode()
    assert "App acme/shop/site" in text
    assert "<html" not in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"),
        (-30, "30 seconds ago"),
        (-90, "1 minute ago"),
        (-7200, "2 hours ago"),
        (-200_000, "2 days ago"),
        (3700, "in 1 hour"),
        (45, "in 44 seconds"),
    ],
)
def test_times_are_told_as_people_do(seconds: int, text: str) -> None:
    assert distance(timezone.now() + timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "absent"), (3, "3"), ("nginx", "nginx"), ({"a": 1}, '{"a": 1}'), (True, "true")],
)
def test_values_are_told_plainly(value: object, text: str) -> None:
    assert plain(value) == text


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("4000m", "4"),
        ("250m", "250m"),
        ("8589934592", "8Gi"),
        ("60", "60"),
        ("0", "0"),
        ("2Gi", "2Gi"),
    ],
)
def test_quantities_are_told_as_people_do(given: str, text: str) -> None:
    assert quantity(given) == text
