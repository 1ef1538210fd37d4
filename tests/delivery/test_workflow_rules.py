"""What a workflow may consist of: every fault is told, where it is, and nothing is evaluated."""

import pytest
from django.utils import timezone

from delivery.models import Workflow
from delivery.rules.conditions import BadCondition, holds, names_in, parse
from delivery.rules.inputs import Missing, filled, keys_of
from delivery.rules.running import Act, fresh, moves, steps_of, to_retry
from delivery.rules.workflow_types import TYPES, UNSERVED, seconds_of
from delivery.rules.workflows import MAX_STEPS, step_problems
from reconcile.refusals import Unserved
from tests.delivery.flows import deploy, step

# Of KubeVela's own step types, those that run commands, send requests or reach other objects.
KUBEVELAS = [
    *("addon-operation", "apply-app", "apply-deployment", "apply-terraform-config"),
    *("apply-terraform-provider", "build-push-image", "chat-gpt", "check-metrics", "clean-jobs"),
    *("collect-service-endpoints", "create-config", "delete-config", "deploy-cloud-resource"),
    *("export-data", "export-service", "export2config", "export2secret", "list-config"),
    *("generate-jdbc-connection", "print-message-in-status", "read-app", "read-config"),
    *("read-object", "ref-objects", "restart-workflow", "share-cloud-resource", "vela-cli"),
    *("webhook", "apply-remaining", "Deploy", "deploy ", ""),
]


def faults(*steps: object, mode: str = "StepByStep") -> dict[str, str]:
    """The code of each problem by where it is."""
    found = step_problems(list(steps), mode)
    return {"/".join(map(str, problem.path)): problem.code for problem in found}


SUB = [step("a"), step("b", dependsOn=["a"])]
GOOD = [
    pytest.param([step("one")], "StepByStep", id="a notification"),
    pytest.param([deploy("one", "nginx:2", clusters=["a"])], "StepByStep", id="a deployment"),
    pytest.param([deploy("one", revision=3)], "DAG", id="a revision"),
    pytest.param([step("w", "suspend", timeout="720h")], "DAG", id="the longest timeout"),
    pytest.param([step("g", "step-group", subSteps=SUB)], "DAG", id="a group"),
    pytest.param([step("b", dependsOn=["a"]), step("a")], "DAG", id="any order in a graph"),
    pytest.param(
        [step("g", "step-group", subSteps=SUB), step("c", **{"if": "status.a.failed"})],
        "StepByStep",
        id="looks into an earlier group",
    ),
    pytest.param(
        [step("a"), step("g", "step-group", subSteps=[step("b", **{"if": "!status.a.failed"})])],
        "StepByStep",
        id="looks out of a group",
    ),
]


