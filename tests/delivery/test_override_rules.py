"""Overrides and environment, as values: what they come to on a cluster, what is wrong with them."""

import pytest

from delivery.rules.environment import environment_problems
from delivery.rules.overrides import (
    MAX_CHANGES,
    MAX_OVERRIDES,
    components_on,
    matching,
    override_problems,
    together_problems,
)
from tests.delivery.samples import component, with_traits

HERE = {"clusters": ["prod-a"]}


def given(name, value="x"):
    return {"name": name, "value": value}


def changing(name="web", where=HERE, **change):
    return {**where, "components": [{"name": name, **change}]}


def merged(base, **change):
    """The one component of an app after one override."""
    (found,) = components_on(
        {"components": [base], "overrides": [changing(**change)]}, "prod-a", {}
    )
    return found


def places(overrides, *components):
    return {
        problem.path: problem.code
        for problem in override_problems(overrides, list(components) or [component()])
    }


# --- Where they apply.


@pytest.mark.parametrize(
    ("where", "applies"),
    [
        pytest.param({"clusters": ["prod-a"]}, True, id="by name"),
        pytest.param({"clusters": ["prod-b"]}, False, id="another name"),
        pytest.param({"selector": {"region": "eu"}}, True, id="by label"),
        pytest.param({"selector": {"region": "eu", "tier": "1"}}, False, id="one label of two"),
        pytest.param(
            {"clusters": ["prod-b"], "selector": {"region": "eu"}}, True, id="either is enough"
        ),
        pytest.param({"clusters": [], "selector": {}}, False, id="nothing selects nothing"),
    ],
)
def test_it_applies_to_clusters_by_name_and_by_label(where, applies):
    found = matching([changing(where=where)], "prod-a", {"region": "eu", "zone": "1"})
    assert bool(found) is applies


def test_a_cluster_that_nothing_is_said_of_gets_the_components_as_they_are():
    spec = {"components": [component()], "overrides": [changing(properties={"image": "b:1"})]}
    assert components_on(spec, "prod-b", {}) == [component()]


def test_later_overrides_win_over_earlier_ones():
    overrides = [changing(properties={"image": f"b:{tag}", "cpu": tag}) for tag in ("1", "2")]
    del overrides[1]["components"][0]["properties"]["cpu"]
    (found,) = components_on({"components": [component()], "overrides": overrides}, "prod-a", {})
    assert found["properties"] == {"image": "b:2", "cpu": "1"}


# --- What is merged.


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        pytest.param({}, {"image": "b:1"}, {"image": "b:1"}, id="a value"),
        pytest.param(
            {"labels": {"a": "1", "b": "2"}},
            {"labels": {"b": None, "c": "3"}},
            {"image": "nginx:1.27", "labels": {"a": "1", "c": "3"}},
            id="maps by key, null takes away",
        ),
        pytest.param(
            {"cmd": ["a", "b"]}, {"cmd": ["c"]}, {"image": "nginx:1.27", "cmd": ["c"]}, id="lists"
        ),
        pytest.param(
            {"env": [given("A"), given("B")]},
            {"env": [given("B", "y"), given("C")]},
            {"image": "nginx:1.27", "env": [given("A"), given("B", "y"), given("C")]},
            id="variables by name",
        ),
        pytest.param(
            {"env": [given("A")]}, {"env": None}, {"image": "nginx:1.27"}, id="no variables at all"
        ),
    ],
)
def test_properties_are_merged(before, change, after):
    assert merged(component(**before), properties=change)["properties"] == after


@pytest.mark.parametrize(
    ("change", "after"),
    [
        pytest.param(
            {"type": "scaler", "properties": {"replicas": 5}},
            [("scaler", {"replicas": 5})],
            id="set",
        ),
        pytest.param({"type": "scaler", "disable": True}, [], id="disabled"),
        pytest.param(
            {"type": "labels", "properties": {"team": "a"}},
            [("scaler", {"replicas": 2}), ("labels", {"team": "a"})],
            id="added",
        ),
        pytest.param(
            {"type": "hpa", "disable": True}, [("scaler", {"replicas": 2})], id="not there"
        ),
    ],
)
def test_traits_are_merged_by_type(change, after):
    found = merged(with_traits(component(), scaler={"replicas": 2}), traits=[change])
    assert [(each["type"], each["properties"]) for each in found["traits"]] == after


def test_what_was_declared_stays_as_it_is():
    base = with_traits(component(labels={"a": "1"}), scaler={"replicas": 2})
    merged(
        base,
        properties={"labels": {"a": "2"}},
        traits=[{"type": "scaler", "properties": {"replicas": 9}}],
    )
    assert base == with_traits(component(labels={"a": "1"}), scaler={"replicas": 2})


# --- The environment.


def test_every_component_gets_the_environment_and_its_own_variables_win():
    spec = {
        "components": [component(env=[given("A", "own")]), component("jobs", "worker")],
        "environment": [given("A"), given("B")],
    }
    web, jobs = components_on(spec, "prod-a", {})
    assert web["properties"]["env"] == [given("B"), given("A", "own")]
    assert jobs["properties"]["env"] == [given("A"), given("B")]


