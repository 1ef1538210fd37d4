"""A workflow on a real API server: deployed to the cluster, approved, deployed further, once."""

import pytest

from delivery.models import App, Workflow, WorkflowRun
from reconcile.models import Event
from sandbox.plane import ControlPlane
from tenancy.models import Project
from tests.clusters.steps import settle_until
from tests.delivery.flows import deploy as deploying
from tests.delivery.flows import phases, step
from tests.delivery.samples import component
from tests.live.test_delivery import deploy, image_of, keys, shop

__all__ = ["keys", "shop"]

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(300)]


def until(found: WorkflowRun, state: str) -> None:
    """Take steps until the run is in that state, looking each time as the watcher would ask for."""

    def reached() -> bool:
        for placement in App.objects.get().placements.all():
            placement.mark()
        found.refresh_from_db()
        return found.state == state

    settle_until(reached, 120.0)


def test_it_deploys_waits_for_an_approval_deploys_and_ends_once(
    shop: Project, control_plane: ControlPlane
) -> None:
    app = deploy(App(project=shop, name="site", components=[component()]))
    steps = [
        deploying("canary", "nginx:1.28", clusters=["real"]),
        step("approve", "suspend"),
        deploying("everywhere", "nginx:1.28"),
        step("tell"),
    ]
    workflow = Workflow(project=shop, name="release", steps=steps)
    workflow.declare(by="bob")
    found = workflow.run("bob")
    until(found, "suspending")
    assert phases(found)["approve"] == "suspending"
    assert image_of(control_plane, app) == "nginx:1.28"
    app.refresh_from_db()
    assert app.components == [component()], "clusters to come would get what there was"

    found.resume("alice", message="It answers.")
    until(found, "succeeded")
    assert set(phases(found).values()) == {"succeeded"}
    app.refresh_from_db()
    assert (app.revision, app.phase) == (3, "Deployed")
    assert app.components == [component(image="nginx:1.28")] and app.overrides == []
    assert image_of(control_plane, app) == "nginx:1.28"
    told = Event.objects.filter(object_uid=workflow.uid)
    for reason, count in (("StepApproved", 1), ("StepSucceeded", 4), ("RunSucceeded", 1)):
        assert told.filter(reason=reason).count() == count
