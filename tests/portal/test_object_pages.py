"""Pages of what an app has on its clusters: objects by component, and what happened to one."""

import pytest

from reconcile.errors import Unreachable
from tests.delivery.logs import pod
from tests.delivery.test_topology import WEB, happen
from tests.portal.conftest import As

SITE = "/tenants/acme/projects/shop/apps/site"
OBJECTS, WEB_PAGE = f"{SITE}/objects", f"{SITE}/objects/prod-a/web"
EVENTS = f"{WEB_PAGE}/events"


def test_objects_are_shown_by_cluster_and_component(deployed, as_: As) -> None:
    page = as_("carol").get(OBJECTS).content.decode()
    assert [
        text for text in ("prod-a", "Deployment", "As applied", WEB_PAGE) if text not in page
    ] == []
    assert f'href="{OBJECTS}"' in as_("carol").get(SITE).content.decode(), "the tab leads there"


def test_what_is_not_there_yet_is_told(site, as_: As) -> None:
    assert "Not there yet" in as_("bob").get(OBJECTS).content.decode()


def test_an_app_on_no_cluster_says_so(site, as_: As) -> None:
    site.placements.all().delete()
    assert "On no cluster" in as_("bob").get(OBJECTS).content.decode()


def test_a_component_has_a_page_that_asks_the_cluster_afterwards(deployed, as_: As, fleet) -> None:
    before = len(fleet["prod-a"].calls)
    page = as_("carol").get(WEB_PAGE).content.decode()
    assert f'hx-get="{EVENTS}"' in page and f'href="{EVENTS}"' in page
    assert len(fleet["prod-a"].calls) == before


def test_events_are_text_whatever_is_in_them(deployed, as_: As, fleet) -> None:
    live = fleet["prod-a"]
    happen(live, "a", WEB, "<script>alert(1)</script>", 1, type="Warning", count=3)
    happen(live, "b", pod(live, "web-1"), "Started.", 2)
    page = as_("carol").get(EVENTS).content.decode()
    assert "Started." in page and "(3 times)" in page and "Pod web-1" in page
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    assert "<html" not in page, "it is a fragment"


def test_no_events_are_no_empty_table(deployed, as_: As) -> None:
    page = as_("carol").get(EVENTS).content.decode()
    assert "Nothing to tell" in page and "<table" not in page


def test_a_cluster_that_does_not_answer_is_told_of(deployed, as_: As, fleet) -> None:
    fleet["prod-a"].fail_next(Unreachable("connection refused"))
    answer = as_("carol").get(EVENTS)
    assert answer.status_code == 200
    assert (
        'role="alert"' in answer.content.decode()
        and "connection refused" in answer.content.decode()
    )


@pytest.mark.parametrize("path", [f"{OBJECTS}/prod-b/web", f"{OBJECTS}/prod-a/db"])
def test_what_there_is_not_is_404(deployed, as_: As, path) -> None:
    for tail in ("", "/events"):
        assert as_("bob").get(f"{path}{tail}").status_code == 404
