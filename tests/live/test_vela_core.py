"""Apps on KubeVela itself: vela-core with the CRDs and definitions of its chart, nothing played.

The stand-in of `test_kubevela_apps` claims what vela-core does; here it is asked. `make vela`
builds it, which takes a while: without it these tests are skipped.
"""

from collections.abc import Iterator

import pytest

from delivery.models import App, Workflow
from reconcile.values import JSON
from sandbox.api import AdminApi
from sandbox.plane import ControlPlane
from sandbox.vela import KubeVela
from tenancy.models import Project
from tests.clusters.steps import settle_live, settle_until
from tests.delivery.engines import allow, announce, publish
from tests.delivery.flows import phases, step, told
from tests.delivery.samples import component, with_traits
from tests.live.shops import keys, project_on, register, settle_kubevela
from tests.live.test_kubevela_apps import DEPLOY, pods_of, reaches
from tests.live.test_workflow_engine import runs_of, until
from tests.live.vela import GROUP
from tests.live.vela_core import at_work

__all__ = ["keys"]

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(900)]

WEB = with_traits(
    component(ports=[{"port": 80, "expose": True}], env=[{"name": "MODE", "value": "prod"}]),
    scaler={"replicas": 2},
    labels={"tier": "front"},
)

# What the published type does: it is the template that the cluster has.
ANNOUNCE = """
import "vela/kube"

apply: kube.#Apply & {
	$params: value: {
		apiVersion: "v1"
		kind: "ConfigMap"
		metadata: {name: parameter.to, namespace: context.namespace}
		data: told: "yes"
	}
}
parameter: to: string
"""


@pytest.fixture
def core(admin_api: AdminApi, control_plane: ControlPlane) -> Iterator[KubeVela]:
    with at_work(admin_api, control_plane, "vela-core", "vela-workflow") as found:
        yield found


@pytest.fixture
def shop(core: KubeVela, admin_kubeconfig: str) -> Iterator[Project]:
    register(vela=admin_kubeconfig)
    settle_kubevela()
    with project_on("vela") as project:
        yield project


def application(api: AdminApi, project: Project) -> JSON:
    return api.get(f"{GROUP}/namespaces/{project.namespace}/applications/site")


def test_an_app_lives_and_goes_back(shop: Project, admin_api: AdminApi) -> None:
    app = App(project=shop, name="site", components=[WEB, component("work", "worker")])
    app.declare(by="bob")
    reaches(app, "Deployed")
    assert app.placements.get().adapter_name == "delivery.kubevela"
    assert application(admin_api, shop)["status"]["status"] == "running"
    spec = pods_of(admin_api, shop)
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert (spec["replicas"], container["image"]) == (2, "nginx:1.27")
    assert container["env"] == [{"name": "MODE", "value": "prod"}]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
    assert spec["template"]["metadata"]["labels"]["tier"] == "front"
    assert spec["template"]["metadata"]["labels"]["kubenova.io/app"] == "site"
    assert admin_api.get(f"/api/v1/namespaces/{shop.namespace}/services/web")

    app.components = [with_traits(component(image="nginx:1.28"), scaler={"replicas": 1})]
    app.declare(by="bob")
    reaches(app, "Deployed")
    assert pods_of(admin_api, shop)["template"]["spec"]["containers"][0]["image"] == "nginx:1.28"
    assert admin_api.find(_deployment(shop, "work")) is None

    app.rollback(1, by="bob")
    reaches(app, "Deployed")
    assert pods_of(admin_api, shop)["template"]["spec"]["containers"][0]["image"] == "nginx:1.27"
    assert pods_of(admin_api, shop)["replicas"] == 2

    app.request_deletion(by="bob")
    settle_until(lambda: not App.objects.exists(), DEPLOY)
    assert admin_api.find(_deployment(shop, "web")) is None


def test_what_never_comes_up_is_told(shop: Project, admin_api: AdminApi) -> None:
    app = App(project=shop, name="site", health_deadline=10)
    app.components = [component(image="registry.invalid/web:1")]
    app.declare(by="bob")
    reaches(app, "Error")
    app.refresh_from_db()
    assert application(admin_api, shop)["status"]["status"] != "running"
    app.components = [component()]
    app.declare(by="bob")
    reaches(app, "Deployed")


def test_what_somebody_edits_goes_back_and_is_not_rolled_out(
    shop: Project, admin_api: AdminApi
) -> None:
    app = App(project=shop, name="site", components=[component()])
    app.declare(by="bob")
    reaches(app, "Deployed")
    path = f"{GROUP}/namespaces/{shop.namespace}/applications/site"
    edited = application(admin_api, shop)["spec"]
    edited["components"][0]["properties"]["image"] = "evil:1"
    admin_api.patch(path, {"spec": edited})
    app.placements.get().mark()
    settle_live()
    reaches(app, "Deployed")
    spec = application(admin_api, shop)["spec"]
    assert spec["components"][0]["properties"]["image"] == "nginx:1.27"
    assert pods_of(admin_api, shop)["template"]["spec"]["containers"][0]["image"] == "nginx:1.27"


def test_its_engine_carries_a_step_out_once_and_tells_of_one_that_fails(
    shop: Project, admin_api: AdminApi
) -> None:
    publish()
    meta = {"name": "announce", "namespace": "vela-system"}
    body = {"apiVersion": "core.oam.dev/v1beta1", "kind": "WorkflowStepDefinition"}
    spec = {"schematic": {"cue": {"template": ANNOUNCE}}}
    path = f"{GROUP}/namespaces/vela-system/workflowstepdefinitions/announce"
    admin_api.apply(path, {**body, "metadata": meta, "spec": spec}, "helm")
    settle_kubevela()
    allow(shop, "announce")
    steps = [announce("tell"), step("approve", "suspend"), announce("cry", to="Not a name")]
    workflow = Workflow(project=shop, name="release", steps=steps)
    workflow.declare(by="bob")
    found = workflow.run("bob")
    until(found, "suspending")
    assert phases(found)["tell"] == "succeeded"
    home = f"/api/v1/namespaces/{shop.namespace}/configmaps"
    assert admin_api.get(f"{home}/team")["data"] == {"told": "yes"}

    found.resume("alice", message="It answers.")
    until(found, "failed")
    assert "vela is Error" in told(found, "cry")
    assert runs_of(admin_api, shop) == ["release--cry-1-1", "release--tell-1-1"]
    workflow.refresh_from_db()
    workflow.request_deletion(by="bob")
    settle_until(lambda: not Workflow.objects.exists(), DEPLOY)
    assert runs_of(admin_api, shop) == []


def _deployment(project: Project, name: str) -> str:
    return f"/apis/apps/v1/namespaces/{project.namespace}/deployments/{name}"
