"""`?dryRun=plan`, `If-Plan` and `:plan` over HTTP."""

import base64
from datetime import timedelta

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator

from access.models import KubeconfigGrant
from clusters.api import fields
from clusters.credentials import Given
from clusters.kinds import DEPLOYMENT, NAMESPACE
from clusters.models import Cluster, ClusterBaseline
from delivery.models import App, AppPlacement
from reconcile.api.throttles import PlanThrottle
from reconcile.errors import Refused, Unreachable
from reconcile.models import Event, IdempotencyRecord, PlanRecord, Read, Work
from reconcile.models.convergent import Convergent
from reconcile.planning.asking import look
from reconcile.planning.rehearsal import Draft
from reconcile.planning.values import PLAN_NAMESPACE, State
from reconcile.tasks import tidy
from reconcile.values import Ref
from tenancy.models import Membership, Project, Tenant
from tests.api.conftest import problem
from tests.clusters.steps import settle
from tests.fleet import Fleet, admin
from tests.people import make_acme, person

pytestmark = pytest.mark.django_db

BOTH = {"clusters": ["prod-a", "prod-b"]}
WEB = {"name": "web", "type": "webservice", "properties": {"image": "nginx:1.27"}}
APP = {"name": "site", "tenant": "acme", "project": "shop", "components": [WEB]}
SITE = "/api/v1/apps/site"


