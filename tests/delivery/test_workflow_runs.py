"""Runs of workflows: steps are taken in order, once, whatever happens to the workers."""

from datetime import timedelta

import pytest
import time_machine

from delivery.adapters.native import DEPLOYMENT
from delivery.models import App, Workflow, WorkflowRun
from reconcile.correlation import correlate
from reconcile.models import Event, Work
from reconcile.refusals import Conflicting, Deleting, Invalid
from reconcile.values import Ref
from tests.clusters.steps import settle
from tests.delivery.controllers import deployment, look, report, roll_out
from tests.delivery.flows import declare, deploy, phases, run, step, told
from tests.delivery.samples import component

WEB = Ref(DEPLOYMENT, "acme--shop", "web")
LATE = {
    "type": "Progressing",
    "status": "False",
    "reason": "ProgressDeadlineExceeded",
    "message": 'ReplicaSet "web-5d" has timed out progressing.',
}
COUNTS = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 0}
RELEASE = [
    deploy("canary", "nginx:2", clusters=["prod-a"]),
    step("approve", "suspend"),
    deploy("everywhere", "nginx:2"),
]


def image_on(fleet) -> str:
    (container,) = deployment(fleet["prod-a"])["spec"]["template"]["spec"]["containers"]
    return container["image"]


def reasons(workflow: Workflow) -> list[str]:
    rows = Event.objects.filter(object_uid=workflow.uid).order_by("pk")
    return list(rows.values_list("reason", flat=True))


def look_again(found: WorkflowRun) -> None:
    found.mark()
    settle()


# --- Deploy, approve, deploy.


def test_it_deploys_waits_for_an_approval_and_deploys(deployed, fleet):
    flow = declare(deployed.project, *RELEASE)
    found = run(flow)
    assert phases(found) == {"canary": "running", "approve": "pending", "everywhere": "pending"}
    assert "prod-a is Applying" in told(found, "canary")
    roll_out(fleet)
    assert phases(found) == {
        "canary": "succeeded",
        "approve": "suspending",
        "everywhere": "pending",
    }
    assert (found.state, found.phase, image_on(fleet)) == ("suspending", "Applying", "nginx:2")
    deployed.refresh_from_db()
    assert deployed.components == [component()], "elsewhere it is as it was"

    assert found.resume("alice", message="Looks good.") == "approve"
    roll_out(fleet)
    assert set(phases(found).values()) == {"succeeded"}
    assert (found.state, found.phase) == ("succeeded", "Deployed")
    assert found.finished_at is not None
    approval = found.progress["approve"]
    assert (approval["by"], approval["comment"]) == ("alice", "Looks good.")
    deployed.refresh_from_db()
    assert (deployed.revision, deployed.phase) == (3, "Deployed")
    assert deployed.components == [component(image="nginx:2")]
    assert deployed.overrides == [], "what is said of all is said once"


def test_its_story_is_told_under_the_id_of_the_request(deployed, fleet):
    flow = declare(deployed.project, *RELEASE)
    with correlate("asked"):
        found = run(flow)
    roll_out(fleet)
    with correlate("approved"):
        found.resume("alice", message="Looks good.")
    roll_out(fleet)
    assert reasons(flow)[-7:] == [
        *("RunStarted", "StepSucceeded", "StepSuspended", "StepApproved", "StepSucceeded"),
        *("StepSucceeded", "RunSucceeded"),
    ]
    own = Event.objects.filter(object_uid=flow.uid, data__run=1)
    others = own.exclude(correlation_id="asked")
    assert [(row.reason, row.correlation_id) for row in others] == [("StepApproved", "approved")]
    approved = Event.objects.get(reason="StepApproved")
    assert (approved.actor, approved.data) == ("alice", {"run": 1, "step": "approve"})
    assert approved.message.endswith("was approved by alice: Looks good.")
    newest = deployed.revisions.first()
    assert newest.author == "bob" and newest.correlation_id == "asked"


def test_what_is_there_already_is_not_declared_again(deployed, fleet):
    found = run(declare(deployed.project, deploy("again", "nginx:1.27"), deploy("as-is")))
    assert (found.state, App.objects.get().revision) == ("succeeded", 1)


