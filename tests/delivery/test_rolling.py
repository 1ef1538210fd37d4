"""An app whose workflow brings each new revision to its clusters, and nothing else does."""

import pytest

from clusters.models import Cluster
from delivery.models import App, AppPlacement, ProjectObject, Workflow, WorkflowRun
from delivery.rules.rolling import nameless, own_steps, workflow_problems
from reconcile.models import Event
from tenancy.models import Project
from tests.clusters.steps import settle
from tests.delivery.controllers import roll_out as bring_up
from tests.delivery.flows import declare, deploy, phases, step, told
from tests.delivery.paths import pointers
from tests.delivery.samples import component

APPS = "/api/v1/tenants/acme/projects/shop/apps"


def to(name, *clusters, **rest):
    """A step that brings the revision to these clusters, or to all."""
    properties = {"clusters": list(clusters)} if clusters else {}
    return {"name": name, "type": "deploy", "properties": properties, **rest}


STAGED = {"steps": [to("staging", "prod-a"), step("approve", "suspend"), to("prod", "prod-b")]}


@pytest.fixture
def pair(acme, fleet):
    """acme/shop on two clusters."""
    fleet.register("prod-b")
    acme.placement = {"clusters": ["prod-a", "prod-b"]}
    acme.declare(by="olga")
    project = Project(tenant=acme, name="shop")
    project.declare(by="alice")
    settle()
    return project


def roll_out(fleet):
    """Whatever is on the clusters comes up."""
    settle()
    bring_up(fleet, *Cluster.objects.values_list("name", flat=True))


def app(project, workflow, **rest):
    found = App(project=project, name="site", components=[component()], workflow=workflow, **rest)
    found.declare(by="bob")
    return found


def change(found, image="nginx:2"):
    found.refresh_from_db()
    found.components = [component(image=image)]
    found.declare(by="bob")
    return found


def targets(found):
    rows = AppPlacement.objects.filter(app=found).order_by("cluster__name")
    return dict(rows.values_list("cluster__name", "target"))


def run_of(found):
    found.refresh_from_db()
    return found.current_run()


def finish(found, fleet):
    """The workloads come up, somebody approves, and the rest follows."""
    roll_out(fleet)
    run_of(found).resume("alice", message="It answers.")
    roll_out(fleet)
    found.refresh_from_db()


# --- What it may be.


@pytest.mark.parametrize(
    ("workflow", "expected"),
    [
        pytest.param({}, {}, id="none"),
        pytest.param({"name": "release"}, {}, id="a reference"),
        pytest.param(STAGED, {}, id="steps"),
        pytest.param({"mode": "DAG", "steps": [to("all")]}, {}, id="a graph"),
        pytest.param({"name": "release", "steps": []}, {"name": "conflict"}, id="both"),
        pytest.param({"mode": "DAG"}, {"steps": "required"}, id="no steps"),
        pytest.param({"name": "No"}, {"name": "pattern"}, id="no name"),
        pytest.param({"when": 1}, {"when": "unknown"}, id="an unknown field"),
        pytest.param(
            {"steps": [{"name": "a", "type": "vela-cli"}]}, {"steps/0/type": "type"}, id="a type"
        ),
        pytest.param(
            {"steps": [deploy("a", "nginx:2")]},
            {"steps/0/properties/components": "conflict"},
            id="a change of the app",
        ),
        pytest.param(
            {"steps": [deploy("a", revision=2)]},
            {"steps/0/properties/revision": "conflict"},
            id="another revision",
        ),
        pytest.param(
            {
                "steps": [
                    step("a", inputs=[{"from": "parameters.x", "parameterKey": "message"}]),
                ]
            },
            {"steps/0/inputs/0/from": "unknown"},
            id="parameters",
        ),
    ],
)
def test_it_is_steps_or_a_name(workflow, expected):
    found = workflow_problems(workflow)
    assert {"/".join(map(str, each.path)): each.code for each in found} == expected