def test_a_cluster_may_have_other_values_in_its_environment():
    spec = {
        "components": [component()],
        "environment": [given("A"), given("B")],
        "overrides": [{**HERE, "environment": [given("B", "here"), given("C")]}],
    }
    (here,), (there,) = (components_on(spec, name, {}) for name in ("prod-a", "prod-b"))
    assert here["properties"]["env"] == [given("A"), given("B", "here"), given("C")]
    assert there["properties"]["env"] == [given("A"), given("B")]


@pytest.mark.parametrize(
    ("environment", "places"),
    [
        pytest.param({"A": "x"}, {(): "type"}, id="a map"),
        pytest.param([given("1A")], {(0, "name"): "pattern"}, id="a bad name"),
        pytest.param([given("A"), given("A")], {(1, "name"): "repeated"}, id="twice"),
        pytest.param(
            [{"name": "A", "valueFrom": {}}], {(0, "valueFrom"): "minProperties"}, id="source"
        ),
        pytest.param([given("A", "\0")], {(0, "value"): "value"}, id="a NUL"),
        pytest.param([given("A", 1)], {(0, "value"): "type"}, id="a number"),
    ],
)
def test_a_wrong_environment_is_told_where_it_is(environment, places):
    found = {problem.path: problem.code for problem in environment_problems(environment)}
    assert found == places


# --- What is wrong.


@pytest.mark.parametrize(
    ("override", "place", "code"),
    [
        pytest.param(changing(where={}, properties={"cpu": "1"}), (0,), "required", id="nowhere"),
        pytest.param(HERE, (0,), "required", id="nothing"),
        pytest.param(
            changing("api", properties={"cpu": "1"}),
            (0, "components", 0, "name"),
            "unknown",
            id="a component that there is not",
        ),
        pytest.param(changing(type="worker"), (0, "components", 0, "type"), "unknown", id="type"),
        pytest.param(
            changing(properties={"cpu": "much"}),
            (0, "components", 0, "properties", "cpu"),
            "pattern",
            id="a bad value",
        ),
        pytest.param(
            changing(properties={"image": None}),
            (0, "components", 0, "properties", "image"),
            "required",
            id="what is needed taken away",
        ),
        pytest.param(
            changing(properties={"env": [{"name": ["A"]}]}),
            (0, "components", 0, "properties", "env", 0, "name"),
            "type",
            id="a variable without a name",
        ),
        pytest.param(
            changing(properties={"annotations": {"app.oam.dev/name": "x"}}),
            (0, "components", 0, "properties", "annotations", "app.oam.dev/name"),
            "reserved",
            id="a reserved key",
        ),
        pytest.param(
            changing(traits=[{"type": "hpa"}]),
            (0, "components", 0, "traits", 0, "type"),
            "conflict",
            id="with a trait of the component",
        ),
        pytest.param(
            changing(traits=[{"type": "root"}]),
            (0, "components", 0, "traits", 0, "type"),
            "type",
            id="a trait that there is not",
        ),
        pytest.param(
            changing(traits=[{"type": "scaler", "disable": True, "properties": {"replicas": 1}}]),
            (0, "components", 0, "traits", 0, "properties"),
            "conflict",
            id="disabled and set",
        ),
        pytest.param(
            {**HERE, "environment": [given("1A")]},
            (0, "environment", 0, "name"),
            "pattern",
            id="environment",
        ),
        pytest.param(
            changing(where={"selector": {"kubenova.io/x": "y"}}, properties={"cpu": "1"}),
            (0, "selector", "kubenova.io/x"),
            "labels",
            id="a reserved label",
        ),
    ],
)
def test_a_wrong_override_is_told_where_it_is(override, place, code):
    base = with_traits(component(), scaler={"replicas": 2})
    assert places([override], base) == {place: code}


@pytest.mark.parametrize(
    ("overrides", "code"),
    [
        pytest.param({}, "type", id="a map"),
        pytest.param(
            [changing(properties={"cpu": "1"})] * (MAX_OVERRIDES + 1), "maxItems", id="too many"
        ),
    ],
)
def test_overrides_are_a_list_of_so_many(overrides, code):
    assert places(overrides) == {(): code}


def test_all_together_name_so_many_components():
    components = [component(f"c{number}") for number in range(30)]
    changes = [{"name": f"c{number}", "properties": {"cpu": "1"}} for number in range(25)]
    overrides = [{**HERE, "components": changes}] * (MAX_CHANGES // 25)
    assert places(overrides, *components) == {}
    one_more = changing("c29", properties={"cpu": "1"})
    assert places([*overrides, one_more], *components) == {(): "too_many"}


def test_a_change_of_one_component_is_judged_beside_all_others():
    settings = {"configMap": [{"name": "settings", "data": {"A": "b"}}]}
    base = [with_traits(component(), storage=settings), component("jobs", "worker")]
    found = changing("jobs", traits=[{"type": "storage", "properties": settings}])
    assert override_problems([found], base)[0].code == "repeated"


def test_wrong_components_are_told_once():
    assert places([changing(properties={"cpu": "1"})], component(image=3)) == {}


def test_overrides_that_are_right_alone_may_be_wrong_together():
    alone = [
        changing(traits=[{"type": "scaler", "properties": {"replicas": 3}}]),
        changing(traits=[{"type": "hpa", "properties": {"min": 1}}]),
    ]
    assert places(alone) == {}
    (problem,) = together_problems([component()], alone)
    assert problem.path == ("components", 0, "traits", 0, "type")
