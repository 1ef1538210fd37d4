"""Operators read apps in the admin and have them looked at; they write nothing there."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from delivery.models import App
from reconcile.models import Work
from tests.people import person

APPS = "/admin/delivery/app/"
PLACEMENTS = "/admin/delivery/appplacement/"


@pytest.fixture
def olgas(people) -> Client:
    olga = people["olga"]
    olga.is_superuser = True
    olga.save()
    client = Client()
    client.force_login(olga)
    return client


def run(client: Client, path: str, pk: int):
    return client.post(path, {"action": "reconcile_now", "_selected_action": [pk]}, follow=True)


def test_the_list_shows_phase_and_revision(olgas, deployed):
    page = olgas.get(APPS).content.decode()
    assert "Project acme/shop" in page
    assert "Deployed" in page


def test_an_app_is_shown_with_conditions_placements_and_revisions(olgas, deployed):
    page = olgas.get(f"{APPS}{deployed.pk}/change/").content.decode()
    assert "Synced is True: Applied." in page
    assert "prod-a" in page
    assert "Revision 1 of App acme/shop/site" in page
    assert "nginx:1.27" in page


def test_a_placement_is_shown(olgas, deployed):
    placement = deployed.placements.get()
    assert "prod-a" in olgas.get(PLACEMENTS).content.decode()
    page = olgas.get(f"{PLACEMENTS}{placement.pk}/change/").content.decode()
    assert "Ready is True: Available." in page


@pytest.mark.parametrize("query", ["?phase=Deployed", "?q=acme", "?q=site"])
def test_the_list_is_narrowed(olgas, deployed, query):
    assert "Project acme/shop" in olgas.get(APPS + query).content.decode()
    assert "Project acme/shop" not in olgas.get(APPS + "?q=globex").content.decode()


def test_messages_of_clusters_are_text(olgas, deployed):
    conditions = [{**each, "message": "<script>x</script>"} for each in deployed.conditions]
    App.objects.update(conditions=conditions)
    page = olgas.get(f"{APPS}{deployed.pk}/change/").content.decode()
    assert "<script>x</script>" not in page
    assert "&lt;script&gt;x&lt;/script&gt;" in page


@pytest.mark.parametrize("path", [APPS, PLACEMENTS])
def test_reconcile_now_makes_a_row_due(olgas, deployed, path):
    row = deployed if path == APPS else deployed.placements.get()
    Work.objects.update(due_at=None, quarantined_at="2026-01-01T00:00:00Z")
    answer = run(olgas, path, row.pk)
    assert "1 are being looked at." in answer.content.decode()
    work = row.work.get()
    assert work.due_at is not None
    assert work.quarantined_at is None


@pytest.mark.parametrize("page", ["add/", "{pk}/delete/"])
def test_nothing_is_added_or_deleted_here(olgas, deployed, page):
    assert olgas.get(APPS + page.format(pk=deployed.pk)).status_code == 403


def test_nothing_is_changed_here(olgas, deployed):
    answer = olgas.post(f"{APPS}{deployed.pk}/change/", {"phase": "Error", "revision": 9})
    assert answer.status_code == 403
    stored = App.objects.get()
    assert (stored.phase, stored.revision) == ("Deployed", 1)


def test_whoever_only_looks_cannot_have_it_looked_at(deployed):
    viewer = person("vera", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_app"))
    client = Client()
    client.force_login(viewer)
    Work.objects.update(due_at=None)
    assert client.get(APPS).status_code == 200
    run(client, APPS, deployed.pk)
    assert deployed.work.get().due_at is None
