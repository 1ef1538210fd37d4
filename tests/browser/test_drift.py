"""The drift page in a browser: with the keyboard alone, on a phone, in the dark, and live."""

import re

import pytest
from playwright.sync_api import expect

from delivery.adapters.native import DEPLOYMENT
from delivery.models import App, AppPlacement
from reconcile.models import Decision, Drift
from reconcile.values import JSON, Ref
from tenancy.models import ProjectPlacement, Tenant
from tests.browser.conftest import PHONE, Visit
from tests.clusters.steps import settle_live
from tests.fleet import Fleet
from tests.tenancy.differences import differing, differing_quota

pytestmark = pytest.mark.browser

IMAGE = ".spec.template.spec.containers[name=web].image"
DECIDE = ("repair", "accept", "ignore")


def _scaled(body: JSON) -> None:
    body["spec"]["replicas"] = 1


@pytest.fixture
def drifting(world: App, fleet: Fleet) -> App:
    """acme wants to see drift before it is repaired; somebody has scaled `web` on prod-a."""
    acme = Tenant.objects.get(name="acme")
    acme.repair_mode = "manual"
    acme.declare(by="alice")
    settle_live()
    fleet["prod-a"].edit(Ref(DEPLOYMENT, "acme--shop", "web"), "kubectl-edit", _scaled)
    for placement in AppPlacement.objects.all():
        placement.mark()
    settle_live()
    assert Drift.objects.open().exists()
    return world


@pytest.fixture
def much(drifting: App) -> App:
    """Besides, a long value, a quota, a missing object and an undeclared one."""
    row = drifting.placements.get(cluster__name="edge-b")
    long = (
        "registry.example.org/a-team-with-a-rather-long-name/web@sha256:" + "0123456789abcdef" * 4
    )
    differing(row, IMAGE, wanted="registry.example.org/shop/web:1.28", found=long, times=7)
    differing(row, ".metadata.annotations['example.org/a-long-annotation-key']", wanted=None)
    differing_quota(ProjectPlacement.objects.filter(cluster__name="prod-a").first())
    differing(row, "", name="jobs", drift_class="missing", actor="")
    differing(row, "", name="stray", drift_class="extra", actor="helm")
    return drifting


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_has_no_barriers(theme: str, much, people, visit) -> None:
    window = visit(color_scheme=theme)
    window.enter("olga", people)
    window.go("/drift")
    window.picture(f"drift-open-{theme}")
    assert window.barriers() == []
    assert window.overflow() == 0
    for act in DECIDE:
        window.go(f"/drift/{act}")
        window.picture(f"drift-{act}-{theme}")
        assert window.barriers() == []


def test_it_fits_on_a_phone(much, people, visit) -> None:
    window = visit(PHONE)
    window.enter("alice", people)
    for path in ("/drift", "/drift/ignore", "/tenants/acme"):
        window.go(path)
        window.picture(f"drift-phone-{path.strip('/').replace('/', '-')}")
        assert window.overflow() == 0
        assert window.barriers() == []


def test_a_field_is_repaired_with_the_keyboard_and_goes_away_by_itself(
    drifting, fleet, people, visit
) -> None:
    window = visit()
    window.enter("bob", people)
    page = window.go("/drift")
    button = page.get_by_role("button", name=re.compile(r"Repair .*spec\.replicas"))
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("is being repaired")).to_be_visible()
    expect(page.get_by_text("bob asked for its repair")).to_be_visible()
    expect(page.get_by_text("Updating")).to_be_visible()
    settle_live()
    expect(page.get_by_text("Nothing differs")).to_be_visible()
    expect(page.locator(".fields.over").first).to_contain_text("repaired")
    assert window.barriers() == []


def test_ignoring_takes_a_reason_and_an_end_and_is_taken_back(drifting, people, visit) -> None:
    window = visit()
    window.enter("bob", people)
    page = window.go("/drift")
    page.get_by_role("link", name=re.compile(r"Ignore .*spec\.replicas")).click()
    expect(page.get_by_role("heading", name="Ignore 1 difference")).to_be_visible()
    page.get_by_label("Why").fill("A load test is under way.")
    page.get_by_label("Until the end of").fill("2099-12-31")
    page.get_by_role("button", name="Ignore 1 difference").click()
    expect(page.get_by_text("is ignored from now on")).to_be_visible()
    assert Decision.objects.get().reason == "A load test is under way."
    page = window.go("/tenants/acme/projects/shop/apps/site")
    expect(page.get_by_text("A load test is under way.")).to_be_visible()
    window.picture("app-decisions-light")
    assert window.barriers() == []
    page.get_by_role("button", name=re.compile("Revoke")).click()
    expect(page.get_by_text("was taken back")).to_be_visible()
    assert not Decision.objects.exists()


def test_filters_apply_as_they_are_chosen_and_stay_in_the_address(much, people, visit) -> None:
    window = visit()
    window.enter("olga", people)
    page = window.go("/drift")
    expect(page.locator(".differing")).not_to_have_count(1)
    page.get_by_label("Changed by").select_option("missing")
    expect(page.locator(".differing")).to_have_count(1)
    expect(page).to_have_url(re.compile("class=missing"))
    page.get_by_label("Cluster").select_option("prod-a")
    expect(page.get_by_text("Nothing differs here")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Nothing differs here")).to_be_visible()
    expect(page.get_by_label("Changed by")).to_have_value("missing")
    assert window.barriers() == []


def test_a_set_is_confirmed_before_anything_happens(much, people, visit) -> None:
    window = visit()
    window.enter("olga", people)
    page = window.go("/drift?class=human")
    count = Drift.objects.open().filter(drift_class="human").count()
    page.get_by_role("link", name="Repair …").click()
    expect(page.get_by_role("heading", name=f"Repair {count} differences")).to_be_visible()
    assert not Drift.objects.exclude(repair_requested_by="").exists()
    page.get_by_role("button", name=f"Repair {count} differences").click()
    expect(page).to_have_url(re.compile("class=human"))
    assert Drift.objects.filter(repair_requested_by="olga").count() == count


def test_carol_is_offered_nothing(much, people, visit) -> None:
    window = visit()
    window.enter("carol", people)
    page = window.go("/drift")
    main = page.get_by_role("main")
    for act in ("Repair", "Accept", "Ignore"):
        assert main.get_by_role("button", name=re.compile(act)).count() == 0
        assert main.get_by_role("link", name=re.compile(act)).count() == 0
    menu = page.get_by_role("navigation", name="Main")
    expect(menu.get_by_role("link", name=re.compile(r"Drift \d+ open"))).to_be_visible()


def test_it_works_without_scripts(drifting, people, visit) -> None:
    window: Visit = visit(java_script_enabled=False)
    window.enter("bob", people)
    page = window.go("/drift")
    page.get_by_label("Cluster").select_option("prod-a")
    page.get_by_role("button", name="Filter").click()
    expect(page).to_have_url(re.compile("cluster=prod-a"))
    page.get_by_role("button", name=re.compile(r"Repair .*spec\.replicas")).click()
    expect(page.get_by_text("is being repaired")).to_be_visible()
