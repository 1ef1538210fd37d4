"""What becomes of the work when a cluster answers badly, slowly, late, wrongly, or not at all."""

import threading
import time

import pytest

from tests.faults.actions import Action, Delay, Drip, Fail, Reset
from tests.faults.drift import Opened
from tests.faults.rules import WRITE, Match, Rule
from tests.faults.sites import Site
from tests.faults.table import Ledger
from tests.faults.test_processes import deployment, judge, settled_shop
from tests.faults.web import IMAGE, NEWER, NotTaken
from tests.faults.world import World

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
sample = pytest.mark.live

OTHERS = 10.0  # seconds in which another cluster has to have what is asked of it
CORE = Match(agent="^kubenova$")  # the workers, not the watcher


def meanwhile(world: World) -> None:
    """While one cluster is in trouble, what is asked of another is there as soon as ever."""
    app = world.shop("others", "two")
    took = world.until(lambda: world.phase(app.path) == "Deployed", "others go on", 60)
    assert took < OTHERS


# --- F11


def test_f11_a_busy_cluster_is_left_in_peace_for_as_long_as_it_asks(
    world: World, one: Site, two: Site, ledger: Ledger
):
    busy = Rule(CORE, Fail(429, {"reason": "TooManyRequests"}, {"Retry-After": "3"}))
    with one.proxy.rules.during(busy):
        app = world.shop("f11")
        meanwhile(world)
        time.sleep(12.0)
        assert busy.met <= 5 * 4 * 4, "so many tries for so many rows in that time"
        assert world.phase(app.path) in {"Pending", "Applying"}
    seconds = world.settle()
    assert world.phase(app.path) == "Deployed"
    judge(world, ledger, seconds)


# --- F12


@pytest.mark.parametrize("share", [0.01, 0.5, 1.0], ids=["1%", "50%", "100%"])
def test_f12_storms_of_errors_pass(share: float, world: World, one: Site, ledger: Ledger):
    storm = [Rule(CORE, Fail(status), share=share / 4) for status in (500, 502, 503, 504)]
    if share == 1.0:
        storm = [Rule(CORE, Fail(503))]
    with one.proxy.rules.during(*storm):
        app = world.shop("f12")
        time.sleep(10.0)
    seconds = world.settle()
    assert world.phase(app.path) == "Deployed"
    judge(world, ledger, seconds, runs=sum(rule.met for rule in storm))


def test_f12_a_refusal_that_looks_like_an_error_is_told_and_not_tried_for_ever(
    world: World, one: Site, ledger: Ledger
):
    words = "failed to create typed patch object (f12--shop/web): .spec.colour: field not declared"
    refuse = Rule(Match(verb="PATCH", path="/deployments/"), Fail(500, {"message": words}))
    with one.proxy.rules.during(refuse):
        app = world.shop("f12")
        world.until(lambda: world.phase(app.path) == "Error", "the refusal shows", 30)
        assert ".spec.colour" in world.condition(app.path)["message"]
        time.sleep(8.0)
        assert refuse.met <= 5, "2, 4, 8 … seconds apart"
    judge(world, ledger, world.settle())


# --- F13


SLOW: dict[str, Action] = {"slow answers": Delay(40.0), "dripping bytes": Drip(16, 1.0)}


@pytest.mark.parametrize("fault", SLOW.values(), ids=SLOW.keys())
def test_f13_a_slow_cluster_holds_up_nobody_else(
    fault: Action, world: World, one: Site, two: Site, ledger: Ledger
):
    slow = Rule(CORE, fault)
    with one.proxy.rules.during(slow):
        world.shop("f13")
        world.until(lambda: slow.met, "it is slow")
        meanwhile(world)
        time.sleep(20.0)
    one.proxy.cut()
    judge(world, ledger, world.settle(150))


def test_f13_a_black_hole_holds_up_nobody_else(world: World, one: Site, two: Site, ledger: Ledger):
    one.proxy.swallow()
    app = world.shop("f13")
    meanwhile(world)
    reason = lambda: world.condition("/clusters/one").get("reason")  # noqa: E731
    world.until(lambda: reason() == "Unreachable", "people are told", 40)
    one.proxy.reopen()
    seconds = world.settle()
    assert world.phase(app.path) == "Deployed"
    judge(world, ledger, seconds)


