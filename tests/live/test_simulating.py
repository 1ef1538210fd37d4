"""A simulation on a real API server: what it lists is what enforcing then refuses, and no more."""

import pytest

from clusters.intents import SIMULATION_NAMESPACE
from delivery.models import App
from policies.models import Attachment, PolicySet, Simulation
from reconcile.values import TENANT
from sandbox.api import AdminApi
from tenancy.models import Project, Tenant
from tests.clusters.steps import settle_until, settle_until_deployed
from tests.live.network_cases import allowing, block, policy, spaces
from tests.live.ruled import (
    cron,
    job,
    keys,
    place,
    pod,
    refusal,
    registered,
    service,
    stateful,
    workload,
)

__all__ = ["keys"]

pytestmark = [pytest.mark.live, pytest.mark.django_db]
RULES = {
    "image_registries": {"allow": ["r.example.org"], "deny": ["r.example.org/old"]},
    "service_types": ["ClusterIP"],
}
IMAGES = ("nginx", "r.example.org/web:1", "r.example.org/old/web", "docker.io/r.example.org/x")


def named(body: dict, name: str) -> dict:
    return {**body, "metadata": {**body["metadata"], "name": name}}


def living() -> dict[str, tuple[str, dict]]:
    """Objects as they run before anything is attached: by name, their plural and manifest."""
    found = {f"web-{n}": ("deployments", workload(image=image)) for n, image in enumerate(IMAGES)}
    found["stateful"] = ("statefulsets", stateful(image="nginx"))
    found["daemon"] = ("daemonsets", workload(None, image="nginx"))
    found["job"] = ("jobs", job(image="nginx"))
    found["cron"] = ("cronjobs", cron(image="r.example.org/old/web"))
    found["pod"] = ("pods", pod(image="nginx"))
    found["open"] = ("services", service("NodePort"))
    found["closed"] = ("services", service())
    return {name: (plural, named(body, name)) for name, (plural, body) in found.items()}


def names_in(api: AdminApi) -> list[str]:
    plurals = ("deployments", "statefulsets", "daemonsets", "jobs", "cronjobs", "pods", "services")
    paths = [place(SIMULATION_NAMESPACE, plural) for plural in plurals]
    return [item["metadata"]["name"] for path in paths for item in api.items(path)]


def refused(api: AdminApi, namespace: str, plural: str, body: dict) -> str:
    """What the API server says to somebody who makes the same again; empty if it lets that be."""
    path = place(namespace, plural)
    return refusal(lambda: api.create(path, named(body, "again"), dryRun="All"))


def made(api: AdminApi) -> Project:
    """A project of a tenant `simulated`, in which pods can be made."""
    tenant = Tenant(name="simulated", placement={"clusters": ["real"]})
    tenant.declare(by="olga")
    project = Project(tenant=tenant, name="shop")
    project.declare(by="olga")
    settle_until_deployed(project)
    api.wait(place(project.namespace, "serviceaccounts", "default"), bool)
    return project


def test_it_lists_exactly_what_enforcing_then_refuses(admin_api, admin_kubeconfig):
    registered(admin_kubeconfig)
    project = made(admin_api)
    tenant, where, objects = project.tenant, project.namespace, living()
    for plural, body in objects.values():
        admin_api.create(place(where, plural), body)

    strict = PolicySet(name="strict", rules=RULES)
    strict.declare(by="olga")
    bound = Attachment(policy_set=strict, name="hard", mode="audit", tenants=["simulated"])
    bound.declare(by="olga")
    row = Simulation.begin(strict, bound.attached, "olga")
    settle_until(lambda: not row.runs.filter(finished_at=None).exists())
    run = row.runs.get()
    assert (run.fault, run.tried) == ("", len(objects))
    assert names_in(admin_api) == []
    assert admin_api.find(place(SIMULATION_NAMESPACE, "configmaps", "kubenova-rules-warn")) is None
    assert row.totals()["unjudged"] == 0, list(row.findings.values_list("name", "message"))

    bound.promote("olga", "enforce")
    settle_until(lambda: bool(refused(admin_api, where, *objects["web-0"])))
    settle_until(lambda: bool(refused(admin_api, where, *objects["open"])))
    said = {name: refused(admin_api, where, *each) for name, each in objects.items()}
    denied = {name: text for name, text in said.items() if text}
    told = dict(row.findings.values_list("name", "message"))
    assert set(told) == set(denied) and len(told) == 9
    assert all(message in denied[name] for name, message in told.items())

    strict.request_deletion(by="olga")
    tenant.request_deletion(by="olga")
    settle_until(lambda: not Tenant.objects.exists())


