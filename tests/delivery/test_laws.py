"""The laws of convergence, obeyed by apps on a cluster."""

import pytest

from delivery.adapters.native import DEPLOYMENT
from delivery.models import (
    App,
    AppPlacement,
    ObjectPlacement,
    ProjectObject,
    ProjectSecret,
    SecretPlacement,
    Workflow,
)
from reconcile.values import JSON
from tenancy.models import Project
from tests.clusters.steps import settle
from tests.delivery.controllers import become_ready
from tests.delivery.flows import step
from tests.delivery.samples import component, with_traits
from tests.fleet import Fleet
from tests.people import make_acme
from tests.reconcile.laws import ConvergenceLaws
from tests.reconcile.worlds import owned_by

WEB = with_traits(
    component(
        args=["--verbose"],
        env=[{"name": "MODE", "value": "prod"}],
        ports=[{"port": 80, "expose": True}, {"port": 9090, "name": "metrics"}],
        readinessProbe={"httpGet": {"path": "/", "port": 80}},
        annotations={"example.com/note": "ours"},
    ),
    scaler={"replicas": 2},
    resource={"cpu": "100m", "memory": "64Mi"},
)


class TestAppPlacement(ConvergenceLaws):
    model = AppPlacement

    @pytest.fixture(autouse=True)
    def world(self, fleet: Fleet, db) -> None:
        """A registered cluster with the namespace of acme/shop."""
        self.fleet = fleet
        fleet.register("sandbox")
        tenant = make_acme(placement={"clusters": ["sandbox"]})
        Project(tenant=tenant, name="shop").declare(by="alice")
        settle()

    def declare(self) -> AppPlacement:
        components = [WEB, component("jobs", "worker")]
        project = Project.objects.get()
        App(project=project, name="site", components=components).declare(by="bob")
        return AppPlacement.objects.get()

    def narrow(self, row: AppPlacement) -> None:
        app = App.objects.get()
        app.components = [component(ports=[{"port": 80}])]
        app.declare(by="bob")

    def make_ready(self, row: AppPlacement) -> None:
        for ref in owned_by(row, self.cluster):
            if ref.kind == DEPLOYMENT:
                become_ready(self.cluster, ref)
        for found in AppPlacement.objects.filter(pk=row.pk):
            found.mark()

    def urls(self, row: AppPlacement) -> list[str]:
        return ["/api/v1/apps/site", "/api/v1/tenants/acme/projects/shop/apps/site"]


class TestSecretPlacement(ConvergenceLaws):
    model = SecretPlacement

    @pytest.fixture(autouse=True)
    def world(self, fleet: Fleet, db) -> None:
        """A registered cluster with the namespace of acme/shop."""
        self.fleet = fleet
        fleet.register("sandbox")
        tenant = make_acme(placement={"clusters": ["sandbox"]})
        Project(tenant=tenant, name="shop").declare(by="alice")
        settle()

    def declare(self) -> SecretPlacement:
        secret = ProjectSecret(project=Project.objects.get(), name="db")
        secret.assign({"password": "hunter2", "user": "shop"})
        secret.declare(by="bob")
        return SecretPlacement.objects.get()

    def narrow(self, row: SecretPlacement) -> None:
        secret = ProjectSecret.objects.get()
        secret.assign({"user": "shop"})
        secret.declare(by="bob")

    def urls(self, row: SecretPlacement) -> list[str]:
        return ["/api/v1/projects/shop/secrets/db", "/api/v1/tenants/acme/projects/shop/secrets/db"]


class TestObjectPlacement(ConvergenceLaws):
    model = ObjectPlacement
    verbs = ("get", "delete")  # a run writes them, nobody else

    @pytest.fixture(autouse=True)
    def world(self, fleet: Fleet, db) -> None:
        """A registered cluster with the namespace of acme/shop, and a workflow there."""
        self.fleet = fleet
        fleet.register("sandbox")
        tenant = make_acme(placement={"clusters": ["sandbox"]})
        shop = Project(tenant=tenant, name="shop")
        shop.declare(by="alice")
        Workflow(project=shop, name="release", steps=[step("tell")]).declare(by="bob")
        settle()

    def apply(self, data: JSON) -> None:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
        workflow = Workflow.objects.get()
        ProjectObject.apply(workflow, "configmap-settings", {**body, "data": data}, []).declare(
            "bob"
        )

    def declare(self) -> ObjectPlacement:
        self.apply({"mode": "prod", "level": "info"})
        return ObjectPlacement.objects.get()

    def narrow(self, row: ObjectPlacement) -> None:
        self.apply({"mode": "prod"})

    def urls(self, row: ObjectPlacement) -> list[str]:
        shop = "projects/shop/objects/configmap-settings"
        return [f"/api/v1/{shop}", f"/api/v1/tenants/acme/{shop}"]