@pytest.mark.parametrize(("steps", "mode"), GOOD)
def test_it_takes_steps(steps, mode):
    assert step_problems(steps, mode) == []


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param([], {"": "required"}, id="none"),
        pytest.param(["x"], {"0": "type"}, id="a text"),
        pytest.param([{}], {"0/name": "required", "0/type": "required"}, id="nothing in it"),
        pytest.param([step("one", when=1)], {"0/when": "unknown"}, id="an unknown field"),
        pytest.param([step("One")], {"0/name": "name"}, id="a bad name"),
        pytest.param([step("a"), step("a")], {"1/name": "repeated"}, id="a name twice"),
        pytest.param(
            [step("a"), step("g", "step-group", subSteps=[step("a")])],
            {"1/subSteps/0/name": "repeated"},
            id="a name twice, in a group",
        ),
        pytest.param([step("a", timeout="soon")], {"0/timeout": "pattern"}, id="no duration"),
        pytest.param([step("a", timeout="0s")], {"0/timeout": "timeout"}, id="no time at all"),
        pytest.param([step("a", timeout="721h")], {"0/timeout": "timeout"}, id="too long"),
        pytest.param(
            [step("a", properties={})], {"0/properties/message": "required"}, id="no text"
        ),
        pytest.param(
            [step("a", properties={"message": "x", "slack": {"url": {"value": "https://a"}}})],
            {"0/properties/slack": "unknown"},
            id="a message that would be sent",
        ),
        pytest.param(
            [step("a", "depends-on-app", properties={"name": "x", "namespace": "kube-system"})],
            {"0/properties/namespace": "unknown"},
            id="another namespace",
        ),
        pytest.param(
            [deploy("a", "x", revision=2)], {"0/properties/components": "conflict"}, id="both"
        ),
        pytest.param(
            [step("a", "suspend", properties={"duration": "1000h"})],
            {"0/properties/duration": "duration"},
            id="a long pause",
        ),
        pytest.param(
            [step("a", "suspend", properties={"app.oam.dev/name": "x"})],
            {"0/properties/app.oam.dev/name": "reserved"},
            id="a reserved key",
        ),
        pytest.param([step("g", "step-group")], {"0/subSteps": "required"}, id="an empty group"),
        pytest.param([step("a", subSteps=[])], {"0/subSteps": "unknown"}, id="no group"),
        pytest.param(
            [step("g", "step-group", subSteps=[step("h", "step-group")])],
            {"0/subSteps/0/type": "type"},
            id="a group in a group",
        ),
        pytest.param(
            [step("g", "step-group", subSteps=[step("h", subSteps=[])])],
            {"0/subSteps/0/subSteps": "unknown"},
            id="deeper",
        ),
        pytest.param([step("a", dependsOn=["b"])], {"0/dependsOn/0": "depends"}, id="unknown"),
        pytest.param([step("a", dependsOn=["a"])], {"0/dependsOn/0": "depends"}, id="itself"),
        pytest.param(
            [step("a", dependsOn=["b"]), step("b")], {"0/dependsOn/0": "depends"}, id="a later one"
        ),
        pytest.param([step("a", **{"if": "true"})], {"0/if": "condition"}, id="no condition"),
        pytest.param(
            [step("a", **{"if": "status.b.failed"}), step("b")], {"0/if": "unknown"}, id="too early"
        ),
        pytest.param(
            [step("a", inputs=[{"from": "x", "parameterKey": "message"}])],
            {"0/inputs/0/from": "unknown"},
            id="an output of nobody",
        ),
        pytest.param(
            [step("a", inputs=[{"from": "parameters.x", "parameterKey": "a..b"}])],
            {"0/inputs/0/parameterKey": "pattern"},
            id="no place",
        ),
        pytest.param(
            [deploy("a") | {"outputs": [{"name": "x", "valueFrom": 'output.value + "x"'}]}],
            {"0/outputs/0/valueFrom": "output"},
            id="an expression as output",
        ),
        pytest.param(
            [deploy(n) | {"outputs": [{"name": "x", "valueFrom": "revision"}]} for n in ("a", "b")],
            {"1/outputs/0/name": "repeated"},
            id="an output twice",
        ),
        pytest.param(
            [step(f"s-{n}") for n in range(MAX_STEPS + 1)], {"": "too_many"}, id="too many"
        ),
        pytest.param(
            [step("g", "step-group", subSteps=[step(f"s-{n}") for n in range(MAX_STEPS)])],
            {"": "too_many"},
            id="too many in a group",
        ),
        pytest.param(
            [step("a", properties={"message": "x" * 300_000})], {"": "too_large"}, id="too large"
        ),
    ],
)
def test_it_points_at_what_is_wrong(steps, expected):
    assert faults(*steps) == expected


def test_circles_are_refused():
    steps = [step("a", dependsOn=["b"]), step("b", dependsOn=["a"])]
    assert faults(*steps, mode="DAG") == {"0/dependsOn/0": "depends", "1/dependsOn/0": "depends"}


def test_deep_properties_are_refused():
    deep: object = "x"
    for _ in range(40):
        deep = {"a": deep}
    assert faults(step("a", properties={"message": deep})) == {"0/properties": "depth"}


@pytest.mark.parametrize("type_", KUBEVELAS)
def test_a3_other_types_of_kubevela_are_refused_and_the_allowed_ones_named(type_):
    (problem,) = step_problems([{"name": "a", "type": type_}], "DAG")
    assert (problem.path, problem.code) == ((0, "type"), "type")
    assert all(each in problem.text for each in TYPES)
    inside = [step("g", "step-group", subSteps=[{"name": "a", "type": type_}])]
    assert faults(*inside) == {"0/subSteps/0/type": "type"}


