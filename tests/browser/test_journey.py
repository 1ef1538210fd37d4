"""The whole journey on a real control plane: from signing in to a kubectl that is locked out.

Everything is real but the worker, whose steps the test takes: Chromium, the pages, the access
proxy, kubectl, the API server and its RBAC.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from access.models import AuditRecord, KubeconfigGrant
from tests.browser.conftest import Opener, Visit, windows
from tests.clusters.steps import settle_live
from tests.live.proxied import Door, Kubectl, door, pod, shared_database, wait_until

__all__ = ["door", "shared_database"]
pytestmark = pytest.mark.browser

PAGES = ("/", "/tenants", "/tenants/acme", "/tenants/acme/members", "/tenants/acme/projects/shop")


@pytest.fixture(scope="module")
def pages(door: Door) -> Iterator[str]:
    """The pages over the world of the door; nothing is flushed between the tests."""
    server = LiveServer("localhost")
    yield server.url
    server.stop()


@pytest.fixture
def visit(chromium: Browser, pages: str) -> Iterator[Opener]:
    """Open windows on them."""
    with windows(chromium, pages) as opener:
        yield opener


def look(window: Visit) -> Page:
    """The page as it is now, on which axe finds nothing."""
    assert window.barriers() == []
    return window.page


def issued_by_clicking(window: Visit, tenant: str, project: str) -> str:
    """From a tenant's page to a kubeconfig for its project: three clicks. Returns what is shown."""
    page = window.go(f"/tenants/{tenant}")
    page.get_by_role("link", name=project, exact=True).click()
    look(window).get_by_role("link", name="Issue kubeconfig").click()
    look(window).get_by_role("button", name="Issue kubeconfig").click()
    expect(page.get_by_text("It is shown only now.")).to_be_visible()
    return look(window).locator("#kubeconfig").inner_text()


def entering(door: Door, name: str, file: Path) -> Kubectl:
    """kubectl with somebody's newest kubeconfig, once the cluster believes its bindings."""
    door.believe(KubeconfigGrant.objects.filter(subject__username=name).latest("created_at"))
    return Kubectl(file)


def saved(page: Page, folder: Path) -> Path:
    """The kubeconfig on the page, downloaded as the page offers it."""
    folder.mkdir()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    file = folder / download.value.suggested_filename
    download.value.save_as(file)
    file.chmod(0o600)
    return file


def assert_locked_out(kubectl: Kubectl) -> None:
    """The answer is 401; kubectl has two ways of saying so."""
    told = kubectl.refused("get", "pods")
    assert "Unauthorized" in told or "You must be logged in to the server" in told, told


def test_alices_journey(door: Door, visit, tmp_path: Path) -> None:
    window = visit(permissions=["clipboard-read", "clipboard-write"], accept_downloads=True)
    window.sign_in("alice")
    look(window)
    shown = issued_by_clicking(window, "acme", "shop")
    page = window.page
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").strip() == shown.strip()
    file = saved(page, tmp_path / "alice")
    assert file.read_text().strip() == shown.strip()
    (cluster,) = yaml.safe_load(shown)["clusters"]
    assert cluster["cluster"]["server"] == f"{door.url}/clusters/real"

    kubectl = entering(door, "alice", file)
    assert kubectl("get", "ns", "-o", "name").split() == ["namespace/acme--shop"]
    kubectl("apply", "-f", "-", stdin=pod("hers"))
    assert "hers" in kubectl("get", "pods")
    assert "Forbidden" in kubectl.refused("get", "pods", "-n", "globex--shop")
    assert kubectl("auth", "can-i", "create", "deployments").strip() == "yes"
    assert kubectl.run("auth", "can-i", "create", "pods", "-n", "acme--blog").stdout == "no\n"

    page.go_back()
    expect(page.locator("#kubeconfig")).to_have_count(0)
    with kubectl.following("get", "pods", "-w") as watch:
        watch.wait_for("hers")
        page = window.go("/")
        page.get_by_role("link", name="My kubeconfigs").click()
        look(window).get_by_role("link", name=re.compile("Revoke grant")).click()
        look(window).get_by_role("button", name="Revoke").click()
        expect(page.get_by_text("was revoked")).to_be_visible()
        took = wait_until(lambda: watch.process.poll() is not None)
        assert took < 3.0, f"the open watch ended after {took:.2f} s"
    assert_locked_out(kubectl)
    settle_live()
    (user,) = yaml.safe_load(shown)["users"]
    wait_until(lambda: not door.token_is_alive(user["user"]["token"]))
    window.go("/grants?ended=yes")
    expect(look(window).get_by_text("Revoked").first).to_be_visible()
    window.go("/audit?source=proxy&denied=yes")
    expect(look(window).get_by_role("cell", name="401").first).to_be_visible()


def test_carol_reads_and_nothing_more(door: Door, visit, tmp_path: Path) -> None:
    window = visit(accept_downloads=True)
    window.sign_in("carol")
    for path in PAGES:
        window.go(path)
        links = (
            look(window).locator("main a[href^='/']").evaluate_all("all => all.map(a => a.href)")
        )
        dead = [link for link in set(links) if not window.page.request.get(link).ok]
        assert dead == []
        offered = re.compile("^(New|Create|Edit|Delete|Settings|Add|Remove|Change)")
        for role in ("link", "button"):
            expect(window.page.locator("main").get_by_role(role, name=offered)).to_have_count(0)
    page = window.go("/tenants/acme/projects/shop/issue-kubeconfig")
    offered_verbs = page.locator("input[name=verbs]").evaluate_all("all => all.map(i => i.value)")
    assert sorted(offered_verbs) == ["logs", "view"]
    page.locator("input[name=verbs]").first.evaluate("box => { box.value = 'edit' }")
    page.get_by_role("button", name="Issue kubeconfig").click()
    expect(look(window).get_by_text("edit is not one of the available choices")).to_be_visible()
    issued_by_clicking(window, "acme", "shop")
    kubectl = entering(door, "carol", saved(page, tmp_path / "carol"))
    assert kubectl("get", "ns", "-o", "name").split() == ["namespace/acme--shop"]
    kubectl("get", "pods")
    assert "Forbidden" in kubectl.refused("create", "-f", "-", stdin=pod("not-hers"))
    assert kubectl.run("auth", "can-i", "create", "pods").stdout == "no\n"
    wait_until(AuditRecord.objects.filter(actor="carol", source="proxy", status=403).exists)


def test_charlie_is_a_stranger_to_acme(door: Door, visit, tmp_path: Path) -> None:
    window = visit(accept_downloads=True)
    window.sign_in("charlie")
    for path in (*PAGES[2:], "/tenants/acme/projects/shop/issue-kubeconfig", "/tenants/nothing"):
        assert window.page.goto(f"{window.server}{path}").status == 404
        expect(look(window).get_by_role("heading", name="Nothing is here")).to_be_visible()
    for path in (
        "/",
        "/tenants",
        "/apps",
        "/activity",
        "/audit",
        "/drift",
        "/grants?everybody=yes",
    ):
        expect(window.go(path).get_by_text("acme")).to_have_count(0)
    issued_by_clicking(window, "globex", "shop")
    kubectl = entering(door, "charlie", saved(window.page, tmp_path / "charlie"))
    assert kubectl("get", "ns", "-o", "name").split() == ["namespace/globex--shop"]
    assert "Forbidden" in kubectl.refused("get", "pods", "-n", "acme--shop")
    assert "acme" not in kubectl("get", "pods,configmaps", "-A")