def test_deployments_of_its_own_name_the_app():
    group = step("g", "step-group", subSteps=[to("b")])
    found = own_steps([to("a", "x"), group, step("tell")], "site")
    assert found[0]["properties"] == {"app": "site", "clusters": ["x"]}
    assert found[1]["subSteps"][0]["properties"] == {"app": "site"}
    assert nameless([to("a"), group, deploy("c")]) == ["a", "b"] and nameless(found) == []


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        ({"workflow": {"steps": [{"name": "a"}]}}, 400, "/workflow/steps/0/type"),
        ({"workflow": {"steps": [to("Bad")]}}, 400, "/workflow/steps/0/name"),
        ({"workflow": {"name": "nothing"}}, 400, "/workflow/name"),
        (
            {"workflow": {"steps": [deploy("a", app="blog")]}},
            400,
            "/workflow/steps/0/properties/app",
        ),
        ({"workflow": STAGED, "strategy": {"waves": [{"clusters": ["prod-a"]}]}}, 400, "/workflow"),
        ({"workflow": []}, 400, "/workflow"),
        (
            {"workflow": {"steps": [step("a", "apply-component")]}},
            422,
            "/workflow/steps/0/type",
        ),
        (
            {
                "workflow": {
                    "steps": [step("a", "request", properties={"url": "https://a.example/"})]
                }
            },
            422,
            "/workflow/steps/0/properties/url",
        ),
    ],
)
def test_it_is_judged_when_it_is_declared(bobs, body, status, where):
    answer = bobs.post(APPS, {"name": "site", "components": [component()], **body}, format="json")
    assert answer.status_code == status, answer.json()
    assert list(pointers(answer)) == [where]
    assert not App.objects.exists() and not Workflow.objects.exists()


# --- What a run does.


def test_each_cluster_gets_the_revision_by_its_step(pair, fleet):
    found = app(pair, STAGED)
    settle()
    assert targets(found) == {"prod-a": 1, "prod-b": 0}
    assert phases(run_of(found)) == {
        "staging": "running",
        "approve": "pending",
        "prod": "pending",
    }
    roll_out(fleet)
    assert run_of(found).state == "suspending"
    assert targets(found) == {"prod-a": 1, "prod-b": 0}
    found.refresh_from_db()
    assert (found.phase, found.conditions[-1]["reason"]) == ("Applying", "WorkflowSuspended")
    finish(found, fleet)

    assert run_of(found).state == "succeeded"
    assert targets(found) == {"prod-a": 1, "prod-b": 1}
    assert found.phase == "Deployed" and found.current_revision().healthy


def test_what_runs_stays_until_it_is_the_clusters_turn(pair, fleet):
    found = app(pair, STAGED)
    settle()
    finish(found, fleet)
    change(found)
    settle()
    assert targets(found) == {"prod-a": 2, "prod-b": 1}
    finish(found, fleet)
    assert targets(found) == {"prod-a": 2, "prod-b": 2}
    assert [run.revision for run in WorkflowRun.objects.order_by("number")] == [1, 2]


def test_a_gate_without_deployments_lets_it_through_to_all(pair, fleet):
    found = app(pair, {"steps": [step("approve", "suspend")]})
    settle()
    assert targets(found) == {"prod-a": 0, "prod-b": 0}
    run_of(found).resume("alice")
    roll_out(fleet)
    found.refresh_from_db()
    assert targets(found) == {"prod-a": 1, "prod-b": 1} and found.phase == "Deployed"


def test_a_newer_revision_ends_the_run_of_the_one_before(pair, fleet):
    found = app(pair, STAGED)
    roll_out(fleet)
    old = run_of(found)
    change(found)
    settle()
    old.refresh_from_db()
    assert old.state == "terminated" and run_of(found).revision == 2
    assert told(old, "prod") == "Revision 2 has taken its place."
    assert old.progress["approve"]["reason"] == "Superseded"
    with pytest.raises(Exception, match="Roll back to revision 1 instead"):
        old.retry("bob")


def test_a_rollback_is_rolled_out_by_a_run(pair, fleet):
    found = app(pair, STAGED)
    finish(found, fleet)
    change(found)
    finish(found, fleet)
    found.rollback(1, by="bob", message="Slow.")
    settle()
    run = run_of(found)
    assert (run.revision, run.state, run.message) == (3, "running", "Slow.")
    assert targets(found) == {"prod-a": 3, "prod-b": 2}
    finish(found, fleet)
    assert targets(found) == {"prod-a": 3, "prod-b": 3} and found.phase == "Deployed"


def test_what_goes_back_by_itself_goes_everywhere_at_once(pair, fleet):
    found = app(pair, STAGED)
    finish(found, fleet)
    change(found)
    settle()
    found.refresh_from_db()
    found.abort(by="bob", reason="No.")
    settle()
    assert targets(found) == {"prod-a": 3, "prod-b": 3}
    assert found.current_run() is None
    assert WorkflowRun.objects.get(revision=2).state == "terminated"


def test_a_run_that_fails_leaves_the_app_where_it_got_to(pair, fleet):
    steps = [to("staging", "prod-a"), step("wait", "depends-on-app", timeout="1h"), to("prod")]
    steps[1]["properties"] = {"name": "nothing"}
    found = app(pair, {"steps": steps})
    roll_out(fleet)
    run_of(found).terminate("alice", message="Not today.")
    settle()
    found.refresh_from_db()
    assert (found.phase, found.conditions[-1]["reason"]) == ("Error", "WorkflowFailed")
    assert targets(found) == {"prod-a": 1, "prod-b": 0}
    run_of(found).retry("bob")
    settle()
    assert run_of(found).state == "running"


