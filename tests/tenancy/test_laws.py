"""The laws for tenants and projects that have every field there is."""

from typing import Any

from tenancy.models import Project, ProjectPlacement, Tenant, TenantPlacement
from tenancy.rules.kinds import KINDS
from tenancy.rules.named import NAMED
from tests.people import make_acme
from tests.reconcile.laws import ConvergenceLaws

SANDBOX = {"clusters": ["sandbox"]}
GROUP = {"kind": "Group", "name": "devs"}
ROBOT = {"kind": "ServiceAccount", "name": "robot", "namespace": "ci"}
RICH: dict[str, Any] = {
    "labels": {"tier": "gold"},
    "annotations": {"example.org/cost": "42"},
    "quota": {"requests.cpu": "4", "pods": "20"},
    "network": [
        {
            "direction": "egress",
            "peers": [{"cidr": "10.2.0.0/24", "except": ["10.2.0.8/29"]}],
            "ports": [{"port": 8000, "end_port": 8010, "protocol": "UDP"}],
        }
    ],
    "restrictions": {name: kind.example for name, kind in KINDS.items() if name != NAMED},
    "owner_subjects": [GROUP, ROBOT],
    "role_bindings": [{"role": "view", "subjects": [GROUP]}],
}
RICH_PROJECT: dict[str, Any] = {
    "labels": {"team": "blue"},
    "annotations": {"example.org/contact": "bob"},
    "network": [{"direction": "ingress", "peers": [{"pod_labels": {"app": "web"}}]}],
}


def make_rich() -> Tenant:
    """The tenant acme with every field, on the sandbox; made at the first call."""
    found = Tenant.objects.filter(name="acme").first()
    return found or make_acme(placement=SANDBOX, **RICH)


class TestTenantPlacement(ConvergenceLaws):
    model = TenantPlacement

    def declare(self) -> TenantPlacement:
        make_rich()
        return TenantPlacement.objects.get()

    def narrow(self, row) -> None:
        tenant = Tenant.objects.get()
        tenant.labels, tenant.quota = {}, {"pods": "20"}
        tenant.annotations, tenant.restrictions = {}, {}
        tenant.declare(by="alice")

    def urls(self, row) -> list[str]:
        return ["/api/v1/tenants/acme"]


class TestProjectPlacement(ConvergenceLaws):
    model = ProjectPlacement

    def declare(self) -> ProjectPlacement:
        Project(tenant=make_rich(), name="shop", **RICH_PROJECT).declare(by="alice")
        return ProjectPlacement.objects.get()

    def narrow(self, row) -> None:
        tenant = Tenant.objects.get()
        tenant.quota, tenant.isolation, tenant.annotations = {}, "egress-open", {}
        tenant.restrictions = {"service_types": ["ClusterIP"]}
        tenant.owner_subjects, tenant.role_bindings = [ROBOT], []
        tenant.declare(by="alice")

    def urls(self, row) -> list[str]:
        return ["/api/v1/projects/shop", "/api/v1/tenants/acme/projects/shop"]
