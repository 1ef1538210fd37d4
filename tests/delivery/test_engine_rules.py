"""Steps of published types: what is wrong with one, and who may declare it where."""

import pytest

from clusters.models import Capability
from delivery.models import App, PublishedDefinition, TypeList, Workflow
from delivery.rules.engine_steps import LONGEST_NAME, engine_body, object_name, row_name
from delivery.rules.published_types import Published
from delivery.rules.workflows import property_problems, step_problems
from reconcile.values import JSON
from tests.api.conftest import problem
from tests.clusters.steps import settle
from tests.delivery.engines import SCHEMA, allow, announce, engine, publish, shop
from tests.delivery.flows import declare, run, step
from tests.delivery.paths import pointers
from tests.delivery.samples import component

__all__ = ["engine", "shop"]

FLOWS = "/api/v1/tenants/acme/projects/shop/workflows"
TYPES = Published(steps={"announce": SCHEMA, "any": None})


def found(*steps: JSON, published: Published = TYPES) -> list[tuple]:
    problems = step_problems(list(steps), "StepByStep", published)
    return [(path, code) for path, code, _ in problems]


# --- What is wrong with one.


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        pytest.param(announce(), [], id="fits"),
        pytest.param(announce(clusters=["prod-a"]), [], id="on one cluster"),
        pytest.param(step("a", "any", properties={"a": [{"b": 1}]}), [], id="no schema"),
        pytest.param(step("a", "any"), [], id="no properties"),
        pytest.param(step("g", "step-group", subSteps=[announce()]), [], id="inside of a group"),
        pytest.param(
            announce(to=3), [((0, "properties", "to"), "type")], id="not what the schema says"
        ),
        pytest.param(
            step("a", "announce"), [((0, "properties", "to"), "required")], id="something lacks"
        ),
        pytest.param(
            step(
                "a",
                "announce",
                inputs=[{"from": "parameters.to", "parameterKey": "to"}],
            ),
            [],
            id="what lacks is an input",
        ),
        pytest.param(
            announce(outputs=[{"name": "x", "valueFrom": "object"}]),
            [((0, "outputs", 0, "valueFrom"), "output")],
            id="it tells nothing",
        ),
        pytest.param(announce(clusters=[]), [((0, "clusters"), "minItems")], id="nowhere"),
        pytest.param(
            announce(clusters="prod-a"), [((0, "clusters"), "type")], id="clusters are a list"
        ),
        pytest.param(
            announce(subSteps=[announce("b")]), [((0, "subSteps"), "unknown")], id="no group"
        ),
        pytest.param(
            step("a", clusters=["prod-a"]), [((0, "clusters"), "unknown")], id="one of ours"
        ),
        pytest.param(
            step("a", "any", properties={"app.oam.dev/username": "root"}),
            [((0, "properties", "app.oam.dev/username"), "reserved")],
            id="a key of the platform",
        ),
        pytest.param(step("a", "vela-cli"), [((0, "type"), "type")], id="not published"),
        pytest.param(
            announce(**{"if": "status.x.failed"}), [((0, "if"), "unknown")], id="a condition"
        ),
        pytest.param(announce(timeout="0s"), [((0, "timeout"), "timeout")], id="a timeout"),
    ],
)
def test_a_step_is_judged_by_its_type(declared, expected):
    assert found(declared) == expected


def test_without_a_publication_the_refusal_is_as_ever():
    (wrong,) = step_problems([announce()], "DAG")
    assert wrong.path == (0, "type") and wrong.text.startswith("Steps of this type are not allowed")
    assert "announce" not in wrong.text


def test_what_inputs_have_put_there_is_judged_as_well():
    assert [each.path for each in property_problems("announce", {"to": 1}, TYPES)] == [("to",)]
    assert property_problems("any", {"to": 1}, TYPES) == []


# --- What the engine gets.


def test_the_engine_gets_the_type_and_the_properties_alone():
    body = engine_body("release--tell-1-1", "tell", "announce", {"to": "{{ team }}"})
    assert body["apiVersion"] == "core.oam.dev/v1alpha1"
    only = {"name": "tell", "type": "announce", "properties": {"to": "{{ team }}"}}
    assert body["spec"] == {"workflowSpec": {"steps": [only]}}


@pytest.mark.parametrize("workflow", ["a", "a-b", "site--rollout", "w" * 63, "w" * 54 + "-" * 1])
@pytest.mark.parametrize("number", [1, 1_000_000_000])
def test_names_fit_and_tell_runs_and_attempts_apart(workflow, number):
    names = {object_name(workflow, "s" * 63, number, attempt) for attempt in (1, 2, 33)}
    assert len(names) == 3 and all(len(name) <= LONGEST_NAME for name in names)
    assert len(row_name(workflow, "s" * 63)) <= 100
    assert object_name(workflow, "s" * 63, number, 1) != object_name(workflow, "s" * 62, number, 1)


def test_no_two_steps_share_a_name():
    assert row_name("a-b", "c") != row_name("a", "b-c")
    assert object_name("a-b", "c", 1, 1) != object_name("a", "b-c", 1, 1)


# --- Who may declare it, and where.


def post(client, *steps: JSON):
    return client.post(FLOWS, {"name": "release", "steps": list(steps)}, format="json")


def test_it_is_declared_by_who_delivers(as_, shop):
    answer = post(as_("bob"), announce(clusters=["prod-a"]))
    assert answer.status_code == 201, answer.content
    assert answer.json()["steps"][0]["clusters"] == ["prod-a"]
    assert post(as_("charlie"), announce()).status_code == 404


