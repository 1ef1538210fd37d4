"""Which platform rolls an app out on a cluster, and what KubeVela is given to roll out."""

import pytest

from clusters.adapters.kubevela import APPLICATION, DEPLOYER
from clusters.kinds import DEPLOYMENT, ROLE_BINDING, SERVICE_ACCOUNT
from clusters.models import Capability, Cluster
from delivery.acting import restart, scale
from delivery.adapters.kubevela import PUBLISHED
from delivery.models import App, AppPlacement, ProjectSecret
from delivery.pods import labels_of
from reconcile.models import AppliedObject
from reconcile.refusals import Unserved
from reconcile.values import JSON, Ref
from tenancy.models import Project
from tests.clusters.steps import settle
from tests.delivery.controllers import look, roll_out
from tests.delivery.samples import NAMESPACE, component
from tests.fleet import Fleet
from tests.kubevela import act, hold, install
from tests.memory_cluster import MemoryCluster
from tests.people import make_acme

SITE = Ref(APPLICATION, NAMESPACE, "site")


def look_at_clusters() -> None:
    """Have each cluster be asked what it can do."""
    for cluster in Cluster.objects.all():
        cluster.baseline.mark()
    settle()


@pytest.fixture
def vela(prod: Cluster, fleet: Fleet) -> MemoryCluster:
    """The cluster, with KubeVela on it."""
    live = install(fleet["prod-a"])
    look_at_clusters()
    return live


@pytest.fixture
def home(vela: MemoryCluster, people) -> Project:
    """A project there."""
    project = Project(tenant=make_acme(placement={"clusters": ["prod-a"]}), name="shop")
    project.declare(by="alice")
    settle()
    return project


def declare(project: Project, *declared: JSON, name: str = "site") -> App:
    app = App(project=project, name=name, components=list(declared or (component(),)))
    app.declare(by="bob")
    settle()
    return app


def rolled_out(app: App, live: MemoryCluster) -> str:
    """Play KubeVela; return the phase of the app then."""
    act(live)
    look()
    app.refresh_from_db()
    return app.phase


def version(live: MemoryCluster) -> str:
    return live.body(SITE)["metadata"]["annotations"][PUBLISHED]


def choices() -> list[str]:
    return list(AppPlacement.objects.values_list("chosen_adapter", flat=True))


# --- Which one.


def test_kubevela_rolls_out_where_it_serves(home, vela):
    app = declare(home)
    assert choices() == ["delivery.kubevela"]
    assert vela.refs(DEPLOYMENT) == [Ref(DEPLOYMENT, "vela-system", "vela-core")]
    assert app.placements.get().phase == "Applying"
    assert rolled_out(app, vela) == "Deployed"


def test_plain_kubernetes_rolls_out_where_it_does_not(deployed, fleet):
    assert choices() == ["delivery.native"]


def test_a_kubevela_that_comes_later_takes_no_app_over(deployed, fleet):
    install(fleet["prod-a"])
    look_at_clusters()
    look()
    assert choices() == ["delivery.native"]
    assert fleet["prod-a"].refs(APPLICATION) == []
    declare(Project.objects.get(), component("api"), name="other")
    assert sorted(choices()) == ["delivery.kubevela", "delivery.native"]


def test_what_was_there_before_there_was_a_choice_is_native(deployed, fleet):
    AppPlacement.objects.update(chosen_adapter="")
    install(fleet["prod-a"])
    look_at_clusters()
    look()
    assert choices() == ["delivery.native"]


def test_operators_can_keep_new_apps_of_a_cluster_from_kubevela(home, vela, prod):
    prod.refresh_from_db()
    prod.labels = {"delivery": "native"}
    prod.declare(by="olga")
    declare(home)
    assert choices() == ["delivery.native"]
    assert not vela.exists(SITE)


def test_what_has_lost_its_platform_is_in_error_and_left_as_it_is(home, vela):
    app = declare(home)
    assert rolled_out(app, vela) == "Deployed"
    vela.unserve(APPLICATION)
    before = list(vela.refs())
    look_at_clusters()
    vela.writes.clear()
    look()
    (condition,) = (
        each for each in AppPlacement.objects.get().conditions if each["type"] == "Synced"
    )
    assert (condition["status"], condition["reason"]) == ("False", "CapabilityMissing")
    assert [ref for _, ref in vela.writes if ref.kind == DEPLOYMENT] == []
    assert set(vela.refs(DEPLOYMENT)) == {ref for ref in before if ref.kind == DEPLOYMENT}


# --- What a cluster lacks.