def test_it_goes_back_to_a_revision(deployed, fleet):
    deployed.components = [component(image="nginx:bad")]
    deployed.declare(by="bob")
    roll_out(fleet)
    found = run(declare(deployed.project, deploy("back", revision=1)))
    roll_out(fleet)
    deployed.refresh_from_db()
    assert (phases(found), deployed.revision) == ({"back": "succeeded"}, 3)
    assert deployed.revisions.first().origin == 1
    assert deployed.revisions.first().message == "Workflow release, run 1, step back."


def test_another_run_changes_the_same_override(deployed, fleet):
    for image in ("nginx:2", "nginx:3"):
        flow = Workflow.objects.first() or declare(deployed.project, deploy("x", image))
        flow.steps = [deploy("x", image, clusters=["prod-a"])]
        flow.declare(by="bob")
        found = run(flow)
        roll_out(fleet)
        assert phases(found) == {"x": "succeeded"}
    (override,) = App.objects.get().overrides
    assert override["clusters"] == ["prod-a"]
    assert override["components"] == [{"name": "web", "properties": {"image": "nginx:3"}}]


# --- What fails.


def fail(fleet) -> None:
    report(fleet["prod-a"], WEB, **COUNTS, conditions=[LATE])
    look()


def test_what_does_not_come_up_fails_and_is_retried(deployed, fleet):
    after = [
        step("tell"),
        step("cry", **{"if": "status.go.failed"}),
        step("sum", **{"if": "always"}),
    ]
    found = run(declare(deployed.project, deploy("go", "nginx:2"), *after))
    fail(fleet)
    expected = {"go": "failed", "tell": "skipped", "cry": "succeeded", "sum": "succeeded"}
    assert phases(found) == expected
    assert (found.state, found.phase) == ("failed", "Error")
    assert "prod-a: web: " in told(found, "go") and "timed out progressing" in told(found, "go")
    assert told(found, "tell") == "Because of step go."

    assert found.retry("alice", message="The registry is back.") == ["go", "tell", "cry", "sum"]
    settle()
    assert phases(found)["go"] == "running", "what failed before may yet come up"
    roll_out(fleet)
    expected = {"go": "succeeded", "tell": "succeeded", "cry": "skipped", "sum": "succeeded"}
    assert phases(found) == expected
    assert App.objects.get().revision == 2, "the retry declares nothing anew"


def test_what_somebody_else_deploys_meanwhile_ends_the_step(deployed, fleet):
    found = run(declare(deployed.project, deploy("go", "nginx:2")))
    deployed.refresh_from_db()
    deployed.components = [component(image="nginx:3")]
    deployed.declare(by="carol")
    settle()
    assert phases(found) == {"go": "failed"}
    assert told(found, "go") == "Revision 3 of carol has taken the place of 2."


def test_what_goes_back_by_itself_fails(deployed, fleet):
    deployed.on_failure = "rollback"
    deployed.declare(by="bob")
    roll_out(fleet)
    found = run(declare(deployed.project, deploy("go", "nginx:bad")))
    fail(fleet)
    roll_out(fleet)
    assert phases(found) == {"go": "failed"}
    assert (image_on(fleet), App.objects.get().revision) == ("nginx:1.27", 3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        pytest.param(deploy("go", app="other"), "There is no app other", id="no such app"),
        pytest.param(deploy("go", revision=9), "There is no such revision", id="no revision"),
        pytest.param(deploy("go", "nginx:2", clusters=["prod-z"]), "not placed", id="a cluster"),
        pytest.param(deploy("go", clusters=["prod-z"]), "is not on prod-z", id="waits elsewhere"),
        pytest.param(
            {
                "name": "go",
                "type": "deploy",
                "properties": {"app": "site", "components": [{"name": "db"}]},
            },
            "has no component db",
            id="no component",
        ),
        pytest.param(
            {
                "name": "go",
                "type": "deploy",
                "properties": {
                    "app": "site",
                    "components": [{"name": "web", "properties": {"image": 5}}],
                },
            },
            "Use",
            id="a bad component",
        ),
    ],
)
def test_what_is_refused_is_told_and_leaves_the_app_as_it_was(deployed, wrong, message):
    found = run(declare(deployed.project, {**wrong, "timeout": "1h"}))
    assert message in told(found, "go")
    assert phases(found)["go"] == ("running" if "is not on" in message else "failed")
    app = App.objects.get()
    assert (app.generation, app.revision, app.overrides) == (1, 1, [])


