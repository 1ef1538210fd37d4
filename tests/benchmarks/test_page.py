"""The page of results is written from the figures, and says what they are worth."""

import json

import pytest
from _page import filled, machine, results

QUIET = {"at": "2030-01-01T10:00Z", "cores": 2, "quiet": True, "idle before, %": 97}
QUIET |= {"load before": [0.1, 0.2, 0.3]}
SPREAD = {"n": 200, "p50": 10.0, "p99": 20.0, "max": 30.0}
SLOWER = {"n": 200, "p50": 25.0, "p99": 100.0, "max": 300.0}


def run(figures: dict, **options: int) -> dict:
    """A run of that benchmark."""
    return {"machine": QUIET, "options": options, **figures}


def speed(rate: float) -> dict:
    cost = {"core-ms per object, server": 3.3, "core-ms per object, client": 0.8}
    return {"objects/s": rate, "seconds": 1.0, **cost}


SHARE = {"share of the raw rate": {"p50": 0.5, "worst": 0.4}}
CONVERGED = {"floor": speed(400.0), "product": speed(200.0), **SHARE}
TURN = {"seconds": 4.0, "objects/s": 50.0, "Applications/s": 25.0}
BESIDE = {"floor": TURN, "product": {**TURN, "seconds": 9.0, "Applications/s": 20.0}}
BESIDE |= {"times the floor": {"p50": 2.25, "worst": 3.0}}
RUNS = {
    "applications": run(BESIDE, apps=1000, rounds=5, drains=2),
    "policyset": run(
        {**BESIDE, "objects": 200, "half, seconds": 5.0, "steps of progress": 11}, tenants=100
    ),
    "converge": run(CONVERGED, tenants=1000, rounds=5, workers=1, drains=1),
    "converge-pinned": run(CONVERGED, tenants=60, rounds=5, workers=1, drains=2, pinned=1),
    "converge-4": run(CONVERGED, tenants=100, rounds=5, workers=4, drains=1),
    "repair": run(
        {"series": {"floor, all": SPREAD, "product, all": SLOWER}, "writes per repair": 1.0},
        repairs=240,
    ),
    "onboard": run(
        {"series": {"floor": SPREAD, "tenant": SPREAD, "project": SLOWER}}, clusters=1, tenants=200
    ),
    "onboard-10": run(
        {
            "series": {"all alive": SPREAD, "one black hole": SPREAD},
            "change of p50, %": 0.0,
            "change of p99, %": -1.5,
            "change of p99, % without a black hole": 4.5,
        },
        clusters=10,
    ),
    "idle": run(
        {
            "with tenants": {
                "writes": 0,
                "requests, all": 7,
                "lists of one kind, at most": 1,
            },
            "an idle tenant costs an hour": {"requests": 0.1, "core-ms of worker and watch": 3.0},
        },
        tenants=300,
        seconds=600,
    ),
    "restart": run(
        {
            "objects": 3300,
            "B13": [{"seconds": s, "floor, seconds": 0.5, "writes": 0} for s in (4.0, 3.0, 9.0)],
            "B14": {
                "drifted": 165,
                "seconds": 12.0,
                "floor, seconds": 3.0,
                "writes": 165,
                "writes / drifted": 1.0,
            },
        },
        lost=120,
    ),
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("converge", "B3 cold convergence of 1000 tenants | 400.0 objects/s | 200.0 objects/s"),
        ("converge-pinned", "B3 cold convergence of 60 tenants, a core each | 400.0 objects/s"),
        ("converge-4", "B6 4 worker(s), 100 tenants | 400.0 objects/s | 200.0 objects/s"),
        ("repair", "10.0 / 20.0 ms (n 200, max 30.0) | 25.0 / 100.0 ms (n 200, max 300.0)"),
        ("onboard", "(n 200, max 300.0) | 2.5 / 5.0 | 400 ms / 1 s"),
        ("onboard-10", "p50 +0.0 %, p99 -1.5 % (of rounds without: +4.5 %) | p99 +10 %"),
        ("idle", "lists of a kind | 0 | 1 | | 1"),
        ("idle", "B7 an idle tenant, an hour | 0 | 0.1 requests, 3.0 core-ms"),
        ("applications", "25.0 Applications/s | 20.0 Applications/s | 2.25 (worst 3.0) | 1.1"),
        ("policyset", "4.0 s | 9.0 s, half after 5.0 s, told in 11 steps | 2.25 (worst 3.0)"),
        ("restart", "4.0 s, 0 writes | 8.0 | 15 s, 0"),
    ],
)
def test_each_benchmark_is_told_with_floor_ratio_and_goal(name, expected):
    text = " ".join(results({name: RUNS[name]}).split())
    assert expected in text


def test_less_than_nothing_is_told_as_noise():
    each = {"requests": 0.0, "core-ms of worker and watch": -46.0}
    text = results({"idle": {**RUNS["idle"], "an idle tenant costs an hour": each}})
    assert "0.0 requests, no processor time that shows" in text and "-46" not in text


def test_all_are_in_one_table_in_the_order_of_their_numbers():
    lines = results(RUNS).split("\n\n")[0].splitlines()
    names = [line.split()[1] for line in lines[2:]]
    assert names == sorted(names) and {"B1", "B11", "B2", "B3", "B6", "B7", "B13", "B14"} <= {
        *names
    }


def test_a_run_says_where_it_was_made():
    assert machine("idle", RUNS["idle"]) == (
        "* `idle` (tenants 300, seconds 600): 2030-01-01T10:00Z, 2 cores, quiet "
        "(97 % idle, load 0.1)"
    )


def test_a_run_on_a_busy_machine_says_so():
    busy = {**RUNS["idle"], "machine": {**QUIET, "quiet": False, "idle before, %": 3}}
    assert "busy with other work as well (3 % idle" in machine("idle", busy)


def test_the_page_keeps_what_people_wrote():
    page = "before\n<!-- results -->\nold\n<!-- end of results -->\nafter\n"
    assert filled(page, "new") == page.replace("old", "new")
    assert filled(filled(page, "new"), "new") == filled(page, "new")


@pytest.mark.parametrize("page", ["nothing", "<!-- results -->", "<!-- end of results -->"])
def test_a_page_without_marks_is_left_alone(page):
    with pytest.raises(ValueError, match="lacks"):
        filled(page, "new")


def test_figures_go_through_their_files_unchanged(tmp_path):
    path = tmp_path / "repair.json"
    path.write_text(json.dumps(RUNS["repair"]))
    assert results({"repair": json.loads(path.read_text())}) == results({"repair": RUNS["repair"]})
