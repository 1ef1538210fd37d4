"""People in a browser: an invitation from two fields to one click, and the danger zone."""

import re

import pytest
from playwright.sync_api import expect

from tenancy.models import Tenant

pytestmark = pytest.mark.browser


def test_an_invitation_is_two_fields_and_one_click(world, people, visit) -> None:
    alices = visit()
    alices.enter("alice", people)
    page = alices.go("/tenants/acme/members")
    page.get_by_label("User name").fill("charlie")
    page.get_by_role("button", name="Invite").click()
    expect(page.get_by_role("table", name="Open invitations")).to_contain_text("charlie")
    assert alices.barriers() == []
    charlies = visit()
    charlies.enter("charlie", people)
    page = charlies.go("/")
    assert charlies.barriers() == []
    page.get_by_role("button", name="Accept the invitation to Tenant acme").click()
    expect(page).to_have_url(re.compile("/tenants/acme$"))
    expect(page.get_by_role("heading", name="acme", exact=True)).to_be_visible()


def test_the_danger_zone_shows_what_goes_and_wants_the_name(world, people, visit) -> None:
    window = visit()
    window.enter("olga", people)
    page = window.go("/tenants/acme/delete")
    expect(page.get_by_text("acme--shop").first).to_be_visible()
    assert window.barriers() == []
    page.get_by_label("Type the name to go on").fill("acm")
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("This is not the name").first).to_be_visible()
    assert not Tenant.objects.get(name="acme").deleting
    page.get_by_label("Type the name to go on").fill("acme")
    page.get_by_role("button", name="Delete for good").click()
    expect(page).to_have_url(re.compile("/tenants$"))
    assert Tenant.objects.get(name="acme").deleting
