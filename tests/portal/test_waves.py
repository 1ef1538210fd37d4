"""Rollouts in waves on pages: how they stand, who is offered what, and the strategy in the form."""

import re

import pytest

from delivery.models import App
from tests.clusters.steps import settle
from tests.delivery.waves import (
    APPROVED,
    change,
    come_up,
    fail,
    now,
    staged,
    standing,
    trio,
    waves,
)
from tests.portal.conftest import As
from tests.portal.test_app_forms import edited
from tests.portal.test_live import next_fetch

__all__ = ["standing", "trio"]

SITE = "/tenants/acme/projects/shop/apps/site"
VERBS = ("promote", "resume", "pause", "abort")


@pytest.fixture
def rolling(standing) -> App:
    """`site`, whose revision 2 has come to its first wave; the second has to be approved."""
    return change(staged(standing, APPROVED))


def offered(text: str) -> list[str]:
    """The verbs that the page offers."""
    return re.findall(r'id="rollout-([a-z]+)"', text.replace('id="rollout-title"', ""))


def shown(client, path: str = SITE) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def rows(text: str) -> list[str]:
    """The rows of the table of waves, as words."""
    table = text[text.index("Waves of revision") :].split("</table>")[0]
    found = re.findall(r"<tr>(.*?)</tr>", table.split("<tbody>")[1], re.S)
    return [
        " ".join(re.sub(r"<svg.*?</svg>|<[^>]+>", " ", row, flags=re.S).split()) for row in found
    ]


def test_the_page_shows_the_waves_and_follows_them(rolling, fleet, as_: As) -> None:
    client = as_("bob")
    text = shown(client)
    first, second = rows(text)
    assert first.startswith("1 prod-a Running")
    assert second == "2 needs approval prod-b, prod-c Waiting not yet"
    assert "prod-a is Applying (Progressing)" in text
    assert "waits for its wave" in text
    url = next_fetch(text)
    assert client.get(url).status_code == 204
    come_up(fleet, "prod-a")
    text = shown(client, url)
    assert "Waiting for approval" in text
    assert "Wave 2 of 2 waits for somebody to promote it." in text
    url = next_fetch(text)
    rolling.promote(by="alice")
    text = shown(client, url)
    assert rows(text)[1].startswith("2 approved by alice prod-b, prod-c Running")


def test_it_offers_what_the_state_allows_to_who_may(rolling, fleet, as_: As) -> None:
    assert offered(shown(as_("bob"))) == ["pause", "abort"]
    come_up(fleet, "prod-a")
    assert offered(shown(as_("bob"))) == ["promote", "pause", "abort"]
    assert offered(shown(as_("carol"))) == []
    assert "Waiting for approval" in shown(as_("carol"))
    for verb in VERBS:
        assert as_("carol").post(f"{SITE}/{verb}").status_code == 403
    rolling.pause(by="alice")
    assert offered(shown(as_("bob"))) == ["resume", "abort"]


def test_an_app_without_waves_shows_none(standing, as_: As) -> None:
    text = shown(as_("bob"))
    assert 'id="rollout"' not in text and offered(text) == []
    text = shown(as_("bob"), f"{SITE}/pause")
    assert "There is nothing to pause in this state." in text and 'name="reason"' not in text


def test_a_button_promotes(rolling, fleet, as_: As) -> None:
    come_up(fleet, "prod-a")
    assert '<input type="hidden" name="wave" value="2">' in shown(as_("bob"))
    for stale in ("1", "x"):
        answer = as_("bob").post(f"{SITE}/promote", {"wave": stale}, follow=True)
        assert "does not wait to be promoted: wave 2 does." in answer.content.decode()
    answer = as_("bob").post(f"{SITE}/promote", {"wave": "2"}, follow=True)
    assert "The wave was promoted." in answer.content.decode()
    assert now(rolling).waves[1]["approved_by"] == "bob"
    answer = as_("bob").post(f"{SITE}/promote", follow=True)
    assert "is Running and cannot be promoted." in answer.content.decode()


def test_pause_and_resume_by_the_page(rolling, as_: As) -> None:
    client = as_("bob")
    assert "No more clusters get this revision" in shown(client, f"{SITE}/pause")
    answer = client.post(f"{SITE}/pause", {"reason": "lunch"}, follow=True)
    assert "Paused by bob: lunch." in answer.content.decode()
    again = client.post(f"{SITE}/pause", {"reason": "lunch"})
    assert again.status_code == 422
    assert "is Paused and cannot be paused." in again.content.decode()
    answer = client.post(f"{SITE}/resume", follow=True)
    assert "The rollout goes on." in answer.content.decode()
    assert waves(rolling) == ["Running", "Waiting"]


def test_abort_by_the_page(rolling, fleet, as_: As) -> None:
    fail(fleet, "prod-a")
    assert "Paused by kubenova: Revision 2 failed on prod-a: web:" in shown(as_("bob"))
    answer = as_("bob").post(f"{SITE}/abort", {"reason": "broken"}, follow=True)
    text = answer.content.decode()
    assert "The rollout of revision 2 was aborted by bob: broken" in text
    assert "Aborted" in text and offered(text) == []
    rolling.refresh_from_db()
    assert rolling.revision == 3


def filled(app: App, *rows: tuple[str, str, str, str, str]) -> dict:
    names = ("clusters", "selector", "soak", "max_unavailable", "approval")
    cells = zip(names, zip(*rows, strict=True), strict=True)
    return edited(app, **{f"strategy-{name}": [*cell] for name, cell in cells})


def test_the_form_takes_waves_and_shows_them_again(deployed, as_: As) -> None:
    client = as_("bob")
    sent = filled(
        deployed, ("prod-a", "", "60", "1", "yes"), ("", "region=eu, tier=x", "", "", "no")
    )
    assert client.post(f"{SITE}/edit", sent).status_code == 302
    deployed.refresh_from_db()
    strategy = {
        "waves": [
            {"clusters": ["prod-a"], "approval": True, "soak": 60, "max_unavailable": 1},
            {"selector": {"region": "eu", "tier": "x"}},
        ]
    }
    assert (deployed.strategy, deployed.revision) == (strategy, 1)
    text = shown(client, f"{SITE}/edit")
    for value in ("prod-a", "60", "region=eu tier=x"):
        assert f'value="{value}"' in text
    settle()
    deployed.refresh_from_db()
    client.post(f"{SITE}/edit", filled(deployed, ("", "", "", "", "no")))
    deployed.refresh_from_db()
    assert deployed.strategy == {}


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        pytest.param(("", "eu", "", "", "no"), "eu is no label: write key=value.", id="no label"),
        pytest.param(
            ("prod-a", "", "long", "", "no"),
            "waves → 1 → soak: Use a whole number from 0 to 604800.",
            id="no number",
        ),
        pytest.param(
            ("prod-z", "", "", "", "no"),
            "waves → 1 → clusters → 1: The project is not placed on this cluster.",
            id="no cluster of the project",
        ),
        pytest.param(
            ("", "", "5", "", "no"), "waves → 1: Say which clusters", id="a wave of no clusters"
        ),
    ],
)
def test_the_form_says_what_is_wrong_with_a_wave(deployed, as_: As, row, fault) -> None:
    answer = as_("bob").post(f"{SITE}/edit", filled(deployed, row))
    assert answer.status_code == 422
    assert fault in answer.content.decode()
    deployed.refresh_from_db()
    assert deployed.strategy == {}