def test_what_its_cluster_refuses_fails_after_the_health_deadline(deployed, fleet):
    found = run(declare(deployed.project, deploy("go", "nginx:2")))
    App.objects.update(health_deadline=60)
    deployed.placements.update(phase="Error")
    with time_machine.travel(timedelta(seconds=59), tick=False):
        look_again(found)
        assert phases(found) == {"go": "running"}
    with time_machine.travel(timedelta(seconds=61), tick=False):
        look_again(found)
    assert phases(found) == {"go": "failed"} and "prod-a is Error" in told(found, "go")


# --- Time.


def test_a_step_that_takes_too_long_fails(shop, fleet):
    found = run(declare(shop, step("wait", "depends-on-app", timeout="10m"), step("after")))
    assert (phases(found)["wait"], told(found, "wait")) == ("running", "There is no app site yet.")
    with time_machine.travel(timedelta(minutes=9), tick=False):
        look_again(found)
        assert phases(found)["wait"] == "running"
    with time_machine.travel(timedelta(minutes=10, seconds=1), tick=False):
        look_again(found)
    assert phases(found) == {"wait": "failed", "after": "skipped"}
    assert told(found, "wait") == "It took longer than 600 s."


def test_a_suspension_with_a_duration_ends_by_itself(shop):
    pause = step("pause", "suspend", properties={"duration": "1h30m"})
    found = run(declare(shop, pause, step("after")))
    assert phases(found) == {"pause": "suspending", "after": "pending"}
    (work,) = found.work
    assert 5390 < (work.due_at - found.created_at).total_seconds() < 5410
    with time_machine.travel(timedelta(minutes=91), tick=False):
        look_again(found)
    assert set(phases(found).values()) == {"succeeded"}


def test_nothing_is_looked_at_while_it_waits_for_somebody(shop):
    found = run(declare(shop, step("approve", "suspend"), step("after")))
    (work,) = found.work
    assert work.due_at is None


def test_it_is_woken_by_the_app_that_it_waits_for(site, fleet):
    found = run(declare(site.project, step("wait", "depends-on-app")))
    assert phases(found) == {"wait": "running"}
    roll_out(fleet)
    assert phases(found) == {"wait": "succeeded"}


# --- Order.


def test_a_graph_goes_by_what_depends_on_what(shop):
    steps = [
        step("last", dependsOn=["left", "right"]),
        step("left", dependsOn=["first"]),
        step("right", "suspend", dependsOn=["first"]),
        step("first"),
        step("free"),
    ]
    found = run(declare(shop, *steps, mode="DAG"))
    expected = {"left": "succeeded", "right": "suspending", "first": "succeeded"}
    assert phases(found) == {"last": "pending", **expected, "free": "succeeded"}
    assert found.resume("bob") == "right"
    settle()
    assert set(phases(found).values()) == {"succeeded"}
    rows = Event.objects.filter(reason="StepSucceeded").order_by("pk")
    order = [row.data["step"] for row in rows]
    assert order.index("first") < order.index("left") and order[-2:] == ["right", "last"]


def test_a_group_is_over_when_its_sub_steps_are(shop):
    subs = [step("a", "suspend"), step("b", "suspend"), step("c", dependsOn=["a"])]
    found = run(declare(shop, step("group", "step-group", subSteps=subs), step("after")))
    expected = {"group": "running", "a": "suspending", "b": "suspending", "c": "pending"}
    assert phases(found) == {**expected, "after": "pending"}
    assert found.state == "suspending"
    with pytest.raises(Conflicting, match="Several steps wait"):
        found.resume("bob")
    found.resume("bob", step="a")
    settle()
    assert phases(found)["c"] == "succeeded" and phases(found)["group"] == "running"
    found.resume("bob", step="b")
    settle()
    assert set(phases(found).values()) == {"succeeded"}


