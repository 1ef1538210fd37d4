"""Chromium in front of the product, and the eyes of the people around acme.

With KUBENOVA_SCREENSHOTS=1 the pictures of the documentation are written to docs/screenshots/, with
KUBENOVA_SCREENSHOTS=all those of every page.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings as project
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from tests.browser.world import world
from tests.delivery.conftest import people
from tests.fleet import fleet
from tests.people import PASSWORD, quick_passwords

__all__ = ["fleet", "people", "quick_passwords", "world"]

CHROMIUM = os.environ.get("KUBENOVA_CHROMIUM") or shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}
PATIENCE = 30_000  # milliseconds: no promise, a busy machine just has to get there
expect.set_options(timeout=PATIENCE)
DOCUMENTED = frozenset(
    {
        "sign-in-light",
        "home-light",
        "home-dark",
        "home-phone",
        "tenant-light",
        "tenant-dark",
        "app-light",
        "app-dark",
        "app-phone",
        "app-rollout-light",
        "app-edit-light",
        "app-rollback-dark",
        "drift-light",
        "drift-phone",
        "kubeconfig-light",
        "clusters-dark",
    }
)
PICTURES = Path(project.BASE_DIR) / "docs" / "screenshots"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for all tests. Its driver runs an event loop in this very thread."""
    if CHROMIUM is None and not os.environ.get("CI"):
        pytest.skip("There is no Chromium here. On Debian: apt-get install chromium")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


class Visit:
    """One person in front of one browser window; whatever goes wrong in it is kept."""

    def __init__(self, context: BrowserContext, server: str) -> None:
        self.context, self.server = context, server
        self.page: Page = context.new_page()
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._asked)

    def _heard(self, message) -> None:
        # Chromium and htmx tell of answers like 404 and 422, which tests ask for on purpose.
        expected = message.text.startswith(("Failed to load resource", "Response Status Error"))
        if message.type in {"error", "warning"} and not expected:
            self.errors.append(message.text)

    def _asked(self, request) -> None:
        if urlsplit(request.url).hostname not in {"localhost", "127.0.0.1", None}:
            self.foreign.append(request.url)

    def go(self, path: str) -> Page:
        """Open a page of the product."""
        self.page.goto(f"{self.server}{path}")
        return self.page

    def sign_in(self, name: str) -> None:
        """Sign in as a person does."""
        page = self.go("/login")
        page.get_by_label("User name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{self.server}/")

    def enter(self, name: str, people) -> None:
        """Be signed in, without the form."""
        client = Client()
        client.force_login(people[name], backend="django.contrib.auth.backends.ModelBackend")
        cookie = client.cookies["sessionid"].value
        self.context.add_cookies([{"name": "sessionid", "value": cookie, "url": self.server}])

    def barriers(self) -> list[str]:
        """Say what axe finds wrong with the page as it is now."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{each['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:240]}"
            for each in found
            for node in each["nodes"]
        ]

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(script))

    def picture(self, name: str) -> None:
        """Take a picture, if pictures were asked for: those of the documentation, or all."""
        asked = os.environ.get("KUBENOVA_SCREENSHOTS", "")
        if asked == "all" or (asked and name in DOCUMENTED):
            PICTURES.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=PICTURES / f"{name}.png", animations="disabled")


Opener = Callable[..., Visit]


@contextmanager
def windows(chromium: Browser, server: str) -> Iterator[Opener]:
    """Open windows; at the end none of them may have heard an error or asked anybody else."""
    opened: list[Visit] = []

    def open_window(viewport: dict[str, int] = DESKTOP, **options: object) -> Visit:
        context = chromium.new_context(viewport=viewport, **options)
        context.set_default_timeout(PATIENCE)
        opened.append(Visit(context, server))
        return opened[-1]

    yield open_window
    for window in opened:
        window.context.close()
    assert [error for window in opened for error in window.errors] == []
    assert [url for window in opened for url in window.foreign] == []


@pytest.fixture
def visit(chromium: Browser, live_server: LiveServer) -> Iterator[Opener]:
    """Open windows on the pages over the world of this test."""
    with windows(chromium, live_server.url) as opener:
        yield opener
