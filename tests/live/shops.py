"""A project on a real cluster, and apps of it that are waited for."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clusters.credentials import Given
from clusters.kubeconfig import parse
from clusters.models import Cluster
from clusters.rules import address_rules
from delivery.models import App
from tenancy.models import Project, Tenant
from tests.clusters.steps import settle_live, settle_until

DEPLOY = 200.0


@pytest.fixture(autouse=True)
def keys(settings, tmp_path: Path) -> None:
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"


@pytest.fixture
def shop(admin_kubeconfig: str) -> Iterator[Project]:
    """A project of a fresh tenant on a real cluster; its namespace goes afterwards."""
    register(real=admin_kubeconfig)
    with project_on("real") as project:
        yield project


def register(**kubeconfigs: str) -> None:
    """Register clusters by the kubeconfigs of their admins; their baselines are not there yet."""
    for name, text in kubeconfigs.items():
        cluster = Cluster(name=name)
        cluster.given = Given.of(parse(text.encode(), address_rules()))
        cluster.declare(by="olga")


def settle_kubevela() -> None:
    """Bring up what is registered; KubeVela is no risk any more once its policies are there."""
    settle_live()
    for cluster in Cluster.objects.all():
        cluster.baseline.mark()
    settle_live()


@contextmanager
def project_on(*clusters: str, seconds: float = DEPLOY) -> Iterator[Project]:
    """A project of a fresh tenant, deployed on these clusters; its namespaces go afterwards."""
    placement = {"clusters": list(clusters)}
    tenant = Tenant(name=f"acme-{uuid.uuid4().hex[:6]}", placement=placement)
    tenant.declare(by="olga")
    project = Project(tenant=tenant, name="shop")
    project.declare(by="alice")
    settle_until(lambda: phase_of(project) == "Deployed", seconds)
    yield project
    tenant.request_deletion(by="olga")
    settle_until(lambda: not Tenant.objects.exists(), seconds)


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
