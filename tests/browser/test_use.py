"""People use the portal: with a mouse, with the keyboard alone, on a phone, in the dark."""

import re
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Page, expect

from delivery.models import App
from tenancy.models import Project, Tenant
from tests.access.doors import open_door
from tests.browser.conftest import PHONE
from tests.browser.world import CLUSTERS
from tests.clusters.steps import hurry
from tests.delivery.controllers import roll_out

pytestmark = pytest.mark.browser
SITE = "/tenants/acme/projects/shop/apps/site"


def focused(page: Page) -> str:
    return str(page.evaluate("(document.activeElement.innerText || '').trim()"))


def test_alice_signs_in_with_the_keyboard_alone(world, visit) -> None:
    window = visit()
    page = window.go("/drift")
    expect(page).to_have_url(re.compile("/login"))
    window.picture("sign-in-light")
    assert window.barriers() == []
    page.keyboard.type("alice")  # the cursor is there already
    page.keyboard.press("Tab")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    assert window.barriers() == []
    window.sign_in("alice")
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.get_by_role("button", name="Account").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/login$"))


def test_every_control_can_be_reached_and_seen_by_tabbing(world, people, visit) -> None:
    window = visit()
    window.enter("alice", people)
    page = window.go("/tenants/acme")
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(focused(page))
    wanted = {"Tenants", "Members", "New project", "Issue kubeconfig", "shop", "data"}
    assert wanted <= seen
    page.get_by_role("link", name="New project").focus()
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_the_theme_follows_the_system_until_one_chooses(world, people, visit) -> None:
    window = visit()
    window.enter("alice", people)
    page = window.go("/")
    root = page.locator("html")
    expect(root).to_have_attribute("data-bs-theme", "light")
    page.emulate_media(color_scheme="dark")
    expect(root).to_have_attribute("data-bs-theme", "dark")
    toggle = page.get_by_role("button", name="Dark or light")
    toggle.click()
    expect(root).to_have_attribute("data-bs-theme", "light")
    page.reload()
    expect(root).to_have_attribute("data-bs-theme", "light")
    toggle.click()
    expect(root).to_have_attribute("data-bs-theme", "dark")
    page.emulate_media(color_scheme="light")  # back to what the system says
    expect(root).to_have_attribute("data-bs-theme", "light")


def test_a_rollout_is_followed_and_then_left_alone(world, fleet, people, visit) -> None:
    window = visit()
    window.enter("bob", people)
    page = window.go("/tenants/acme/projects/shop/apps/search")
    expect(page.get_by_text("Updating")).to_be_visible()
    window.picture("app-rollout-light")
    assert window.barriers() == []
    roll_out(fleet, *CLUSTERS)
    expect(page.locator("#app")).to_contain_text("1 of 1")
    expect(page.get_by_text("Updating")).to_have_count(0)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(3000)
    assert asked == []


def test_what_was_deleted_meanwhile_says_so(world, people, visit) -> None:
    window = visit()
    window.enter("alice", people)
    page = window.go("/tenants/acme/projects/shop/apps/search")
    App.objects.get(name="search").request_deletion(by="bob")
    for _ in range(10):
        hurry()
    expect(page.get_by_text("This is gone")).to_be_visible()
    assert window.barriers() == []


def test_a_server_that_is_away_is_said(world, people, visit) -> None:
    window = visit()
    window.enter("alice", people)
    page = window.go("/tenants/acme/projects/shop/apps/search")
    page.route("**/state*", lambda route: route.fulfill(status=503, body="away"))
    expect(page.locator("#notices")).to_contain_text("503")
    assert window.barriers() == []
    page.get_by_role("button", name="Close").click()
    page.unroute("**/state*")
    expect(page.locator("#notices")).to_be_empty()


