"""The step `apply-object`: what may be applied, how it gets there, and when it goes."""

import pytest

from clusters.kinds import CONFIG_MAP, JOB
from delivery.models import ProjectObject, Workflow
from delivery.rules.objects import KINDS
from delivery.rules.workflows import step_problems
from reconcile.values import MANAGED_BY, Ref
from tenancy.models import Project
from tests.clusters.steps import settle
from tests.delivery.flows import declare, phases, run, step, told

SETTINGS = Ref(CONFIG_MAP, "acme--shop", "settings")
MIGRATE = Ref(JOB, "acme--shop", "migrate")
JOB_BODY = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "migrate"},
    "spec": {
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "migrate", "image": "migrate:1"}],
            }
        }
    },
}


def config(data="prod", **metadata):
    meta = {"name": "settings", **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"mode": data}}


def apply(name="apply", value=None, **rest):
    return step(name, "apply-object", properties={"value": value or config(), **rest})


def faults(value):
    found = step_problems([apply(value=value)], "StepByStep")
    return {"/".join(map(str, problem.path[3:])): problem.text for problem in found}


# --- What may be applied.


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(config(), id="a ConfigMap"),
        pytest.param(config("{{ .Values.x }} \\(context.name)"), id="templates are data"),
        pytest.param(config(labels={"team": "shop"}, annotations={"a": "b"}), id="labels"),
        pytest.param(JOB_BODY, id="a Job"),
        pytest.param(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "web"},
                "spec": {"ports": [{"port": 80}]},
            },
            id="a Service",
        ),
    ],
)
def test_it_takes_objects_of_the_project(value):
    assert faults(value) == {}


