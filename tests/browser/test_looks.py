"""What every page looks like: no barrier, no overflow, no error, in both themes."""

import pytest

from tests.browser.conftest import PHONE

pytestmark = pytest.mark.browser

SITE = "/tenants/acme/projects/shop/apps/site"
PAGES = {
    "home": "/",
    "tenants": "/tenants",
    "tenant": "/tenants/acme",
    "tenant-members": "/tenants/acme/members",
    "tenant-activity": "/tenants/acme/activity",
    "tenant-settings": "/tenants/acme/edit",
    "tenant-delete": "/tenants/acme/delete",
    "tenant-new": "/new-tenant",
    "project": "/tenants/acme/projects/shop",
    "project-new": "/tenants/acme/new-project",
    "app": SITE,
    "app-edit": f"{SITE}/edit",
    "app-edit-yaml": f"{SITE}/edit?as=yaml",
    "app-new": "/tenants/acme/projects/shop/new-app",
    "app-revisions": f"{SITE}/revisions",
    "app-revision": f"{SITE}/revisions/2",
    "app-rollback": f"{SITE}/revisions/1/rollback",
    "apps": "/apps",
    "definitions": "/definitions",
    "definition": "/definitions/trait/gateway",
    "secrets": "/tenants/acme/projects/shop/secrets",
    "secret-new": "/tenants/acme/projects/shop/new-secret",
    "policies": "/policies",
    "policy": "/policies/restricted",
    "policy-attach": "/policies/restricted/attach",
    "tenant-policies": "/tenants/acme/policies",
    "drift": "/drift",
    "activity": "/activity",
    "search": "/search?q=s",
    "grants": "/grants",
    "issue": "/tenants/acme/issue-kubeconfig",
    "clusters": "/clusters",
    "audit": "/audit",
    "not-found": "/nowhere",
}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_has_barriers(theme: str, world, people, visit) -> None:
    window = visit(color_scheme=theme)
    window.enter("olga", people)
    found = {}
    for name, path in PAGES.items():
        page = window.go(path)
        assert page.locator("html").get_attribute("data-bs-theme") == theme
        window.picture(f"{name}-{theme}")
        found[name] = window.barriers()
    assert {name: barriers for name, barriers in found.items() if barriers} == {}


def test_every_page_fits_on_a_phone(world, people, visit) -> None:
    window = visit(PHONE)
    window.enter("olga", people)
    found, wide = {}, {}
    for name, path in PAGES.items():
        window.go(path)
        window.picture(f"{name}-phone")
        wide[name], found[name] = window.overflow(), window.barriers()
    assert {name: pixels for name, pixels in wide.items() if pixels} == {}
    assert {name: barriers for name, barriers in found.items() if barriers} == {}


STRETCH = """() => {
  document.querySelectorAll("td time").forEach(each => { each.textContent = "59 minutes ago" });
  document.querySelectorAll("#app td.mono").forEach(each => { each.textContent = "x".repeat(40) });
  const edge = each => each.closest(".card").getBoundingClientRect().right;
  return [...document.querySelectorAll(".card table")]
    .filter(each => each.getBoundingClientRect().right > edge(each))
    .map(each => each.querySelector("caption").textContent);
}"""


def test_no_table_is_clipped_at_the_width_of_a_small_desktop(world, people, visit) -> None:
    window = visit()
    window.enter("olga", people)
    paths = {**PAGES, "rollout": "/tenants/acme/projects/shop/apps/search"}
    clipped = {name: window.go(path).evaluate(STRETCH) for name, path in paths.items()}
    assert {name: captions for name, captions in clipped.items() if captions} == {}
