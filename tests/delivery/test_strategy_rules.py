"""Strategies as they are declared: what is refused where, and which wave a cluster is in."""

import pytest

from delivery.rules.strategy import (
    MAX_WAVES,
    divided,
    foreign_clusters,
    names_in,
    strategy_problems,
)

CANARY = {"clusters": ["prod-a"]}
EU = {"selector": {"region": "eu"}}


def found(strategy) -> list[tuple]:
    return [(problem.code, problem.path) for problem in strategy_problems(strategy)]


@pytest.mark.parametrize(
    "wave",
    [
        pytest.param(CANARY, id="by name"),
        pytest.param(EU, id="by labels"),
        pytest.param(CANARY | EU, id="both"),
        pytest.param(CANARY | {"approval": True}, id="approval"),
        pytest.param(CANARY | {"soak": 0, "max_unavailable": 1}, id="the least"),
        pytest.param(CANARY | {"soak": 604_800, "max_unavailable": 1_000}, id="the most"),
    ],
)
def test_what_is_right_is_taken(wave):
    assert found({"waves": [wave, {"clusters": ["prod-b"]}]}) == []


@pytest.mark.parametrize(
    ("strategy", "code", "path"),
    [
        pytest.param([], "type", (), id="a list"),
        pytest.param({"canary": 1}, "unknown", ("canary",), id="another word"),
        pytest.param({"waves": []}, "minItems", ("waves",), id="no wave"),
        pytest.param({"waves": {}}, "type", ("waves",), id="no list"),
        pytest.param(
            {"waves": [{"clusters": [f"c{each}"]} for each in range(MAX_WAVES + 1)]},
            "maxItems",
            ("waves",),
            id="too many",
        ),
        pytest.param({"waves": ["prod-a"]}, "type", ("waves", 0), id="a name as a wave"),
        pytest.param({"waves": [{}]}, "required", ("waves", 0), id="of no clusters"),
        pytest.param(
            {"waves": [{"clusters": [], "selector": {}}]}, "required", ("waves", 0), id="empty"
        ),
        pytest.param(
            {"waves": [{"clusters": ["Prod A"]}]},
            "pattern",
            ("waves", 0, "clusters", 0),
            id="no name",
        ),
        pytest.param(
            {"waves": [{"selector": {"region": "e u"}}]},
            "labels",
            ("waves", 0, "selector", "region"),
            id="no label",
        ),
        pytest.param(
            {"waves": [CANARY | {"approval": "yes"}]},
            "type",
            ("waves", 0, "approval"),
            id="approval is a text",
        ),
        pytest.param(
            {"waves": [CANARY | {"soak": -1}]}, "minimum", ("waves", 0, "soak"), id="no time"
        ),
        pytest.param(
            {"waves": [CANARY | {"soak": True}]}, "type", ("waves", 0, "soak"), id="true is no time"
        ),
        pytest.param(
            {"waves": [CANARY | {"max_unavailable": 0}]},
            "minimum",
            ("waves", 0, "max_unavailable"),
            id="nobody may move",
        ),
        pytest.param(
            {"waves": [CANARY, EU | CANARY]},
            "twice",
            ("waves", 1, "clusters", 0),
            id="named in two waves",
        ),
    ],
)
def test_what_is_wrong_is_named_where_it_is(strategy, code, path):
    assert found(strategy) == [(code, path)]


def test_each_fault_is_a_sentence():
    (problem,) = strategy_problems({"waves": [CANARY, CANARY]})
    assert problem.text == "Wave 1 names this cluster already."
    (problem,) = strategy_problems({"waves": [CANARY | {"soak": 1.5}]})
    assert problem.text == "Use a whole number from 0 to 604800."


def test_clusters_where_the_project_is_not_are_pointed_at():
    strategy = {"waves": [EU, {"clusters": ["prod-a", "prod-z"]}]}
    (problem,) = foreign_clusters(strategy, {"prod-a"})
    assert (problem.code, problem.path) == ("unknown", ("waves", 1, "clusters", 1))
    assert names_in(strategy) == {"prod-a", "prod-z"}
    assert foreign_clusters({}, ()) == [] and names_in(None) == set()


CLUSTERS = {
    "eu-1": {"region": "eu", "tier": "prod"},
    "eu-2": {"region": "eu"},
    "us-1": {"region": "us"},
}


@pytest.mark.parametrize(
    ("waves", "expected"),
    [
        pytest.param([], [["eu-1", "eu-2", "us-1"]], id="all at once"),
        pytest.param(
            [{"clusters": ["us-1"]}], [["us-1"], ["eu-1", "eu-2"]], id="the others come last"
        ),
        pytest.param(
            [{"clusters": ["eu-2"]}, EU], [["eu-2"], ["eu-1"], ["us-1"]], id="the first wave counts"
        ),
        pytest.param(
            [EU, {"clusters": ["eu-2", "us-1"]}],
            [["eu-1", "eu-2"], ["us-1"], []],
            id="also if a later one names it",
        ),
        pytest.param(
            [{"selector": {"region": "eu", "tier": "prod"}}],
            [["eu-1"], ["eu-2", "us-1"]],
            id="all labels have to match",
        ),
        pytest.param(
            [{"clusters": ["gone"], "selector": {}}],
            [[], ["eu-1", "eu-2", "us-1"]],
            id="an empty selector selects nothing",
        ),
    ],
)
def test_a_cluster_is_in_the_first_wave_that_selects_it(waves, expected):
    assert divided({"waves": waves} if waves else {}, CLUSTERS) == expected
