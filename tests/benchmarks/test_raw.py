"""The floor writes the same and is judged by the same eyes."""

import pytest
from _raw import differing, foreign, renamed, waves, without_type
from _tenants import comparable, names

QUOTA = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "kubenova", "namespace": "bench-00001--shop"},
    "spec": {"hard": {"requests.cpu": "4000m"}},
}


@pytest.mark.parametrize(
    ("wanted", "live", "expected"),
    [
        pytest.param({"a": 1}, {"a": 1, "b": 2}, [], id="more than wanted is fine"),
        pytest.param({"a": 1}, {}, [".a"], id="a field is missing"),
        pytest.param({"a": {"b": 1}}, {"a": {"b": 2}}, [".a.b"], id="a field differs deep inside"),
        pytest.param({"a": {"b": 1}}, {"a": "text"}, [".a"], id="a map became a text"),
        pytest.param({"a": {}}, {"a": None}, [".a"], id="an empty map is not nothing"),
        pytest.param({"a": [1, 2]}, {"a": [1]}, [".a"], id="a list got shorter"),
        pytest.param({"a": [1]}, {"a": [1, 2]}, [".a"], id="a list got longer"),
        pytest.param({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, [".a[0].b"], id="an item differs"),
        pytest.param({"a": "1000m"}, {"a": "1"}, [], id="a quantity is written otherwise"),
        pytest.param({"a": "1000m"}, {"a": "2"}, [".a"], id="a quantity differs"),
        pytest.param({"a": "x"}, {"a": "y"}, [".a"], id="texts are no quantities"),
    ],
)
def test_an_object_is_whole_when_it_has_every_field(wanted, live, expected):
    assert differing(wanted, live) == expected


def test_nothing_at_all_differs_as_a_whole():
    assert differing({"a": 1}, None) == ["."]


def test_a_renamed_object_is_as_large_and_another():
    (copy,) = renamed([QUOTA], "bench-", "floor-")
    assert copy["metadata"]["namespace"] == "floor-00001--shop"
    assert QUOTA["metadata"]["namespace"] == "bench-00001--shop"
    assert len(str(copy)) == len(str(QUOTA))


def test_objects_of_the_floor_are_not_taken_for_ours():
    labels = {"app.kubernetes.io/managed-by": "kubenova", "kubenova.io/tenant": "bench-00001"}
    (copy,) = foreign([{**QUOTA, "metadata": {**QUOTA["metadata"], "labels": labels}}])
    assert copy["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "floor",
        "kubenova.io/tenant": "floor-00001",
    }


def test_namespaces_come_first_and_all_the_rest_at_once():
    space = {"kind": "Namespace"}
    assert waves([QUOTA, space, QUOTA]) == [[space], [QUOTA, QUOTA]]
    assert waves([QUOTA]) == [[QUOTA]]
    assert waves([]) == []


def test_items_of_a_list_do_not_say_what_they_are():
    assert without_type(QUOTA) == {"metadata": QUOTA["metadata"], "spec": QUOTA["spec"]}
    assert QUOTA["kind"] == "ResourceQuota"


def test_the_correlation_id_is_not_compared():
    stamped = {**QUOTA, "metadata": {**QUOTA["metadata"], "annotations": {"x": "y"}}}
    assert comparable([stamped]) == [QUOTA]


def test_names_of_tenants_sort_as_they_count():
    found = names(98, 4)
    assert found == ["bench-00098", "bench-00099", "bench-00100", "bench-00101"] == sorted(found)
