"""Steps that KubeVela's engine carries out, on a real API server with KubeVela's real CRDs.

These lie beside the repository, in `../shared/crds`; where they do not, this is skipped.
"""

from collections.abc import Iterator

import pytest

from delivery.models import App, ProjectObject, Workflow, WorkflowRun
from delivery.rules.applications import RUN_POLICY
from delivery.rules.engine_steps import engine_body
from reconcile.models import Event
from sandbox.api import AdminApi, ApiError
from tenancy.models import Project
from tests.clusters.steps import settle_until
from tests.delivery.engines import allow, announce, publish
from tests.delivery.flows import deploy as deploying
from tests.delivery.flows import phases, step, told
from tests.delivery.samples import component
from tests.live.engine import RUNS, Engine, at_work
from tests.live.shops import keys, project_on, register, settle_kubevela
from tests.live.vela import installed

__all__ = ["keys"]

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(600)]

DEPLOY = 240.0


@pytest.fixture
def engine(admin_api: AdminApi) -> Iterator[Engine]:
    """KubeVela and its engine, at work."""
    with installed(admin_api), at_work(admin_api, "announce") as found:
        yield found


@pytest.fixture
def shop(engine: Engine, admin_kubeconfig: str) -> Iterator[Project]:
    """A project there, whose tenant may use the type `announce`."""
    publish()
    register(vela=admin_kubeconfig)
    settle_kubevela()
    with project_on("vela", seconds=DEPLOY) as project:
        allow(project, "announce")
        yield project


def until(found: WorkflowRun, state: str) -> None:
    """Take steps until the run is in that state, looking each time as the watcher would ask for."""

    def reached() -> bool:
        for rows in (App.objects.all(), ProjectObject.objects.all()):
            for row in rows:
                for placement in row.placements.all():
                    placement.mark()
        found.refresh_from_db()
        return found.state == state

    settle_until(reached, DEPLOY)


def runs_of(api: AdminApi, project: Project) -> list[str]:
    found = api.items(f"{RUNS}/namespaces/{project.namespace}/workflowruns")
    return sorted(each["metadata"]["name"] for each in found)


def test_deploy_engine_approval_and_an_engine_that_fails(
    shop: Project, engine: Engine, admin_api: AdminApi
) -> None:
    app = App(project=shop, name="site", components=[component()])
    app.declare(by="bob")
    steps = [
        deploying("canary", "nginx:1.28"),
        announce("tell"),
        step("approve", "suspend"),
        announce("cry", to="nobody"),
        step("never"),
    ]
    workflow = Workflow(project=shop, name="release", steps=steps)
    workflow.declare(by="bob")
    found = workflow.run("bob")
    until(found, "suspending")
    assert phases(found)["tell"] == "succeeded"
    assert told(found, "tell") == "KubeVela carried it out on vela."
    home = f"/api/v1/namespaces/{shop.namespace}/configmaps"
    assert admin_api.get(f"{home}/team")["data"] == {"told": "yes"}

    found.resume("alice", message="It answers.")
    until(found, "failed")
    assert phases(found)["never"] == "skipped"
    assert told(found, "cry") == "vela is Error: There is nobody to tell"
    assert runs_of(admin_api, shop) == ["release--cry-1-1", "release--tell-1-1"]
    assert sorted(engine.begun) == ["release--cry-1-1", "release--tell-1-1"], "each once"
    events = Event.objects.filter(object_uid=workflow.uid)
    assert events.filter(reason="RunFailed").count() == 1

    forged(admin_api, shop)
    found.refresh_from_db()
    found.retry("bob")
    until(found, "failed")
    assert runs_of(admin_api, shop) == ["release--cry-1-2", "release--tell-1-1"]
    workflow.refresh_from_db()
    workflow.request_deletion(by="bob")
    settle_until(lambda: not Workflow.objects.exists(), DEPLOY)
    assert runs_of(admin_api, shop) == [] and not engine.faults


def forged(api: AdminApi, project: Project) -> None:
    """Nobody else has the engine act in a project, an administrator included."""
    path = f"{RUNS}/namespaces/{project.namespace}/workflowruns"
    with pytest.raises(ApiError) as caught:
        api.create(path, engine_body("forged", "a", "announce", {"to": "team"}))
    assert RUN_POLICY in str(caught.value)
    spec = {"workflowSpec": {"steps": [{"name": "a", "type": "vela-cli"}]}}
    with pytest.raises(ApiError) as caught:
        api.patch(f"{path}/release--tell-1-1", {"spec": spec})
    assert RUN_POLICY in str(caught.value)
