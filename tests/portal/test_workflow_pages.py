"""Workflows on pages: written as YAML, run, approved by who may, followed until they are over."""

import pytest

from delivery.models import Workflow, WorkflowRun
from tests.clusters.steps import settle
from tests.delivery.flows import declare, deploy, step
from tests.people import person
from tests.portal.test_pages import INLINE

PROJECT = "/tenants/acme/projects/shop"
LIST = f"{PROJECT}/workflows"
NEW = f"{PROJECT}/new-workflow"
FLOW = f"{LIST}/release"
RUN = f"{FLOW}/runs/1"
STEPS = """\
- name: approve
  type: suspend
- name: tell
  type: notification
  properties: {message: Done.}
"""


@pytest.fixture
def release(shop) -> Workflow:
    """The workflow `release`: it waits for an approval."""
    tell = step("tell", inputs=[{"from": "parameters.text", "parameterKey": "message"}])
    return declare(shop, step("approve", "suspend"), tell)


@pytest.fixture
def waiting(release: Workflow) -> WorkflowRun:
    """A run of it that waits."""
    found = release.run("bob", message="Friday.", parameters={"text": "<b>Hello</b>"})
    settle()
    return found


def text_of(answer) -> str:
    return answer.content.decode()


def state() -> str:
    return WorkflowRun.objects.get().state


def test_a_project_leads_to_its_workflows(shop, as_):
    assert f'href="{LIST}"' in text_of(as_("carol").get(PROJECT))
    shown = text_of(as_("carol").get(LIST))
    assert "No workflow yet" in shown and NEW not in shown
    assert NEW in text_of(as_("bob").get(LIST))


def test_the_list_reads_the_last_run_of_each_alone(release, as_):
    for number in range(1, 4):
        found = release.run("bob", message=f"Try {number}.", parameters={"text": "x"})
        found.terminate("bob")
    other = declare(release.project, step("tell"), name="other")
    other.run("bob")
    context = as_("carol").get(LIST).context
    assert [(each.name, last.number) for each, last in context["rows"]] == [
        ("other", 1),
        ("release", 3),
    ]


def test_it_is_written_as_yaml(shop, as_):
    sent = {"name": "release", "mode": "StepByStep", "steps": STEPS}
    answer = as_("bob").post(NEW, sent)
    assert (answer.status_code, answer["Location"]) == (302, FLOW)
    row = Workflow.objects.get()
    assert [each["name"] for each in row.steps] == ["approve", "tell"]
    shown = text_of(as_("carol").get(FLOW))
    assert all(each in shown for each in ("approve", "notification", "Never run", "Version 1"))


def test_it_is_changed_as_a_new_version(release, as_):
    form = text_of(as_("bob").get(f"{FLOW}/edit"))
    assert "name: approve" in form and 'name="generation"' in form
    sent = {"generation": 1, "mode": "DAG", "steps": STEPS}
    assert as_("bob").post(f"{FLOW}/edit", sent)["Location"] == FLOW
    release.refresh_from_db()
    assert (release.version, release.mode) == (2, "DAG")
    assert "parameters.text" in text_of(as_("carol").get(f"{FLOW}/versions/1"))
    assert as_("carol").get(f"{FLOW}/versions/9").status_code == 404


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ("", "Give at least one step."),
        ("- name: [", "The text"),
        ("- name: go\n  type: vela-cli", "Step go, type: Steps of this type are not allowed."),
        ("- name: go\n  type: apply-component", "Steps of type apply-component are not served."),
        ("- name: go\n  type: request", "Step go, properties → url: url is required."),
        (
            "- name: all\n  type: step-group\n  subSteps:\n  - {name: go, type: depends-on-app}",
            "Step go, properties → name: name is required.",
        ),
        ("- type: suspend", "Step 1, name: name is required."),
    ],
)
def test_the_form_names_the_step_that_is_wrong(shop, as_, steps, told):
    sent = {"name": "release", "mode": "StepByStep", "steps": steps}
    answer = as_("bob").post(NEW, sent)
    assert told in text_of(answer) and answer.status_code == 422
    assert not Workflow.objects.exists()


def test_it_is_run_from_its_page(release, as_):
    page = text_of(as_("bob").get(FLOW))
    assert 'name="parameter-text"' in page
    answer = as_("bob").post(f"{FLOW}/run", {"parameter-text": "5", "message": "Friday."})
    assert (answer.status_code, answer["Location"]) == (302, RUN)
    found = WorkflowRun.objects.get()
    assert (found.asked_by, found.message, found.parameters) == ("bob", "Friday.", {"text": 5})
    again = as_("bob").post(f"{FLOW}/run", {"parameter-text": "x"})
    assert again.status_code == 422 and "Wait for its end" in text_of(again)
    lacking = as_("bob").post(f"{FLOW}/run", {})
    assert lacking.status_code == 422 and WorkflowRun.objects.count() == 1
    assert "Run 1" in text_of(as_("carol").get(LIST))