def test_a_referenced_workflow_serves_several_apps(pair, fleet):
    declare(pair, *STAGED["steps"], name="release")
    found = app(pair, {"name": "release"})
    other = App(
        project=pair, name="blog", components=[component("blog")], workflow={"name": "release"}
    )
    other.declare(by="bob")
    roll_out(fleet)
    assert {run.state for run in WorkflowRun.objects.all()} == {"suspending"}
    finish(found, fleet)
    assert found.phase == "Deployed", found.conditions
    assert targets(other) == {"prod-a": 1, "prod-b": 0}


def test_a_workflow_that_names_no_app_is_run_by_apps_alone(pair):
    flow = declare(pair, *STAGED["steps"])
    with pytest.raises(Exception, match="Step staging of"):
        flow.run("bob")


def test_a_workflow_for_another_app_is_refused(pair):
    declare(pair, deploy("a", app="blog"), name="release")
    with pytest.raises(Exception, match="its own app alone"):
        app(pair, {"name": "release"})


def test_its_objects_go_with_the_app(pair, fleet):
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"}, "data": {"a": "b"}}
    apply = step("apply", "apply-object", properties={"value": body})
    found = app(pair, {"steps": [apply, to("all")]})
    roll_out(fleet)
    found.refresh_from_db()
    assert found.phase == "Deployed" and ProjectObject.objects.get().phase == "Deployed"
    found.request_deletion(by="bob")
    settle()
    assert not App.objects.exists() and not Workflow.objects.exists()
    assert not ProjectObject.objects.exists() and not WorkflowRun.objects.exists()


def test_a_workflow_that_is_taken_away_goes_and_the_revision_comes_everywhere(pair, fleet):
    found = app(pair, STAGED)
    settle()
    found.refresh_from_db()
    found.workflow = {}
    found.declare(by="bob")
    roll_out(fleet)
    found.refresh_from_db()
    assert targets(found) == {"prod-a": 1, "prod-b": 1} and found.phase == "Deployed"
    assert not Workflow.objects.exists()


def test_other_steps_are_for_the_next_revision(pair, fleet):
    found = app(pair, STAGED)
    finish(found, fleet)
    found.workflow = {"steps": [to("all")]}
    found.declare(by="bob")
    settle()
    assert WorkflowRun.objects.count() == 1 and found.revision == 1
    change(found)
    roll_out(fleet)
    assert targets(found) == {"prod-a": 2, "prod-b": 2}


def test_a_cluster_that_joins_meanwhile_gets_what_was_healthy(pair, acme, fleet):
    found = app(pair, STAGED)
    finish(found, fleet)
    change(found)
    roll_out(fleet)
    fleet.register("prod-c")
    acme.refresh_from_db()
    acme.placement = {"clusters": ["prod-a", "prod-b", "prod-c"]}
    acme.declare(by="olga")
    roll_out(fleet)
    assert targets(found) == {"prod-a": 2, "prod-b": 1, "prod-c": 1}
    finish(found, fleet)
    assert targets(found) == {"prod-a": 2, "prod-b": 2, "prod-c": 2}


def test_its_own_workflow_is_the_apps_alone(bobs, site, shop):
    site.workflow = {"steps": [to("all")]}
    site.declare(by="bob")
    flow = "/api/v1/tenants/acme/projects/shop/workflows/site--rollout"
    assert bobs.get(flow).json()["app"] == "site"
    assert bobs.patch(flow, {"steps": [step("a")]}, format="json").status_code == 403
    assert bobs.delete(flow).status_code == 403
    assert bobs.post(f"{flow}:run", {}, format="json").status_code == 409


def test_it_is_told_once(pair, fleet):
    found = app(pair, STAGED)
    finish(found, fleet)
    flow = found.own_flow()
    counted = Event.objects.filter(object_uid=flow.uid)
    for reason, count in (("RunStarted", 1), ("StepApproved", 1), ("RunSucceeded", 1)):
        assert counted.filter(reason=reason).count() == count


def test_nothing_of_a_workflow_keeps_it_from_going_back_by_itself(pair, fleet):
    flow = declare(pair, *STAGED["steps"], name="release")
    found = app(pair, {"name": "release"})
    finish(found, fleet)
    change(found)
    settle()
    flow.refresh_from_db()
    flow.request_deletion(by="bob")
    settle()
    found.refresh_from_db()
    found.abort(by="bob", reason="No.")
    assert targets(found) == {"prod-a": 3, "prod-b": 3}
