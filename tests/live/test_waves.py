"""A rollout in waves over two real clusters: it waits, pauses on a failure, and goes back."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters.credentials import Given
from clusters.kubeconfig import parse
from clusters.models import Cluster
from clusters.rules import address_rules
from delivery.models import App
from sandbox.api import AdminApi
from tenancy.models import Project, Tenant
from tests.clusters.steps import settle_live, settle_until
from tests.delivery.samples import component, with_traits

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(300)]

WAVES = {"waves": [{"clusters": ["real-a"]}, {"clusters": ["real-b"], "approval": True}]}
SOON = 120.0


@pytest.fixture
def shop(
    admin_kubeconfig: str, second_admin_kubeconfig: str, settings, tmp_path: Path
) -> Iterator[Project]:
    """A project on two real clusters, with room for one pod on each."""
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"
    for name, kubeconfig in (("real-a", admin_kubeconfig), ("real-b", second_admin_kubeconfig)):
        cluster = Cluster(name=name)
        cluster.given = Given.of(parse(kubeconfig.encode(), address_rules()))
        cluster.declare(by="olga")
    tenant = Tenant(name=f"acme-{uuid.uuid4().hex[:6]}", quota={"pods": "2"})
    tenant.placement = {"clusters": ["real-a", "real-b"]}
    tenant.declare(by="olga")
    project = Project(tenant=tenant, name="shop")
    project.declare(by="alice")
    settle_until(lambda: deployed(project), SOON)
    yield project
    tenant.request_deletion(by="olga")
    settle_until(lambda: not Tenant.objects.exists(), SOON)


def deployed(row: Project | App) -> bool:
    row.refresh_from_db()
    return row.phase == "Deployed" and row.observed_generation == row.generation


def until(app: App, state: str) -> None:
    """Take steps until the rollout is there, looking as the watcher would ask for."""

    def reached() -> bool:
        for placement in app.placements.all():
            placement.mark()
        app.refresh_from_db()
        return app.rollout_told()["state"] == state

    settle_until(reached, SOON)


def replicas(api: AdminApi, app: App) -> int | None:
    """What `web` is told there; None where it is not."""
    path = f"/apis/apps/v1/namespaces/{app.project.namespace}/deployments"
    found = [each["spec"]["replicas"] for each in api.items(path)]
    return found[0] if found else None


def test_two_clusters_in_two_waves(
    shop: Project, admin_api: AdminApi, second_admin_api: AdminApi
) -> None:
    app = App(project=shop, name="site", components=[component()], strategy=WAVES)
    app.health_deadline = 10
    app.declare(by="bob")

    def told() -> tuple[int | None, int | None]:
        return replicas(admin_api, app), replicas(second_admin_api, app)

    until(app, "WaitingApproval")
    assert told() == (1, None)
    app.promote(by="alice")
    until(app, "Done")
    assert told() == (1, 1) and app.revisions.get().healthy

    app.components = [with_traits(component(), scaler={"replicas": 2})]
    app.declare(by="bob")
    until(app, "Paused")
    assert told() == (2, 1), "real-a has no room for a second pod, real-b was never asked"
    paused = app.rollouts.get(revision=2)
    assert paused.pause_reason.startswith("Revision 2 failed on real-a: web: exceeded quota")

    app.on_failure = "rollback"
    app.declare(by="bob")
    settle_until(lambda: App.objects.get().revision == 3, SOON)
    settle_live()
    assert told() == (1, 1)
    settle_until(lambda: deployed(app), SOON)
    assert app.rollouts.get(revision=2).state == "RolledBack"