def test_a_run_is_followed_until_it_is_over(waiting, as_):
    page = text_of(as_("carol").get(RUN))
    assert f'hx-get="{RUN}/state?seen=' in page and "Waiting" in page and "Updating" in page
    url = (
        page.partition('id="workflow-run"')[2]
        .partition('hx-get="')[2]
        .partition('"')[0]
        .replace("&amp;", "&")
    )
    assert as_("carol").get(url).status_code == 204
    waiting.resume("alice", message="Yes.")
    settle()
    shown = text_of(as_("carol").get(url))
    assert "hx-get" not in shown and "Succeeded" in shown
    assert "Approved by alice: Yes." in shown
    assert "&lt;b&gt;Hello&lt;/b&gt;" in shown and "<b>Hello" not in shown


def test_who_may_approves_and_says_why(waiting, as_):
    page = text_of(as_("alice").get(RUN))
    assert "Approve approve" in page and f"{RUN}/terminate" in page and f"{RUN}/suspend" in page
    sent = {"step": "approve", "message": "Looks good."}
    assert as_("alice").post(f"{RUN}/resume", sent)["Location"] == RUN
    record = WorkflowRun.objects.get().progress["approve"]
    assert (record["by"], record["comment"]) == ("alice", "Looks good.")


def test_buttons_suspend_resume_terminate_and_retry(waiting, as_):
    bobs = as_("bob")
    bobs.post(f"{RUN}/suspend")
    assert "by bob" in text_of(bobs.get(RUN)) and f"{RUN}/resume" in text_of(bobs.get(RUN))
    bobs.post(f"{RUN}/resume")
    assert WorkflowRun.objects.get().suspended_by == ""
    bobs.post(f"{RUN}/terminate", {"message": "No."})
    shown = text_of(bobs.get(RUN))
    assert state() == "terminated" and "Terminated by bob: No." in shown and "Retry" in shown
    assert "Suspend" not in shown
    bobs.post(f"{RUN}/retry")
    settle()
    assert state() == "suspending"
    refused = bobs.post(f"{RUN}/retry", follow=True)
    assert "only one that has failed can be retried" in text_of(refused)
    assert bobs.post(f"{RUN}/explode").status_code == 404


def test_whoever_only_reads_is_offered_nothing_and_gets_nothing(waiting, as_):
    carols = as_("carol")
    for path in (FLOW, RUN):
        assert "<form" not in text_of(carols.get(path)).partition('id="main"')[2], path
    posts = [f"{FLOW}/run", f"{FLOW}/edit", NEW, *(f"{RUN}/{v}" for v in ("resume", "terminate"))]
    assert {carols.post(path).status_code for path in posts} == {403}
    assert state() == "suspending"


def test_pages_run_under_the_strict_policy(waiting, as_):
    for path in (LIST, FLOW, f"{FLOW}/edit", f"{FLOW}/versions/1", RUN):
        assert not INLINE.findall(text_of(as_("bob").get(path))), path


def test_strangers_find_nothing(waiting, globex, as_):
    paths = [LIST, NEW, FLOW, f"{FLOW}/edit", f"{FLOW}/delete", f"{FLOW}/versions/1", RUN]
    assert {as_("charlie").get(path).status_code for path in [*paths, f"{RUN}/state"]} == {404}
    assert as_("charlie").post(f"{RUN}/resume").status_code == 404


def test_it_is_deleted_by_typing_its_name(waiting, as_):
    assert as_("bob").post(f"{FLOW}/delete", {"name": "other"}).status_code == 422
    assert as_("bob").post(f"{FLOW}/delete", {"name": "release"})["Location"] == LIST
    settle()
    assert not Workflow.objects.exists()


def test_its_history_leads_to_its_page_for_who_belongs_to_the_project_alone(waiting, shop, as_):
    shop.admit(person("charlie"), "tenant-dev", by="alice")
    page = text_of(as_("charlie").get(f"/activity?object={waiting.workflow.uid}"))
    assert "StepSuspended" in page
    answer = as_("charlie").get(f"/objects/workflow/{waiting.workflow.uid}")
    assert answer["Location"] == FLOW
    api = as_("charlie").get("/api/v1/events?object=workflow/acme/shop/release")
    assert {item["reason"] for item in api.json()["items"]} >= {"RunStarted", "StepSuspended"}


def test_operators_read_it_in_the_admin_and_have_it_looked_at(waiting, deployed, people, as_):
    people["olga"].is_superuser = True
    people["olga"].save()
    olgas = as_("olga")
    row = waiting.workflow
    run(declare(deployed.project, deploy("go"), name="other"))
    page = text_of(olgas.get(f"/admin/delivery/workflow/{row.pk}/change/"))
    assert "Project acme/shop" in page and "suspending" in page
    page = text_of(olgas.get(f"/admin/delivery/workflowrun/{waiting.pk}/change/"))
    assert "approve is suspending. Waiting for an approval." in page
    assert "release" in text_of(olgas.get("/admin/delivery/workflow/"))
    assert "suspending" in text_of(olgas.get("/admin/delivery/workflowrun/?state=suspending"))
    assert olgas.get("/admin/delivery/workflowrun/add/").status_code == 403
    answer = olgas.post(
        "/admin/delivery/workflowrun/",
        {"action": "reconcile_now", "_selected_action": [waiting.pk]},
        follow=True,
    )
    assert "1 are being looked at." in text_of(answer)
    assert waiting.work.get().due_at is not None


def run(workflow: Workflow) -> WorkflowRun:
    found = workflow.run("bob")
    settle()
    return found
