"""Apps of types that operators have published: where they pass, and what becomes of them."""

import pytest

from clusters.adapters.kubevela import APPLICATION, COMPONENT_DEFINITION, TRAIT_DEFINITION
from clusters.models import Capability, Cluster
from delivery.models import App, PublishedDefinition, TypeList
from delivery.rules.problems import component_problems
from delivery.rules.published_types import Published, parameter_problems
from reconcile.refusals import Unserved
from reconcile.values import JSON, Ref
from tenancy.models import Project
from tests.api.conftest import problem
from tests.clusters.steps import settle
from tests.delivery.paths import APPS, SITE, pointers
from tests.delivery.samples import NAMESPACE, component, with_traits
from tests.delivery.test_choosing import home, look_at_clusters, rolled_out, vela
from tests.delivery.test_publishing import CANARY, SPEC
from tests.kubevela import put
from tests.memory_cluster import MemoryCluster

__all__ = ["home", "vela"]

SCHEMA: JSON = {
    "type": "object",
    "properties": {"image": {"type": "string"}, "steps": {"type": "integer", "minimum": 1}},
    "required": ["image"],
    "additionalProperties": False,
}
SLOW: JSON = {"name": "slow", "type": "canary", "properties": {"image": "a", "steps": 3}}
BODY: JSON = {"tenant": "acme", "project": "shop", "name": "site", "components": [SLOW]}
TYPES = Published({"canary": SCHEMA, "any": None}, {"audit": None})


def found(*components: JSON) -> list[tuple]:
    return [(path, code) for path, code, _ in component_problems([*components], (), TYPES)]


def keep(kind: str, name: str, parameters: JSON | None = None) -> PublishedDefinition:
    row, _ = PublishedDefinition.put(
        kind, name, by="olga", spec=SPEC, description="", shadows=False, parameters=parameters
    )
    return row


def listed(home: Project, **lists: list[str]) -> None:
    TypeList.allow(home.tenant, by="olga", **lists)


@pytest.fixture
def canary(home: Project, vela: MemoryCluster) -> PublishedDefinition:
    """The type is published, on the cluster, and acme may use it."""
    row = keep("components", "canary", SCHEMA)
    put(vela, COMPONENT_DEFINITION, "canary", "vela-system", spec=SPEC)
    look_at_clusters()
    listed(home, components=["canary", "webservice"])
    return row


# --- What is wrong with one.


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({}, [], id="fits"),
        pytest.param({"type": "any", "properties": {"ports": 3, "env": {}}}, [], id="no schema"),
        pytest.param({"type": "other"}, [((0, "type"), "type")], id="not published"),
        pytest.param({"properties": {}}, [((0, "properties", "image"), "required")], id="lacking"),
        pytest.param(
            {"properties": {"image": "a", "steps": 0}},
            [((0, "properties", "steps"), "minimum")],
            id="too small",
        ),
        pytest.param(
            {"properties": {"image": "a", "x": 0}},
            [((0, "properties", "x"), "unknown")],
            id="unknown",
        ),
        pytest.param(
            {"type": "any", "properties": {"a": {"app.oam.dev/username": "root"}}},
            [((0, "properties", "a", "app.oam.dev/username"), "reserved")],
            id="a key of the platform",
        ),
        pytest.param({"traits": [{"type": "audit", "properties": {"a": 1}}]}, [], id="a trait"),
        pytest.param(
            {"traits": [{"type": "labels", "properties": {"a": "b"}}]}, [], id="one of ours"
        ),
        pytest.param(
            {"traits": [{"type": "scaler", "properties": {"replicas": 2}}]},
            [((0, "traits", 0, "type"), "carrier")],
            id="one that it cannot bear",
        ),
    ],
)
def test_a_published_type_is_judged_by_its_schema(change, expected):
    assert found({**SLOW, **change}) == expected


def test_a_component_of_ours_can_bear_a_published_trait():
    declared = with_traits(component(), audit={"level": 3}, scaler={"replicas": 2})
    assert found(declared) == []
    assert found(with_traits(component(ports=3), audit={})) != []


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        pytest.param([], (), id="no object"),
        pytest.param({"type": "string"}, ("type",), id="of texts"),
        pytest.param({"type": "object", "$ref": "https://eve.example.org"}, ("$ref",), id="a ref"),
        pytest.param(
            {"type": "object", "properties": {"a": {"items": {"pattern": "(a+)+$"}}}},
            ("properties", "a", "items", "pattern"),
            id="a pattern",
        ),
        pytest.param({"type": "object", "required": 3}, ("required",), id="no schema"),
    ],
)
def test_a_schema_that_cannot_be_taken_is_refused_at_its_place(schema, place):
    (wrong,) = parameter_problems(schema)
    assert wrong.path == place


def test_a_schema_is_kept_with_its_definition(people, as_):
    body = {"spec": SPEC, "parameters": SCHEMA}
    answer = as_("olga").put(CANARY, body, format="json")
    assert answer.json()["parameters"] == SCHEMA, answer.content
    answer = as_("olga").put(CANARY, {**body, "parameters": {"type": "array"}}, format="json")
    assert list(pointers(answer)) == ["/parameters/type"]


# --- Apps.