def test_a_group_that_fails_is_retried_with_what_failed_in_it(deployed):
    subs = [step("ok"), deploy("bad", app="other"), step("late", dependsOn=["bad"])]
    found = run(declare(deployed.project, step("g", "step-group", subSteps=subs), step("after")))
    expected = {"g": "failed", "ok": "succeeded", "bad": "failed", "late": "skipped"}
    assert phases(found) == {**expected, "after": "skipped"}
    assert told(found, "g") == "Step bad failed."
    assert found.retry("bob") == ["g", "bad", "late", "after"]
    settle()
    assert phases(found) == {**expected, "after": "skipped"}


def test_a_group_that_takes_too_long_takes_its_sub_steps_along(shop):
    subs = [step("a", "suspend"), step("b", dependsOn=["a"])]
    found = run(declare(shop, step("g", "step-group", subSteps=subs, timeout="5m")))
    with time_machine.travel(timedelta(minutes=6), tick=False):
        look_again(found)
    assert phases(found) == {"g": "failed", "a": "failed", "b": "skipped"}
    assert found.state == "failed"


def test_values_go_from_parameters_and_outputs_into_properties(deployed, fleet):
    place = "components[0].properties.image"
    first = deploy("first", "placeholder")
    first |= {
        "inputs": [{"from": "parameters.image", "parameterKey": place}],
        "outputs": [{"name": "made", "valueFrom": "revision"}],
    }
    gate = step("gate", "suspend", outputs=[{"name": "why", "valueFrom": "comment"}])
    tell = step("tell", inputs=[{"from": "why", "parameterKey": "message"}])
    again = {
        "name": "again",
        "type": "deploy",
        "properties": {"app": "site"},
        "inputs": [{"from": "made", "parameterKey": "revision"}],
    }
    flow = declare(deployed.project, first, gate, tell, again)
    assert flow.parameters == ["image"]
    found = run(flow, image="nginx:2")
    roll_out(fleet)
    found.resume("bob", message="Ship it.")
    settle()
    assert set(phases(found).values()) == {"succeeded"}
    assert (image_on(fleet), told(found, "tell")) == ("nginx:2", "Ship it.")


def test_what_an_input_brings_is_judged_as_what_was_declared(shop):
    tell = step("tell", inputs=[{"from": "parameters.text", "parameterKey": "message"}])
    found = run(declare(shop, tell), text=5)
    assert phases(found) == {"tell": "failed"}
    assert told(found, "tell") == "properties/message: Use a text of 1 to 500 characters."


@pytest.mark.parametrize(
    ("given", "pointer", "code"),
    [
        ({}, "/parameters/image", "required"),
        ({"image": "x", "a/b": 1}, "/parameters/a~1b", "unknown"),
        ({"image": ["x"]}, "/parameters/image", "type"),
        ({"image": "x" * 5000}, "/parameters/image", "too_large"),
    ],
)
def test_parameters_are_those_that_the_steps_take(shop, given, pointer, code):
    tell = step("tell", inputs=[{"from": "parameters.image", "parameterKey": "message"}])
    with pytest.raises(Invalid) as caught:
        declare(shop, tell).run("bob", parameters=given)
    assert [(fault.pointer, fault.code) for fault in caught.value.errors] == [(pointer, code)]
    assert not WorkflowRun.objects.exists()


# --- Commands.


def test_it_is_suspended_and_resumed_as_a_whole(site, fleet):
    found = run(declare(site.project, step("wait", "depends-on-app"), step("after")))
    assert found.suspend("alice", message="A freeze.") is True
    assert found.suspend("bob") is False
    roll_out(fleet)
    assert phases(found) == {"wait": "succeeded", "after": "pending"}, "what was under way goes on"
    assert (found.state, found.suspended_by) == ("suspending", "alice")
    assert found.resume("bob") == ""
    settle()
    assert set(phases(found).values()) == {"succeeded"}