def test_it_asks_namespaces_for_profiles_and_tells_copies_from_what_they_stand_for(
    admin_api, admin_kubeconfig
):
    registered(admin_kubeconfig)
    project = made(admin_api)
    for plural, body in (("pods", pod()), ("deployments", workload(0))):
        admin_api.create(place(project.namespace, plural), body)
    rules = {"pod_security": "restricted", "replicas": {"min": 1}}
    strict = PolicySet(name="profiled", rules=rules)
    strict.declare(by="olga")
    bound = Attachment(policy_set=strict, name="hard", mode="audit", tenants=["simulated"])
    bound.declare(by="olga")
    row = Simulation.begin(strict, bound.attached, "olga")
    settle_until(lambda: not row.runs.filter(finished_at=None).exists())
    found = list(row.findings.order_by("kind").values_list("kind", "name", "rule", "message"))
    assert [each[:3] for each in found] == [
        ("Deployment", "web", "replicas"),
        ("Pod", "web", "pod_security"),
    ]
    assert "runAsNonRoot != true" in found[1][3]
    labels = admin_api.get(f"/api/v1/namespaces/{project.namespace}")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "baseline"

    strict.request_deletion(by="olga")
    project.tenant.request_deletion(by="olga")
    settle_until(lambda: not Tenant.objects.exists())


def test_it_predicts_network_policies_and_tries_what_waits_for_its_wave(
    admin_api, admin_kubeconfig
):
    registered(admin_kubeconfig)
    project = made(admin_api)
    web = {"name": "web", "type": "webservice", "properties": {"image": "nginx"}}
    waves = {"waves": [{"clusters": ["real"], "approval": True}]}
    app = App(project=project, name="site", components=[web], strategy=waves)
    app.declare(by="olga")
    settle_until(lambda: app.placements.exists())
    opened = policy(allowing(block("8.8.8.8/32"), spaces(**{TENANT: "simulated"})))
    where = place(project.namespace, "networkpolicies")
    admin_api.create(where, opened)

    strict = PolicySet(name="ahead", rules={**RULES, "network": {"egress_cidrs": ["10.0.0.0/8"]}})
    strict.declare(by="olga")
    bound = Attachment(policy_set=strict, name="hard", mode="audit", tenants=["simulated"])
    bound.declare(by="olga")
    row = Simulation.begin(strict, bound.attached, "olga")
    settle_until(lambda: not row.runs.filter(finished_at=None).exists())
    assert row.runs.get().fault == ""
    found = {each.kind: each for each in row.findings.all()}
    assert set(found) == {"Deployment", "NetworkPolicy"}
    coming, written = found["Deployment"], found["NetworkPolicy"]
    assert (coming.verdict, coming.source, coming.app) == ("denied", "next_revision", "site")
    assert coming.revision == 1 and "nginx is not allowed here" in coming.message
    assert (written.verdict, written.source) == ("predicted", "live")
    assert admin_api.find(place(project.namespace, "deployments", "web")) is None

    bound.promote("olga", "enforce")
    settle_until(lambda: bool(refused(admin_api, project.namespace, "networkpolicies", opened)))
    said = refused(admin_api, project.namespace, "networkpolicies", opened)
    assert written.message in said
    app.request_deletion(by="olga")
    strict.request_deletion(by="olga")
    project.tenant.request_deletion(by="olga")
    settle_until(lambda: not Tenant.objects.exists())
