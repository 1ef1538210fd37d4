"""Tenants on Capsule: its real CRDs on a real API server, its controller played beside."""

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clusters.adapters.capsule import GLOBAL_TENANT_RESOURCE, TENANT_KIND, TENANT_OWNER
from clusters.connect import connect
from clusters.credentials import Given
from clusters.kubeconfig import parse
from clusters.models import Cluster
from clusters.rules import address_rules
from reconcile.errors import Refused
from reconcile.models import Drift
from reconcile.refusals import Unserved
from reconcile.values import JSON, MANAGED_BY, MANAGER, Ref
from sandbox.api import AdminApi, JsonObject
from tenancy.intents import Role
from tenancy.models import Project, Tenant
from tests.clusters.steps import settle_live, settle_until
from tests.live.platforms import CORDONED, GROUP, TENANT, Capsule, installed
from tests.people import person

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(300)]

SOON = 60.0


@pytest.fixture(autouse=True)
def keys(settings, tmp_path: Path) -> None:
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"


@pytest.fixture
def capsule(admin_api: AdminApi) -> Iterator[Capsule]:
    with installed(admin_api) as found:
        yield found


def registered(kubeconfig: str) -> Cluster:
    cluster = Cluster(name="real")
    cluster.given = Given.of(parse(kubeconfig.encode(), address_rules()))
    cluster.declare(by="olga")
    settle_until(lambda: phase_of(cluster) == "Deployed", SOON)
    return cluster


@pytest.fixture
def cluster(capsule: Capsule, admin_kubeconfig: str) -> Iterator[Cluster]:
    yield registered(admin_kubeconfig)
    for tenant in Tenant.objects.all():
        tenant.refresh_from_db()
        tenant.request_deletion(by="olga")
    settle_until(lambda: not Tenant.objects.exists(), SOON)


def phase_of(row) -> str:
    row.refresh_from_db()
    return str(row.phase)


def declared(**columns: object) -> Tenant:
    tenant = Tenant(
        name=f"acme-{uuid.uuid4().hex[:6]}", placement={"clusters": ["real"]}, **columns
    )
    tenant.declare(by="olga")
    tenant.admit(person("alice"), Role.ADMIN, by="olga")
    return tenant


def with_shop(tenant: Tenant) -> Project:
    project = Project(tenant=tenant, name="shop")
    project.declare(by="alice")
    return project


def deployed(*rows) -> None:
    """Take steps until the rows are Deployed, looking again as the watcher would."""

    looked = [0.0]

    def reached() -> bool:
        if time.monotonic() - looked[0] > 0.5:
            looked[0] = time.monotonic()
            for row in rows:
                for placement in row.placements.exclude(phase="Deployed"):
                    placement.mark()
        return all(phase_of(row) == "Deployed" and is_observed(row) for row in rows)

    settle_until(reached, SOON)


def is_observed(row: Tenant | Project) -> bool:
    """Whether what it shows is of its newest declaration."""
    row.refresh_from_db()
    return row.observed_generation == row.generation


def look(tenant: Tenant) -> None:
    for row in (*tenant.placements.all(), *tenant.projects.get().placements.all()):
        row.mark()
    settle_live()


def of(api: AdminApi, tenant: Tenant) -> JsonObject:
    return api.get(f"{GROUP}/tenants/{tenant.name}")


def versions(api: AdminApi, tenant: Tenant) -> dict[str, JSON]:
    """What KubeNova has there, without what Capsule and quota controllers tell in between."""
    mine = f"{MANAGED_BY}={MANAGER},kubenova.io/tenant={tenant.name}"
    space = f"/namespaces/{tenant.name}--shop"
    paths = [
        *(f"{GROUP}/{plural}" for plural in ("tenants", "tenantowners", "globaltenantresources")),
        *("/api/v1/namespaces", f"/api/v1{space}/resourcequotas", f"/api/v1{space}/configmaps"),
        *(f"/apis/rbac.authorization.k8s.io/v1{space}/rolebindings",),
    ]
    found = (item for path in paths for item in api.items(path, labelSelector=mine))
    return {item["metadata"]["uid"]: told_by_kubenova(item) for item in found}


