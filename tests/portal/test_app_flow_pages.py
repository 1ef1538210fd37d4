"""The workflow of an app on pages and over HTTP: declared, followed, approved, listed."""

import pytest

from delivery.models import App, ProjectObject, Workflow, WorkflowRun
from tests.api.conftest import signed_in
from tests.clusters.steps import settle
from tests.delivery.flows import declare, phases, run, step
from tests.delivery.samples import component
from tests.portal.test_workflow_pages import text_of

PROJECT = "/tenants/acme/projects/shop"
APP = f"{PROJECT}/apps/site"
FLOW = f"{PROJECT}/workflows/site--rollout"
RUNS = f"/api/v1{APP}/runs"
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}


@pytest.fixture
def site(shop) -> App:
    """The app `site`, whose workflow waits for an approval."""
    steps = [step("approve", "suspend"), {"name": "all", "type": "deploy"}]
    found = App(project=shop, name="site", components=[component()], workflow={"steps": steps})
    found.declare(by="bob")
    settle()
    return found


def test_the_app_shows_its_workflow_and_its_runs(site, as_):
    page = text_of(as_("bob").get(APP))
    assert f'href="{FLOW}/runs/1"' in page and "approve, all" in page
    assert "Look and approve" in page and "waits for its step" in page
    assert "Look and approve" not in text_of(as_("carol").get(APP))


def test_the_run_leads_back_to_the_app_and_is_approved_there(site, as_):
    page = text_of(as_("bob").get(f"{FLOW}/runs/1"))
    assert f'href="{APP}"' in page and "Approve approve" in page
    as_("bob").post(f"{FLOW}/runs/1/resume", {"step": "approve", "message": "Go."})
    settle()
    assert phases(WorkflowRun.objects.get()) == {"approve": "succeeded", "all": "running"}


def test_its_own_workflow_is_neither_edited_nor_run_from_its_page(site, as_):
    page = text_of(as_("bob").get(FLOW))
    assert "It brings each new revision of" in page
    assert f"{FLOW}/edit" not in page and f"{FLOW}/run" + '"' not in page
    assert as_("bob").get(f"{FLOW}/edit").status_code == 403
    assert "site--rollout" not in text_of(as_("bob").get(f"{PROJECT}/workflows"))


def test_the_form_takes_it_as_yaml_and_keeps_it(site, as_):
    page = text_of(as_("bob").get(f"{APP}/edit?as=yaml"))
    assert "name: approve" in page
    text = "- {name: web, type: webservice, properties: {image: 'nginx:2'}}"
    sent = {"generation": 1, "text": text, "health_deadline": 300, "on_failure": "wait"}
    flow = "steps:\n- {name: go, type: vela-cli}"
    answer = as_("bob").post(f"{APP}/edit?as=yaml", {**sent, "workflow": flow})
    assert answer.status_code == 422 and "Steps of this type are not allowed" in text_of(answer)
    flow = "steps:\n- {name: all, type: deploy}"
    answer = as_("bob").post(f"{APP}/edit?as=yaml", {**sent, "workflow": flow})
    assert answer.status_code == 302, text_of(answer)
    site.refresh_from_db()
    assert site.workflow == {"steps": [{"name": "all", "type": "deploy"}]}
    assert WorkflowRun.objects.get(revision=2).version == 2


def test_runs_are_read_and_steered_at_the_app(site, people):
    bobs, carols, charlies = (signed_in(people[name]) for name in ("bob", "carol", "charlie"))
    (item,) = carols.get(RUNS).json()["items"]
    assert (item["number"], item["revision"], item["state"]) == (1, 1, "suspending")
    assert charlies.get(RUNS).status_code == charlies.get(f"{RUNS}/1").status_code == 404
    assert carols.post(f"{RUNS}/1:resume", {}, format="json").status_code == 403
    assert bobs.post(f"{RUNS}/9:resume", {}, format="json").status_code == 404
    answer = bobs.post(f"{RUNS}/1:resume", {"message": "Go."}, format="json")
    assert answer.status_code == 202 and answer.json()["steps"][0]["by"] == "bob"
    settle()
    assert carols.get(f"{RUNS}/1").json()["steps"][1]["phase"] == "running"
    assert bobs.get(f"/api/v1{APP}").json()["workflow"]["steps"][0]["name"] == "approve"


def test_a_workflow_shows_what_its_steps_have_applied(shop, as_):
    flow = declare(shop, step("apply", "apply-object", properties={"value": CONFIG}))
    run(flow)
    assert ProjectObject.objects.get().phase == "Deployed"
    page = text_of(as_("carol").get(f"{PROJECT}/workflows/release"))
    assert "configmap-settings" in page and "They go with the workflow" in page


def test_the_form_of_a_workflow_names_every_type(shop, as_):
    page = text_of(as_("bob").get(f"{PROJECT}/new-workflow"))
    for type_ in ("apply-object", "request", "deploy", "depends-on-app"):
        assert type_ in page
    assert not Workflow.objects.exists()
