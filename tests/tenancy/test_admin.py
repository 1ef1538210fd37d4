"""The operators' admin of tenancy and of the engine."""

import pytest
from django.urls import reverse

from reconcile.models import Event, Work
from tenancy.models import Project

pytestmark = pytest.mark.django_db


@pytest.fixture
def as_olga(client, olga):
    client.force_login(olga)
    return client


@pytest.fixture
def shop(acme) -> Project:
    row = Project(tenant=acme, name="shop")
    row.declare(by="alice")
    return row


@pytest.mark.parametrize(
    "page", ["tenancy_tenant", "tenancy_project", "reconcile_work", "reconcile_event"]
)
def test_it_lists_and_shows_rows(as_olga, shop, page):
    model = {"tenancy_project": shop, "tenancy_tenant": shop.tenant}.get(page)
    row = model or {"reconcile_work": Work, "reconcile_event": Event}[page].objects.first()
    listed = as_olga.get(reverse(f"admin:{page}_changelist"))
    shown = as_olga.get(reverse(f"admin:{page}_change", args=[row.pk]))
    assert (listed.status_code, shown.status_code) == (200, 200)
    assert b'name="_save"' not in shown.content, "nothing can be edited"


def test_it_requeues_what_was_set_aside(as_olga, shop):
    shop.work.update(quarantined_at="2026-01-01T00:00:00Z", attempts=5, due_at=None)
    work = shop.work.get()
    data = {"action": "requeue", "_selected_action": [work.pk]}
    as_olga.post(reverse("admin:reconcile_work_changelist"), data)
    work.refresh_from_db()
    assert (work.quarantined_at, work.attempts) == (None, 0)
    assert work.due_at is not None


def test_it_reconciles_now(as_olga, shop):
    shop.work.update(due_at=None)
    data = {"action": "reconcile_now", "_selected_action": [shop.pk]}
    as_olga.post(reverse("admin:tenancy_project_changelist"), data)
    assert shop.work.get().due_at is not None


def test_it_finds_events_by_correlation_id(as_olga, shop):
    Event.objects.filter(object_uid=shop.uid).update(correlation_id="abc123")
    found = as_olga.get(reverse("admin:reconcile_event_changelist"), {"q": "abc123"})
    assert b"Project acme/shop" in found.content
    missed = as_olga.get(reverse("admin:reconcile_event_changelist"), {"q": "abc12"})
    assert b"Project acme/shop" not in missed.content


def test_it_is_for_operators_alone(client, acme, alice):
    client.force_login(alice)
    assert client.get(reverse("admin:tenancy_tenant_changelist")).status_code == 302