def told_by_kubenova(body: JSON) -> JSON:
    """An object as KubeNova wrote it, with the time of its last write."""
    written = [
        entry["time"]
        for entry in body["metadata"]["managedFields"]
        if entry["manager"] == MANAGER and "subresource" not in entry
    ]
    return {"labels": body["metadata"]["labels"], "written": written, "spec": body.get("spec")}


# --- From the first declaration to the end.


def test_a_tenant_and_its_project_arrive(cluster, capsule, admin_api):
    tenant = declared(quota={"pods": "20"}, restrictions={"service_types": ["ClusterIP"]})
    project = with_shop(tenant)
    deployed(tenant, project)
    body = of(admin_api, tenant)
    assert "owners" not in body["spec"]
    assert body["status"]["owners"][0]["name"] == "kubenova:alice"
    rules = body["spec"]["rules"]
    assert rules[0]["quota"] == [{"name": "kubenova", "hard": {"pods": "20"}}]
    assert rules[1]["enforce"]["services"]["types"] == ["ClusterIP"]
    space = admin_api.get(f"/api/v1/namespaces/{project.namespace}")["metadata"]
    assert space["labels"][TENANT] == tenant.name
    assert space["ownerReferences"][0]["uid"] == body["metadata"]["uid"]
    assert tenant.placements.get().chosen_adapter == "tenancy.capsule"

    def counted() -> bool:
        tenant.placements.get().mark()
        return tenant.placements.get().facts.get("capsule") == {"namespaces": 1}

    settle_until(counted, SOON)
    assert capsule.faults == []


def test_what_capsule_makes_and_rewrites_is_no_drift(cluster, capsule, admin_api):
    tenant = declared(quota={"pods": "20"}, limits={"default": {"cpu": "200m"}})
    deployed(tenant, with_shop(tenant))
    space = f"/namespaces/{tenant.name}--shop"
    quota = f"/api/v1{space}/resourcequotas/capsule-{tenant.name}-0"
    admin_api.wait(quota, bool)
    copy = f"/apis/networking.k8s.io/v1{space}/networkpolicies/kubenova-tenant-isolation"
    assert admin_api.wait(copy, bool)
    look(tenant)
    before = versions(admin_api, tenant)
    rewritten = {"metadata": {"annotations": {"quota.capsule.clastix.io/used-pods": "3"}}}
    admin_api.patch(quota, rewritten)
    look(tenant)
    assert versions(admin_api, tenant) == before
    assert not Drift.objects.exists()
    assert phase_of(tenant) == "Deployed"


def test_drift_of_the_tenant_heals(cluster, admin_api):
    tenant = declared(restrictions={"storage_classes": ["fast"]})
    deployed(tenant, with_shop(tenant))
    path = f"{GROUP}/tenants/{tenant.name}"
    admin_api.patch(path, {"spec": {"storageClasses": {"allowed": ["fast", "slow"]}}})
    look(tenant)
    deployed(tenant)
    assert of(admin_api, tenant)["spec"]["storageClasses"] == {"allowed": ["fast"]}
    assert Drift.objects.filter(path__startswith=".spec.storageClasses").exists()


def test_a_cordon_reaches_the_namespaces_and_is_lifted(cluster, admin_api):
    tenant = declared()
    project = with_shop(tenant)
    deployed(tenant, project)
    path = f"/api/v1/namespaces/{project.namespace}"
    for cordoned, label in ((True, "true"), (False, None)):
        tenant.refresh_from_db()
        tenant.cordoned = cordoned
        tenant.declare(by="olga")
        deployed(tenant)
        assert of(admin_api, tenant)["status"]["state"] == ("Cordoned" if cordoned else "Active")
        admin_api.wait(
            path, lambda ns, label=label: ns["metadata"]["labels"].get(CORDONED) == label
        )