@pytest.mark.parametrize(
    ("value", "place", "words"),
    [
        *(
            pytest.param({**config(), "kind": kind}, "kind", "not applied", id=kind)
            for kind in (
                *("Secret", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "Namespace"),
                *("NetworkPolicy", "ResourceQuota", "LimitRange", "Pod", "Ingress", "Application"),
                *("ValidatingAdmissionPolicy", "Tenant", "configmap", "", "ConfigMap "),
            )
        ),
        pytest.param({**config(), "apiVersion": "v2"}, "apiVersion", "Use v1.", id="version"),
        pytest.param(
            config(namespace="kube-system"), "metadata/namespace", "the project", id="a namespace"
        ),
        pytest.param(
            config(ownerReferences=[]), "metadata/ownerReferences", "no such", id="owners"
        ),
        pytest.param(config(finalizers=["x/y"]), "metadata/finalizers", "no such", id="finalizers"),
        pytest.param(config(name="Settings"), "metadata/name", "lower-case", id="a bad name"),
        pytest.param(
            config(labels={"kubenova.io/owner": "x"}),
            "metadata/labels/kubenova.io/owner",
            "reserved",
            id="our labels",
        ),
        pytest.param(
            config(annotations={"app.oam.dev/username": "x"}),
            "metadata/annotations/app.oam.dev/username",
            "reserved",
            id="kubevela#7139",
        ),
        pytest.param(config(labels={"a": 1}), "metadata/labels/a", "'a'", id="no text"),
        pytest.param({**config(), "status": {}}, "status", "Leave this out", id="a status"),
        pytest.param({"kind": "ConfigMap"}, "metadata", "required", id="nothing in it"),
    ],
)
def test_it_refuses_objects_beyond_the_project(value, place, words):
    assert words in faults(value)[place]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"serviceAccountName": "kubenova-deployer"}, "serviceAccountName"),
        ({"automountServiceAccountToken": True}, "automountServiceAccountToken"),
        ({"hostNetwork": True}, "hostNetwork"),
        ({"hostPID": True}, "hostPID"),
        ({"nodeName": "control-plane"}, "nodeName"),
        ({"priorityClassName": "system-cluster-critical"}, "priorityClassName"),
        ({"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}, "volumes/0/hostPath"),
        (
            {"containers": [{"name": "x", "securityContext": {"privileged": True}}]},
            "containers/0/securityContext/privileged",
        ),
        (
            {"initContainers": [{"name": "x", "ports": [{"hostPort": 80}]}]},
            "initContainers/0/ports/0/hostPort",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_job_stays_in_the_confines_of_its_project(change, place):
    pod = JOB_BODY["spec"]["template"]["spec"] | change
    found = faults({**JOB_BODY, "spec": {"template": {"spec": pod}}})
    assert list(found) == [f"spec/template/spec/{place}"]


def test_a_service_leads_to_its_own_pods():
    def service(**spec):
        meta = {"name": "web"}
        return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}

    assert list(faults(service(externalIPs=["1.1.1.1"]))) == ["spec/externalIPs"]
    assert list(faults(service(type="ExternalName", externalName="a.b"))) == ["spec/externalName"]


def test_a_job_is_not_forgotten_by_its_cluster():
    found = faults({**JOB_BODY, "spec": {**JOB_BODY["spec"], "ttlSecondsAfterFinished": 10}})
    assert list(found) == ["spec/ttlSecondsAfterFinished"]


def test_the_kinds_are_those_that_give_no_rights():
    assert sorted(KINDS) == ["ConfigMap", "Job", "PersistentVolumeClaim", "Service"]


def test_refusals_name_the_field(bobs):
    body = {"name": "release", "steps": [apply(value={**config(), "kind": "Secret"})]}
    answer = bobs.post("/api/v1/tenants/acme/projects/shop/workflows", body, format="json")
    assert answer.status_code == 400, answer.json()
    assert answer.json()["errors"][0]["pointer"] == "/steps/0/properties/value/kind"


# --- How it gets there.


def test_it_is_applied_and_the_step_waits_for_it(shop, fleet):
    found = declare(shop, apply(), step("tell")).run("bob")
    assert not fleet["prod-a"].exists(SETTINGS), "a step calls no cluster"
    settle()

    assert set(phases(found).values()) == {"succeeded"}
    body = fleet["prod-a"].body(SETTINGS)
    assert body["data"] == {"mode": "prod"}
    assert body["metadata"]["labels"][MANAGED_BY] == "kubenova"
    assert ProjectObject.objects.get().phase == "Deployed"


def test_what_somebody_changes_is_repaired(shop, fleet):
    run(declare(shop, apply()))
    fleet["prod-a"].edit(SETTINGS, "kubectl-edit", lambda body: body["data"].update(mode="x"))
    ProjectObject.objects.get().placements.get().mark()
    settle()
    assert fleet["prod-a"].body(SETTINGS)["data"] == {"mode": "prod"}


def test_a_step_takes_values_from_a_run(shop, fleet):
    inputs = [{"from": "parameters.mode", "parameterKey": "value.data.mode"}]
    flow = declare(shop, {**apply(), "inputs": inputs})
    run(flow, mode="test")
    assert fleet["prod-a"].body(SETTINGS)["data"] == {"mode": "test"}
    run(flow, mode="prod")
    assert fleet["prod-a"].body(SETTINGS)["data"] == {"mode": "prod"}


def test_what_comes_from_a_run_is_judged_as_well(shop, fleet):
    inputs = [{"from": "parameters.kind", "parameterKey": "value.kind"}]
    found = run(declare(shop, {**apply(), "inputs": inputs}), kind="Secret")
    assert phases(found) == {"apply": "failed"}
    assert told(found, "apply").startswith("properties/value/kind: Objects of this kind")
    assert not ProjectObject.objects.exists()


def test_one_cluster_is_served_before_the_others(acme, fleet):
    fleet.register("prod-b")
    acme.placement = {"clusters": ["prod-a", "prod-b"]}
    acme.declare(by="olga")
    shop = Project(tenant=acme, name="shop")
    shop.declare(by="alice")
    settle()
    first = apply("first", config("canary"), clusters=["prod-a"])
    second = apply("second", config("stable"), clusters=["prod-b"])
    found = run(declare(shop, first, step("wait", "suspend"), second))
    assert fleet["prod-a"].body(SETTINGS)["data"] == {"mode": "canary"}
    assert not fleet["prod-b"].exists(SETTINGS)

    found.resume("alice")
    settle()
    assert phases(found)["second"] == "succeeded"
    assert fleet["prod-a"].body(SETTINGS)["data"] == {"mode": "canary"}
    assert fleet["prod-b"].body(SETTINGS)["data"] == {"mode": "stable"}


def test_a_cluster_that_the_project_is_not_on_is_waited_for(shop):
    found = run(declare(shop, apply(clusters=["prod-b"])))
    assert phases(found) == {"apply": "running"}
    assert told(found, "apply") == "The project is not on prod-b."


def test_a_job_is_waited_for_until_it_is_complete(shop, fleet):
    found = run(declare(shop, apply(value=JOB_BODY), step("tell")))
    assert phases(found) == {"apply": "running", "tell": "pending"}
    assert "not complete" in told(found, "apply")

    status = {"conditions": [{"type": "Complete", "status": "True"}]}
    fleet["prod-a"].set_status(MIGRATE, status)
    ProjectObject.objects.get().placements.get().mark()
    settle()
    assert set(phases(found).values()) == {"succeeded"}


def test_a_job_that_fails_fails_the_step(shop, fleet):
    found = run(declare(shop, apply(value=JOB_BODY), step("tell")))
    failed = {"type": "Failed", "status": "True", "message": "It has reached its limit."}
    fleet["prod-a"].set_status(MIGRATE, {"conditions": [failed]})
    ProjectObject.objects.get().placements.get().mark()
    settle()
    assert phases(found) == {"apply": "failed", "tell": "skipped"}
    assert "It has reached its limit." in told(found, "apply")


def test_nothing_foreign_is_adopted(shop, fleet):
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
    body["metadata"]["namespace"] = "acme--shop"
    fleet["prod-a"].apply(SETTINGS, {**body, "data": {"mine": "x"}})
    found = run(declare(shop, apply()))
    assert phases(found) == {"apply": "running"}
    assert "exists" in told(found, "apply") or "belongs" in told(found, "apply")
    assert fleet["prod-a"].body(SETTINGS)["data"] == {"mine": "x"}


def test_two_workflows_do_not_share_an_object(shop):
    run(declare(shop, apply()))
    found = run(declare(shop, apply(), name="other"))
    assert phases(found) == {"apply": "failed"}
    assert "belongs to Workflow acme/shop/release" in told(found, "apply")


def test_a_cordoned_tenant_gets_nothing_before_that_is_over(shop, acme, fleet):
    flow = declare(shop, apply())
    found = flow.run("bob")
    acme.refresh_from_db()
    acme.cordoned = True
    acme.declare(by="olga")
    settle()
    assert phases(found) == {"apply": "running"} and not ProjectObject.objects.exists()
    acme.refresh_from_db()
    acme.cordoned = False
    acme.declare(by="olga")
    settle()
    assert phases(found) == {"apply": "succeeded"}


# --- When it goes.


def test_it_goes_with_its_workflow(shop, fleet):
    flow = declare(shop, apply())
    run(flow)
    flow.refresh_from_db()
    flow.request_deletion(by="bob")
    settle()
    assert not fleet["prod-a"].exists(SETTINGS)
    assert not ProjectObject.objects.exists() and not Workflow.objects.exists()


def test_it_goes_with_its_project(shop, fleet):
    run(declare(shop, apply()))
    shop.refresh_from_db()
    shop.request_deletion(by="alice")
    settle()
    assert not Project.objects.exists() and not ProjectObject.objects.exists()


def test_people_see_it_and_take_it_away(bobs, as_, fleet, shop):
    run(declare(shop, apply()))
    path = "/api/v1/projects/shop/objects"
    (item,) = bobs.get(path).json()["items"]
    assert (item["name"], item["workflow"]) == ("configmap-settings", "release")
    assert item["objects"] == [{"clusters": [], "value": config()}]
    assert as_("carol").get(f"{path}/configmap-settings").status_code == 200
    assert as_("carol").delete(f"{path}/configmap-settings").status_code == 403
    assert as_("charlie").get(f"{path}/configmap-settings").status_code == 404
    assert bobs.delete(f"{path}/configmap-settings").status_code == 202
    settle()
    assert not fleet["prod-a"].exists(SETTINGS)
    assert bobs.get(f"{path}/configmap-settings").status_code == 404
