"""The same app on plain Kubernetes and on KubeVela, each on a real API server.

KubeVela's CRDs lie beside the repository, in `../shared/crds`; where they do not, this is skipped.
"""

from collections.abc import Iterator

import pytest

from delivery.models import App
from reconcile.values import JSON
from sandbox.api import AdminApi, ApiError
from tenancy.models import Project
from tests.clusters.steps import settle_live, settle_until
from tests.delivery.samples import component, with_traits
from tests.live.shops import keys, phase_of, project_on, register, settle_kubevela
from tests.live.vela import GROUP, Vela, installed

__all__ = ["keys"]

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(300)]

DEPLOY = 120.0
WEB = with_traits(component(ports=[{"port": 80, "expose": True}]), scaler={"replicas": 2})


@pytest.fixture
def vela(admin_api: AdminApi) -> Iterator[Vela]:
    with installed(admin_api) as found:
        yield found


@pytest.fixture
def shop(vela: Vela, admin_kubeconfig: str, second_admin_kubeconfig: str) -> Iterator[Project]:
    """A project on a cluster with KubeVela and on one without."""
    register(vela=admin_kubeconfig, plain=second_admin_kubeconfig)
    settle_kubevela()
    with project_on("plain", "vela") as project:
        yield project


def reaches(app: App, phase: str) -> None:
    """Take steps until the app is there, looking each time as the watcher would ask for."""

    def reached() -> bool:
        for placement in app.placements.all():
            placement.mark()
        return phase_of(app) == phase

    settle_until(reached, DEPLOY)


def pods_of(api: AdminApi, project: Project, name: str = "web") -> JSON:
    path = f"/apis/apps/v1/namespaces/{project.namespace}/deployments/{name}"
    return api.get(path)["spec"]


def test_the_same_app_lives_on_both(
    shop: Project, vela: Vela, admin_api: AdminApi, second_admin_api: AdminApi
) -> None:
    apis = (admin_api, second_admin_api)
    app = App(project=shop, name="site", components=[WEB, component("work", "worker")])
    app.declare(by="bob")
    reaches(app, "Deployed")
    assert {row.cluster.name: row.adapter_name for row in app.placements.all()} == {
        "plain": "delivery.native",
        "vela": "delivery.kubevela",
    }
    for api in apis:
        spec = pods_of(api, shop)
        pod = spec["template"]["spec"]
        (container,) = pod["containers"]
        assert (spec["replicas"], container["image"]) == (2, "nginx:1.27")
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert pod["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
        assert spec["template"]["metadata"]["labels"]["kubenova.io/app"] == "site"
        assert api.get(f"/api/v1/namespaces/{shop.namespace}/services/web")

    app.components = [with_traits(component(image="nginx:1.28"), scaler={"replicas": 1})]
    app.declare(by="bob")
    reaches(app, "Deployed")
    path = f"{GROUP}/namespaces/{shop.namespace}/applications/site"
    edited = admin_api.get(path)["spec"]
    edited["components"][0]["properties"]["image"] = "evil:1"
    admin_api.patch(path, {"spec": edited})
    count = len(vela.rolled_out)
    app.placements.get(cluster__name="vela").mark()
    settle_live()
    assert admin_api.get(path)["spec"]["components"][0]["properties"]["image"] == "nginx:1.28"
    reaches(app, "Deployed")
    assert len(vela.rolled_out) == count, "what nobody has published is not rolled out"

    app.rollback(1, by="bob")
    reaches(app, "Deployed")
    for api in apis:
        assert pods_of(api, shop)["template"]["spec"]["containers"][0]["image"] == "nginx:1.27"
    versions = [version for name, version in vela.rolled_out if name == "site"]
    assert len(versions) == len(set(versions)) == 3

    app.request_deletion(by="bob")
    settle_until(lambda: not App.objects.exists(), DEPLOY)
    assert admin_api.find(path) is None
    for api in apis:
        with pytest.raises(ApiError):
            pods_of(api, shop)


def test_a_step_that_fails_is_told_and_no_pod_runs_as_kubevelas_account(
    shop: Project, admin_api: AdminApi
) -> None:
    app = App(project=shop, name="site", placement={"clusters": ["vela"]})
    app.components = [component(image="nginx:broken")]
    app.declare(by="bob")
    reaches(app, "Error")
    assert "image is broken" in app.placements.get().conditions[1]["message"]

    pod = {"serviceAccountName": "kubenova-deployer", "containers": [{"name": "a", "image": "a"}]}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sly"}, "spec": pod}
    with pytest.raises(ApiError, match="no pod runs as it"):
        admin_api.create(f"/api/v1/namespaces/{shop.namespace}/pods", body)
