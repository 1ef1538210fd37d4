"""Secrets of a project and overrides of an app on a real API server."""

import base64

import pytest

from clusters.models import Cluster
from delivery.models import App, ProjectSecret
from reconcile.values import JSON
from sandbox.plane import ControlPlane
from tenancy.models import Project
from tests.clusters.steps import settle_live, settle_until
from tests.delivery.samples import component
from tests.live.test_delivery import deploy, image_of, keys, on_cluster, phase_of, shop

__all__ = ["keys", "shop"]

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(400)]

SETTLED = 120.0
PASSWORD = {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}
MOUNT = {"name": "keys", "mountPath": "/keys", "secretName": "db", "defaultMode": 0o400}


def kept(project: Project, secret: ProjectSecret | None = None, **values: str) -> ProjectSecret:
    """Hand values over; wait until the cluster has them."""
    found = secret or ProjectSecret(project=project, name="db")
    found.assign(values)
    found.declare(by="bob")

    def there() -> bool:
        found.refresh_from_db()
        rows = found.placements.all()
        return bool(rows) and all(row.version == found.version for row in rows)

    settle_until(there, SETTLED)
    return found


def template_of(plane: ControlPlane, app: App, name: str = "web") -> JSON:
    template: JSON = on_cluster(plane, app, name)["spec"]["template"]
    return template


def test_values_reach_the_pods_and_new_ones_restart_what_uses_them(
    shop: Project, control_plane: ControlPlane
) -> None:
    secret = kept(shop, password="one", user="shop")
    web = component(env=[PASSWORD], volumeMounts={"secret": [MOUNT]})
    app = deploy(App(project=shop, name="site", components=[web, component("jobs", "worker")]))

    def data() -> dict[str, str]:
        body = on_cluster(control_plane, app, "db", "secrets")
        return {key: base64.b64decode(value).decode() for key, value in body["data"].items()}

    assert data() == {"password": "one", "user": "shop"}
    before = template_of(control_plane, app)
    (container,) = before["spec"]["containers"]
    assert container["env"] == [PASSWORD]
    assert container["volumeMounts"] == [{"name": "keys", "mountPath": "/keys"}]
    (volume,) = before["spec"]["volumes"]
    assert volume["secret"] == {"secretName": "db", "defaultMode": 0o400}
    others = template_of(control_plane, app, "jobs")

    kept(shop, secret, password="two", user="shop")
    settle_live()
    assert data()["password"] == "two"
    after = template_of(control_plane, app)
    assert after["metadata"]["annotations"] != before["metadata"]["annotations"]
    assert after["spec"] == before["spec"]
    assert template_of(control_plane, app, "jobs") == others
    app.refresh_from_db()
    assert app.revision == 1


def test_a_secret_goes_from_the_cluster_when_it_is_deleted(
    shop: Project, control_plane: ControlPlane
) -> None:
    secret = kept(shop, password="one")
    names = ("get", "secret", "-n", shop.namespace, "-o", "name")
    assert control_plane.kubectl(*names).split() == ["secret/db"]
    secret.request_deletion(by="bob")
    settle_until(lambda: not ProjectSecret.objects.exists(), SETTLED)
    assert control_plane.kubectl(*names).split() == []


def test_a_cluster_runs_what_its_labels_say(shop: Project, control_plane: ControlPlane) -> None:
    kept(shop, password="one")
    scaled = {"type": "scaler", "properties": {"replicas": 2}}
    override = {
        "selector": {"region": "eu"},
        "environment": [{"name": "REGION", "value": "eu"}],
        "components": [
            {"name": "web", "properties": {"image": "nginx:1.26"}, "traits": [scaled]},
        ],
    }
    app = App(project=shop, name="site", components=[component()])
    app.environment, app.overrides = [PASSWORD, {"name": "REGION", "value": "any"}], [override]
    deploy(app)
    assert image_of(control_plane, app) == "nginx:1.27"
    (container,) = template_of(control_plane, app)["spec"]["containers"]
    assert container["env"] == [PASSWORD, {"name": "REGION", "value": "any"}]

    cluster = Cluster.objects.get()
    cluster.labels = {"region": "eu"}
    cluster.declare(by="olga")

    def moved() -> bool:
        app.placements.get().mark()
        return image_of(control_plane, app) == "nginx:1.26" and phase_of(app) == "Deployed"

    settle_until(moved, SETTLED)
    found = on_cluster(control_plane, app)
    assert found["spec"]["replicas"] == found["status"]["availableReplicas"] == 2
    (container,) = found["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [PASSWORD, {"name": "REGION", "value": "eu"}]