@pytest.mark.parametrize("type_", sorted(UNSERVED))
def test_what_needs_an_engine_on_a_cluster_is_refused_with_the_capability(shop, type_):
    steps = [step("g", "step-group", subSteps=[{"name": "a", "type": type_, "properties": {}}])]
    with pytest.raises(Unserved) as caught:
        Workflow(project=shop, name="x", steps=steps).declare(by="bob")
    assert caught.value.extra["capability"] == "delivery.workflowrun"
    assert [fault.pointer for fault in caught.value.errors] == ["/steps/0/subSteps/0/type"]
    assert not Workflow.objects.exists()


@pytest.mark.parametrize(
    "text",
    ['"\\(context.name)"', "{{ .Values.x }}", 'import "http"', "${jndi:ldap://x}", "$(id)"],
)
def test_a4_templates_are_texts(text):
    assert step_problems([step("a", properties={"message": text})], "DAG") == []


# --- Conditions.

BECAME = {"a": "succeeded", "b": "failed", "c": "skipped", "d": "timeout", "e-f": "succeeded"}


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("always", True),
        (" always ", True),
        ("status.a.succeeded", True),
        ("status.a.failed", False),
        ("status.b.failed && !status.a.failed", True),
        ("status.b.succeeded || status.c.skipped && status.a.succeeded", True),
        ("(status.b.succeeded || status.c.skipped) && status.a.failed", False),
        ("!(status.a.failed||status.b.succeeded)", True),
        ("status.d.failed", True),
        ("status.d.timeout", True),
        ("status.b.timeout", False),
        ('status["e-f"].succeeded', True),
        ("status.e-f.succeeded", True),
        ('status.a.phase == "succeeded"', True),
        ('status.b.phase=="succeeded"', False),
        ("status.unknown.failed", False),
    ],
)
def test_a_condition_holds(text, met):
    assert holds(parse(text), BECAME) is met


@pytest.mark.parametrize(
    "text",
    [
        *("", "true", "status.a", "status.a.failed &&", "(status.a.failed", "status.a.failed)"),
        *("status.a.failed status.b.failed", "status.a.failed & status.b.failed", "!", "()"),
        *("always || always", 'inputs.x == "1"', "context.name", "status.a.failedAfterRetries"),
        *('__import__("os").system("id")', "status.a.__class__.failed", 'status["a"]["b"].failed'),
        *('status.a.message == "x"', "status.A.failed", "status.a.failed-x", "!" * 199 + "x"),
        " && ".join(["status.a.failed"] * 30),
    ],
)
def test_nothing_else_is_a_condition(text):
    with pytest.raises(BadCondition):
        parse(text)


def test_deep_conditions_are_read():
    text = "(" * 90 + "status.a.failed" + ")" * 90
    assert list(names_in(parse(text))) == ["a"]


# --- Inputs, durations, and how a run goes on.


def test_places_lead_through_keys_and_indexes():
    assert keys_of("components[0].properties.image") == ["components", 0, "properties", "image"]


@pytest.mark.parametrize("place", ["components[3].name", "app.x", "components.x"])
def test_a_value_finds_no_place_that_is_not_there(place):
    declared = deploy("a", "nginx") | {"inputs": [{"from": "parameters.x", "parameterKey": place}]}
    (found,) = steps_of([declared], "DAG").values()
    with pytest.raises(Missing, match="There is no place"):
        filled(found, {"parameters.x": "y"})
    assert found.properties == deploy("a", "nginx")["properties"], "what is declared stays"


def test_durations_add_up():
    assert [seconds_of(each) for each in ("90s", "30m", "1h30m", "2h0m5s")] == [
        90,
        1800,
        5400,
        7205,
    ]


def test_nothing_begins_while_it_is_held():
    steps = steps_of([step("a"), step("b", **{"if": "status.a.failed"})], "StepByStep")
    progress = {name: fresh() for name in steps}
    assert [move.act for move in moves(steps, progress, timezone.now(), held=True)] == []
    progress["a"]["phase"] = "succeeded"
    (move,) = moves(steps, progress, timezone.now(), held=True)
    assert (move.act, move.step.name, move.reason) == (Act.SKIP, "b", "Condition")


def test_what_waited_for_a_failed_step_runs_anew_with_it():
    steps = steps_of(
        [step("a"), step("b", dependsOn=["a"]), step("c", dependsOn=["b"]), step("free")], "DAG"
    )
    progress = {name: fresh() | {"phase": "succeeded"} for name in steps}
    progress["b"] |= {"phase": "failed"}
    assert to_retry(steps, progress) == {"b", "c"}