def test_an_app_uses_it_where_kubevela_serves(canary, home, vela, as_):
    answer = as_("bob").post(APPS, BODY, format="json")
    assert answer.status_code == 201, answer.content
    settle()
    spec = vela.body(Ref(APPLICATION, NAMESPACE, "site"))["spec"]
    (made,) = spec["components"]
    assert (made["type"], made["properties"]) == ("canary", SLOW["properties"])
    (trait,) = made["traits"]
    assert trait["type"] == "json-merge-patch"
    assert trait["properties"]["metadata"]["labels"]["kubenova.io/component"] == "slow"
    assert rolled_out(App.objects.get(), vela) == "Deployed"


def test_properties_are_checked_by_the_schema(canary, as_):
    wrong = {**SLOW, "properties": {"steps": "three"}}
    answer = as_("bob").post(APPS, {**BODY, "components": [wrong]}, format="json")
    problem(answer, 400, "KN-INVALID")
    assert sorted(pointers(answer)) == [
        "/components/0/properties/image",
        "/components/0/properties/steps",
    ]


def test_no_list_names_it_by_itself(canary, home, as_):
    home.tenant.type_lists.get().drop(by="olga")
    body = problem(as_("bob").post(APPS, BODY, format="json"), 422, "KN-TYPE")
    assert "canary" not in body["allowed"]["components"]


def test_a_list_takes_published_types_and_no_others(canary, as_):
    path = "/api/v1/definitions/allowed"
    body = {"components": ["canary"], "workflow_steps": ["deploy"]}
    answer = as_("olga").put(path, body, format="json").json()
    assert answer["effective"]["components"] == ["canary"]
    assert answer["effective"]["workflow_steps"] == ["deploy"]
    answer = as_("olga").put(path, {"components": ["raw"]}, format="json")
    problem(answer, 400, "KN-INVALID")
    assert list(pointers(answer)) == ["/components/0"]


def test_a_trait_is_published_and_borne_like_any_other(home, vela, as_):
    keep("traits", "audit")
    put(vela, TRAIT_DEFINITION, "audit", "vela-system", spec=SPEC)
    look_at_clusters()
    listed(home, traits=["audit"])
    declared = with_traits(component(), audit={"level": 3})
    answer = as_("bob").post(APPS, {**BODY, "components": [declared]}, format="json")
    assert answer.status_code == 201, answer.content
    settle()
    (made,) = vela.body(Ref(APPLICATION, NAMESPACE, "site"))["spec"]["components"]
    assert {"type": "audit", "properties": {"level": 3}} in made["traits"]
    assert made["traits"][-1]["type"] == "json-merge-patch", "the hardening has the last word"


def test_where_it_is_not_there_the_app_is_refused_with_who_could_serve_it(canary, home, as_):
    Capability.objects.filter(name="delivery.kubevela.component.canary").update(served=False)
    body = problem(as_("bob").post(APPS, BODY, format="json"), 422, "KN-CAPABILITY")
    assert (body["capability"], body["clusters"]) == ("delivery.kubevela.component.canary", [])
    assert body["field"] == "components.slow" and "Have it published there." in body["detail"]
    assert not App.objects.exists()


def test_plain_kubernetes_does_not_serve_it(canary, home, fleet, as_):
    Cluster.objects.update(labels={"delivery": "native"})
    body = problem(as_("bob").post(APPS, BODY, format="json"), 422, "KN-CAPABILITY")
    assert "Plain Kubernetes knows no component type canary" in body["detail"]
    assert body["clusters"] == ["prod-a"]


def test_a_native_placement_waits_rather_than_render_it(canary, home, as_):
    as_("bob").post(APPS, BODY, format="json")
    app = App.objects.get()
    app.placements.update(chosen_adapter="delivery.native")
    app.mark()
    for row in app.placements.all():
        row.mark()
    settle()
    (row,) = app.placements.all()
    assert "WaitingForType" in {each["reason"] for each in row.conditions}


def test_the_browser_shows_it_to_who_may_use_it(canary, home, as_):
    def types() -> set[str]:
        items = as_("bob").get("/api/v1/definitions?kind=component").json()["items"]
        return {item["type"] for item in items}

    assert types() == {"canary", "webservice"}
    detail = as_("bob").get("/api/v1/definitions/components/canary").json()
    assert detail["parameters"]["properties"] == SCHEMA["properties"]
    assert detail["serving"] == [{"cluster": "prod-a", "adapter": "kubevela"}]
    home.tenant.type_lists.get().drop(by="olga")
    assert "canary" not in types()


def test_it_is_not_deleted_while_an_app_uses_it(canary, home, as_):
    as_("bob").post(APPS, BODY, format="json")
    body = problem(as_("olga").delete(CANARY), 409, "KN-CONFLICT")
    assert body["apps"] == ["acme/shop/site"]
    app = App.objects.get()
    app.components = [component()]
    app.declare(by="bob")
    assert as_("olga").delete(CANARY).status_code == 204
    problem(as_("bob").post(f"{SITE}:rollback", {"revision": 1}, format="json"), 400, "KN-INVALID")


def test_a_cluster_that_was_not_looked_at_yet_is_no_place_for_it(canary, home):
    Capability.objects.filter(name__contains="canary").delete()
    with pytest.raises(Unserved):
        App(project=home, name="site", components=[SLOW]).declare(by="bob")