@pytest.fixture
def five_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many plans may one person have made."""
    cache.clear()
    monkeypatch.setattr(PlanThrottle, "THROTTLE_RATES", {"plan": "5/min"})


@pytest.fixture
def acme(fleet: Fleet) -> Tenant:
    """The tenant acme on two clusters, as declared: nobody has taken a step for it yet."""
    fleet.register("prod-a")
    fleet.register("prod-b")
    return make_acme(placement=BOTH)


@pytest.fixture
def shop(acme: Tenant) -> Project:
    project = Project(tenant=acme, name="shop")
    project.declare(by="alice")
    return project


@pytest.fixture
def site(shop: Project) -> App:
    """An app that runs on both clusters."""
    app = App(project=shop, name="site", components=[WEB])
    app.declare(by="bob")
    settle()
    return app


def database() -> dict[str, list]:
    """Everything that a write could have left, but for the plans themselves."""
    models = [
        *(Tenant, Project, App, Cluster, Membership, KubeconfigGrant),
        *(Work, Read, Event, IdempotencyRecord, ContentType),
        *Convergent.__subclasses__(),
    ]
    return {
        model._meta.label: list(model._default_manager.order_by("pk").values())
        for model in models
        if not model._meta.abstract
    }


def planned(client, method: str, path: str, body=None) -> dict:
    """The plan of a write; nothing is left of it in the database, nothing written to a cluster."""
    before = database()
    answer = getattr(client, method)(f"{path}?dryRun=plan", body)
    assert answer.status_code == 200, answer.content
    assert database() == before
    return answer.json()


def objects(plan: dict) -> list[tuple[str, str, str, str]]:
    return [
        (cluster["cluster"], each["action"], f"{each['kind']}/{each['name']}", each["checked"])
        for cluster in plan["clusters"]
        for each in cluster["objects"]
    ]


# --- What a plan shows.


def test_the_app_of_a_new_tenant_lists_every_object_on_both_clusters(as_bob, shop):
    ports = {"ports": [{"port": 80, "expose": True}]}
    web = {**WEB, "properties": {**WEB["properties"], **ports}}
    plan = planned(as_bob, "post", "/api/v1/apps", {**APP, "components": [web]})
    assert objects(plan) == [
        (cluster, "create", name, "schema")
        for cluster in ("prod-a", "prod-b")
        for name in ("Deployment/web", "Service/web")
    ]
    assert plan["summary"] == {"create": 4, "change": 0, "delete": 0, "denied": 0}
    assert plan["complete"] is True
    first = plan["clusters"][0]["objects"][0]
    assert first["manifest"]["metadata"]["namespace"] == "acme--shop"
    assert "kubenova.io/owner" not in first["manifest"]["metadata"]["labels"]
    assert ["PodSecurity" in warning for warning in first["warnings"]] == [True]


def test_a_change_is_shown_field_by_field(as_bob, site):
    image = {**WEB, "properties": {"image": "nginx:1.28"}}
    plan = planned(as_bob, "patch", SITE, {"components": [image]})
    assert objects(plan)[0] == ("prod-a", "change", "Deployment/web", "server")
    found = {each["path"]: each for each in plan["clusters"][1]["objects"][0]["differences"]}
    path = ".spec.template.spec.containers[name=web].image"
    assert (found[path]["found"], found[path]["wanted"]) == ("nginx:1.27", "nginx:1.28")
    assert plan["clusters"][1]["objects"][0]["manifest"] is None


def test_what_changes_nothing_on_a_cluster_asks_none(as_bob, site, fleet):
    fleet["prod-a"].calls.clear()
    plan = planned(as_bob, "patch", SITE, {"description": "the shop window"})
    assert (plan["clusters"], plan["complete"]) == ([], True)
    assert fleet["prod-a"].calls == []


def test_a_new_project_shows_its_namespace_and_what_it_takes_from_its_siblings(as_olga, site):
    tenant = Tenant.objects.get()
    tenant.quota = {"pods": "10"}
    tenant.declare(by="olga")
    settle()
    plan = planned(as_olga, "post", "/api/v1/tenants/acme/projects", {"name": "blog"})
    found = objects(plan)
    assert ("prod-a", "create", "Namespace/acme--blog", "server") in found
    assert ("prod-a", "create", "ResourceQuota/kubenova", "schema") in found
    assert ("prod-a", "change", "ResourceQuota/kubenova", "server") in found


def test_a_deletion_lists_what_goes(as_olga, site):
    plan = planned(as_olga, "delete", "/api/v1/tenants/acme")
    assert {action for _, action, _, _ in objects(plan)} == {"delete"}
    assert ("prod-b", "delete", "Namespace/acme--shop", "server") in objects(plan)
    assert ("prod-b", "delete", "Deployment/web", "server") in objects(plan)
    assert plan["summary"]["delete"] == len(objects(plan))


def test_a_member_is_planned_as_bindings(as_alice, site):
    person("dora")
    body = {"role": "read-only"}
    plan = planned(as_alice, "put", "/api/v1/tenants/acme/members/dora", body)
    assert objects(plan) == [
        (cluster, "change", "RoleBinding/kubenova:read-only", "server")
        for cluster in ("prod-a", "prod-b")
    ]
    gone = planned(as_alice, "delete", "/api/v1/tenants/acme/members/carol")
    assert objects(gone)[0] == ("prod-a", "delete", "RoleBinding/kubenova:read-only", "server")


def test_a_rollback_is_planned(as_bob, site):
    site.components = [{**WEB, "properties": {"image": "nginx:1.28"}}]
    site.declare(by="bob")
    settle()
    plan = planned(as_bob, "post", f"{SITE}:rollback", {"revision": 1})
    fields = plan["clusters"][0]["objects"][0]["differences"]
    assert "nginx:1.27" in {each["wanted"] for each in fields}


def test_a_label_of_a_cluster_shows_which_tenants_come(as_olga, site, fleet):
    tenant = Tenant.objects.get()
    tenant.placement = {**BOTH, "selector": {"region": "eu"}}
    tenant.declare(by="olga")
    fleet.register("prod-c")
    settle()
    plan = planned(as_olga, "patch", "/api/v1/clusters/prod-c", {"labels": {"region": "eu"}})
    assert [cluster["cluster"] for cluster in plan["clusters"]] == ["prod-c"]
    names = [name for _, _, name, _ in objects(plan)]
    assert {"ConfigMap/tenant-acme", "Namespace/acme--shop", "Deployment/web"} <= set(names)


def test_a_label_that_goes_removes_nothing_and_says_so(as_olga, site, fleet):
    tenant = Tenant.objects.get()
    fleet.register("prod-c", labels={"region": "eu"})
    tenant.placement = {"selector": {"region": "eu"}}
    tenant.declare(by="olga")
    settle()
    plan = planned(as_olga, "patch", "/api/v1/clusters/prod-c", {"labels": None})
    assert objects(plan) == []
    assert "Tenant acme on prod-c is no longer selected." in plan["clusters"][0]["notes"][0]


def test_a_cluster_that_is_registered_is_asked_with_what_was_given(as_olga, fleet, kubeconfig):
    plan = planned(as_olga, "post", "/api/v1/clusters", {"name": "new", "kubeconfig": kubeconfig})
    assert plan["clusters"][0]["state"] == "asked"
    found = {name: checked for _, _, name, checked in objects(plan)}
    assert found["Namespace/kubenova-system"] == "server"
    assert found["ClusterRole/kubenova:projector"] == "server"
    assert found["ServiceAccount/kubenova"] == "none"


@pytest.fixture
def kubeconfig(fleet, monkeypatch) -> str:
    """The kubeconfig of a fresh cluster, as a body holds it."""
    fleet.start("new")
    monkeypatch.setattr(fields, "parse", lambda text, rules: admin("new"))
    return base64.b64encode(b"kubeconfig").decode()


def test_a_cluster_that_goes_lists_its_baseline(as_olga, fleet):
    fleet.register("prod-c")
    path = "/api/v1/clusters/prod-c"
    plan = planned(as_olga, "delete", path)
    assert ("prod-c", "delete", "Namespace/kubenova-system", "server") in objects(plan)
    assert as_olga.delete(path, HTTP_IF_PLAN=plan["hash"]).status_code == 202
    assert Cluster.objects.get(name="prod-c").deleting


def test_a_new_credential_that_changes_nothing_shows_nothing(as_olga, acme, kubeconfig):
    path, body = "/api/v1/clusters/prod-a/credential", {"kubeconfig": kubeconfig}
    assert objects(planned(as_olga, "put", path, body)) == []


def test_each_row_is_tried_with_the_credential_of_its_steps(site, fleet):
    """What an operator gave for the baseline opens no other door, and shuts none."""
    cluster = Cluster.objects.get(name="prod-a")
    cluster.given = Given.of(admin("prod-a", "mistyped"))
    rows = [ClusterBaseline(cluster=cluster), AppPlacement.objects.get(cluster=cluster)]
    fleet.revoke(admin("prod-a", "mistyped").token)
    found = look([Draft.of(row, standing=True) for row in rows], dry_run=True)
    assert [each.state for each in found] == [State.UNREACHABLE, State.ASKED]


# --- What goes wrong on a cluster is told, and only there.


def test_a_denial_is_told_beside_its_object(as_bob, site, fleet):
    message = 'admission webhook "images.example.org" denied the request: nginx is forbidden'
    fleet["prod-b"].fail_on("apply", DEPLOYMENT, Refused(message))
    image = {**WEB, "properties": {"image": "nginx:1.28"}}
    plan = planned(as_bob, "patch", SITE, {"components": [image]})
    first, second = plan["clusters"]
    assert [each["denial"] for each in first["objects"]] == [""]
    assert [each["denial"] for each in second["objects"]] == [message]
    assert plan["summary"]["denied"] == 1


def test_an_unreachable_cluster_shows_what_is_rendered(as_bob, site, fleet):
    fleet["prod-b"].always(Unreachable("198.51.100.7:6443 did not answer in time"))
    image = {**WEB, "properties": {"image": "nginx:1.28"}}
    plan = planned(as_bob, "patch", SITE, {"components": [image]})
    second = plan["clusters"][1]
    assert second["state"] == "unreachable"
    assert second["message"] == "198.51.100.7:6443 did not answer in time"
    assert objects(plan) == [
        ("prod-a", "change", "Deployment/web", "server"),
        ("prod-b", "change", "Deployment/web", "none"),
    ]
    assert plan["complete"] is False


def test_a_paused_cluster_is_not_asked(as_bob, as_olga, site, fleet):
    Cluster.objects.get(name="prod-b").pause(by="olga")
    fleet["prod-b"].calls.clear()
    plan = planned(as_bob, "delete", SITE)
    second = plan["clusters"][1]
    assert (second["state"], second["objects"][0]["checked"]) == ("paused", "none")
    assert (second["objects"][0]["action"], fleet["prod-b"].calls) == ("delete", [])
    assert "paused" in second["message"]


def test_a_cluster_of_an_older_baseline_shows_what_is_rendered(as_bob, shop, fleet):
    fleet["prod-b"].remove(Ref(NAMESPACE, "", PLAN_NAMESPACE))
    plan = planned(as_bob, "post", "/api/v1/apps", APP)
    first, second = plan["clusters"]
    assert first["objects"][0]["checked"] == "schema"
    assert second["objects"][0]["checked"] == "none"
    assert "new credential" in second["objects"][0]["message"]


def test_what_a_foreigner_has_made_stands_in_the_way(as_bob, site, fleet):
    ref = Ref(DEPLOYMENT, "acme--shop", "jobs")
    foreign = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "jobs"}}
    fleet["prod-a"].apply_as("kubectl", ref, {**foreign, "spec": {"replicas": 1}})
    jobs = {"name": "jobs", "type": "worker", "properties": {"image": "x:1"}}
    plan = planned(as_bob, "patch", SITE, {"components": [WEB, jobs]})
    assert "does not belong to KubeNova" in plan["clusters"][0]["message"]
    assert plan["clusters"][1]["message"] == ""


def test_the_quota_says_what_is_left(as_bob, acme, fleet):
    acme.quota = {"pods": "10", "requests.cpu": "2", "limits.memory": "2Gi"}  # on two clusters
    acme.declare(by="olga")
    Project(tenant=acme, name="shop").declare(by="alice")
    settle()
    web = {**WEB, "traits": [{"type": "scaler", "properties": {"replicas": 3}}]}
    web["properties"] = {"image": "x:1", "cpu": "500m", "memory": "256Mi"}
    plan = planned(as_bob, "post", "/api/v1/apps", {**APP, "components": [web]})
    rooms = {each["resource"]: each for each in plan["clusters"][0]["headroom"]}
    told = {name: (each["asked"], each["left"], each["fits"]) for name, each in rooms.items()}
    assert told == {
        "pods": ("3", "2", True),
        "requests.cpu": ("1500m", "-500m", False),
        "limits.memory": ("768Mi", "256Mi", True),
    }


# --- What is refused.


@pytest.mark.parametrize("value", ["all", "All", "", "PLAN", "true"])
def test_another_dry_run_is_refused_by_name(as_bob, shop, value):
    body = problem(as_bob.post(f"/api/v1/apps?dryRun={value}", APP), 400, "KN-INVALID")
    assert [each["parameter"] for each in body["errors"]] == ["dryRun"]
    assert not App.objects.exists()


UNPLANNED = {
    "a reading": ("get", "/api/v1/tenants/acme"),
    "a kubeconfig": ("post", "/api/v1/tenants/acme:issue-kubeconfig"),
    "a pause": ("post", "/api/v1/clusters/prod-a:pause"),
    "a plan": ("post", "/api/v1/tenants/acme:plan"),
    "the end of a grant": ("delete", "/api/v1/grants/grant-a"),
}


@pytest.mark.parametrize(("method", "path"), UNPLANNED.values(), ids=UNPLANNED)
def test_what_has_no_plan_says_so(as_olga, acme, method, path):
    body = problem(getattr(as_olga, method)(f"{path}?dryRun=plan"), 400, "KN-INVALID")
    assert [(each["parameter"], each["code"]) for each in body["errors"]] == [
        ("dryRun", "unplanned")
    ]
    header = problem(getattr(as_olga, method)(path, HTTP_IF_PLAN="abc"), 400, "KN-INVALID")
    assert "If-Plan" in header["detail"]


def test_plan_and_acceptance_at_once_is_refused(as_bob, shop):
    answer = as_bob.post("/api/v1/apps?dryRun=plan", APP, HTTP_IF_PLAN="abc")
    problem(answer, 400, "KN-INVALID")


REFUSED = {
    "a wrong body": ("post", "/api/v1/apps", {**APP, "name": "b", "components": []}, 400),
    "no such app": ("patch", "/api/v1/apps/nothing", {}, 404),
    "a taken name": ("post", "/api/v1/apps", {**APP, "description": "other"}, 409),
    "another generation": ("delete", SITE, None, 412),
}


@pytest.mark.parametrize(("method", "path", "body", "status"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_as_the_write_itself(as_bob, site, method, path, body, status):
    extra = {"HTTP_IF_MATCH": '"99"'} if status == 412 else {}
    answers = [
        getattr(as_bob, method)(f"{path}{query}", body, **extra) for query in ("?dryRun=plan", "")
    ]
    first, second = (answer.json() | {"correlation_id": ""} for answer in answers)
    assert first == second and first["status"] == status
    assert not PlanRecord.objects.exists()


def test_who_may_not_write_may_not_plan(as_carol, shop):
    problem(as_carol.post("/api/v1/apps?dryRun=plan", APP), 403, "KN-FORBIDDEN")


# --- If-Plan.


def test_what_was_planned_is_declared_and_pinned(as_bob, shop, fleet):
    plan = planned(as_bob, "post", "/api/v1/apps", APP)
    answer = as_bob.post("/api/v1/apps", APP, HTTP_IF_PLAN=f'"{plan["hash"]}"')
    assert answer.status_code == 201, answer.content
    pins = AppPlacement.objects.values_list("pinned_plan__hash", "pinned_plan__generation")
    assert set(pins) == {(plan["hash"], 1)}
    settle()
    for placement in AppPlacement.objects.all():
        assert (placement.phase, placement.pinned_plan) == ("Applying", None)
    assert fleet["prod-b"].exists(Ref(DEPLOYMENT, "acme--shop", "web"))


def test_the_same_plan_has_the_same_hash(as_bob, as_alice, shop):
    first, second = (planned(client, "post", "/api/v1/apps", APP) for client in (as_bob, as_alice))
    assert first["hash"] == second["hash"]
    other = planned(as_bob, "post", "/api/v1/apps", {**APP, "labels": {"a": "b"}})
    assert other["hash"] != first["hash"]


def accepted(client, plan: dict, body: dict):
    return client.patch(SITE, body, HTTP_IF_PLAN=plan["hash"])


def test_a_cluster_that_moved_is_named(as_bob, site, fleet):
    change = {"components": [{**WEB, "properties": {"image": "nginx:1.28"}}]}
    plan = planned(as_bob, "patch", SITE, change)
    ref = Ref(DEPLOYMENT, "acme--shop", "web")
    fleet["prod-b"].edit(ref, "kubectl", lambda body: body["spec"].update(replicas=7))
    body = problem(accepted(as_bob, plan, change), 409, "KN-PLAN-STALE")
    assert body["moved"] == ["Deployment acme--shop/web was changed on prod-b."]
    site.refresh_from_db()
    assert site.generation == 1 and site.components == [WEB]


def test_an_intent_that_moved_is_named(as_bob, site):
    change = {"labels": {"team": "blue"}}
    plan = planned(as_bob, "patch", SITE, change)
    site.components = [{**WEB, "properties": {"image": "nginx:1.28"}}]
    site.declare(by="alice")
    body = problem(accepted(as_bob, plan, change), 409, "KN-PLAN-STALE")
    assert body["moved"] == [
        f"What is wanted of Deployment acme--shop/web on {cluster} has changed."
        for cluster in ("prod-a", "prod-b")
    ]


def test_a_status_that_moved_is_none_of_its_business(as_bob, site, fleet):
    change = {"labels": {"team": "blue"}}
    plan = planned(as_bob, "patch", SITE, change)
    fleet["prod-a"].set_status(Ref(DEPLOYMENT, "acme--shop", "web"), {"readyReplicas": 1})
    assert accepted(as_bob, plan, change).status_code == 200


def test_a_plan_that_nobody_was_shown_says_so(as_bob, site):
    answer = as_bob.patch(SITE, {"labels": {"a": "b"}}, HTTP_IF_PLAN="0" * 32)
    assert "no plan that you were shown" in problem(answer, 409, "KN-PLAN-STALE")["detail"]


def test_anothers_plan_tells_nothing_of_what_was_in_it(as_alice, as_bob, site, fleet):
    change = {"labels": {"team": "blue"}}
    plan = planned(as_alice, "patch", SITE, change)
    ref = Ref(DEPLOYMENT, "acme--shop", "web")
    fleet["prod-b"].edit(ref, "kubectl", lambda body: body["spec"].update(replicas=7))
    assert "prod-b" not in problem(accepted(as_bob, plan, change), 409, "KN-PLAN-STALE")["detail"]


def test_a_repeat_with_its_key_is_answered_as_before(as_bob, shop):
    plan = planned(as_bob, "post", "/api/v1/apps", APP)
    headers = {"HTTP_IF_PLAN": plan["hash"], "HTTP_IDEMPOTENCY_KEY": "once"}
    first, second = (as_bob.post("/api/v1/apps", APP, **headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert second["Idempotency-Replayed"] == "true" and second.json() == first.json()


def test_a_key_is_not_used_up_by_a_plan(as_bob, shop):
    headers = {"HTTP_IDEMPOTENCY_KEY": "once"}
    assert as_bob.post("/api/v1/apps?dryRun=plan", APP, **headers).status_code == 200
    assert as_bob.post("/api/v1/apps", APP, **headers).status_code == 201


def test_a_member_can_be_accepted_too(as_alice, site, fleet):
    person("dora")
    path, body = "/api/v1/tenants/acme/members/dora", {"role": "tenant-dev"}
    plan = planned(as_alice, "put", path, body)
    assert as_alice.put(path, body, HTTP_IF_PLAN=plan["hash"]).status_code == 200
    settle()
    assert Membership.objects.filter(user__username="dora").exists()


# --- What the loop would write now.


def test_the_plan_of_a_tenant_shows_all_that_is_inside(as_carol, site, fleet):
    assert as_carol.post("/api/v1/tenants/acme:plan").json()["summary"]["change"] == 0
    ref = Ref(DEPLOYMENT, "acme--shop", "web")
    fleet["prod-a"].edit(ref, "kubectl", lambda body: body["spec"].update(replicas=7))
    fleet["prod-b"].remove(ref)
    for path in ("tenants/acme", "projects/shop", "tenants/acme/projects/shop", "apps/site"):
        before = database()
        answer = as_carol.post(f"/api/v1/{path}:plan")
        assert answer.status_code == 200 and database() == before
        assert objects(answer.json()) == [
            ("prod-a", "change", "Deployment/web", "server"),
            ("prod-b", "create", "Deployment/web", "server"),
        ]


def test_the_plan_of_an_invisible_object_is_not_found(as_charlie, site):
    problem(as_charlie.post("/api/v1/apps/site:plan"), 404, "KN-NOT-FOUND")


def test_plans_are_documented():
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    create = paths["/api/v1/apps"]["post"]
    assert {"dryRun", "If-Plan"} <= {each["name"] for each in create["parameters"]}
    member = paths["/api/v1/tenants/{tenant}/members/{username}"]
    assert "dryRun" in {each["name"] for each in member["put"]["parameters"]}
    answer = paths["/api/v1/apps/{name}:plan"]["post"]["responses"]["200"]
    assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Plan"}
    issue = paths["/api/v1/tenants/{name}:issue-kubeconfig"]["post"]
    assert "dryRun" not in {each["name"] for each in issue["parameters"]}


def test_old_plans_are_forgotten(as_bob, shop):
    planned(as_bob, "post", "/api/v1/apps", APP)
    PlanRecord.objects.update(planned_at=timezone.now() - timedelta(hours=25))
    planned(as_bob, "post", "/api/v1/apps", {**APP, "name": "other"})
    assert tidy() == 1
    assert PlanRecord.objects.count() == 1


# --- How often.


def test_of_many_plans_of_one_person_the_last_are_refused(
    five_a_minute, as_alice, as_bob, site
) -> None:
    paths = [f"{SITE}:plan", f"{SITE}?dryRun=plan"] * 3
    answers = [as_bob.post(path) if ":" in path else as_bob.delete(path) for path in paths]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    problem(answers[-1], 429, "KN-THROTTLED")
    assert 0 < int(answers[-1]["Retry-After"]) <= 60
    assert as_alice.post(f"{SITE}:plan").status_code == 200, "others are not held up"
    assert as_bob.get(SITE).status_code == 200, "nor is anything that is no plan"


def test_a_write_that_is_to_follow_a_plan_counts_as_one(five_a_minute, as_bob, site) -> None:
    answers = [as_bob.patch(SITE, {"labels": {}}, headers={"If-Plan": "x"}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [409] * 5 + [429]
