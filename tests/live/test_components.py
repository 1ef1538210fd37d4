"""Components and traits on a real API server: applied, ready on kwok, changed, gone."""

import pytest

from delivery.models import App, ProjectSecret
from reconcile.values import JSON
from sandbox.plane import ControlPlane
from tenancy.models import Project
from tests.clusters.steps import settle_live, settle_until
from tests.delivery.bodies import (
    AFFINITY,
    CONFIG,
    CRON,
    GATEWAY,
    HPA,
    INIT,
    PROBE,
    SECURITY,
    SIDECAR,
)
from tests.delivery.samples import component, with_traits
from tests.live.shops import DEPLOY, deploy, keys, shop

__all__ = ["keys", "shop"]

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(600)]

# Without the secret, which the project would have to have.
LOG = {**SIDECAR, "env": [{"name": "A", "value": "b"}]}
ALL = "deploy,sts,ds,job,cronjob,svc,ing,hpa,cm,pvc"


class Space:
    """The namespace of the project as kubectl sees it."""

    def __init__(self, plane: ControlPlane, project: Project) -> None:
        self.plane, self.namespace = plane, project.namespace

    def names(self) -> set[str]:
        found = self.plane.kubectl(
            *("get", ALL, "-n", self.namespace, "-o", "name"),
            *("-l", "kubenova.io/app=site"),
        )
        named = (name.split("/") for name in found.split())
        return {f"{kind.partition('.')[0]}/{name}" for kind, name in named}

    def get(self, path: str) -> JSON:
        group, _, rest = path.partition(" ")
        return self.plane.api.get(f"{group}/namespaces/{self.namespace}/{rest}")


@pytest.fixture
def space(control_plane: ControlPlane, shop: Project) -> Space:
    return Space(control_plane, shop)


def every(image: str = "nginx:1.27") -> list[JSON]:
    """A component of every type; between them they bear every trait."""
    return [
        with_traits(
            component("web", image=image, ports=[{"port": 80, "expose": True}]),
            **{"hpa": HPA, "gateway": GATEWAY, "sidecar": LOG, "startup-probe": PROBE},
            **{"affinity": AFFINITY, "securitycontext": SECURITY},
        ),
        with_traits(
            component("work", "worker", image=image),
            **{"scaler": {"replicas": 2}, "storage": CONFIG, "init-container": INIT},
            **{"expose": {"ports": [{"port": 9090}]}, "env": {"env": {"A": "b"}}},
        ),
        with_traits(
            component(
                "data", "statefulset", image=image, ports=[{"port": 80, "containerPort": 81}]
            ),
            **{"labels": {"tier": "data"}, "annotations": {"example.com/a": "b"}},
            resource={"cpu": 0.1, "memory": "64Mi"},
        ),
        with_traits(
            component("agent", "daemon", image=image), **{"service-account": {"name": "default"}}
        ),
        component("once", "task", image=image, count=2),
        component("often", "cron-task", image=image, **CRON),
    ]


MADE = {
    *("deployment/web", "deployment/work", "statefulset/data", "daemonset/agent"),
    *("cronjob/often", "service/web", "service/work", "ingress/web", "configmap/settings"),
    "horizontalpodautoscaler/web",
}


def test_every_component_and_trait_lives(shop: Project, space: Space) -> None:
    settings = ProjectSecret(project=shop, name="settings")
    settings.assign({"MODE": "prod"})
    settings.declare(by="bob")
    app = deploy(App(project=shop, name="site", components=every()))
    found = space.names()
    (job,) = found - MADE
    assert found - {job} == MADE and job.startswith("job/once-")
    rows = {row["name"]: row["phase"] for row in app.placements.get().rollout()}
    assert rows == dict.fromkeys(("web", "work", "data", "agent", "once", "often"), "Deployed")

    settle_live()
    before = space.get("/apis/apps/v1 statefulsets/data")["metadata"]["resourceVersion"]
    app.placements.get().mark()
    settle_live()
    after = space.get("/apis/apps/v1 statefulsets/data")["metadata"]["resourceVersion"]
    assert after == before, "at rest nothing is written"

    app.components = every("nginx:1.28")
    deploy(app)
    (other,) = space.names() - MADE
    assert other.startswith("job/once-") and other != job, "a changed task runs anew"
    pod = space.get("/apis/apps/v1 daemonsets/agent")["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "nginx:1.28"

    app.components = [component("web")]
    deploy(app)
    assert space.names() == {"deployment/web"}
    app.request_deletion(by="bob")
    settle_until(lambda: not App.objects.exists(), DEPLOY)
    assert space.names() == set()


def test_a_component_comes_up_once_what_it_depends_on_is_ready(shop: Project, space: Space) -> None:
    web = {**component("web"), "dependsOn": ["migrate"]}
    app = App(project=shop, name="site", components=[component("migrate", "task"), web])
    app.declare(by="bob")
    settle_live()
    assert "deployment/web" not in space.names()
    told = {row["name"]: row["message"] for row in app.placements.get().rollout()}
    assert told["web"] == "It waits for migrate."
    deploy(app)
    assert "deployment/web" in space.names()
