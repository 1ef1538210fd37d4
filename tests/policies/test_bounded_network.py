"""Network rules of tenants and projects, and sets that bound them: whoever comes second is told."""

import pytest

from clusters.kinds import NETWORK_POLICY
from reconcile.refusals import Conflicting
from reconcile.values import JSON, Ref
from tenancy.models import Project, Tenant
from tests.clusters.steps import hurry, settle
from tests.policies.conftest import attach, make_set, parameters

pytestmark = pytest.mark.django_db

BOUNDS = {"network": {"egress_cidrs": ["10.0.0.0/8"]}}


def rule(cidr: str) -> list[JSON]:
    return [{"direction": "egress", "peers": [{"cidr": cidr}]}]


def opened(row: Tenant | Project, cidr: str) -> Tenant | Project:
    row.network = rule(cidr)
    row.declare(by="alice")
    settle()
    return row


def refused(act) -> Conflicting:
    with pytest.raises(Conflicting) as caught:
        act()
    return caught.value


def test_a_project_that_opens_more_than_a_set_lets_it_is_refused_with_both_sources(fleet, shop):
    attach(make_set(**BOUNDS))
    settle()
    error = refused(lambda: opened(shop, "11.0.0.0/8"))
    assert "Network rule 1 of Project acme/shop opens egress to 11.0.0.0/8." in error.detail
    assert "policy set strict, version 1" in error.detail
    assert [fault.pointer for fault in error.errors] == ["/network/0"]
    shop.refresh_from_db()
    opened(shop, "10.1.0.0/16")


def test_a_tenant_is_asked_with_all_of_its_projects(fleet, shop):
    opened(shop, "11.0.0.0/8")
    tenant = Tenant.objects.get()
    tenant.restrictions = BOUNDS
    error = refused(lambda: tenant.declare(by="olga"))
    assert "Project acme/shop" in error.detail and "(Tenant acme)" in error.detail
    assert [fault.pointer for fault in error.errors] == ["/restrictions/network"]
    tenant = Tenant.objects.get()
    tenant.restrictions, tenant.network = BOUNDS, rule("0.0.0.0/0")
    shop.network = []
    shop.declare(by="alice")
    assert [fault.pointer for fault in refused(lambda: tenant.declare(by="olga")).errors] == [
        "/network/0"
    ]


@pytest.mark.parametrize("whose", ["tenant", "project"])
def test_a_set_is_not_enforced_on_who_opens_more_already(fleet, shop, whose):
    opened(shop.tenant if whose == "tenant" else shop, "11.0.0.0/8")
    strict = make_set(**BOUNDS)
    attach(strict, "soft", mode="audit")
    settle()
    error = refused(lambda: attach(strict, "hard"))
    assert "opens egress to 11.0.0.0/8" in error.detail
    assert "policy set strict, version 1 (attachment hard)" in error.detail


def test_what_a_tenant_opens_is_asked_about_in_a_project_that_is_bound_by_name(fleet, shop):
    opened(shop.tenant, "11.0.0.0/8")
    strict = make_set(**BOUNDS)
    error = refused(lambda: attach(strict, projects=["acme/shop"]))
    assert "of Tenant acme opens egress" in error.detail


def test_bounds_close_what_the_preset_leaves_open_and_give_it_back(fleet, shop):
    tenant = Tenant.objects.get()
    tenant.isolation = "none"
    tenant.declare(by="olga")
    settle()
    where = Ref(NETWORK_POLICY, "acme--shop", "kubenova-isolation")
    assert fleet["prod-a"].get(where) is None
    row = attach(make_set(network={"ingress_cidrs": [], "dns": "cluster"}))
    settle()
    hurry()
    spec = fleet["prod-a"].get(where).body["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    servers = {"matchLabels": {"k8s-app": "kube-dns"}}
    assert spec["egress"][-1]["to"][0]["podSelector"] == servers
    assert parameters(fleet) == {"network.dns": "cluster", "network.ingress_cidrs": ""}
    row.request_deletion(by="olga")
    for _ in range(3):
        settle()
        hurry()
    assert fleet["prod-a"].get(where) is None
