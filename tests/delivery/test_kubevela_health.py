"""How an Application is doing, by whatever its status says."""

import pytest

from clusters.adapters.kubevela import APPLICATION
from delivery.adapters.kubevela import KubeVelaApps
from delivery.adapters.kubevela_words import told
from reconcile.values import JSON, Health, Live, Ref
from tests.delivery.samples import NAMESPACE, component, intent, with_traits

ADAPTER = KubeVelaApps()
VERSION = "r3-1-abcdef01"


def workflow(*steps: JSON, **rest: object) -> JSON:
    return {"appRevision": VERSION, "steps": list(steps), **rest}


def step(name: str, phase: str = "succeeded", message: str = "") -> JSON:
    return {"name": name, "phase": phase, "message": message}


def service(name: str = "web", healthy: object = True, message: str = "Ready:1/1") -> JSON:
    return {"name": name, "healthy": healthy, "message": message}


def assess(status: object, *declared: JSON, overdue: tuple[str, ...] = (), generation: object = 2):
    """What becomes of an Application of generation 2 with this status."""
    ref = Ref(APPLICATION, NAMESPACE, "site")
    body = {"metadata": {"name": "site", "uid": "u", "generation": generation}, "status": status}
    wanted = intent(*declared, publication=VERSION, overdue=frozenset(overdue))
    return ADAPTER.assess(wanted, {ref: Live(ref, body)})


def status(phase: str, *services: JSON, steps: tuple[JSON, ...] = (), **rest: object) -> JSON:
    return {
        "status": phase,
        "observedGeneration": 2,
        "services": list(services),
        "workflow": workflow(*steps),
        **rest,
    }


def test_it_is_ready_once_this_version_runs_and_every_service_is_healthy():
    found = assess(status("running", service(), steps=(step("web"),)))
    assert (found.health, found.reason, found.message) == (Health.READY, "Running", "")
    (part,) = found.parts
    assert (part.name, part.health, part.ready, part.wanted) == ("web", Health.READY, 1, 1)


def test_it_is_not_there_yet():
    found = ADAPTER.assess(intent(), {})
    assert (found.health, found.reason) == (Health.PROGRESSING, "ApplicationMissing")
    assert found.parts[0].health is Health.PROGRESSING


BEHIND = [
    pytest.param({"observedGeneration": 1}, id="an earlier generation"),
    pytest.param({"workflow": {"appRevision": "r2-1-00000000"}}, id="an earlier version"),
    pytest.param({"workflow": None}, id="no workflow"),
]


@pytest.mark.parametrize("change", BEHIND)
def test_a_status_of_the_version_before_says_nothing_about_this_one(change):
    found = assess(status("running", service()) | change)
    assert found.health is Health.PROGRESSING
    assert found.parts[0].message == "KubeVela has not acted on it yet."


def test_a_version_before_that_failed_is_not_this_one():
    old = status("workflowFailed", service()) | {"workflow": {"appRevision": "old"}}
    assert assess(old).health is Health.PROGRESSING


PHASES = [
    ("starting", "KubeVela is at starting."),
    ("rendering", "KubeVela is at rendering."),
    ("generatingPolicy", "KubeVela is at generatingPolicy."),
    ("runningWorkflow", "KubeVela is at runningWorkflow."),
    ("deleting", "KubeVela is at deleting."),
    ("workflowSuspending", "Its workflow waits for approval."),
    ("", "KubeVela is at nothing."),
]


@pytest.mark.parametrize(("phase", "text"), PHASES, ids=[phase for phase, _ in PHASES])
def test_a_rollout_is_under_way(phase, text):
    found = assess(status(phase))
    assert (found.health, found.reason) == (Health.PROGRESSING, "Progressing")
    assert text in found.message


def test_what_is_wrong_with_it_before_it_begins_is_told():
    fault = {"type": "Parsed", "status": "False", "message": "component type nope not found"}
    body = {"status": "rendering", "observedGeneration": 1, "conditions": [fault]}
    found = assess(body)
    assert "component type nope not found" in found.message
    assert found.health is Health.PROGRESSING
    assert assess(body, overdue=("web",)).health is Health.FAILED


OVER = [("workflowFailed", "WorkflowFailed"), ("workflowTerminated", "WorkflowTerminated")]


@pytest.mark.parametrize(("phase", "reason"), OVER, ids=[phase for phase, _ in OVER])
def test_a_workflow_that_is_over_has_failed_with_the_words_of_its_step(phase, reason):
    steps = (step("web"), step("work", "failed", "image is broken"))
    services = (service(), service("work", False, "Ready:0/1"))
    found = assess(status(phase, *services, steps=steps), component(), component("work", "worker"))
    assert (found.health, found.reason) == (Health.FAILED, reason)
    assert "work: image is broken" in found.message
    assert "restart the app or declare a change" in found.message
    assert [part.health for part in found.parts] == [Health.READY, Health.FAILED]


