"""The stages of a step as events: planned, applied, observed, converged, and how long each took."""

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clusters.kinds import CONFIG_MAP, NAMESPACE
from reconcile.correlation import correlate
from reconcile.errors import Refused, Unreachable
from reconcile.models import Event
from reconcile.values import Ref
from tests.clusters.steps import hurry, settle
from tests.reconcile.models import Toy, ToyPlacement

HOME = Ref(NAMESPACE, "", "train")
RULES = Ref(CONFIG_MAP, "train", "rules")
STAGES = ("Planned", "Applied", "Observed", "Converged", "Interrupted")


@pytest.fixture
def toy(shelf) -> Toy:
    """A toy that was declared; no step was taken yet."""
    found = Toy(name="train", maps={"rules": {"speed": "slow"}}, shelves=["shelf"])
    with correlate("request-1"):
        found.declare(by="alice")
    return found


def change(toy: Toy, correlation_id: str, **maps: dict[str, str]) -> None:
    toy.refresh_from_db()
    toy.maps = maps
    with correlate(correlation_id):
        toy.declare(by="bob")


def told(correlation_id: str = "request-1") -> list[Event]:
    rows = Event.objects.filter(correlation_id=correlation_id, kind="toyplacement")
    return list(rows.order_by("pk"))


def stages(correlation_id: str = "request-1") -> list[str]:
    return [event.reason for event in told(correlation_id)]


def test_a_request_is_told_from_its_plan_to_its_end(toy, shelf):
    settle()

    assert stages() == ["Planned", "Applied", "Applied", "Observed", "Deployed"]
    planned, first, second, observed, _ = told()
    assert planned.message == "2 objects to write: 2 apply (new)."
    assert planned.data["count"] == 2 and len(planned.data["hash"]) == 32
    assert planned.data["objects"] == [f"apply {HOME} (new)", f"apply {RULES} (new)"]
    assert [each.data["objects"] for each in (first, second)] == [
        [f"apply {HOME} (new)"],
        [f"apply {RULES} (new)"],
    ]
    assert first.data["slowest"] == str(HOME)
    assert 0 <= first.data["slowest_milliseconds"] <= first.data["milliseconds"]
    assert observed.data["phase"] == "Deployed"
    assert {event.cluster for event in told()} == {"shelf"}


def test_the_end_says_how_long_it_took_since_the_request(shelf):
    with time_machine.travel("2026-03-02T08:00:00Z", tick=False) as clock:
        found = Toy(name="train", maps={}, shelves=["shelf"])
        with correlate("request-1"):
            found.declare(by="alice")
        clock.shift(4.5)
        hurry()
        ends = {event.name: event.data for event in Event.objects.filter(reason="Deployed")}

    assert ends["Toy train on shelf"] == {"seconds": 4.5}
    assert ends["Toy train"] == {"seconds": 4.5}


def test_a_change_that_moves_no_phase_is_told_to_its_end(toy, shelf):
    settle()
    change(toy, "request-2", rules={"speed": "fast"})
    settle()

    assert stages("request-2") == ["Planned", "Applied", "Observed", "Converged"]
    assert told("request-2")[-1].data["seconds"] >= 0


def test_what_a_watcher_set_going_is_not_timed_since_an_old_request(toy, shelf):
    settle()
    shelf.edit(RULES, "kubectl-edit", lambda body: body["data"].update(speed="slower"))
    with correlate("watch-1"):
        ToyPlacement.objects.get().mark()
    settle()

    assert told("watch-1")[-1].reason == "Converged"
    assert told("watch-1")[-1].data == {}


def test_at_rest_nothing_is_told(toy, shelf):
    settle()
    before = Event.objects.count()
    ToyPlacement.objects.get().mark()
    settle()

    assert Event.objects.count() == before


def test_all_of_a_step_is_one_statement_however_much_it_writes(shelf):
    maps = {f"map-{number}": {"a": "1"} for number in range(30)}
    with correlate("request-1"):
        Toy(name="train", maps=maps, shelves=["shelf"]).declare(by="alice")
    with CaptureQueriesContext(connection) as queries:
        settle()

    inserts = [each["sql"] for each in queries if 'INSERT INTO "reconcile_event"' in each["sql"]]
    rows = [int(sql.partition(" times: ")[0]) for sql in inserts]
    mine = Event.objects.filter(kind="toyplacement", correlation_id="request-1")
    assert list(mine.order_by("pk").values_list("reason", flat=True)) == [
        *("Planned", "Applied", "Applied", "Observed", "Deployed")
    ]
    assert 5 in rows and sum(rows) == 5 + 1, "the step's in one statement, and one of its parent"
    applied = [event for event in told() if event.reason == "Applied"]
    assert [event.data["count"] for event in applied] == [1, 30]
    assert len(applied[1].data["objects"]) == 20


@pytest.mark.parametrize(
    "error", [Refused("No."), Unreachable("Away.")], ids=["refused", "within its grace"]
)
def test_a_step_that_was_interrupted_says_how_far_it_came(toy, shelf, error):
    shelf.fail_on("apply", RULES, error)
    settle()

    assert stages()[:3] == ["Planned", "Applied", "Interrupted"]
    assert told()[2].message == f"Not all was written: {error.message}"


def test_a_step_that_gets_nowhere_again_and_again_is_told_once(toy, shelf):
    shelf.fail_on("apply", HOME, Refused("No."))
    for _ in range(5):
        hurry()

    assert stages().count("Planned") == stages().count("Interrupted") == 1
    shelf.heal()
    hurry()
    assert stages().count("Planned") == 2 and stages()[-1] == "Deployed"


def test_a_deletion_is_told_too(toy, shelf):
    settle()
    with correlate("request-2"):
        toy.refresh_from_db()
        toy.request_deletion(by="alice")
    for _ in range(4):
        hurry()

    found = stages("request-2")
    assert [reason for reason in found if reason in STAGES][:2] == ["Planned", "Applied"]
    assert found[-1] == "Deleted"


def test_a_declaration_says_its_generation_and_its_fields(toy, shelf):
    change(toy, "request-2", rules={"speed": "fast"})

    created, changed = Event.objects.filter(kind="toy").order_by("pk")[:2]
    assert created.data == {"generation": 1, "fields": []}
    assert changed.data == {"generation": 2, "fields": ["maps"]}
