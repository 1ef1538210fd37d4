"""A rollback that nothing undoes: no edit behind KubeNova's back, no worker that is killed."""

import http.cookiejar
import re
import urllib.parse
import urllib.request
from html import unescape

import pytest

from sandbox.plane import ControlPlane
from tests.faults.actions import Delay, Hook
from tests.faults.exchange import Exchange
from tests.faults.roles import wait_for
from tests.faults.rules import Match, nth
from tests.faults.sites import Site
from tests.faults.web import App, NotTaken
from tests.faults.world import World

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

DEPLOYMENT = "/apis/apps/v1/namespaces/sticks--shop/deployments/web"
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_TAGS = re.compile(r"<[^>]+>")


class Browser:
    """The portal as olga sees it: pages as their words."""

    def __init__(self, world: World) -> None:
        self.root = f"http://127.0.0.1:{world.web.port}"
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(jar)
        (token,) = _TOKEN.findall(self._read("/login"))[:1]
        fields = {"username": "olga", "password": world.password, "csrfmiddlewaretoken": token}
        self._read("/login", urllib.parse.urlencode(fields).encode())

    def rows(self, path: str) -> list[str]:
        """The rows of the tables of a page, each as its words."""
        page = self._read(path)
        rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
        return [" ".join(unescape(_TAGS.sub(" ", row)).split()) for row in rows]

    def _read(self, path: str, body: bytes | None = None) -> str:
        headers = {"Referer": f"{self.root}{path}"}
        request = urllib.request.Request(f"{self.root}{path}", body, headers)
        with self.opener.open(request, timeout=30) as answer:
            return str(answer.read().decode())


def kubectl(plane: ControlPlane, number: int) -> None:
    """Somebody's hand: another image, or more of it."""
    what = ("set", "image", "deployment/web", f"web=evil:{number}")
    if number % 2:
        what = ("scale", "deployment/web", f"--replicas={number}")
    plane.kubectl("-n", "sticks--shop", *what)


def healed(one: Site) -> bool:
    spec = one.api.get(DEPLOYMENT)["spec"]
    return (spec["replicas"], spec["template"]["spec"]["containers"][0]["image"]) == (1, "nginx:3")


def test_a_rollback_stands_whatever_comes(world: World, one: Site) -> None:
    """Ten revisions, back to 3, ten edits by kubectl and a killed worker: it is still 3's spec."""
    app = world.shop("sticks")
    world.change(app, "nginx:1")  # its second revision; from here on numbers and images agree
    for number in range(3, 11):
        world.change(app, f"nginx:{number}")
    world.settle()
    assert world.web.send("GET", app.path)["revision"] == 10

    body = {"revision": 3, "message": "rollback of 3"}
    world.web.send("POST", f"{app.path}:rollback", body)
    app.image, app.revisions = "nginx:3", 11
    world.settle()
    for number in range(10):
        kubectl(one.plane, number)
        world.until(lambda: healed(one), f"edit {number} is undone")

    write = Match(verb="PATCH", path=DEPLOYMENT)
    found: list[Exchange] = []
    with one.proxy.rules.during(nth(write, Hook(found.append), 1), nth(write, Delay(5.0), 1)):
        kubectl(one.plane, 10)
        wait_for(lambda: found, "a worker is about to undo it")
        for worker in world.roles.workers:
            worker.kill()
    world.until(lambda: healed(one), "another worker undoes it")
    world.settle()
    assert world.audit().clean, world.audit()
    judge_what_is_told(world, app)


def judge_what_is_told(world: World, app: App) -> None:
    """API and portal tell the same story."""
    found = world.web.send("GET", app.path)
    assert found["revision"] == 11
    third, newest = (world.web.send("GET", f"{app.path}/revisions/{n}") for n in (3, 11))
    assert newest["spec_hash"] == third["spec_hash"]
    assert (newest["origin"], newest["message"]) == (3, "rollback of 3")
    listed = world.web.send("GET", f"{app.path}/revisions?limit=50")["items"]
    blocked = [each["number"] for each in listed if each["blocked"]]
    assert ([each["number"] for each in listed][:2], blocked) == ([11, 10], [10])
    with pytest.raises(NotTaken) as refused:
        world.change(app, "nginx:10")
    assert refused.value.status == 409

    page = Browser(world).rows(f"{app.path}/revisions")
    told = {int(row.split()[1]): row for row in page if re.match(r"Revision \d", row)}
    assert "current" in told[11] and "rollback of 3" in told[11]
    assert [number for number, row in told.items() if " blocked " in row] == blocked
    assert sorted(told, reverse=True) == [each["number"] for each in listed]