def test_owners_come_and_go(cluster, admin_api):
    tenant = declared()
    deployed(tenant)
    tenant.admit(person("dora"), Role.ADMIN, by="olga")
    deployed(tenant)
    settle_until(lambda: names(admin_api, tenant) == ["kubenova:alice", "kubenova:dora"], SOON)
    tenant.dismiss(person("dora"), by="olga")
    deployed(tenant)
    settle_until(lambda: names(admin_api, tenant) == ["kubenova:alice"], SOON)


def names(api: AdminApi, tenant: Tenant) -> list[str]:
    return sorted(each["name"] for each in of(api, tenant)["status"].get("owners", []))


@pytest.mark.parametrize("protected", [False, True], ids=["plain", "protected on the cluster"])
def test_a_deletion_ends_with_nothing_left(cluster, admin_api, protected):
    tenant = declared(deletion_protection=protected)
    project = with_shop(tenant)
    deployed(tenant, project)
    assert of(admin_api, tenant)["spec"]["preventDeletion"] is protected
    # As the API does it: protection is off in the database at the moment of the request.
    Tenant.objects.filter(pk=tenant.pk).update(deletion_protection=False)
    tenant.refresh_from_db()
    tenant.request_deletion(by="olga")
    settle_until(lambda: not Tenant.objects.exists(), SOON)
    assert admin_api.find(f"{GROUP}/tenants/{tenant.name}") is None
    assert admin_api.find(f"/api/v1/namespaces/{project.namespace}") is None
    mine = f"kubenova.io/tenant={tenant.name}"
    for plural in ("tenantowners", "globaltenantresources"):
        assert admin_api.items(f"{GROUP}/{plural}", labelSelector=mine) == []


def test_a_foreign_tenant_of_the_name_is_left_alone(cluster, admin_api):
    name = f"acme-{uuid.uuid4().hex[:6]}"
    kind = {"apiVersion": "capsule.clastix.io/v1beta2", "kind": "Tenant"}
    admin_api.create(f"{GROUP}/tenants", {**kind, "metadata": {"name": name}, "spec": {}})
    tenant = Tenant(name=name, placement={"clusters": ["real"]})
    tenant.declare(by="olga")
    settle_until(lambda: phase_of(tenant) == "Error", SOON)
    assert "does not belong to KubeNova" in str(tenant.conditions)
    assert of(admin_api, tenant)["spec"] == {"cordoned": False, "preventDeletion": False}


# --- What Capsule lacks.


def test_earlier_fields_are_used_where_there_are_no_rules_and_their_warnings_are_shown(
    admin_api, admin_kubeconfig
):
    with installed(admin_api, version="0.13.9", rules=False):
        cluster = registered(admin_kubeconfig)
        assert not cluster.serves("tenancy.capsule.quota-rules")
        tenant = declared(quota={"pods": "20"}, restrictions={"service_types": ["ClusterIP"]})
        project = with_shop(tenant)
        deployed(tenant, project)
        spec = of(admin_api, tenant)["spec"]
        assert spec["resourceQuotas"]["items"] == [{"hard": {"pods": "20"}}]
        assert spec["serviceOptions"]["allowedServices"]["nodePort"] is False
        warned = tenant.placements.get()
        told = str(warned.facts["warnings"])
        assert "resourceQuotas" in told and "serviceOptions" in told
        assert "deprecated" in str(warned.conditions)
        warned.mark()
        settle_live()
        assert tenant.placements.get().facts["warnings"] == warned.facts["warnings"]
        tenant.request_deletion(by="olga")
        settle_until(lambda: not Tenant.objects.exists(), SOON)


