"""Definitions: which types of components and traits somebody's clusters serve, over HTTP."""

import pytest
from jsonschema import Draft202012Validator

from clusters.models import Capability, Cluster
from delivery.adapters import APPS
from delivery.rules.definitions import Serving, definitions
from delivery.rules.types import CARRIERS, COMPONENT_TYPES, TRAIT_TYPES
from tests.fleet import Fleet

PATH = "/api/v1/definitions"
EVERYTHING = {
    *(("component", type_) for type_ in COMPONENT_TYPES),
    *(("trait", type_) for type_ in TRAIT_TYPES),
}


def served(cluster: str, name: str, served: bool = True) -> None:
    row = Cluster.objects.get(name=cluster)
    Capability.objects.update_or_create(cluster=row, name=name, defaults={"served": served})


def listed(client, **query) -> dict[tuple[str, str], dict]:
    answer = client.get(PATH, query)
    assert answer.status_code == 200, answer.content
    return {(item["kind"], item["type"]): item for item in answer.json()["items"]}


# --- What clusters come to.


@pytest.mark.parametrize(
    ("adapters", "lacking", "serving"),
    [
        pytest.param({"a": ["native"]}, (), [Serving("a", "native")], id="native"),
        pytest.param(
            {"b": ["kubevela", "native"], "a": ["native"]},
            (),
            [Serving("a", "native"), Serving("b", "kubevela"), Serving("b", "native")],
            id="merged",
        ),
        pytest.param(
            {"a": ["kubevela", "native"]},
            {("a", "component", "task"), ("b", "component", "daemon")},
            [Serving("a", "native")],
            id="what KubeVela lacks there",
        ),
    ],
)
def test_a_type_tells_where_it_is_served(adapters, lacking, serving):
    (found,) = (row for row in definitions(adapters, lacking) if row.type == "task")
    assert list(found.serving) == serving
    assert found.clusters == sorted({each.cluster for each in serving})
    assert found.adapters == sorted({each.adapter for each in serving})


def test_what_no_cluster_serves_is_no_definition():
    assert definitions({}) == []
    left = definitions({"a": ["kubevela"]}, {("a", "trait", "hpa")})
    assert {(str(row.kind), row.type) for row in left} == EVERYTHING - {("trait", "hpa")}


def test_every_type_has_a_description_and_a_schema_that_is_one():
    for row in definitions({"a": ["native"]}):
        Draft202012Validator.check_schema(row.parameters)
        assert row.description.endswith(".")
        assert tuple(row.carriers) == CARRIERS.get(row.type, ())


# --- Who sees what.


@pytest.mark.parametrize("name", ["alice", "bob", "carol", "olga"])
def test_members_and_operators_see_what_their_clusters_serve(shop, as_, name):
    found = listed(as_(name))
    assert found.keys() == EVERYTHING
    web = found["component", "webservice"]
    assert web["serving"] == [{"cluster": "prod-a", "adapter": "native"}]
    assert web["parameters"]["required"] == ["image"]
    assert found["trait", "hpa"]["carriers"] == ["webservice", "worker", "statefulset"]


def test_whoever_is_on_no_cluster_has_nothing_to_choose_from(shop, as_):
    assert listed(as_("charlie")) == {}
    assert as_("charlie").get(f"{PATH}/components/webservice").status_code == 404


def test_clusters_of_other_tenants_are_not_told_of(shop, fleet: Fleet, as_):
    fleet.register("prod-b")
    assert {each["cluster"] for each in listed(as_("bob"))["trait", "env"]["serving"]} == {"prod-a"}
    found = listed(as_("olga"))["trait", "env"]["serving"]
    assert [each["cluster"] for each in found] == ["prod-a", "prod-b"]


def test_a_platform_that_no_adapter_uses_serves_nothing(shop, as_, monkeypatch):
    monkeypatch.delitem(APPS, "delivery.kubevela", raising=False)
    served("prod-a", "delivery.kubevela")
    assert listed(as_("bob"))["component", "task"]["serving"] == [
        {"cluster": "prod-a", "adapter": "native"}
    ]


def test_a_cluster_with_kubevela_tells_what_it_lacks(shop, as_, monkeypatch):
    monkeypatch.setitem(APPS, "delivery.kubevela", APPS["delivery.native"])
    served("prod-a", "delivery.kubevela")
    served("prod-a", "delivery.kubevela.component.daemon", False)
    found = listed(as_("bob"))
    adapters = {
        type_: [each["adapter"] for each in found["component", type_]["serving"]]
        for type_ in ("daemon", "worker")
    }
    assert adapters == {"daemon": ["native"], "worker": ["kubevela", "native"]}


# --- What is asked for.


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param(
            {"kind": "trait"}, {each for each in EVERYTHING if each[0] == "trait"}, id="kind"
        ),
        pytest.param({"cluster": "prod-a"}, EVERYTHING, id="a cluster"),
        pytest.param({"cluster": "prod-z"}, set(), id="a cluster that there is not"),
    ],
)
def test_the_list_is_narrowed(shop, as_, query, expected):
    assert listed(as_("bob"), **query).keys() == expected


@pytest.mark.parametrize(
    ("query", "parameter"), [({"kind": "policy"}, "kind"), ({"colour": "red"}, "colour")]
)
def test_a_query_that_means_nothing_is_refused(shop, as_, query, parameter):
    answer = as_("bob").get(PATH, query)
    assert answer.status_code == 400
    assert [each["parameter"] for each in answer.json()["errors"]] == [parameter]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("components/cron-task", 200),
        ("traits/gateway", 200),
        ("traits/cron-task", 404),
        ("components/unheard-of", 404),
        ("components/cron-task?cluster=prod-z", 404),
    ],
)
def test_one_type_is_shown(shop, as_, path, status):
    answer = as_("bob").get(f"{PATH}/{path}")
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["type"] == path.partition("/")[2]
        assert answer.json()["parameters"]["type"] == "object"
