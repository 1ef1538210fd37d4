"""What a cluster has to offer before a tenant comes to it, and what happens when it is lost."""

import pytest
from rest_framework.test import APIClient

from clusters.models import Capability, Cluster, Finding
from clusters.preflight import Found, Severity, Stage
from delivery.models import App, AppPlacement
from reconcile.models import Work
from tenancy.models import Project, Tenant, TenantPlacement
from tenancy.rules.needs import NEEDS, Need, needs
from tests.api.conftest import problem, signed_in
from tests.clusters import platforms
from tests.clusters.steps import hurry, settle
from tests.fleet import Fleet
from tests.people import make_acme, olga, quick_passwords

__all__ = ["olga", "quick_passwords"]

pytestmark = pytest.mark.django_db
TENANTS = "/api/v1/tenants"
HOLE = Found("kubevela-open", Stage.DELIVERY, Severity.CRITICAL, "It is open.", "helm upgrade")
RULES = {"image_registries": {"allowed": ["registry.example.org"]}}


@pytest.fixture
def prod(fleet: Fleet) -> Cluster:
    return fleet.register("prod-a", labels={"region": "eu"})


@pytest.fixture
def as_olga(olga) -> APIClient:
    return signed_in(olga)


@pytest.fixture
def running(prod: Cluster) -> Tenant:
    tenant = make_acme(placement={"clusters": ["prod-a"]})
    project = Project(tenant=tenant, name="shop")
    project.declare(by="alice")
    component = {"name": "web", "type": "webservice", "properties": {"image": "nginx:1.27"}}
    App(project=project, name="site", components=[component]).declare(by="bob")
    settle()
    return tenant


def lose(cluster: Cluster, name: str, reason: str = "It is gone.") -> None:
    Capability.objects.update_or_create(
        cluster=cluster, name=name, defaults={"served": False, "reason": reason, "version": "v9"}
    )


def phase(row: object) -> str:
    return type(row).objects.get(pk=row.pk).phase


# --- What fields need.


def test_a_field_that_is_not_set_needs_nothing():
    assert needs(Tenant()) == []


@pytest.mark.parametrize("field", NEEDS)
def test_every_field_of_the_table_is_one_of_a_tenant_and_needs_what_it_says(field):
    value = {"service_types": ["ClusterIP"]} if field == "restrictions" else True
    tenant = Tenant(**{field: value})
    assert needs(tenant) == [Need(each, field) for each in NEEDS[field]]


def test_everything_unmet_is_told_at_once_with_who_could_serve_it(prod, fleet, as_olga):
    fleet.register("prod-b")
    lose(prod, "tenancy.native", "No quotas.")
    lose(prod, "admission.policies", "No policies.")
    body = {"name": "acme", "placement": {"clusters": ["prod-a"]}, "cordoned": True}
    found = problem(as_olga.post(TENANTS, body, format="json"), 422, "KN-CAPABILITY")
    told = {each["capability"]: each for each in found["unmet"]}
    assert set(told) == {"tenancy.native", "admission.policies"}
    assert told["admission.policies"] == {
        "cluster": "prod-a",
        "capability": "admission.policies",
        "field": "cordoned",
        "found": "v9",
        "needed": "admission.policies",
        "reason": "No policies.",
        "clusters": ["prod-b"],
    }
    assert "No quotas." in found["detail"] and "No policies." in found["detail"]


def test_an_older_baseline_cannot_keep_rules_and_a_newer_one_can(prod, as_olga):
    Capability.objects.filter(name__startswith="baseline.").delete()
    Capability.objects.create(cluster=prod, name="baseline.2", served=True, version="2")
    body = {"name": "acme", "placement": {"clusters": ["prod-a"]}, "cordoned": True}
    found = problem(as_olga.post(TENANTS, body, format="json"), 422, "KN-CAPABILITY")
    assert (found["capability"], found["found"]) == ("baseline.3", "2")
    Capability.objects.create(cluster=prod, name="baseline.12", served=True, version="12")
    assert as_olga.post(TENANTS, body, format="json").status_code == 201


def test_a_kind_that_came_later_needs_the_baseline_that_brought_its_policy(prod, as_olga):
    Capability.objects.filter(name__startswith="baseline.").delete()
    Capability.objects.create(cluster=prod, name="baseline.4", served=True, version="4")
    rules = {"image_references": ["digest"]}
    body = {"name": "acme", "placement": {"clusters": ["prod-a"]}, "restrictions": rules}
    found = problem(as_olga.post(TENANTS, body, format="json"), 422, "KN-CAPABILITY")
    assert found["field"] == "restrictions.image_references"
    assert (found["capability"], found["found"]) == ("baseline.5", "4")


