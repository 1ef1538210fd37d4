"""Everything that pages can show: two clusters, revisions, a repair, a rollout under way."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from access.models import AuditRecord
from delivery.adapters.native import DEPLOYMENT
from delivery.models import App, AppPlacement
from policies.models import Attachment, PolicySet
from reconcile.correlation import correlate, new_correlation_id
from reconcile.values import JSON, Ref
from tenancy.adapters.native import RESOURCE_QUOTA
from tenancy.models import Project, ProjectPlacement, Tenant
from tests.clusters.steps import settle_live
from tests.delivery.controllers import roll_out
from tests.delivery.samples import component, with_traits
from tests.fleet import Fleet
from tests.people import make_acme, make_globex

CLUSTERS = ("edge-b", "prod-a")


@pytest.fixture
def world(fleet: Fleet, people: dict[str, User]) -> App:
    """acme with its shop on two clusters; the app `site` at revision 2, repaired once."""
    for name, region in zip(CLUSTERS, ("eu-north", "eu-west"), strict=True):
        fleet.register(name, labels={"region": region})
    acme = _acme()
    shop = Project(tenant=acme, name="shop", description="The web shop and what it needs")
    _request(lambda: shop.declare(by="alice"))
    data = Project(tenant=acme, name="data", labels={"tier": "internal"})
    _request(lambda: data.declare(by="alice"))
    settle_live()
    site = App(
        project=shop, name="site", description="What customers see", components=[web("1.27")]
    )
    _request(lambda: site.declare(by="bob"))
    roll_out(fleet, *CLUSTERS)
    _tamper(fleet)
    site.refresh_from_db()
    site.components = [web("1.28", env=[{"name": "LOG_LEVEL", "value": "info"}]), _jobs()]
    _request(lambda: site.declare(by="bob"))
    roll_out(fleet, *CLUSTERS)
    search = App(project=shop, name="search", components=[component("finder")])
    _request(lambda: search.declare(by="alice"))
    settle_live()
    make_globex(placement={"clusters": ["prod-a"]})
    settle_live()
    _rule()
    settle_live()
    _use(fleet)
    _note()
    site.refresh_from_db()
    return site


def _use(fleet: Fleet) -> None:
    """The quota controllers have counted what runs; one resource is nearly, one fully used."""
    shop = {"requests.cpu": "1500m", "requests.memory": "7680Mi", "pods": "30"}
    data = {"requests.cpu": "250m", "requests.memory": "512Mi", "pods": "4"}
    for cluster in CLUSTERS:
        for namespace, used in (("acme--shop", shop), ("acme--data", data)):
            ref = Ref(RESOURCE_QUOTA, namespace, "kubenova")
            status = {"hard": fleet[cluster].body(ref)["spec"]["hard"], "used": used}
            fleet[cluster].set_status(ref, status)
    for placement in ProjectPlacement.objects.all():
        placement.mark()
    settle_live()


def _rule() -> None:
    """A policy set at its second version, attached twice, with an exception."""
    rules = {"service_types": ["ClusterIP", "LoadBalancer"], "storage_classes": ["standard"]}
    row = PolicySet(name="restricted", description="For what faces customers", rules=rules)
    row.declare(by="olga")
    row.refresh_from_db()
    row.rules = {**rules, "service_types": ["ClusterIP"]}
    row.declare(by="olga")
    teams = Attachment(policy_set=row, name="teams", mode="warn", every_tenant=True)
    teams.declare(by="olga")
    Attachment(policy_set=row, name="shop", mode="audit", projects=["acme/shop"]).declare("olga")
    teams.make_exception(
        "olga",
        **{"tenant": "acme", "project": "data", "kind": "storage_classes"},
        reason="The archive needs slow disks until it has moved.",
        expires_at=timezone.now() + timedelta(days=12),
    )


def _note() -> None:
    """What the audit log of such a day holds."""
    api, proxy = AuditRecord.Source.API, AuditRecord.Source.PROXY
    AuditRecord.note(api, "create", 201, actor="bob", resource="apps", name="site", tenant="acme")
    AuditRecord.note(api, "delete", 403, actor="carol", resource="apps", name="site", tenant="acme")
    place = {"tenant": "acme", "cluster": "prod-a", "namespace": "acme--shop"}
    AuditRecord.note(proxy, "list", 200, actor="alice", resource="pods", grant="grant-1", **place)


def web(version: str, **properties: object) -> JSON:
    """The component that answers requests, three times over."""
    ports = [{"port": 8080, "expose": True}]
    declared = component(image=f"registry.example.org/shop/web:{version}", ports=ports)
    declared["properties"] |= {"cpu": "250m", "memory": "256Mi", **properties}
    return with_traits(declared, scaler={"replicas": 3})


def _jobs() -> JSON:
    return component("jobs", "worker", image="registry.example.org/shop/jobs:4.2")


def _acme() -> Tenant:
    return make_acme(
        description="The people who sell things",
        labels={"team": "commerce", "cost-center": "4711"},
        quota={"requests.cpu": "8", "requests.memory": "16Gi", "pods": "60"},
        placement={"clusters": list(CLUSTERS)},
    )


def _request(act: Callable[[], object]) -> None:
    """Do it as one request does."""
    with correlate(new_correlation_id()):
        act()


def _tamper(fleet: Fleet) -> None:
    """Somebody edits the Deployment on a cluster; the next look repairs it."""
    ref = Ref(DEPLOYMENT, "acme--shop", "web")
    fleet["prod-a"].edit(ref, "kubectl-edit", _edit)
    for placement in AppPlacement.objects.all():
        placement.mark()
    settle_live()


def _edit(body: JSON) -> None:
    body["spec"]["replicas"] = 1
    body["spec"]["template"]["spec"]["containers"][0]["image"] = (
        "registry.example.org/shop/web:hotfix"
    )