def test_a_terminated_one_whose_parts_are_well_has_failed_all_the_same():
    assert assess(status("workflowTerminated", service())).health is Health.FAILED


def test_a_step_that_is_tried_again_has_not_failed_yet():
    steps = (step("web", "failed", "no such image"),)
    found = assess(status("runningWorkflow", steps=steps))
    assert (found.health, found.parts[0].message) == (Health.PROGRESSING, "no such image")


def test_an_unhealthy_service_has_until_the_deadline():
    body = status("unhealthy", service(healthy=False, message="Ready:1/4"))
    declared = with_traits(component(), scaler={"replicas": 4})
    found = assess(body, declared)
    (part,) = found.parts
    assert (found.health, part.ready, part.wanted) == (Health.PROGRESSING, 1, 4)
    assert part.message == "1 of 4 replicas are ready."
    late = assess(body, declared, overdue=("web",))
    assert (late.health, late.reason) == (Health.FAILED, "RolloutFailed")
    assert "health deadline" in late.message


def test_whoever_waits_for_approval_is_never_late():
    found = assess(status("workflowSuspending"), overdue=("web",))
    assert found.health is Health.PROGRESSING


def test_a_component_that_is_not_reported_is_not_ready():
    found = assess(status("running", service()), component(), component("work", "worker"))
    assert found.health is Health.PROGRESSING
    assert found.parts[1].message == "KubeVela tells nothing of it yet."


def test_the_trait_that_is_not_well_is_told():
    traits = [{"type": "gateway", "healthy": False, "message": "no host"}]
    found = assess(status("running", {**service(healthy=False, message=""), "traits": traits}))
    assert found.parts[0].message == "gateway: no host"


def test_services_on_several_clusters_add_up():
    body = status("running", service(message="Ready:1/2"), service(message="Ready:2/2"))
    (part,) = assess(body).parts
    assert (part.ready, part.wanted) == (3, 4)


def test_what_runs_to_its_end_has_no_replicas_to_count():
    found = assess(
        status("running", service("often", message="")),
        component("often", "cron-task", schedule="@daily"),
    )
    assert (found.health, found.parts[0].wanted) == (Health.READY, 0)


WORDS = [
    pytest.param(
        'pods "web-1" is forbidden: exceeded quota: kubenova, requested: pods=1, used: pods=4, '
        "limited: pods=4",
        "The quota kubenova leaves no room for pods=1: pods=4 of pods=4 are used. Ask for less, or "
        "for a larger quota.",
        id="over quota",
    ),
    pytest.param(
        "existing object Deployment acme--shop/web is managed by other application acme--shop/old",
        "Deployment acme--shop/web belongs to the Application acme--shop/old already. Give the "
        "component another name, or remove it there.",
        id="another's object",
    ),
    pytest.param(
        'deployments.apps is forbidden: User "system:serviceaccount:acme--shop:kubenova-deployer" '
        'cannot create resource "deployments" in API group "apps"',
        "The account that KubeVela acts by may not create deployments in the project.",
        id="no right",
    ),
    pytest.param("Ready:0/3", "0 of 3 replicas are ready.", id="replicas"),
    pytest.param("a\n\tb\x1b[31m", "a b", id="several lines, and colours"),
    pytest.param("x" * 5000, "x" * 300, id="long"),
    pytest.param(None, "", id="nothing"),
    pytest.param({"a": 1}, "", id="no text"),
]


@pytest.mark.parametrize(("text", "words"), WORDS)
def test_what_kubevela_says_is_told_in_words_to_act_on(text, words):
    assert told(text) == words


ODD = [
    *(None, 7, "running", [], [1], {"status": {}}, {"status": ["running"]}),
    {"status": "running", "observedGeneration": "2", "workflow": []},
    {"status": "running", "observedGeneration": 2, "workflow": {"appRevision": VERSION}},
    status("running", *[None, 3, {}]) | {"services": "web"},
    status("running") | {"services": [None, 1, {"name": ["web"]}, {"name": "web"}]},
    status("running", {"name": "web", "healthy": "true", "message": {"a": 1}, "traits": 4}),
    status("unhealthy") | {"workflow": workflow() | {"steps": {"a": 1}}},
    status("runningWorkflow") | {"workflow": workflow() | {"steps": [1, {"subSteps": 4}]}},
    status("rendering") | {"conditions": [None, {"type": "Parsed", "status": "False"}]},
    status("running", service(message="Ready:99999999999999/1")),
]


@pytest.mark.parametrize("body", ODD, ids=[str(index) for index in range(len(ODD))])
def test_a_status_that_makes_no_sense_is_never_ready_and_harms_nobody(body):
    found = assess(body)
    ready = isinstance(body, dict) and any(
        isinstance(each, dict) and each.get("healthy") is True
        for each in (body.get("services") if isinstance(body.get("services"), list) else ())
    )
    assert (found.health is Health.READY) is ready
    assert len(found.parts) == 1