def test_a_cluster_that_nobody_looked_at_cannot_be_judged(fleet, as_olga):
    fleet.declare("prod-c")
    body = {"name": "acme", "placement": {"clusters": ["prod-c"]}, "cordoned": True}
    assert as_olga.post(TENANTS, body, format="json").status_code == 201


# --- What is lost.


@pytest.mark.parametrize(
    ("name", "found"),
    [
        pytest.param("tenancy.native", TenantPlacement, id="what keeps tenants apart"),
        pytest.param("delivery.native", AppPlacement, id="what runs apps"),
    ],
)
def test_what_is_lost_is_an_error_and_nothing_is_touched_until_it_is_back(
    running, prod, fleet, name, found
):
    live, row = fleet["prod-a"], found.objects.get()
    lose(prod, name)
    live.writes.clear()
    row.mark()
    settle()
    row.refresh_from_db()
    synced = row.conditions[0]
    assert (row.phase, synced["reason"]) == ("Error", "CapabilityMissing")
    assert "It is gone." in synced["message"] and "Nothing is touched" in synced["message"]
    assert live.writes == []
    prod.reprobe(by="olga")  # it is found again
    settle()
    row.refresh_from_db()
    assert row.conditions[0]["reason"] == "Applied"


def test_a_capability_that_is_lost_is_noticed_by_whoever_needs_it(running, prod):
    Work.objects.update(due_at=None)
    lost = [row.ability for row in prod.capabilities.all() if "baseline" not in row.name]
    lost = [a._replace(served=False, reason="Gone.") if "tenancy" in a.name else a for a in lost]
    prod.capabilities.record(prod, lost)
    settle()
    assert phase(running.placements.get()) == "Error"


# --- What is found.


def hole(cluster: Cluster) -> Finding:
    Finding.objects.record(cluster, [HOLE])
    return cluster.findings.get()


def body(**fields: object) -> dict:
    return {"name": "acme", "placement": {"clusters": ["prod-a"]}, **fields}


def test_a_critical_finding_keeps_new_tenants_away_and_says_how_to_accept_it(prod, as_olga):
    hole(prod)
    found = problem(as_olga.post(TENANTS, body(), format="json"), 422, "KN-FINDINGS")
    (told,) = found["findings"]
    assert (told["code"], told["fix"]) == ("kubevela-open", "helm upgrade")
    assert told["accept"] == "POST /api/v1/clusters/prod-a/findings/kubevela-open:accept"
    assert "It is open." in found["detail"] and not Tenant.objects.exists()


def test_accepted_it_keeps_nobody_away(prod, as_olga):
    hole(prod).accept("Nobody writes Applications here.", by="olga")
    assert as_olga.post(TENANTS, body(), format="json").status_code == 201


def test_what_runs_goes_on_and_takes_new_projects(running, prod, fleet):
    hole(prod)
    Project(tenant=running, name="till").declare(by="alice")
    running.description = "Still here."
    running.declare(by="olga")
    settle()
    hurry()
    assert phase(running) == "Deployed"
    assert Project.objects.get(name="till").phase == "Deployed"


def test_a_warning_keeps_nobody_away(prod, as_olga):
    Finding.objects.record(prod, [Found("x", Stage.PROXY, Severity.WARNING, "Slow.")])
    assert as_olga.post(TENANTS, body(), format="json").status_code == 201


def real_hole(cluster: Cluster, fleet: Fleet) -> Finding:
    """One that is found again at every look."""
    platforms.capsule(fleet["prod-a"], "0.13.7")
    cluster.reprobe(by="olga")
    settle()
    return cluster.findings.get(code="capsule-version")


def join(cluster: Cluster) -> None:
    """Have selectors find the cluster."""
    cluster.refresh_from_db()
    cluster.labels = {"tier": "gold"}
    cluster.declare(by="olga")
    settle()


def test_a_tenant_that_a_selector_brings_waits_until_it_is_accepted(prod, fleet):
    tenant = make_acme(placement={"selector": {"tier": "gold"}})
    found = real_hole(prod, fleet)
    join(prod)
    row = tenant.placements.get()
    assert (row.phase, row.conditions[0]["reason"]) == ("Pending", "WaitingForAcceptance")
    assert "capsule-version:accept" in row.conditions[0]["message"]
    found.accept("Nobody writes Applications here.", by="olga")
    settle()
    assert phase(row) == "Deployed"


def test_a_project_that_would_be_the_first_there_is_refused(prod, fleet, as_olga):
    tenant = make_acme(placement={"selector": {"tier": "gold"}})
    real_hole(prod, fleet)
    join(prod)
    answer = as_olga.post(f"{TENANTS}/acme/projects", {"name": "shop"}, format="json")
    problem(answer, 422, "KN-FINDINGS")
    assert not tenant.projects.exists()
