"""Plans on real API servers: what they tell is what happens, and they write nothing."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters.connect import connect
from clusters.credentials import Given
from clusters.kinds import CONFIG_MAP, DEPLOYMENT, NAMESPACE
from clusters.kubeconfig import parse
from clusters.models import Cluster
from clusters.rules import address_rules
from delivery.models import App
from reconcile.errors import Forbidden, Refused
from reconcile.planning.accepting import accept, plan
from reconcile.planning.values import PLAN_NAMESPACE, Checked, Report
from reconcile.refusals import PlanOutdated
from reconcile.values import JSON, MANAGED_BY, MANAGER, Ref
from sandbox.api import AdminApi
from tenancy.models import Project, Tenant
from tests.clusters.steps import settle_until, settle_until_deployed
from tests.delivery.samples import component, with_traits

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(300)]

DEPLOY = 120.0
PORTS = [{"port": 80, "expose": True}]
OURS = (
    *("configmaps", "deployments", "limitranges", "namespaces", "networkpolicies"),
    *("resourcequotas", "rolebindings", "services"),
)
WRITES = ("APPLY", "DELETE", "PATCH", "POST", "PUT")
COUNTED = re.compile(r"^apiserver_request_total\{(?P<labels>[^}]*)\} (?P<count>\S+)$", re.M)
LABEL = re.compile(r'(\w+)="([^"]*)"')


@pytest.fixture(autouse=True)
def keys(settings, tmp_path: Path) -> None:
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"


def register(name: str, kubeconfig: str) -> Cluster:
    cluster = Cluster(name=name)
    cluster.given = Given.of(parse(kubeconfig.encode(), address_rules()))
    cluster.declare(by="olga")
    settle_until_deployed(cluster)
    _wait_for_the_right_to_try(cluster)
    return cluster


def _wait_for_the_right_to_try(cluster: Cluster) -> None:
    """A binding just made takes a moment to be believed, and so does a policy."""
    ref = Ref(CONFIG_MAP, PLAN_NAMESPACE, "probe")
    until = time.monotonic() + 60
    with connect(cluster) as api:
        while time.monotonic() < until:
            try:
                api.apply(ref, manifest(ref), dry_run=True)
                return
            except Forbidden:
                time.sleep(0.05)
    raise AssertionError("The projector is not bound where plans are tried.")


def manifest(ref: Ref, **body: object) -> JSON:
    meta = {"name": ref.name, "namespace": ref.namespace}
    return {"apiVersion": ref.kind.api_version, "kind": ref.kind.name, "metadata": meta, **body}


@pytest.fixture
def both(admin_kubeconfig: str, second_admin_kubeconfig: str) -> Iterator[Tenant]:
    """A tenant on two clusters that nobody has taken a step for; it goes afterwards."""
    register("real-a", admin_kubeconfig)
    register("real-b", second_admin_kubeconfig)
    placement = {"clusters": ["real-a", "real-b"]}
    tenant = Tenant(name=f"acme-{time.time_ns() % 10**8}", placement=placement)
    tenant.declare(by="olga")
    yield tenant
    tenant.request_deletion(by="olga")
    settle_until(lambda: not Tenant.objects.exists(), DEPLOY)


def project_of(tenant: Tenant) -> Project:
    project = Project(tenant=tenant, name="shop")
    project.declare(by="alice")
    return project


def planned_app(project: Project, image: str = "nginx:1.27") -> App:
    web = with_traits(component(image=image, ports=PORTS), scaler={"replicas": 2})
    return App(project=project, name="site", components=[web])


def told(report: Report) -> list[tuple[str, str, str, str]]:
    return [
        (cluster.name, each.action, f"{each.ref.kind.name}/{each.ref.name}", each.trial.checked)
        for cluster in report.clusters
        for each in cluster.objects
    ]


def counts(api: AdminApi) -> tuple[Counter[str], int]:
    """Real writes by resource, of the kinds that KubeNova writes, and the number of dry runs."""
    writes: Counter[str] = Counter()
    dry = 0
    for line in COUNTED.finditer(api.request("GET", "/metrics").body.decode()):
        labels = dict(LABEL.findall(line["labels"]))
        if labels["verb"] not in WRITES or labels["resource"] not in OURS:
            continue
        if labels["dry_run"]:
            dry += int(float(line["count"]))
        elif not labels["subresource"]:
            writes[labels["resource"]] += int(float(line["count"]))
    return writes, dry


def test_it_lists_every_object_of_a_new_tenants_app_on_two_clusters(both: Tenant) -> None:
    app = planned_app(project_of(both))
    report = plan(lambda: app.declare(by="bob"), by="bob")
    assert told(report) == [
        (cluster, "create", name, Checked.SCHEMA)
        for cluster in ("real-a", "real-b")
        for name in ("Deployment/web", "Service/web")
    ]
    assert report.complete and not report.summary["denied"]
    deployment = report.objects[0]
    assert deployment.manifest is not None
    assert deployment.manifest["metadata"]["namespace"] == both.projects.get().namespace
    assert deployment.manifest["spec"]["revisionHistoryLimit"] == 10  # a default of the server's
    assert any("PodSecurity" in warning for warning in deployment.trial.warnings)

    blog = plan(lambda: Project(tenant=both, name="blog").declare(by="alice"), by="alice")
    checked = {name: each for _, _, name, each in told(blog)}
    assert checked[f"Namespace/{both.name}--blog"] == Checked.SERVER
    assert checked["RoleBinding/kubenova:projector"] == Checked.SCHEMA
    assert blog.complete and not blog.summary["denied"]


def test_a_plan_writes_nothing_by_the_counters_of_the_server(
    both: Tenant, admin_api: AdminApi
) -> None:
    project = project_of(both)
    settle_until(lambda: phase_of(project) == "Deployed", DEPLOY)
    before, dry_before = counts(admin_api)

    labelled = Project.objects.get(pk=project.pk)
    labelled.labels = {"team": "blue"}
    change = plan(lambda: labelled.declare(by="alice"), by="alice")
    new = plan(lambda: planned_app(project).declare(by="bob"), by="bob")
    gone = plan(lambda: Tenant.objects.get(pk=both.pk).request_deletion(by="olga"), by="olga")

    after, dry_after = counts(admin_api)
    assert {each.action for each in change.objects} == {"change"}
    assert {each.trial.checked for each in new.objects} == {Checked.SERVER}
    assert {each.action for each in gone.objects} == {"delete"}
    assert not any(each.summary["denied"] for each in (change, new, gone))
    assert after == before
    wanted = sum(len(each.clusters[0].objects) for each in (change, new, gone))
    assert dry_after - dry_before == wanted


def phase_of(row: Project | App) -> str:
    row.refresh_from_db()
    return row.phase if row.observed_generation == row.generation else "Behind"


def test_what_was_planned_is_applied_and_what_moved_is_not(
    both: Tenant, admin_api: AdminApi
) -> None:
    project = project_of(both)
    settle_until(lambda: phase_of(project) == "Deployed", DEPLOY)
    shown = plan(lambda: planned_app(project).declare(by="bob"), by="bob")
    accept(lambda: planned_app(project).declare(by="bob"), shown.hash, by="bob")
    app = App.objects.get()

    def deployed() -> bool:
        for placement in app.placements.all():
            placement.mark()
        return phase_of(app) == "Deployed"

    settle_until(deployed, DEPLOY)
    path = f"/apis/apps/v1/namespaces/{project.namespace}/deployments/web"
    assert admin_api.get(path)["spec"]["replicas"] == 2

    app.components = planned_app(project, "nginx:1.28").components
    stale = plan(lambda: copy_of(app).declare(by="bob"), by="bob")
    admin_api.patch(path, {"spec": {"replicas": 3}}, fieldManager="kubectl-scale")
    with pytest.raises(PlanOutdated) as refused:
        accept(lambda: copy_of(app).declare(by="bob"), stale.hash, by="bob")
    name = f"Deployment {project.namespace}/web"
    assert refused.value.extra["moved"] == [f"{name} was changed on real-a."]
    assert App.objects.get(pk=app.pk).components[0]["properties"]["image"] == "nginx:1.27"


def copy_of(app: App) -> App:
    """The app as it is stored, with the components of this one."""
    row = App.objects.get(pk=app.pk)
    row.components = app.components
    return row


def test_nothing_real_lives_where_plans_are_tried(admin_kubeconfig: str) -> None:
    cluster = register("real-a", admin_kubeconfig)
    ref = Ref(CONFIG_MAP, PLAN_NAMESPACE, "real")
    until, refused = time.monotonic() + 60, ""
    with connect(cluster) as api:
        while time.monotonic() < until and not refused:
            try:
                live = api.apply(ref, manifest(ref, data={}))
                api.delete(ref, live.uid)
            except Refused as error:
                refused = error.message
        assert "nothing real lives here" in refused
        assert api.apply(ref, manifest(ref, data={}), dry_run=True).ref == ref
        assert api.get(ref) is None
        home = api.get(Ref(NAMESPACE, "", PLAN_NAMESPACE))
    assert home is not None and home.labels[MANAGED_BY] == MANAGER


def test_what_the_cluster_would_refuse_is_told_before(both: Tenant, admin_api: AdminApi) -> None:
    """Somebody made a Deployment of that name before us."""
    project = project_of(both)
    settle_until(lambda: phase_of(project) == "Deployed", DEPLOY)
    path = f"/apis/apps/v1/namespaces/{project.namespace}/deployments"
    pod = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "x", "image": "x"}]},
    }
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": pod}
    admin_api.create(path, {"metadata": {"name": "web"}, "spec": spec})
    report = plan(lambda: planned_app(project).declare(by="bob"), by="bob")
    first, second = report.clusters
    assert f"{DEPLOYMENT.name} {project.namespace}/web exists" in first.message
    assert {each.trial.checked for each in first.objects} == {Checked.NONE}
    assert second.message == "" and {each.trial.checked for each in second.objects} == {
        Checked.SERVER
    }
