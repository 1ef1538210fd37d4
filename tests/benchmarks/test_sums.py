"""How the benchmarks sum up what their rounds found."""

import pytest
from _machine import Spent
from _options import options
from converge import summed, told
from idle import per_hour
from onboard import Spread, compared
from policyset import half
from policyset import summed as summed_up
from restart import _plural


def test_a_turn_is_told_by_what_an_object_has_cost_whom():
    spent = Spent(
        wall=2.0, cores={"etcd": 0.1, "kube-apiserver": 0.4, "worker-0": 0.3, "watch": 0.2}
    )
    found = told(spent, 100)
    assert found["objects/s"] == 50.0
    assert found["core-ms per object, server"] == 5.0
    assert found["core-ms per object, client"] == 5.0


def test_the_share_of_the_floor_is_that_of_each_round_the_worst_told():
    def turn(rate: float) -> dict:
        return {"objects/s": rate, "core-seconds": {}}

    rounds = [{"floor": turn(400.0), "product": turn(rate)} for rate in (100.0, 300.0, 200.0)]
    found = summed(rounds)
    assert found["share of the raw rate"] == {"p50": 0.5, "worst": 0.25}
    assert found["floor"] == {"objects/s": 400.0} and found["product"] == {"objects/s": 200.0}


def rest(requests: int, worker: int, watch: int, seconds: int = 720) -> dict:
    cores = {"worker": worker, "watch": watch, "kube-apiserver": 77}
    return {"requests, all": requests, "writes": 0, "core-ms": cores, "seconds": seconds}


def test_an_idle_tenant_costs_what_it_adds():
    found = per_hour(rest(10, 500, 100), rest(30, 600, 200), tenants=100)
    assert found == {"requests": 1.0, "writes": 0.0, "core-ms of worker and watch": 10.0}


def test_what_there_was_without_tenants_may_have_been_measured_for_a_shorter_time():
    found = per_hour(rest(5, 250, 50, seconds=360), rest(30, 600, 200), tenants=100)
    assert found == {"requests": 1.0, "writes": 0.0, "core-ms of worker and watch": 10.0}


def test_a_black_hole_is_told_as_the_change_that_it_makes():
    alive, hole = Spread(100, 200.0, 400.0, 500.0), Spread(100, 202.0, 440.0, 900.0)
    assert compared(alive, hole) == {"change of p50, %": 1.0, "change of p99, %": 10.0}


@pytest.mark.parametrize(
    ("kind", "plural"),
    [
        ("ConfigMap", "configmaps"),
        ("NetworkPolicy", "networkpolicies"),
        ("LimitRange", "limitranges"),
    ],
)
def test_kinds_are_found_in_the_audit_log_by_their_plural(kind, plural):
    assert _plural({"kind": kind}) == plural


def test_the_command_line_has_a_number_for_each_option(monkeypatch):
    monkeypatch.setattr("sys.argv", ["idle.py", "--tenants", "7", "--busy"])
    chosen = options("What it does.\n\nMore.", "idle", tenants=300, seconds=600)
    assert (chosen.tenants, chosen.seconds, chosen.busy) == (7, 600, True)
    assert chosen.json.parts[-3:] == (".run", "benchmarks", "idle.json")


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param([(0.0, 0), (1.0, 3), (2.0, 5), (3.0, 10)], 2.0, id="step by step"),
        pytest.param([(0.0, 0), (0.1, 10), (0.2, 1), (4.0, 8), (5.0, 10)], 4.0, id="after a dip"),
        pytest.param([(0.0, 0), (7.0, 10)], 7.0, id="all at once"),
    ],
)
def test_half_of_them_have_followed_once_no_fewer_are_told(seen, expected):
    assert half(seen) == expected


def test_a_set_is_told_by_its_middle_its_worst_and_the_fewest_steps():
    def turn(seconds: float, steps: int) -> dict:
        seen = [(0.0, 0), *((seconds, n) for n in range(steps))]
        each = {"floor": {"seconds": 2.0}, "product": {"seconds": seconds}}
        return {"objects": 20, **each, "progress": seen, "half, seconds": seconds / 2}

    found = summed_up([turn(4.0, 9), turn(8.0, 5), turn(6.0, 7)])
    assert found["times the floor"] == {"p50": 3.0, "worst": 4.0}
    assert (found["product"], found["worst, seconds"]) == ({"seconds": 6.0}, 8.0)
    assert (found["half, seconds"], found["steps of progress"]) == (3.0, 5)
