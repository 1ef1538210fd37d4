"""An app's workflow on real API servers, one with KubeVela: killed at each move, it ends once."""

import pytest

from delivery.models import App, ProjectObject, WorkflowRun
from reconcile.models import Event
from sandbox.api import AdminApi
from tenancy.models import Project
from tests.clusters.steps import settle_live, settle_until
from tests.delivery.dying import DiesEachTime, though_it_dies
from tests.delivery.flows import phases, step
from tests.delivery.samples import component
from tests.live.test_delivery import keys
from tests.live.test_kubevela_apps import DEPLOY, pods_of, reaches, shop, vela

__all__ = ["keys", "shop", "vela"]

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(400)]

JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "migrate"},
    "spec": {
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "migrate", "image": "migrate:1"}],
            }
        }
    },
}
SETTINGS = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings"},
    "data": {"mode": "{{ prod }}"},
}


def until(found: WorkflowRun, state: str) -> None:
    """Take steps until the run is in that state, looking each time as the watcher would ask for."""

    def reached() -> bool:
        for placement in App.objects.get().placements.all():
            placement.mark()
        for applied in ProjectObject.objects.all():
            for each in applied.placements.all():
                each.mark()
        though_it_dies(settle_live)
        found.refresh_from_db()
        return found.state == state

    settle_until(reached, DEPLOY)


def test_deploy_approval_and_deploy_prod_on_both_adapters(
    shop: Project,
    admin_api: AdminApi,
    second_admin_api: AdminApi,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    applied = step("settings", "apply-object", properties={"value": SETTINGS})
    steps = [
        applied,
        {"name": "staging", "type": "deploy", "properties": {"clusters": ["vela"]}},
        step("approve", "suspend"),
        {"name": "prod", "type": "deploy", "properties": {"clusters": ["plain"]}},
    ]
    dying = DiesEachTime(monkeypatch)
    app = App(project=shop, name="site", components=[component()], workflow={"steps": steps})
    app.declare(by="bob")
    found = WorkflowRun.objects.get()
    until(found, "suspending")
    assert pods_of(admin_api, shop)["template"]["spec"]["containers"][0]["image"] == "nginx:1.27"
    path = f"/apis/apps/v1/namespaces/{shop.namespace}/deployments/web"
    assert second_admin_api.find(path) is None, "prod waits for the approval"
    for api in (admin_api, second_admin_api):
        body = api.get(f"/api/v1/namespaces/{shop.namespace}/configmaps/settings")
        assert body["data"] == {"mode": "{{ prod }}"}

    found.commanded = True  # type: ignore[attr-defined]
    found.resume("alice", message="It answers.")
    until(found, "succeeded")
    assert set(phases(found).values()) == {"succeeded"} and dying.kills >= 8
    monkeypatch.undo()
    reaches(app, "Deployed")
    assert second_admin_api.get(path)
    events = Event.objects.filter(object_uid=found.workflow.uid)
    for reason, count in (("StepApproved", 1), ("StepSucceeded", 4), ("RunSucceeded", 1)):
        assert events.filter(reason=reason).count() == count


def test_what_a_step_may_apply_is_taken_by_a_real_api_server(
    shop: Project, second_admin_api: AdminApi
) -> None:
    steps = [step("migrate", "apply-object", properties={"value": JOB, "clusters": ["plain"]})]
    app = App(project=shop, name="site", components=[component()], workflow={"steps": steps})
    app.declare(by="bob")
    found = WorkflowRun.objects.get()
    path = f"/apis/batch/v1/namespaces/{shop.namespace}/jobs/migrate"

    def made() -> bool:
        settle_live()
        return second_admin_api.find(path) is not None

    settle_until(made, DEPLOY)
    until(found, "succeeded")
    assert phases(found) == {"migrate": "succeeded"}
    app.refresh_from_db()
    app.request_deletion(by="bob")
    settle_until(lambda: not App.objects.exists(), DEPLOY)
    assert second_admin_api.find(path) is None