def test_terminating_ends_it_and_leaves_the_app_alone(deployed, fleet):
    found = run(declare(deployed.project, deploy("go", "nginx:2"), step("after")))
    found.terminate("alice", message="Not today.")
    assert phases(found) == {"go": "failed", "after": "skipped"}
    assert (found.state, told(found, "go")) == ("terminated", "Terminated by alice: Not today.")
    roll_out(fleet)
    assert phases(found) == {"go": "failed", "after": "skipped"}
    assert App.objects.get().revision == 2
    assert found.retry("alice") == ["go", "after"]
    settle()
    assert set(phases(found).values()) == {"succeeded"}


@pytest.mark.parametrize("verb", ["suspend", "resume", "terminate", "retry"])
def test_what_succeeded_takes_no_commands(shop, verb):
    found = run(declare(shop, step("one")))
    with pytest.raises(Conflicting) as caught:
        getattr(found, verb)("bob")
    assert caught.value.extra["state"] == "succeeded"


def test_a_run_that_goes_on_is_neither_resumed_nor_retried(site):
    found = run(declare(site.project, step("wait", "depends-on-app"), step("after")))
    with pytest.raises(Conflicting, match="no step waits"):
        found.resume("bob")
    with pytest.raises(Conflicting, match=r"Step after of .* is pending"):
        found.resume("bob", step="after")
    with pytest.raises(Invalid):
        found.resume("bob", step="nope")
    with pytest.raises(Conflicting, match="only one that has failed"):
        found.retry("bob")


def test_one_run_at_a_time(shop):
    flow = declare(shop, step("approve", "suspend"))
    first = run(flow)
    with pytest.raises(Conflicting) as caught:
        flow.run("bob")
    assert caught.value.extra == {"state": "suspending", "run": 1}
    first.terminate("bob")
    second = run(flow)
    assert second.number == 2
    with pytest.raises(Conflicting):
        first.retry("bob")


def test_a_run_keeps_the_steps_that_it_began_with(shop):
    flow = declare(shop, step("approve", "suspend"), step("old"))
    found = run(flow)
    flow.refresh_from_db()
    flow.steps = [step("new")]
    flow.declare(by="bob")
    found.refresh_from_db()
    found.resume("bob")
    settle()
    assert phases(found) == {"approve": "succeeded", "old": "succeeded"}
    assert (found.version, flow.version) == (1, 2)


def test_history_is_bounded_and_never_drops_what_goes_on(shop, settings):
    settings.WORKFLOW_RUN_HISTORY = 2
    flow = declare(shop, step("one"))
    for _ in range(4):
        run(flow)
    kept = [row.number for row in flow.runs.all()]
    assert kept == [4, 3, 2], "the newest, and two that were over before it"
    assert Work.objects.filter(kind="delivery.workflowrun").count() == 3


def test_a_cordoned_tenant_takes_no_runs(acme, shop):
    flow = declare(shop, step("approve", "suspend"))
    found = run(flow)
    acme.refresh_from_db()
    acme.cordoned = True
    acme.declare(by="olga")
    settle()
    for verb in (lambda: flow.run("bob"), lambda: found.resume("bob")):
        with pytest.raises(Conflicting, match="is cordoned"):
            verb()
    found.terminate("bob")


# --- It goes.


def test_it_goes_with_its_project(shop, fleet):
    flow = declare(shop, step("approve", "suspend"))
    run(flow)
    shop.refresh_from_db()
    shop.request_deletion(by="alice")
    settle()
    assert not Workflow.objects.exists() and not WorkflowRun.objects.exists()
    assert not Work.objects.filter(kind__startswith="delivery.workflow").exists()


def test_what_is_being_deleted_is_run_no_more(shop):
    flow = declare(shop, step("one"))
    flow.request_deletion(by="bob")
    with pytest.raises(Deleting):
        flow.run("bob")
    settle()
    assert not Workflow.objects.exists()


def test_what_fails_still_has_the_health_deadline_after_a_retry(deployed, fleet):
    found = run(declare(deployed.project, deploy("go", "nginx:2")))
    fail(fleet)
    found.retry("bob")
    settle()
    assert phases(found) == {"go": "running"}
    with time_machine.travel(timedelta(seconds=deployed.health_deadline + 1), tick=False):
        look_again(found)
    assert phases(found) == {"go": "failed"}
