"""What a rollout does next, decided from what there is: no database, no clock of its own."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from delivery.rules.waves import (
    Decision,
    Member,
    RolloutState,
    Situation,
    decide,
    seconds_of,
    written,
)
from reconcile.values import JSON

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
FIRST = {"clusters": ["a"]}
SECOND = {"clusters": ["b", "c"]}


def member(name: str, target: int = 1, *, healthy: bool = True, told: str = "") -> Member:
    return Member(name, {}, target, healthy, told or ("Deployed" if healthy else "Applying"))


def situation(*waves: JSON, members: list[Member] | None = None, **rest) -> Situation:
    """Revision 2 comes to a, b and c, which run revision 1."""
    three = [member("a"), member("b"), member("c")]
    strategy = {"waves": list(waves)} if waves else {}
    known = {"revision": 2, "waves": [], "now": NOON, "base": 1}
    return Situation(strategy=strategy, members=members or three, **{**known, **rest})


class World:
    """Takes decisions one after the other, as the steps of an app do."""

    def __init__(self, *waves: JSON, members: list[Member] | None = None) -> None:
        self.now = situation(*waves, members=members)

    def step(self, seconds: float = 0, **rest) -> Decision:
        later = self.now.now + timedelta(seconds=seconds)
        self.now = replace(self.now, now=later, **rest)
        found = decide(self.now)
        members = [self._moved(each, found) for each in self.now.members]
        self.now = replace(self.now, waves=found.waves, members=members)
        return found

    def _moved(self, each: Member, found: Decision) -> Member:
        if each.cluster not in found.moves:
            return each
        return replace(each, target=found.moves[each.cluster], healthy=False, told="Applying")

    def become(self, *names: str, healthy: bool = True, told: str = "Deployed") -> None:
        members = [
            replace(each, healthy=healthy, told=told) if each.cluster in names else each
            for each in self.now.members
        ]
        self.now = replace(self.now, members=members)

    def say(self, number: int, **told: str) -> None:
        """What a person says of a wave."""
        waves = [wave | told if wave["number"] == number else wave for wave in self.now.waves]
        self.now = replace(self.now, waves=waves)

    @property
    def states(self) -> list[str]:
        return [str(wave["state"]) for wave in self.now.waves]


def test_wave_after_wave():
    world = World(FIRST, SECOND)
    assert world.step().moves == {"a": 2}
    assert world.states == ["Running", "Waiting"]
    assert world.step(1).moves == {}
    world.become("a")
    found = world.step(1)
    assert (found.moves, found.state) == ({"b": 2, "c": 2}, RolloutState.RUNNING)
    assert world.states == ["Done", "Running"]
    world.become("b")
    assert world.step(1).state == RolloutState.RUNNING
    world.become("c")
    found = world.step(1)
    assert (found.state, found.reason, found.look_in) == (RolloutState.DONE, "", None)
    first, second = found.waves
    assert (first["started_at"], first["finished_at"]) == (
        "2026-06-01T12:00:00.000Z",
        "2026-06-01T12:00:02.000Z",
    )
    assert second["started_at"] == first["finished_at"]


def test_the_same_step_again_decides_the_same_and_moves_nobody():
    world = World(FIRST, SECOND)
    world.step()
    again = decide(world.now)
    assert (again.moves, list(again.waves)) == ({}, list(world.now.waves))


def test_a_step_that_was_lost_is_decided_again():
    """Nothing of it was written: the same situation leads to the same decision."""
    now = situation(FIRST, SECOND)
    assert decide(now) == decide(now)
    assert now.waves == []


def test_without_waves_everybody_moves_at_once():
    found = decide(situation())
    assert found.moves == {"a": 2, "b": 2, "c": 2}
    (wave,) = found.waves
    assert (wave["number"], wave["clusters"]) == (1, ["a", "b", "c"])


def test_who_is_in_no_wave_comes_last():
    world = World(FIRST)
    assert [wave["clusters"] for wave in world.step().waves] == [["a"], ["b", "c"]]
    world.become("a")
    assert world.step().moves == {"b": 2, "c": 2}


@pytest.mark.parametrize(
    ("state", "fares"),
    [("is Applying", "Applying"), ("is Error (Unreachable)", "Error (Unreachable)")],
)
def test_whoever_is_not_healthy_holds_the_wave(state, fares):
    world = World(SECOND, FIRST)
    world.step()
    world.become("b")
    world.become("c", healthy=False, told=fares)
    found = world.step(100_000)
    assert (found.moves, world.states) == ({}, ["Running", "Waiting"])
    assert found.reason == f"Wave 1 of 2 is under way: c {state}."


# --- Approval.


def test_a_wave_waits_for_approval():
    world = World(FIRST, SECOND | {"approval": True})
    world.step()
    assert world.states == ["Running", "Waiting"], "it is nobody's turn to approve yet"
    world.become("a")
    found = world.step(100_000)
    assert (found.moves, found.state) == ({}, RolloutState.WAITING_APPROVAL)
    assert found.reason == "Wave 2 of 2 waits for somebody to promote it."
    world.say(2, approved_by="alice")
    assert world.step().moves == {"b": 2, "c": 2}


def test_the_first_wave_can_wait_too():
    world = World(FIRST | {"approval": True})
    assert (world.step().moves, world.states) == ({}, ["WaitingApproval", "Waiting"])


# --- Soak.


def test_a_wave_has_to_stay_healthy_for_a_while():
    world = World(FIRST | {"soak": 60}, SECOND)
    world.step()
    world.become("a")
    found = world.step()
    assert (found.state, found.look_in) == (RolloutState.SOAKING, 60.0)
    assert found.reason == "Wave 1 of 2 is healthy and has to stay so for 60 seconds."
    assert world.step(59).look_in == 1.0
    assert world.step(1).moves == {"b": 2, "c": 2}


def test_the_time_begins_anew_when_it_falls_ill():
    world = World(FIRST | {"soak": 60}, SECOND)
    world.step()
    world.become("a")
    world.step()
    world.become("a", healthy=False)
    assert world.step(30).state == RolloutState.RUNNING
    world.become("a")
    assert world.step(20).look_in == 60.0
    assert world.step(59).state == RolloutState.SOAKING
    assert world.step(1).moves == {"b": 2, "c": 2}


def test_somebody_can_end_it():
    world = World(FIRST | {"soak": 60}, SECOND)
    world.step()
    world.become("a")
    world.step()
    world.say(1, soak_ended_by="alice")
    assert world.step().moves == {"b": 2, "c": 2}


def test_the_last_one_soaks_before_all_is_done():
    world = World({"clusters": ["a", "b", "c"], "soak": 60})
    world.step()
    world.become("a", "b", "c")
    assert world.step().state == RolloutState.SOAKING
    assert world.step(60).state == RolloutState.DONE


# --- How many at once.


def test_no_more_move_at_once_than_may():
    world = World({"clusters": ["a", "b", "c"], "max_unavailable": 1})
    for name in ("a", "b", "c"):
        assert world.step().moves == {name: 2}
        assert world.step().moves == {}
        world.become(name)
    assert world.step().state == RolloutState.DONE


def test_who_falls_ill_counts():
    world = World({"clusters": ["a", "b", "c"], "max_unavailable": 1})
    world.step()
    world.become("a")
    world.step()
    world.become("a", healthy=False)
    world.become("b")
    assert world.step().moves == {}
    world.become("a")
    assert world.step().moves == {"c": 2}


def test_who_is_ill_already_comes_first():
    ill = [member("a"), member("b"), member("c", healthy=False)]
    world = World({"clusters": ["a", "b", "c"], "max_unavailable": 1}, members=ill)
    assert world.step().moves == {"c": 2}


# --- Pause.


def test_nothing_moves_while_it_is_paused():
    world = World({"clusters": ["a", "b"], "max_unavailable": 1}, {"clusters": ["c"]})
    world.step()
    world.become("a")
    found = world.step(paused=True)
    assert (found.moves, found.state) == ({}, RolloutState.PAUSED)
    assert found.reason == "Wave 1 of 2 is under way: b has yet to get revision 2."
    assert world.step(paused=False).moves == {"b": 2}


def test_a_wave_gets_done_while_the_next_one_does_not_begin():
    world = World(FIRST, SECOND)
    world.step()
    world.become("a")
    found = world.step(paused=True)
    assert (found.state, world.states) == (RolloutState.PAUSED, ["Done", "Waiting"])
    assert found.reason == "Wave 2 of 2 has not begun."


def test_what_is_everywhere_is_done_paused_or_not():
    world = World({"clusters": ["a", "b", "c"]})
    world.step()
    world.become("a", "b", "c")
    assert world.step(paused=True).state == RolloutState.DONE


# --- Who comes and goes.


def test_who_joins_gets_what_its_wave_may_have():
    world = World(FIRST, {"clusters": ["b"]})
    world.step()
    world.become("a")
    world.step()
    waits, late = member("c", 0, healthy=False), member("a2", 0, healthy=False)
    strategy = {"waves": [{"clusters": ["a", "a2"]}, {"clusters": ["b"]}]}
    found = world.step(strategy=strategy, members=[*world.now.members[:2], waits, late])
    assert found.moves == {"a2": 2, "c": 1}, "wave 1 is done, the last one has not begun"


def test_who_joins_has_to_wait_if_nothing_ran_before():
    world = World(FIRST)
    waits = member("c", 0, healthy=False)
    found = world.step(base=0, members=[member("a", 0, healthy=False), waits])
    assert found.moves == {"a": 2}


def test_who_joins_while_it_is_paused_gets_what_ran_before():
    world = World(FIRST, SECOND)
    world.step()
    late = member("a2", 0, healthy=False)
    strategy = {"waves": [{"clusters": ["a", "a2"]}, SECOND]}
    found = world.step(strategy=strategy, members=[*world.now.members, late], paused=True)
    assert found.moves == {"a2": 1}


def test_a_wave_without_clusters_is_passed_and_asks_for_nothing():
    world = World({"clusters": ["gone"], "approval": True}, SECOND)
    assert world.step().moves == {"b": 2, "c": 2}
    assert world.states == ["Done", "Running", "Waiting"]


def test_a_wave_that_gets_its_first_cluster_late_asks_all_the_same():
    gone = {"clusters": ["late"], "approval": True}
    world = World(FIRST, gone, {"clusters": ["b", "c"], "max_unavailable": 1})
    world.step()
    world.become("a")
    assert world.step().moves == {"b": 2}
    found = world.step(members=[*world.now.members, member("late", 1)])
    assert (found.state, found.moves) == (RolloutState.WAITING_APPROVAL, {})
    assert world.states == ["Done", "WaitingApproval", "Running"]
    world.say(2, approved_by="alice")
    assert world.step().moves == {"late": 2}
    world.become("late", "b")
    assert world.step().moves == {"c": 2}


# --- Times.


def test_times_are_texts_that_say_how_long_it_took():
    later = NOON + timedelta(seconds=2.5)
    assert seconds_of(None, None, NOON) is None
    assert seconds_of(written(NOON), None, later) == 2.5
    assert seconds_of(written(NOON), written(later), NOON + timedelta(days=1)) == 2.5