def test_olga_makes_a_tenant_and_alice_fills_it(world, people, visit) -> None:
    olga = visit()
    olga.enter("olga", people)
    page = olga.go("/")
    page.get_by_role("link", name="New tenant").click()
    page.get_by_label("Name (required)").fill("Umbrella")
    page.get_by_label("Tenant admins").fill("alice")
    page.get_by_role("button", name="Add quota").click()
    page.get_by_role("group", name="Quota", exact=True).get_by_label("Resource").first.fill("pods")
    page.get_by_role("group", name="Quota", exact=True).get_by_label("Quantity").first.fill("10")
    page.get_by_label("prod-a").check()
    page.get_by_role("button", name="Create tenant").click()
    expect(page.get_by_text("must consist of lower-case letters")).to_be_visible()
    assert olga.barriers() == []
    olga.picture("tenant-new-errors-light")
    page.get_by_label("Name (required)").fill("umbrella")
    page.get_by_role("button", name="Create tenant").click()
    expect(page.get_by_role("status").first).to_contain_text("Tenant umbrella was created.")
    assert Tenant.objects.get(name="umbrella").quota == {"pods": "10"}
    alice = visit()
    alice.enter("alice", people)
    page = alice.go("/tenants/umbrella")
    page.get_by_role("link", name="Create the first project").click()
    page.get_by_label("Name (required)").fill("rain")
    page.get_by_role("button", name="Create project").click()
    expect(page.get_by_role("heading", name="rain")).to_be_visible()
    assert Project.objects.filter(name="rain", tenant__name="umbrella").exists()


def test_bob_delivers_an_app_of_two_components(world, people, visit) -> None:
    window = visit()
    window.enter("bob", people)
    page = window.go("/tenants/acme/projects/shop")
    page.get_by_role("link", name="New app").click()
    page.get_by_role("textbox", name="Name (required)").last.fill("front")
    first = page.locator(".component").first
    first.get_by_label("Name (required)").fill("front-web")
    first.get_by_label("Image").fill("nginx:1.27")
    first.get_by_label("Port", exact=True).fill("8080")
    first.get_by_role("button", name="Add port").click()
    first.get_by_label("Port", exact=True).nth(1).fill("9090")
    first.get_by_role("button", name="Remove this port").nth(0).click()
    page.get_by_role("button", name="Add component").click()
    second = page.locator(".component").nth(1)
    second.get_by_label("Name (required)").fill("front-jobs")
    second.get_by_label("Type").select_option("worker")
    second.get_by_label("Image").fill("nginx:1.27")
    page.get_by_role("button", name="Add component").click()
    expect(page.locator(".component")).to_have_count(3)
    assert window.barriers() == []
    third = page.locator(".component").nth(2)
    third.get_by_role("button", name="Remove this component").click()
    page.get_by_role("button", name="Create app").click()
    expect(page.get_by_role("status").first).to_contain_text("was created")
    found = App.objects.get(name="front").components
    assert [each["name"] for each in found] == ["front-web", "front-jobs"]
    assert found[0]["properties"]["ports"] == [{"port": 9090, "expose": True}]


def test_bob_goes_back_to_an_earlier_revision(world, people, visit) -> None:
    window = visit()
    window.enter("bob", people)
    page = window.go(SITE)
    page.get_by_role("link", name="Revisions").click()
    page.get_by_role("link", name="Roll back to revision 1").click()
    page.get_by_label("Why").fill("It was better before")
    page.get_by_role("button", name="Roll back").click()
    expect(page.get_by_text("Going back to revision 1.")).to_be_visible()
    assert App.objects.get(name="site").revision == 3


@pytest.fixture
def door(settings, tmp_path):
    """An access proxy that answers."""
    settings.PROXY_DIR = tmp_path / "proxy"
    with open_door() as url:
        settings.PROXY_URL = url
        yield url