def test_a_type_that_kubevela_lacks_there_is_refused_with_all_that_is_unmet(fleet, db, people):
    fleet.register("prod-a")
    install(fleet["prod-a"], without=("daemon", "hpa"))
    look_at_clusters()
    project = Project(tenant=make_acme(placement={"clusters": ["prod-a"]}), name="shop")
    project.declare(by="alice")
    settle()
    hpa = [{"type": "hpa", "properties": {"max": 3}}]
    with pytest.raises(Unserved) as caught:
        declare(project, {**component(), "traits": hpa}, component("agent", "daemon"))
    unmet = {each["capability"]: each["field"] for each in caught.value.extra["unmet"]}
    assert unmet == {
        "delivery.kubevela.component.daemon": "components.agent",
        "delivery.kubevela.trait.hpa": "components.web",
    }
    assert not App.objects.exists()


def test_a_type_that_goes_later_is_an_error_that_touches_nothing(home, vela):
    app = declare(home)
    rolled_out(app, vela)
    Capability.objects.filter(name="delivery.kubevela.component.webservice").update(served=False)
    vela.writes.clear()
    look()
    (condition,) = (
        each for each in AppPlacement.objects.get().conditions if each["type"] == "Synced"
    )
    assert condition["reason"] == "CapabilityMissing"
    assert "component.webservice" in condition["message"] and vela.writes == []


def test_a_baseline_without_the_account_is_refused_with_the_way_out(home, vela, prod):
    Capability.objects.filter(cluster=prod, name__startswith="baseline.").delete()
    Capability.objects.create(cluster=prod, name="baseline.4", served=True, version="4")
    with pytest.raises(Unserved, match="fresh credential"):
        declare(home)


# --- The account that KubeVela acts by.


def test_the_project_has_the_account_and_its_role(home, vela):
    account = vela.body(Ref(SERVICE_ACCOUNT, NAMESPACE, DEPLOYER))
    assert account["automountServiceAccountToken"] is False
    bound = vela.body(Ref(ROLE_BINDING, NAMESPACE, "kubenova:deployer"))
    assert bound["roleRef"]["name"] == "kubenova:deployer"
    assert bound["subjects"] == [
        {"kind": "ServiceAccount", "name": DEPLOYER, "namespace": NAMESPACE}
    ]


def test_a_project_without_kubevela_has_no_such_account(shop, fleet):
    assert not fleet["prod-a"].exists(Ref(SERVICE_ACCOUNT, NAMESPACE, DEPLOYER))


def test_an_app_waits_for_the_account(home, vela):
    AppliedObject.objects.filter(kind="ServiceAccount", namespace=NAMESPACE).delete()
    declare(home)
    row = AppPlacement.objects.get()
    assert (row.phase, row.conditions[0]["reason"]) == ("Pending", "WaitingForProject")
    home.placements.get().mark()
    settle()
    look()
    assert vela.exists(SITE)


# --- What is published.


def test_every_change_has_a_version_that_never_was_before(home, vela):
    app = declare(home)
    tenant = app.project.tenant
    seen = [version(vela)]
    look()
    assert version(vela) == seen[0], "at rest it stays"
    steps = [
        lambda: restart(app, None, by="bob"),
        lambda: scale(app, "web", 3, by="bob"),
        lambda: app.rollback(1, by="bob"),
        lambda: tenant.__class__.objects.filter(pk=tenant.pk).update(
            restrictions={"node_selector": {"pool": "a"}}
        ),
        lambda: tenant.__class__.objects.filter(pk=tenant.pk).update(restrictions={}),
    ]
    for change in steps:
        change()
        settle()
        look()
        seen.append(version(vela))
    assert len(set(seen)) == len(seen), seen
    assert AppPlacement.objects.get().publications == len(seen)
    assert [each.partition("-")[0] for each in seen] == ["r1", "r2", "r3", "r4", "r4", "r4"]


def test_a_rollback_brings_the_spec_back_under_a_new_version(home, vela):
    app = declare(home)
    before = vela.body(SITE)["spec"], version(vela)
    scale(app, "web", 3, by="bob")
    settle()
    app.rollback(1, by="bob")
    settle()
    assert vela.body(SITE)["spec"] == before[0] and version(vela) != before[1]


def test_a_secret_that_changes_is_published(home, vela):
    secret = ProjectSecret(project=home, name="db")
    secret.assign({"password": "hunter2"})
    secret.declare(by="bob")
    env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]
    declare(home, component(env=env))
    look()
    before = version(vela)
    secret.assign({"password": "hunter3"})
    secret.declare(by="bob")
    settle()
    look()
    assert version(vela) != before
    assert "hunter" not in str(vela.body(SITE))


# --- Day to day.


