"""The engine's pages for operators: drift and decisions."""

import pytest
from django.test import Client
from django.urls import reverse

from reconcile.models import Decision, Drift
from tests.clusters.steps import settle
from tests.people import person
from tests.reconcile.models import Toy
from tests.reconcile.test_modes import EDITOR, RULES, declare, look, set_to


@pytest.fixture
def olga(shelf) -> Client:
    """An operator, and a toy whose speed differs in mode manual."""
    toy = Toy(name="train", maps={"rules": {"speed": "slow"}}, shelves=["shelf"])
    toy.declare(by="alice")
    settle()
    declare(toy, repair_mode="manual")
    settle()
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    look()
    client = Client()
    client.force_login(person("olga", is_staff=True, is_superuser=True))
    return client


def act(client: Client, page: str, action: str, *keys: int) -> str:
    data = {"action": action, "_selected_action": list(keys)}
    return client.post(reverse(page), data, follow=True).content.decode()


def test_an_operator_sees_what_differs_and_repairs_it(olga, shelf):
    page, drift = "admin:reconcile_drift_changelist", Drift.objects.get()
    found = olga.get(reverse(page), {"q": EDITOR}).content.decode()
    assert "ConfigMap train/rules .data.speed" in found and EDITOR in found

    assert "1 are being repaired." in act(olga, page, "repair", drift.pk)
    settle()
    drift.refresh_from_db()
    assert (drift.resolution, drift.resolved_by) == ("repaired", "olga")
    assert shelf.body(RULES)["data"]["speed"] == "slow"


def test_an_operator_revokes_a_decision(olga, shelf):
    Drift.accept(Drift.objects.all(), "alice", "it is better so")
    settle()
    page = "admin:reconcile_decision_changelist"
    assert "it is better so" in olga.get(reverse(page)).content.decode()

    assert "1 were revoked." in act(olga, page, "revoke", Decision.objects.get().pk)
    settle()
    assert not Decision.objects.exists()
    assert shelf.body(RULES)["data"]["speed"] == "slow"


@pytest.mark.parametrize("page", ["drift", "decision"])
def test_nothing_is_added_or_edited_by_hand(olga, page):
    assert olga.get(reverse(f"admin:reconcile_{page}_add")).status_code == 403
