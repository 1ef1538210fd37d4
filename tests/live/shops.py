"""A project on a real cluster, and apps of it that are waited for."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters.credentials import Given
from clusters.kubeconfig import parse
from clusters.models import Cluster
from clusters.rules import address_rules
from delivery.models import App
from tenancy.models import Project, Tenant
from tests.clusters.steps import settle_until

DEPLOY = 200.0


@pytest.fixture(autouse=True)
def keys(settings, tmp_path: Path) -> None:
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"


@pytest.fixture
def shop(admin_kubeconfig: str) -> Iterator[Project]:
    """A project of a fresh tenant on a real cluster; its namespace goes afterwards."""
    cluster = Cluster(name="real")
    cluster.given = Given.of(parse(admin_kubeconfig.encode(), address_rules()))
    cluster.declare(by="olga")
    tenant = Tenant(name=f"acme-{uuid.uuid4().hex[:6]}", placement={"clusters": ["real"]})
    tenant.declare(by="olga")
    project = Project(tenant=tenant, name="shop")
    project.declare(by="alice")
    settle_until(lambda: phase_of(project) == "Deployed", DEPLOY)
    yield project
    tenant.request_deletion(by="olga")
    settle_until(lambda: not Tenant.objects.exists(), DEPLOY)


def phase_of(row: Project | App) -> str:
    row.refresh_from_db()
    return row.phase if row.observed_generation == row.generation else "Behind"


def deploy(app: App) -> App:
    """Take steps until the app is deployed, looking each time as the watcher would ask for."""

    def deployed() -> bool:
        for placement in app.placements.all():
            placement.mark()
        return phase_of(app) == "Deployed"

    app.declare(by="bob")
    settle_until(deployed, DEPLOY)
    return app
