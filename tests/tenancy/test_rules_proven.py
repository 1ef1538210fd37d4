"""A project is ready when its clusters were seen to refuse what its tenant's rules forbid."""

import pytest

from clusters.kinds import CONFIG_MAP, NAMESPACE
from reconcile.values import Ref
from tenancy.models import Project, ProjectPlacement, Tenant
from tenancy.rules.encoding import PARAMETERS
from tests.clusters.steps import hurry, settle

pytestmark = pytest.mark.django_db

RULES = Ref(CONFIG_MAP, "acme--shop", PARAMETERS)


@pytest.fixture
def cluster(fleet):
    """The API server of a registered cluster."""
    fleet.register("prod-a")
    return fleet["prod-a"]


@pytest.fixture
def tenant(cluster) -> Tenant:
    """A tenant that may make no Services but inner ones, with a project; nothing was done yet."""
    found = Tenant(name="acme", placement={"clusters": ["prod-a"]})
    found.restrictions = {"service_types": ["ClusterIP"]}
    found.declare(by="olga")
    Project(tenant=found, name="shop").declare(by="alice")
    return found


def shown(cluster) -> tuple[str, str]:
    """The phase of the project and what is told, once its namespace is active."""
    settle()
    cluster.set_status(Ref(NAMESPACE, "", "acme--shop"), {"phase": "Active"})
    hurry()
    row = ProjectPlacement.objects.get()
    return row.phase, next(each["message"] for each in row.conditions if each["type"] == "Ready")


def restrict(tenant: Tenant, *, cordoned: bool = False, **restrictions: object) -> None:
    tenant.refresh_from_db()
    tenant.restrictions, tenant.cordoned = restrictions, cordoned
    tenant.declare(by="olga")


def test_it_waits_for_a_cluster_that_does_not_enforce_yet(tenant, cluster):
    cluster.enforces = False
    assert shown(cluster) == ("Applying", "The cluster does not enforce Service types yet.")
    cluster.enforces = True
    assert shown(cluster)[0] == "Deployed"
    assert Project.objects.get().phase == "Deployed"


def test_nothing_is_left_of_what_was_tried(tenant, cluster):
    shown(cluster)
    assert not [ref for ref in cluster.refs() if "proof" in ref.name]


def test_each_change_of_a_rule_reaches_the_namespace_and_is_proven(tenant, cluster):
    shown(cluster)
    for restrictions, data in (
        ({"service_types": ["ClusterIP", "NodePort"]}, {"service_types": "ClusterIP\nNodePort"}),
        ({"runtime_classes": ["gvisor"]}, {"runtime_classes": "gvisor"}),
        ({}, {}),
    ):
        before = ProjectPlacement.objects.get().facts.get("proved")
        restrict(tenant, **restrictions)
        assert shown(cluster)[0] == "Deployed"
        assert (cluster.body(RULES).get("data") or {}) == data
        assert ProjectPlacement.objects.get().facts.get("proved") != before


def test_a_cordon_is_a_rule_like_others(tenant, cluster):
    shown(cluster)
    cluster.enforces = False
    restrict(tenant, cordoned=True)
    assert shown(cluster) == ("Applying", "The cluster does not enforce Cordon yet.")
    cluster.enforces = True
    assert shown(cluster)[0] == "Deployed"
    assert cluster.body(RULES)["data"] == {"cordoned": "true"}


def test_the_parameters_come_back_when_somebody_takes_them_away(tenant, cluster):
    shown(cluster)
    cluster.remove(RULES)
    ProjectPlacement.objects.get().mark()
    settle()
    assert cluster.body(RULES)["data"] == {"service_types": "ClusterIP"}
