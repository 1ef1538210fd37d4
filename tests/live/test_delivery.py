"""An app on a real API server: deployed, changed, rolled back, healed, refused, gone."""

import pytest

from delivery.models import App
from reconcile.models import Event
from reconcile.refusals import Conflicting
from reconcile.values import JSON
from sandbox.plane import ControlPlane
from tenancy.models import Project
from tests.clusters.steps import settle_live, settle_until
from tests.delivery.samples import component, with_traits
from tests.delivery.test_components import FULL, WEB
from tests.live.shops import DEPLOY, deploy, keys, phase_of, shop

__all__ = ["keys", "shop"]

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(300)]

PORTS = [{"port": 80, "expose": True}]


def on_cluster(plane: ControlPlane, app: App, name: str = "web", kind: str = "deployments") -> JSON:
    group = "apis/apps/v1" if kind == "deployments" else "api/v1"
    return plane.api.get(f"/{group}/namespaces/{app.project.namespace}/{kind}/{name}")


def image_of(plane: ControlPlane, app: App) -> str:
    (container,) = on_cluster(plane, app)["spec"]["template"]["spec"]["containers"]
    return container["image"]


def two_components(image: str = "nginx:1.27") -> list[JSON]:
    web = with_traits(component(image=image, ports=PORTS), scaler={"replicas": 2})
    return [web, component("jobs", "worker")]


def test_an_app_lives(shop: Project, control_plane: ControlPlane) -> None:
    app = deploy(App(project=shop, name="site", components=two_components()))
    found = on_cluster(control_plane, app)
    assert (found["spec"]["replicas"], found["status"]["availableReplicas"]) == (2, 2)
    assert found["metadata"]["annotations"]["kubenova.io/revision"] == "1"
    ports = on_cluster(control_plane, app, kind="services")["spec"]["ports"]
    assert [(port["name"], port["port"]) for port in ports] == [("port-80", 80)]
    rows = app.placements.get().rollout()
    told = [(row["name"], row["phase"], row["ready"], row["wanted"]) for row in rows]
    assert told == [("web", "Deployed", 2, 2), ("jobs", "Deployed", 1, 1)]

    app.components = two_components("nginx:1.28")
    deploy(app)
    assert image_of(control_plane, app) == "nginx:1.28"
    assert app.placements.get().revision == 2

    assert app.rollback(None, by="alice")
    deploy(app)
    assert image_of(control_plane, app) == "nginx:1.27"
    assert (app.revision, app.revisions.get(number=3).healthy) == (3, True)

    app.components = [component("jobs", "worker")]
    deploy(app)
    left = control_plane.kubectl("get", "deploy,svc", "-n", shop.namespace, "-o", "name")
    assert left.split() == ["deployment.apps/jobs"]

    app.request_deletion(by="bob")
    settle_until(lambda: not App.objects.exists(), DEPLOY)
    assert not control_plane.kubectl("get", "deploy,svc", "-n", shop.namespace, "-o", "name")


def test_a_changed_image_is_healed_by_one_step(shop: Project, control_plane: ControlPlane) -> None:
    app = deploy(App(project=shop, name="site", components=[component()]))
    namespace = ("-n", shop.namespace)
    control_plane.kubectl(*namespace, "set", "image", "deployment/web", "web=evil:1")
    control_plane.kubectl(*namespace, "scale", "deployment/web", "--replicas=3")
    app.placements.get().mark()
    settle_live()
    assert image_of(control_plane, app) == "nginx:1.27"
    assert on_cluster(control_plane, app)["spec"]["replicas"] == 1
    event = Event.objects.get(reason="DriftRepaired", object_uid=app.placements.get().uid)
    found = {each["path"]: (each["found"], each["actor"]) for each in event.data["fields"]}
    image = ".spec.template.spec.containers[name=web].image"
    assert found[image] == ("evil:1", "kubectl-set")
    assert found[".spec.replicas"][0] == 3


def test_a_deleted_deployment_comes_back(shop: Project, control_plane: ControlPlane) -> None:
    app = deploy(App(project=shop, name="site", components=[component()]))
    before = on_cluster(control_plane, app)["metadata"]["uid"]
    control_plane.kubectl("-n", shop.namespace, "delete", "deployment", "web")
    app.placements.get().mark()
    settle_live()
    assert on_cluster(control_plane, app)["metadata"]["uid"] != before


def test_the_server_takes_every_property_and_is_at_rest(
    shop: Project, control_plane: ControlPlane
) -> None:
    """Applied strictly: a field that Kubernetes does not know would be refused."""
    web = with_traits(
        component(**WEB),
        scaler={"replicas": 2},
        env={"env": {"A.b-c": "x", "MODE": "test"}, "unset": ["EMPTY"]},
        resource={
            "requests": {"cpu": 0.1, "memory": "64Mi"},
            "limits": {"cpu": "1000m", "memory": "1Gi"},
        },
    )
    app = deploy(
        App(
            project=shop,
            name="site",
            labels={"team": "checkout"},
            components=[web, component("jobs", "worker", **FULL)],
        )
    )
    pod = on_cluster(control_plane, app)["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {item["name"]: item.get("value") for item in container["env"]} == {
        "MODE": "test",
        "A.b-c": "x",
    }
    version = on_cluster(control_plane, app)["metadata"]["resourceVersion"]
    for _ in range(2):
        app.placements.get().mark()
        settle_live()
    assert on_cluster(control_plane, app)["metadata"]["resourceVersion"] == version


def test_what_the_quota_refuses_is_told_and_fails_at_the_deadline(
    shop: Project, control_plane: ControlPlane
) -> None:
    tenant = shop.tenant
    tenant.quota = {"pods": "1"}
    tenant.declare(by="olga")
    settle_live()
    greedy = with_traits(component(), scaler={"replicas": 2})
    app = App(project=shop, name="site", components=[greedy], health_deadline=10)
    app.declare(by="bob")

    def failed() -> bool:
        app.placements.get().mark()
        return phase_of(app) == "Error"

    settle_until(failed, DEPLOY)
    ready = next(each for each in app.conditions if each["type"] == "Ready")
    assert ready["reason"] == "RolloutFailed"
    assert "web: exceeded quota: kubenova" in ready["message"]
    (row,) = app.placements.get().rollout()
    assert (row["phase"], row["ready"], row["wanted"]) == ("Error", 1, 2)
    assert not app.revisions.get().healthy

    tenant.quota = {}
    tenant.declare(by="olga")
    app.components = [component()]
    deploy(app)


def test_what_fails_goes_back_by_itself_and_stays_away(
    shop: Project, control_plane: ControlPlane
) -> None:
    tenant = shop.tenant
    tenant.quota = {"pods": "1"}
    tenant.declare(by="olga")
    settle_live()
    app = App(project=shop, name="site", components=[component()], health_deadline=10)
    app.on_failure = "rollback"
    deploy(app)

    app.components = [with_traits(component(), scaler={"replicas": 2})]
    app.declare(by="bob")

    def back() -> bool:
        app.placements.get().mark()
        return phase_of(app) == "Deployed" and app.revision == 3

    settle_until(back, DEPLOY)
    assert on_cluster(control_plane, app)["spec"]["replicas"] == 1
    newest = app.revisions.get(number=3)
    assert (newest.author, newest.origin) == ("kubenova", 1)
    assert "Revision 2 failed on real: web: exceeded quota" in newest.message
    app.components = [with_traits(component(), scaler={"replicas": 2})]
    with pytest.raises(Conflicting, match="which kubenova blocked"):
        app.declare(by="bob")
