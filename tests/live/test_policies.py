"""Policies that warn and audit, on a real API server and in the name of a developer."""

import pytest

from clusters.intents import TENANT_DEV
from policies.models import Attachment, PolicySet
from tenancy.models import Project, Tenant
from tests.clusters.steps import settle_until, settle_until_deployed
from tests.live.ruled import (
    advise,
    home,
    keys,
    place,
    refusal,
    registered,
    service,
    until,
    warning,
    workload,
)

__all__ = ["home", "keys"]

pytestmark = [pytest.mark.live, pytest.mark.django_db]
SERVICES = {"service_types": ["ClusterIP"]}
HUB = {"image_registries": {"deny": ["docker.io"]}}


def test_what_breaks_a_rule_that_warns_passes_with_a_warning(home):
    bob = home.person(TENANT_DEV)
    assert warning(bob, "services", service("NodePort")) == ""
    advise(home, "warn", {**SERVICES, **HUB})
    until(lambda: bool(warning(bob, "services", service("NodePort"))), "nothing is warned of")
    told = warning(bob, "services", service("NodePort"))
    assert "with binding 'kubenova-service-types-warn'" in told
    assert "The Service type NodePort is not allowed here. Allowed: ClusterIP." in told
    assert warning(bob, "services", service()) == ""
    assert "The image nginx" in warning(bob, "deployments", workload(image="nginx"))


def test_what_breaks_a_rule_that_audits_passes_in_silence(home):
    bob = home.person(TENANT_DEV)
    advise(home, "audit", SERVICES)
    advise(home, "warn", HUB)
    until(lambda: bool(warning(bob, "deployments", workload(image="nginx"))), "nothing is seen")
    assert warning(bob, "services", service("NodePort")) == ""


@pytest.mark.parametrize("mode", ["warn", "audit"])
def test_a_developer_cannot_write_the_rules_of_a_mode(home, mode):
    bob = home.person(TENANT_DEV)
    body = {"metadata": {"name": f"kubenova-rules-{mode}"}, "data": {"service_types": ""}}
    assert "belongs to KubeNova" in refusal(lambda: bob.make("configmaps", body))


def test_an_attached_set_warns_then_refuses_then_is_gone(admin_api, admin_kubeconfig):
    registered(admin_kubeconfig)
    tenant = Tenant(name="policed", placement={"clusters": ["real"]})
    tenant.declare(by="olga")
    project = Project(tenant=tenant, name="shop")
    project.declare(by="olga")
    settle_until_deployed(project)
    strict = PolicySet(name="strict", rules=SERVICES)
    strict.declare(by="olga")
    row = Attachment(policy_set=strict, name="soft", mode="warn", tenants=["policed"])
    row.declare(by="olga")
    where = project.namespace

    def data(mode: str = "") -> object:
        name = f"kubenova-rules{mode and '-'}{mode}"
        found = admin_api.find(place(where, "configmaps", name))
        return found and found.get("data")

    settle_until(lambda: data("warn") == {"service_types": "ClusterIP"})
    path = place(where, "services")
    admin_api.create(path, service("NodePort"), dryRun="All")
    row.refresh_from_db()
    row.promote("olga")
    settle_until(lambda: data() == {"service_types": "ClusterIP"} and data("warn") is None)
    settle_until_deployed(project)
    said = refusal(lambda: admin_api.create(path, service("NodePort"), dryRun="All"))
    assert "The Service type NodePort is not allowed here." in said

    strict.request_deletion(by="olga")
    settle_until(lambda: data() is None and not PolicySet.objects.exists())
    until(
        lambda: not refusal(lambda: admin_api.create(path, service("NodePort"), dryRun="All")),
        "it is still refused",
    )
    tenant.request_deletion(by="olga")
    settle_until(lambda: not Tenant.objects.exists())