FAULTY = [
    pytest.param({"version": "0.12.4"}, "known holes", id="too old"),
    pytest.param({"administrators": []}, "kubectl patch capsuleconfiguration", id="no entry"),
]


@pytest.mark.parametrize(("how", "told"), FAULTY)
def test_a_faulty_capsule_is_registered_and_takes_no_tenants(
    admin_api, admin_kubeconfig, how, told
):
    with installed(admin_api, **how):
        cluster = registered(admin_kubeconfig)
        assert told in cluster.capabilities.get(name="tenancy.capsule", served=False).reason
        with pytest.raises(Unserved) as refusal:
            declared()
        assert told in str(refusal.value)
        assert not Tenant.objects.exists()
        assert admin_api.items(f"{GROUP}/tenants") == []


def test_who_loses_capsule_is_in_error_and_left_as_it_is(cluster, capsule, admin_api):
    tenant = declared()
    project = with_shop(tenant)
    deployed(tenant, project)
    before = versions(admin_api, tenant)
    capsule.administer([])
    cluster.reprobe(by="olga")
    settle_until(lambda: phase_of(project.placements.get()) == "Error", SOON)
    assert phase_of(tenant.placements.get()) == "Error"
    told = str(tenant.placements.get().conditions)
    assert "CapabilityMissing" in told and "kubectl patch" in told
    assert versions(admin_api, tenant) == before
    capsule.administer(
        [{"kind": "ServiceAccount", "name": "system:serviceaccount:kubenova-system:kubenova"}]
    )
    cluster.reprobe(by="olga")
    settle_live()
    deployed(tenant, project)
    assert tenant.placements.get().chosen_adapter == "tenancy.capsule"


# --- What KubeNova's own account may not have Capsule do.

OURS = {"labels": {MANAGED_BY: MANAGER}}
REPLICATED = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
FORBIDDEN = [
    pytest.param(TENANT_KIND, {}, {}, id="a tenant of others"),
    pytest.param(
        TENANT_KIND, OURS, {"owners": [{"kind": "User", "name": "eve"}]}, id="owner with admin"
    ),
    pytest.param(
        TENANT_KIND,
        OURS,
        {
            "additionalRoleBindings": [
                {"clusterRoleName": "admin", "subjects": [{"kind": "User", "name": "eve"}]}
            ]
        },
        id="foreign role",
    ),
    pytest.param(
        TENANT_OWNER,
        OURS,
        {"kind": "User", "name": "eve", "clusterRoles": ["cluster-admin"]},
        id="owner with any role",
    ),
    pytest.param(TENANT_OWNER, OURS, {"kind": "User", "name": "eve"}, id="owner with the default"),
    pytest.param(
        GLOBAL_TENANT_RESOURCE,
        OURS,
        {"resources": [{"rawItems": [{**REPLICATED, "metadata": {"name": "x"}}]}]},
        id="replicated role",
    ),
    pytest.param(
        GLOBAL_TENANT_RESOURCE,
        OURS,
        {"resources": [{"generators": [{"template": "kind: ClusterRole"}]}]},
        id="generated objects",
    ),
]


@pytest.mark.parametrize(("kind", "meta", "spec"), FORBIDDEN)
def test_the_guard_bounds_what_kubenova_has_capsule_do(cluster, kind, meta, spec):
    ref = Ref(kind, "", "eve")
    body: JSON = {"apiVersion": kind.api_version, "kind": kind.name}
    manifest = {**body, "metadata": {"name": "eve", **meta}, "spec": spec}
    with connect(cluster) as api:
        assert "kubenova-guard" in refusal_of(lambda: api.apply(ref, manifest, dry_run=True))


def refusal_of(write: Callable[[], object], seconds: float = 20.0) -> str:
    """What a write is told, once the guard bites: a policy takes a moment."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            write()
        except Refused as refusal:
            return str(refusal)
        time.sleep(0.2)
    return "nothing"