def test_alice_gets_a_kubeconfig_in_three_clicks(world, door, people, visit, tmp_path) -> None:
    window = visit(permissions=["clipboard-read", "clipboard-write"], accept_downloads=True)
    window.enter("alice", people)
    page = window.go("/tenants/acme")
    page.get_by_role("link", name="Issue kubeconfig").click()
    page.get_by_role("button", name="Issue kubeconfig").click()
    expect(page.get_by_text("It is shown only now.")).to_be_visible()
    assert window.barriers() == []
    shown = page.locator("#kubeconfig").inner_text()
    assert len(yaml.safe_load(shown)["clusters"]) == 2
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").strip() == shown.strip()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    download.value.save_as(tmp_path / "kubeconfig")
    assert Path(tmp_path / "kubeconfig").read_text().strip() == shown.strip()
    assert download.value.suggested_filename == "acme.kubeconfig"
    hide = "document.querySelector('#kubeconfig').textContent = document.querySelector("
    page.evaluate(f"{hide}'#kubeconfig').textContent.replace(/token: .*/g, 'token: \"…\"')")
    window.picture("kubeconfig-light")
    page.get_by_role("link", name="My kubeconfigs").click()
    expect(page.get_by_text("Active")).to_be_visible()
    window.picture("grants-active-light")
    page.get_by_role("link", name=re.compile("Revoke grant")).click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("was revoked")).to_be_visible()


def test_carol_is_offered_nothing_that_she_may_not_do(world, people, visit) -> None:
    window = visit()
    window.enter("carol", people)
    for path in ("/", "/tenants/acme", "/tenants/acme/projects/shop", SITE, f"{SITE}/revisions"):
        page = window.go(path)
        words = re.compile("^(New|Create|Edit|Delete|Settings|Roll back|Add|Remove|Change)")
        for role in ("link", "button"):
            expect(page.locator("main").get_by_role(role, name=words)).to_have_count(0)
        expect(page.get_by_role("link", name="Clusters")).to_have_count(0)


def test_charlie_finds_nothing_of_acme(world, people, visit) -> None:
    window = visit()
    window.enter("charlie", people)
    page = window.go("/tenants/acme")
    expect(page.get_by_role("heading", name="Nothing is here")).to_be_visible()
    page = window.go("/")
    expect(page.get_by_text("acme")).to_have_count(0)
    page.get_by_label("Search", exact=True).fill("acme")
    expect(page.get_by_text("Nothing found")).to_be_visible()


def test_search_shows_results_as_one_types(world, people, visit) -> None:
    window = visit()
    window.enter("alice", people)
    page = window.go("/")
    page.keyboard.press("/")
    page.keyboard.type("sea")
    result = page.locator("#search-results").get_by_role("link", name="App acme/shop/search")
    expect(result).to_be_visible()
    assert window.barriers() == []
    result.click()
    expect(page).to_have_url(re.compile("/apps/search$"))


def test_the_menu_opens_on_a_phone(world, people, visit) -> None:
    window = visit(PHONE, has_touch=True)
    window.enter("alice", people)
    page = window.go("/")
    expect(page.get_by_role("link", name="Drift")).to_be_hidden()
    page.get_by_role("button", name="Menu").tap()
    expect(page.get_by_role("link", name="Drift")).to_be_visible()
    expect(page.locator("#menu")).to_have_class(re.compile(r"\bshow\b"))  # it has opened wholly
    window.picture("menu-phone")
    assert window.barriers() == []
    page.get_by_role("link", name="Drift").tap()
    expect(page).to_have_url(re.compile("/drift$"))


@pytest.mark.parametrize("path", ["/admin/", "/admin/tenancy/tenant/", "/api/v1/docs"])
def test_the_rest_of_the_product_runs_under_its_policy(path: str, world, people, visit) -> None:
    window = visit()
    window.enter("olga", people)
    people["olga"].is_superuser = True
    people["olga"].save()
    page = window.go(path)
    page.wait_for_load_state("networkidle")
    expect(page.get_by_text(re.compile("KubeNova|tenant", re.I)).first).to_be_visible()
