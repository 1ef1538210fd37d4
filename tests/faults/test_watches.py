"""What becomes of drift when the watch lies, falls silent, breaks, or is set back."""

import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from sandbox.plane import ControlPlane
from tests.faults.actions import Edit, Fail, Watched, paged
from tests.faults.drift import Opened
from tests.faults.events import (
    EXPIRED,
    cut_short,
    doubled,
    ended,
    expired,
    lossy,
    reordered,
    swallowed,
)
from tests.faults.rules import WATCH, Match, Rule
from tests.faults.sites import Site
from tests.faults.table import Ledger
from tests.faults.test_processes import judge, settled_shop
from tests.faults.web import IMAGE
from tests.faults.world import World

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

POLICY_WATCH = Match(path="/networkpolicies", watches=True)
POLICY_LIST = Match(path="/networkpolicies", agent="^kubenova-watch", lists=True)
FIRST_PAGE = Match(path="/networkpolicies", query="^((?!continue).)*$", lists=True)
NEXT_PAGE = Match(path="/networkpolicies", query="continue=", lists=True)
PROBED = 20.0  # seconds: the probe comes every 8 s here
SILENCE = 100.0  # after 90 s without a word a watch counts as dead
RELISTED = 150.0  # what is lost shows in the next full list, every 120 s here, give or take 20 %
CALM = 40.0  # requests a second, of all roles together


def heals(world: World, site: Site, tenant: str, faults: AbstractContextManager[None]) -> float:
    """Let the watches begin anew under faults, then drift; return the seconds to heal.

    What is in doubt is not asked for over and over meanwhile.
    """
    settled_shop(world, tenant)
    found = Opened.of(site, tenant)
    with faults:
        site.proxy.cut()
        time.sleep(2.0)
        before, began = site.proxy.journal.asked(), time.monotonic()
        found.open()
        seconds = world.until(lambda: found.healed, "the drift is repaired", RELISTED)
        time.sleep(max(0.0, 5.0 - seconds))
        asked, took = site.proxy.journal.asked() - before, time.monotonic() - began
        assert asked.total() < CALM * took, f"in {took:.1f} s: {asked.most_common(8)}"
        return seconds


GONE: dict[str, Callable[[], list[Rule]]] = {
    "a status": lambda: [Rule(POLICY_WATCH, Fail(410, EXPIRED), times=3)],
    "an event": lambda: [Rule(POLICY_WATCH, Watched(expired), times=3)],
    "a continue token": lambda: [
        Rule(FIRST_PAGE, Edit(paged), times=2),
        Rule(NEXT_PAGE, Fail(410, EXPIRED), times=2),
    ],
}


@pytest.mark.parametrize("rules", GONE.values(), ids=GONE.keys())
def test_f15_what_is_expired_is_listed_anew(
    rules: Callable[[], list[Rule]], world: World, one: Site, ledger: Ledger
):
    faults = rules()
    seconds = heals(world, one, "f15", one.proxy.rules.during(*faults))
    assert all(rule.met for rule in faults)
    world.settle()
    judge(world, ledger, seconds, runs=sum(rule.met for rule in faults))


def test_f16_a_silent_watch_is_found_out(world: World, one: Site, ledger: Ledger):
    silent = Rule(WATCH, Watched(swallowed))
    seconds = heals(world, one, "f16", one.proxy.rules.during(silent))
    assert silent.met
    assert seconds < SILENCE
    world.settle()
    judge(world, ledger, seconds, promise=SILENCE)


EVENTS = {"doubled": doubled, "reordered": reordered, "cut": cut_short, "ended": ended}


@pytest.mark.parametrize("fault", EVENTS.values(), ids=EVENTS.keys())
def test_f18_events_may_come_as_they_like(fault, world: World, one: Site, ledger: Ledger):
    times = None if fault in (doubled, reordered) else 2
    meddled = Rule(POLICY_WATCH, Watched(fault), times=times)
    seconds = heals(world, one, "f18", one.proxy.rules.during(meddled))
    assert meddled.met
    assert seconds < PROBED
    world.settle()
    judge(world, ledger, seconds)


def test_f18_what_is_lost_shows_in_the_next_list(world: World, one: Site, ledger: Ledger):
    lost = Rule(POLICY_WATCH, Watched(lossy(1)), times=2)
    seconds = heals(world, one, "f18", one.proxy.rules.during(lost))
    assert lost.met
    world.settle()
    judge(world, ledger, seconds, promise=RELISTED)


# --- F17


def version(plane: ControlPlane) -> int:
    """How far the cluster is."""
    return int(plane.api.get("/api/v1/nodes")["metadata"]["resourceVersion"])


@pytest.fixture
def restorable(world: World, two: Site) -> Site:
    """A cluster that may be set back: no other test counts its versions."""
    return two


def test_f17_after_a_restore_of_etcd_everything_is_looked_at_again(
    world: World, restorable: Site, ledger: Ledger
):
    """What came after the backup is made again; what was removed since is removed again."""
    site, plane = restorable, restorable.plane
    going = world.shop("f17-going", "two")
    world.settle()
    plane.down()
    shutil.copytree(plane.folder / "etcd", plane.folder / "backup")
    plane.up()
    world.settle()
    world.remove_tenant("f17-going")
    app = world.shop("f17", "two")
    world.settle()
    for number in range(400):
        site.api.create("/api/v1/namespaces/default/configmaps", filler(number))
    before = version(plane)

    plane.down()
    shutil.rmtree(plane.folder / "etcd")
    (plane.folder / "backup").rename(plane.folder / "etcd")
    plane.up()
    assert version(plane) < before
    back = lambda: site.image(app.namespace) == IMAGE  # noqa: E731
    seconds = world.until(back, "what came after the backup is there again", 90)
    world.settle()
    found = Opened.of(site, "f17")
    found.open()
    world.until(lambda: found.healed, "and drift is seen", PROBED)
    try:
        world.until(lambda: not untold(world, site, "f17-going"), "orphans are told", RELISTED)
    finally:
        ledger.add(seconds=seconds)
        forget(site, going.namespace, "f17-going")
    assert seconds < 60
    assert world.audit().clean


def untold(world: World, site: Site, tenant: str) -> set[str]:
    """The objects of a tenant that is gone of which no event has told."""
    told = world.database.rows("SELECT * FROM reconcile_event WHERE reason = 'OrphanFound'")
    messages = [row["message"] for row in told]
    names = {each.name for each in site.of(tenant)}
    return {name for name in names if not any(name in message for message in messages)}


def filler(number: int) -> dict[str, object]:
    return {"metadata": {"generateName": f"filler-{number}-"}}


def forget(site: Site, namespace: str, tenant: str) -> None:
    """Remove by hand what the backup brought back."""
    for path in (
        f"/api/v1/namespaces/{namespace}",
        f"/api/v1/namespaces/kubenova-system/configmaps/tenant-{tenant}",
    ):
        if site.api.find(path):
            site.api.delete(path)
            site.api.wait(path, lambda found: found is None)
