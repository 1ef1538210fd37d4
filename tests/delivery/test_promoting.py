"""How a change comes to some clusters first, and to all of them later: pure."""

import pytest

from delivery.rules.overrides import components_on
from delivery.rules.promoting import laid_over
from tests.delivery.samples import component

WEB, JOBS = component(), component("jobs", "worker")
NEW = [{"name": "web", "properties": {"image": "nginx:2"}}]
SCALED = [{"type": "scaler", "properties": {"replicas": 3}}]


def test_a_change_for_some_clusters_is_their_override():
    components, overrides = laid_over([WEB, JOBS], [], NEW, ["b", "a", "b"])
    assert components == [WEB, JOBS]
    assert overrides == [{"clusters": ["a", "b"], "components": NEW}]


def test_it_takes_the_place_of_what_was_said_there_of_the_same_components():
    jobs = {"name": "jobs", "properties": {"cpu": "2"}}
    before = [
        {"clusters": ["a"], "selector": {"x": "y"}, "components": NEW},
        {"clusters": ["b", "a"], "components": [jobs, {"name": "web", "properties": {"cpu": "1"}}]},
    ]
    _, overrides = laid_over([WEB, JOBS], before, NEW, ["a", "b"])
    assert overrides == [before[0], {"clusters": ["b", "a"], "components": [jobs, *NEW]}]
    assert laid_over([WEB, JOBS], overrides, NEW, ["a", "b"]) == ([WEB, JOBS], overrides)


def test_a_change_for_all_leaves_the_override_that_says_the_same():
    _, overrides = laid_over([WEB, JOBS], [], NEW, ["a"])
    assert laid_over([WEB, JOBS], overrides, NEW) == ([component(image="nginx:2"), JOBS], [])


@pytest.mark.parametrize(
    ("override", "left"),
    [
        pytest.param({"components": [{"name": "jobs", "properties": {"image": "nginx:2"}}]}, None),
        pytest.param({"components": [{"name": "web", "properties": {"image": "nginx:3"}}]}, None),
        pytest.param({"environment": [{"name": "A", "value": "b"}]}, None),
        pytest.param(
            {"components": [{"name": "web", "properties": {"image": "nginx:2", "cpu": "2"}}]},
            {"components": [{"name": "web", "properties": {"cpu": "2"}}]},
        ),
        pytest.param(
            {"components": [{"name": "web", "properties": {"image": "nginx:2"}, "traits": SCALED}]},
            {"components": [{"name": "web", "traits": SCALED}]},
        ),
        pytest.param(
            {"components": NEW, "environment": [{"name": "A", "value": "b"}]},
            {"environment": [{"name": "A", "value": "b"}]},
        ),
    ],
    ids=["another component", "another value", "variables", "more", "traits", "nothing else"],
)
def test_what_else_an_override_says_stays(override, left):
    before = [{"clusters": ["a"], **override}]
    components, after = laid_over([WEB, JOBS], before, NEW)
    assert after == [{"clusters": ["a"], **(left or override)}]
    spec, tidied = ({"components": components, "overrides": each} for each in (before, after))
    assert components_on(spec, "a", {}) == components_on(tidied, "a", {}), "there it is the same"