def test_what_somebody_edits_is_repaired_under_the_same_version(home, vela):
    app = declare(home)
    rolled_out(app, vela)
    before = version(vela)
    vela.edit(SITE, "kubectl-edit", lambda body: body["spec"]["components"].clear())
    look()
    assert [each["name"] for each in vela.body(SITE)["spec"]["components"]] == ["web"]
    assert version(vela) == before


def test_what_kubevela_notes_is_no_drift(home, vela):
    app = declare(home)
    hold(vela, SITE)
    assert rolled_out(app, vela) == "Deployed"
    vela.writes.clear()
    look()
    assert vela.writes == []


def test_it_goes_when_kubevela_has_let_go(home, vela):
    app = declare(home)
    rolled_out(app, vela)
    hold(vela, SITE)
    app.request_deletion(by="bob")
    settle()
    assert App.objects.exists() and vela.exists(SITE)
    row = AppPlacement.objects.get()
    assert "Application acme--shop/site" in row.conditions[0]["message"]
    act(vela)
    look()
    settle()
    assert not App.objects.exists() and not vela.exists(SITE)


def test_the_rollout_tells_of_each_component(home, vela):
    app = declare(home, component(), component("work", "worker"))
    act(vela, unhealthy={"work": "Ready:0/1"})
    look()
    rows = {row["name"]: row for row in app.placements.get().rollout()}
    assert (rows["web"]["phase"], rows["work"]["phase"]) == ("Deployed", "Applying")
    assert rows["work"]["message"] == "0 of 1 replicas are ready."


def test_a_failed_workflow_is_an_error_with_its_words(home, vela):
    app = declare(home)
    act(vela, failed={"web": "image is broken"})
    look()
    app.refresh_from_db()
    assert app.phase == "Error"
    assert "image is broken" in app.placements.get().conditions[1]["message"]


def test_the_pods_of_an_app_with_a_long_name_are_found(home, vela):
    app = declare(home, name="a" * 60)
    (found,) = vela.refs(APPLICATION)
    row = app.placements.get()
    assert labels_of(row, "web") == {
        "app.oam.dev/name": found.name,
        "app.oam.dev/component": "web",
    }


def test_native_apps_beside_it_roll_out_as_before(deployed, fleet):
    install(fleet["prod-a"])
    look_at_clusters()
    deployed.components = [component(image="nginx:1.28")]
    deployed.declare(by="bob")
    roll_out(fleet)
    deployed.refresh_from_db()
    assert deployed.phase == "Deployed"


# --- Plans.


def test_there_is_no_application_before_the_wave_of_its_cluster_begins(home, vela, as_):
    waves = [{"clusters": ["prod-a"], "approval": True}]
    body = {"name": "site", "components": [component()], "strategy": {"waves": waves}}
    path = "/api/v1/tenants/acme/projects/shop/apps"
    plan = as_("bob").post(f"{path}?dryRun=plan", body, format="json")
    assert (plan.status_code, plan.json()["clusters"]) == (200, []), plan.content
    assert as_("bob").post(path, body, format="json").status_code == 201
    settle()
    (tree,) = as_("bob").get(f"{path}/site/objects").json()["clusters"]
    assert (tree["others"], vela.refs(APPLICATION)) == ([], [])
    App.objects.get().promote(by="bob")
    settle()
    assert vela.refs(APPLICATION) == [SITE] and version(vela).startswith("r1-1-")


def test_a_plan_names_the_version_that_is_published_and_holds_it(home, vela, as_):
    app = declare(home)
    rolled_out(app, vela)
    path, body = "/api/v1/apps/site:scale", {"component": "web", "replicas": 3}
    plan = as_("bob").post(f"{path}?dryRun=plan", body, format="json").json()
    (cluster,) = plan["clusters"]
    (planned,) = cluster["objects"]
    assert planned["kind"] == "Application"
    (announced,) = (
        each["wanted"] for each in planned["differences"] if "publishVersion" in each["path"]
    )
    answer = as_("bob").post(path, body, format="json", HTTP_IF_PLAN=plan["hash"])
    assert answer.status_code in (200, 202), answer.content
    settle()
    assert version(vela) == announced


def test_the_api_tells_what_rolls_an_app_out(home, vela, as_):
    app = declare(home)
    path = "/api/v1/tenants/acme/projects/shop/apps/site"

    def shown() -> list[str | None]:
        return [row["adapter"] for row in as_("bob").get(path).json()["status"]["placements"]]

    assert shown() == ["kubevela"]
    app.placements.update(chosen_adapter="", observed_generation=0)
    assert shown() == [None], "nothing was brought up yet"
    app.placements.update(observed_generation=1)
    assert shown() == ["native"], "it was there before there was a choice"