# --- F14


@sample
def test_f14_what_was_carried_out_without_an_answer_is_not_done_again(
    world: World, one: Site, ledger: Ledger
):
    """Every kind of write loses its first answer."""
    lost = [
        Rule(Match(verb=verb, path=path, writes=True), Reset(after_forwarding=True), times=1)
        for verb in ("PATCH", "DELETE")
        for path in ("/configmaps/", "namespaces/[^/]*$", "/limitranges/", "/deployments/")
    ]
    with one.proxy.rules.during(*lost):
        app = world.shop("f14")
        seconds = world.settle()
        assert one.api.get(deployment("f14"))["metadata"]["generation"] == 1
        judge(world, ledger, seconds, runs=sum(rule.met for rule in lost))
        world.remove(app)
        world.remove_tenant("f14")
        seconds = world.settle()
    assert [rule.met for rule in lost] == [1] * len(lost)
    assert one.of("f14") == []
    judge(world, ledger, seconds, runs=len(lost) // 2)


# --- F19


def test_f19_a_conflict_names_who_owns_the_field_or_is_resolved(
    world: World, one: Site, ledger: Ledger
):
    app = settled_shop(world, "f19")
    theirs = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"template": {"spec": {"containers": [{"name": "web", "image": "nginx:0"}]}}},
    }
    one.api.apply(deployment("f19"), theirs, manager="rival", force=True)
    seconds = world.until(lambda: one.image(app.namespace) == IMAGE, "it is ours again", 30)
    world.change(app, NEWER)
    seconds = max(seconds, world.settle())
    assert one.image(app.namespace) == NEWER
    judge(world, ledger, seconds)


def test_f19_two_who_fight_for_a_field_do_not_burn_the_cluster(
    world: World, one: Site, ledger: Ledger
):
    settled_shop(world, "f19")
    over = threading.Event()
    fought = 0

    def fight() -> None:
        nonlocal fought
        while not over.wait(0.1):
            body = {"spec": {"ingress": [{}]}}
            one.api.patch(Opened.of(one, "f19").path, body, fieldManager="rival")
            fought += 1

    rival = threading.Thread(target=fight)
    mark = len(one.proxy.journal)
    rival.start()
    try:
        time.sleep(20.0)
        late = len(one.proxy.journal)
        time.sleep(10.0)
    finally:
        over.set()
        rival.join()
    writes = [write for write in one.proxy.journal.since(mark) if "networkpol" in write.path]
    ours = len(one.proxy.journal) - late
    ledger.add(runs=fought, audit=world.audit())
    assert fought > 100
    assert len(writes) < fought, "never more often than the other"
    assert ours <= 10, "and after a while at most once a second"
    told = world.database.rows("SELECT * FROM reconcile_event WHERE reason = 'DriftContested'")
    assert any("rival" in event["message"] for event in told)


# --- F20


def test_f20_a_kind_that_is_not_served_is_told_and_comes_back(
    world: World, one: Site, ledger: Ledger
):
    """As a custom resource whose definition goes: the API server says so in plain text."""
    missing = Rule(Match(path="^/apis/apps/v1/"), Fail(404, "404 page not found"))
    with one.proxy.rules.during(missing):
        app = world.shop("f20")
        told = lambda: world.condition(app.path).get("reason")  # noqa: E731
        world.until(lambda: world.phase(app.path) == "Error", "people are told", 30)
        assert told() == "CapabilityMissing"
        assert missing.met < 20
    assert world.database.count("delivery_app") == 1
    seconds = world.settle(120)
    assert world.phase(app.path) == "Deployed"
    ledger.add(seconds=seconds, audit=world.audit())
    assert world.audit().clean


def test_f20_a_namespace_that_somebody_deleted_comes_back(world: World, one: Site, ledger: Ledger):
    app = settled_shop(world, "f20")
    one.api.delete(f"/api/v1/namespaces/{app.namespace}")
    back = lambda: one.image(app.namespace) == IMAGE  # noqa: E731
    world.until(lambda: not back(), "it is gone")
    seconds = world.until(back, "it is back", 60)
    world.settle()
    judge(world, ledger, seconds)


# --- F22