def test_its_properties_are_refused_at_their_place(as_, shop):
    answer = post(as_("bob"), step("tell"), announce(to=["x"]))
    problem(answer, 400, "KN-INVALID")
    assert pointers(answer) == {"/steps/1/properties/to": "type"}


def test_no_list_names_it_by_itself(as_, shop):
    TypeList.objects.all().delete()
    answer = post(as_("bob"), announce())
    body = problem(answer, 422, "KN-TYPE")
    assert pointers(answer) == {"/steps/0/type": "type"}
    assert "announce" not in body["allowed"]["workflow_steps"]
    assert not Workflow.objects.exists()


def test_a_list_names_published_types_of_steps(as_, shop):
    path = "/api/v1/tenants/acme/definitions/allowed"
    answer = as_("olga").put(path, {"workflow_steps": ["announce", "deploy"]}, format="json")
    assert answer.json()["effective"]["workflow_steps"] == ["announce", "deploy"]
    answer = as_("olga").put(path, {"workflow_steps": ["vela-cli"]}, format="json")
    assert pointers(answer) == {"/workflow_steps/0": "type"}


@pytest.mark.parametrize("name", ["prod-b", "no-such"])
def test_clusters_of_others_are_refused_as_those_that_there_are_not(as_, shop, fleet, name):
    fleet.register("prod-b")
    answer = post(as_("bob"), announce(clusters=["prod-a", name]))
    body = problem(answer, 400, "KN-INVALID")
    assert pointers(answer) == {"/steps/0/clusters/1": "unknown"}
    assert body["errors"][0]["detail"] == "The project is not placed on this cluster."


@pytest.mark.parametrize(
    ("lost", "capability"),
    [
        ("delivery.workflowrun", "delivery.workflowrun"),
        ("delivery.kubevela.step.announce", "delivery.kubevela.step.announce"),
    ],
)
def test_a_cluster_that_lacks_it_is_named_with_the_capability(as_, shop, lost, capability):
    Capability.objects.filter(name=lost).update(served=False)
    answer = post(as_("bob"), announce())
    body = problem(answer, 422, "KN-CAPABILITY")
    assert (body["capability"], body["cluster"]) == (capability, "prod-a")
    assert pointers(answer) == {"/steps/0/type": "unserved"}
    assert not Workflow.objects.exists()


def test_a_cluster_whose_baseline_is_older_is_told(as_, shop):
    Capability.objects.filter(name__startswith="baseline.").update(name="baseline.6", version="6")
    body = problem(post(as_("bob"), announce()), 422, "KN-CAPABILITY")
    assert body["capability"] == "baseline.7" and "fresh credential" in body["detail"]


def test_only_the_clusters_that_a_step_names_have_to_serve_it(as_, shop, fleet):
    fleet.register("prod-b")
    shop.tenant.placement = {"clusters": ["prod-a", "prod-b"]}
    shop.tenant.declare(by="olga")
    settle()
    answer = post(as_("bob"), announce())
    body = problem(answer, 422, "KN-CAPABILITY")
    assert (body["cluster"], body["clusters"]) == ("prod-b", ["prod-a"])
    assert post(as_("bob"), announce(clusters=["prod-a"])).status_code == 201


def test_an_inline_workflow_of_an_app_is_refused_at_its_own_place(as_, shop):
    Capability.objects.filter(name="delivery.workflowrun").update(served=False)
    body = {
        "tenant": "acme",
        "project": "shop",
        "name": "site",
        "components": [component()],
        "workflow": {"steps": [announce()]},
    }
    answer = as_("bob").post("/api/v1/apps", body, format="json")
    problem(answer, 422, "KN-CAPABILITY")
    assert pointers(answer) == {"/workflow/steps/0/type": "unserved"}
    assert not App.objects.exists()
    body["workflow"]["steps"] = [announce(to=1)]
    answer = as_("bob").post("/api/v1/apps", body, format="json")
    assert pointers(answer) == {"/workflow/steps/0/properties/to": "type"}


def test_apply_component_stays_refused_even_when_it_is_published(as_, shop):
    publish("audit", None)
    PublishedDefinition.objects.filter(name="audit").update(name="apply-component")
    answer = post(as_("bob"), step("a", "apply-component"))
    body = problem(answer, 422, "KN-CAPABILITY")
    assert body["capability"] == "delivery.workflowrun"


def test_people_apply_no_workflow_runs(as_, shop):
    value = engine_body("mine", "a", "vela-cli", {})
    answer = post(as_("bob"), step("a", "apply-object", properties={"value": value}))
    assert pointers(answer) == {"/steps/0/properties/value/kind": "kind"}


def test_a_type_is_not_deleted_while_a_workflow_uses_it(as_, shop):
    flow = declare(shop, announce())
    path = "/api/v1/definitions/published/workflow-steps/announce"
    body = problem(as_("olga").delete(path), 409, "KN-CONFLICT")
    assert body["workflows"] == ["acme/shop/release"]
    run(flow)
    flow.refresh_from_db()
    flow.steps = [step("tell")]
    flow.declare(by="bob")
    assert as_("olga").delete(path).status_code == 409, "the run goes on with what it began with"
    flow.runs.get().terminate("bob")
    assert as_("olga").delete(path).status_code == 204


def test_what_a_workflow_has_it_keeps(as_, shop):
    declare(shop, announce())
    allow(shop)
    flow = Workflow.objects.get()
    flow.steps = [announce(to="others")]
    flow.declare(by="bob")
    assert flow.version == 2
