"""The button Preview in a browser: by script, with faults, and what goes when one writes on."""

import pytest
from playwright.sync_api import expect

from delivery.models import App, AppPlacement
from tests.browser.conftest import PHONE

pytestmark = pytest.mark.browser
EDIT = "/tenants/acme/projects/shop/apps/site/edit"


def test_alice_sees_a_change_then_saves_exactly_that(world, people, visit) -> None:
    window = visit()
    window.enter("alice", people)
    page = window.go(EDIT)
    page.get_by_label("Image").first.fill("nginx:1.28")
    page.get_by_role("button", name="Preview").click()
    plan = page.locator("#plan")
    expect(plan).to_contain_text("What this would do")
    expect(plan).to_contain_text("nginx:1.28")
    expect(plan).to_be_focused()
    expect(plan.get_by_role("heading", name="What this would do")).to_be_in_viewport()
    assert window.barriers() == []
    generation = App.objects.get(name="site").generation
    assert plan.locator("input[name=plan]").count() == 1

    page.get_by_role("button", name="Save and roll out").click()
    page.wait_for_url("**/apps/site")
    assert App.objects.get(name="site").generation == generation + 1
    pins = AppPlacement.objects.filter(app__name="site").values_list("pinned_plan", flat=True)
    assert all(pins)


def test_a_preview_goes_when_one_writes_on(world, people, visit) -> None:
    window = visit(PHONE)
    window.enter("alice", people)
    page = window.go(EDIT)
    image = page.get_by_label("Image").first
    image.fill("nginx:1.28")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#plan")).to_contain_text("What this would do")
    assert window.overflow() == 0
    image.fill("nginx:1.29")
    expect(page.locator("#plan")).to_be_empty()


def test_a_preview_of_what_is_wrong_shows_where(world, people, visit) -> None:
    window = visit()
    window.enter("alice", people)
    page = window.go(EDIT)
    page.get_by_label("Image").first.fill("no image at all")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("alert").first).to_contain_text("something in them is wrong")
    expect(page.get_by_label("Image").first).to_have_value("no image at all")
    expect(page.locator("main")).to_have_count(1)
    assert window.barriers() == []
