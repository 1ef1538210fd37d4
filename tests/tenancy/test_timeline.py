"""Events of one object and of one request: who may read them, and what they are found by."""

from datetime import timedelta
from uuid import uuid4

import pytest

from delivery.models import App
from reconcile.correlation import correlate
from reconcile.models import Event
from tenancy.models import Project
from tenancy.timeline import UnknownObject, about, events_for, moments
from tests.api.conftest import problem, signed_in
from tests.people import acme, alice, bob, carol, charlie, globex, olga, quick_passwords

__all__ = ["acme", "alice", "bob", "carol", "charlie", "globex", "olga", "quick_passwords"]

EVENTS = "/api/v1/events"


@pytest.fixture
def site(acme) -> App:
    """The app acme/shop/site; nothing was done for it."""
    shop = Project(tenant=acme, name="shop")
    shop.declare(by="alice")
    component = {"name": "web", "type": "webservice", "properties": {"image": "nginx:1.27"}}
    app = App(project=shop, name="site", components=[component])
    app.declare(by="bob")
    return app


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("app/acme/shop/site", {"App acme/shop/site"}),
        ("app/site", {"App acme/shop/site"}),
        ("project/acme/shop", {"Project acme/shop"}),
        ("tenant/acme", {"Tenant acme"}),
        ("tenant/nobody", set()),
        ("app/shop", set()),
    ],
)
def test_an_object_is_found_by_its_name(text, names, site, globex):
    assert {event.name for event in about(Event.objects.all(), text)} == names


def test_an_object_is_found_by_its_uid(site):
    for text in (str(site.uid), f"app/{site.uid}"):
        assert {event.name for event in about(Event.objects.all(), text)} == {"App acme/shop/site"}
    assert not about(Event.objects.all(), f"app/{uuid4()}").exists()


def test_its_placements_belong_to_it(site):
    common = {"tenant": "acme", "object_uid": uuid4(), "reason": "Applied"}
    row = {"kind": "appplacement", "name": "App acme/shop/site on prod-a", **common}
    Event.objects.create(message="…", **row)
    Event.objects.create(message="…", **{**row, "name": "App acme/shop/site2 on prod-a"})
    App.objects.all().delete()  # what is gone is found by its name

    found = about(Event.objects.all(), "app/acme/shop/site")
    assert "App acme/shop/site on prod-a" in {event.name for event in found}
    assert "App acme/shop/site2 on prod-a" not in {event.name for event in found}


@pytest.mark.parametrize(
    "text", ["nonsense", "app/", "user/alice", "app/a/b/c/d", "tenant/a/b", "/", "event/1"]
)
def test_what_names_nothing_says_how_to_name_it(text, db):
    with pytest.raises(UnknownObject, match="kind/name or kind/uid"):
        about(Event.objects.all(), text)


@pytest.mark.parametrize(
    ("name", "sees"),
    [("alice", True), ("carol", True), ("olga", True), ("charlie", False)],
)
def test_members_and_operators_read_the_events_of_a_tenant(name, sees, site, globex, request):
    user = request.getfixturevalue(name)
    answer = signed_in(user).get(f"{EVENTS}?object=app/acme/shop/site").json()
    assert bool(answer["items"]) is sees
    assert events_for(user).filter(tenant="acme").exists() is sees


def test_nobody_who_has_left_reads_any(site, carol):
    carol.is_active = False
    carol.save()
    assert not events_for(carol).exists()


def test_one_request_is_read_page_by_page(site, alice):
    with correlate("request-7"):
        for number in range(5):
            Event.record(site, "Noted", str(number))
    client, url = signed_in(alice), f"{EVENTS}?correlation_id=request-7&limit=2"
    seen = []
    while url:
        page = client.get(url).json()
        seen += [event["message"] for event in page["items"]]
        url = page["next"]
    assert seen == ["4", "3", "2", "1", "0"]


def test_a_filter_that_names_nothing_is_refused(alice, acme):
    body = problem(signed_in(alice).get(f"{EVENTS}?object=nonsense"), 400, "KN-INVALID")
    assert body["errors"][0]["parameter"] == "object"
    assert "app/acme/shop/web" in body["errors"][0]["detail"]


def test_a_timeline_tells_the_time_between_and_what_each_took(acme):
    first, second, third = (Event.record(acme, "Noted", str(number)) for number in range(3))
    second.at, third.at = (first.at + timedelta(seconds=each) for each in (1.5, 4))
    second.data, third.data = {"milliseconds": 250.0}, {"seconds": 4}

    told = moments([first, second, third])
    assert [each.offset for each in told] == [0.0, 1.5, 4.0]
    assert [each.took for each in told] == [None, 0.25, 4.0]
    assert moments([]) == []