def test_f22_a_namespace_that_does_not_end_is_told_and_never_forced(
    world: World, one: Site, ledger: Ledger
):
    app = settled_shop(world, "f22")
    maps = f"/api/v1/namespaces/{app.namespace}/configmaps"
    one.api.create(maps, {"metadata": {"name": "held", "finalizers": ["example.org/hold"]}})
    world.remove(app)
    project = "/tenants/f22/projects/shop"
    world.web.send("DELETE", project)
    time.sleep(8.0)
    assert one.api.find(f"{maps}/held")["metadata"]["finalizers"] == ["example.org/hold"]
    told = world.web.send("GET", project)
    assert told["deleting"] is True
    with pytest.raises(NotTaken) as taken:
        world.project("f22")
    assert taken.value.problem["code"] == "KN-DELETING"
    placement = told["status"]["placements"][0]
    synced = next(each for each in placement["conditions"] if each["type"] == "Synced")
    assert "Namespace f22--shop" in synced["message"]
    one.api.patch(f"{maps}/held", {"metadata": {"finalizers": None}})
    seconds = world.until(lambda: not world.status(project), "it is gone", 60)
    world.project("f22")
    world.app("f22")
    world.settle()
    judge(world, ledger, seconds)


# --- F24


def test_f24_back_after_long_the_writes_are_those_of_the_drift(
    world: World, one: Site, ledger: Ledger
):
    for number in range(10):
        world.tenant(f"f24-{number}")
        world.project(f"f24-{number}")
    app = world.app("f24-0")
    world.settle()
    found = [Opened.of(one, f"f24-{number}") for number in range(10)]
    one.proxy.refuse()
    reason = lambda: world.condition("/clusters/one").get("reason")  # noqa: E731
    lost = world.until(lambda: reason() == "Unreachable", "people are told", 40)
    for image in ("nginx:2", "nginx:3", NEWER):
        world.change(app, image)
    for each in found[:3]:
        each.open()
    time.sleep(20.0)
    mark = len(one.proxy.journal)
    one.proxy.reopen()
    seconds = world.until(lambda: all(each.healed for each in found), "drift heals", 90)
    seconds += world.settle()
    time.sleep(1.0)
    changed = {write.path for write in one.proxy.journal.since(mark)}
    assert changed - {"/api/v1/namespaces/kubenova-system/configmaps/epoch"} == {
        *(each.path for each in found[:3]),
        deployment("f24-0"),
    }
    assert lost <= 30
    ledger.add(seconds=seconds, audit=world.audit())
    assert world.audit().clean
    assert seconds < 60


# --- F36


def test_f36_a_cluster_that_is_away_does_not_take_the_other_along(
    world: World, one: Site, two: Site, ledger: Ledger
):
    two.proxy.refuse()
    app = world.shop("f36", "one", "two")
    there = lambda: one.image(app.namespace) == IMAGE  # noqa: E731
    world.until(there, "the good one has it", 30)

    def by_cluster() -> dict[str, str]:
        placements = world.status(app.path)["placements"]
        return {each["cluster"]: each["phase"] for each in placements}

    world.until(lambda: by_cluster().get("one") == "Deployed", "that shows", 30)
    assert by_cluster()["two"] != "Deployed"
    assert world.phase(app.path) != "Deployed", "the sum is not better than its parts"
    two.proxy.reopen()
    seconds = world.settle()
    assert by_cluster() == {"one": "Deployed", "two": "Deployed"}
    judge(world, ledger, seconds)


def test_f36_no_good_part_is_rolled_back(world: World, one: Site, two: Site, ledger: Ledger):
    app = world.shop("f36", "one", "two")
    world.settle()
    refuse = Rule(WRITE, Fail(403, {"reason": "Forbidden", "message": "no more today"}))
    with two.proxy.rules.during(refuse):
        world.change(app, NEWER)
        world.until(lambda: one.image(app.namespace) == NEWER, "the good one has it")
        world.until(lambda: world.phase(app.path) == "Error", "the sum shows it", 60)
        assert one.image(app.namespace) == NEWER
        assert two.image(app.namespace) == IMAGE
    seconds = world.settle(120)
    ledger.add(seconds=seconds, audit=world.audit())
    assert world.audit().clean
