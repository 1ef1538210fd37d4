"""The guards of a cluster on real API servers: identity, epoch, deletions, foreign namespaces."""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from clusters.connect import connect
from clusters.credentials import Given
from clusters.epoch import EPOCH, read_epoch, write_epoch
from clusters.intents import GRANTS_NAMESPACE, SYSTEM_NAMESPACE
from clusters.kinds import CONFIG_MAP
from clusters.kubeconfig import parse
from clusters.models import Cluster
from clusters.rules import address_rules
from reconcile.errors import Conflict, Forbidden
from reconcile.guard import Epoch, Reason
from reconcile.models import InferredDeletion
from reconcile.values import JSON, MANAGED_BY, MANAGER, OWNER, Ref
from sandbox.api import AdminApi, ApiError
from tenancy.models import Project, Tenant
from tests.clusters.steps import hurry, settle_live, settle_until, settle_until_deployed

pytestmark = [pytest.mark.live, pytest.mark.django_db]

SYSTEM_PATH = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}"
EPOCH_PATH = f"{SYSTEM_PATH}/configmaps/{EPOCH.name}"
GRANTS_PATH = f"/api/v1/namespaces/{GRANTS_NAMESPACE}"


@pytest.fixture(autouse=True)
def keys(settings, tmp_path: Path) -> None:
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"


def given(kubeconfig: str) -> Given:
    return Given.of(parse(kubeconfig.encode(), address_rules()))


@pytest.fixture
def cluster(admin_kubeconfig: str) -> Cluster:
    """The control plane, registered."""
    row = Cluster(name="real")
    row.given = given(admin_kubeconfig)
    row.declare(by="olga")
    settle_until_deployed(row)
    return row


@pytest.fixture
def shop(cluster: Cluster, admin_api: AdminApi) -> Iterator[Project]:
    """A project of a new tenant that stands on it; gone afterwards, whatever a test has done."""
    tenant = Tenant(name=f"guarded-{uuid.uuid4().hex[:8]}", placement={"clusters": ["real"]})
    tenant.declare(by="olga")
    row = Project(tenant=tenant, name="shop")
    row.declare(by="olga")
    settle_until(lambda: phase_of(row) == "Deployed")
    yield row
    for path in (space(row), f"{SYSTEM_PATH}/configmaps/tenant-{tenant.name}"):
        if admin_api.find(path):
            admin_api.delete(path)
            admin_api.wait(path, lambda found: found is None)


def space(row: Project) -> str:
    """The path of its namespace."""
    return f"/api/v1/namespaces/{row.namespace}"


def phase_of(row: Project) -> str:
    row.refresh_from_db()
    return row.phase


def look(cluster: Cluster) -> Cluster:
    cluster.baseline.mark()
    settle_live()
    cluster.refresh_from_db()
    return cluster


def versions(api: AdminApi) -> dict[str, str]:
    """The resourceVersion of every namespace: it moves with each write to one."""
    items = api.get("/api/v1/namespaces")["items"]
    return {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in items}


# --- Another cluster.


@pytest.fixture
def swept(second_admin_api: AdminApi) -> Iterator[None]:
    """Take everything of KubeNova's from the second cluster: its owner is also the first one's."""
    yield
    namespaces = "/api/v1/namespaces"
    admission = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic"
    roles = "/apis/rbac.authorization.k8s.io/v1/clusterrole"
    for path in (f"{admission}ybindings", f"{admission}ies", f"{roles}bindings", f"{roles}s"):
        take_away(second_admin_api, path)
    deadline = time.monotonic() + 120
    while take_away(second_admin_api, namespaces):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def take_away(api: AdminApi, path: str) -> int:
    """Delete what is labelled as ours; return how many there were."""
    items = api.items(path, labelSelector=f"{MANAGED_BY}={MANAGER}")
    for each in items:
        with suppress(ApiError):  # it may have gone meanwhile
            api.delete(f"{path}/{each['metadata']['name']}")
    return len(items)


@pytest.mark.usefixtures("swept")
def test_another_cluster_is_written_nothing_until_confirmed_f29(
    cluster, shop, second_admin_kubeconfig, second_admin_api
):
    before = versions(second_admin_api)
    cluster.give(given(second_admin_kubeconfig), by="olga")
    settle_live()
    hurry()
    cluster.refresh_from_db()
    assert cluster.report_only == Reason.IDENTITY
    assert versions(second_admin_api) == before
    assert shop.placements.get().conditions[0]["reason"] in {"ReportOnly", "Unauthenticated"}

    cluster.confirm(Reason.IDENTITY, by="olga")
    settle_until(lambda: phase_of(shop) == "Deployed")
    cluster.refresh_from_db()
    system = second_admin_api.get("/api/v1/namespaces/kube-system")
    assert cluster.kube_system_uid == system["metadata"]["uid"]
    assert shop.namespace in versions(second_admin_api)


# --- The epoch.


def test_a_cluster_at_rest_is_not_told_again_f28(cluster, shop, admin_api):
    Cluster.objects.update(epoch_at=timezone.now() - timedelta(hours=1))
    before = admin_api.get(EPOCH_PATH)["metadata"]["resourceVersion"]
    look(cluster)
    hurry()
    assert admin_api.get(EPOCH_PATH)["metadata"]["resourceVersion"] == before


def test_of_two_that_write_the_epoch_one_fails_f28(cluster):
    with connect(cluster) as api:
        _, before = read_epoch(api)
        write_epoch(api, Epoch(100, "a" * 32), before)
        with pytest.raises(Conflict):
            write_epoch(api, Epoch(101, "b" * 32), before)
        with pytest.raises(Conflict):
            write_epoch(api, Epoch(101, "b" * 32), None)
        assert read_epoch(api)[0] == Epoch(100, "a" * 32)


def test_of_many_that_make_the_epoch_one_succeeds_f28(cluster, admin_api):
    admin_api.delete(EPOCH_PATH)
    made, meeting = [], threading.Barrier(4)

    def make(number: int) -> None:
        meeting.wait(10)
        try:
            write_epoch(api, Epoch(number, "c" * 32), None)
        except Conflict:
            return
        made.append(number)

    with connect(cluster) as api:
        threads = [threading.Thread(target=make, args=(number,)) for number in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert [read_epoch(api)[0].number] == made


def unknown_grant(admin_api: AdminApi) -> None:
    """What a grant that the database has forgotten has left."""
    labels = {MANAGED_BY: MANAGER, OWNER: "access.grantplacement.0123456789abcdef"}
    meta = {"name": "grant-lost", "labels": labels}
    admin_api.create(f"{GRANTS_PATH}/serviceaccounts", {"metadata": meta})
    admin_api.create(f"{GRANTS_PATH}/secrets", {"metadata": meta})


def restore(cluster: Cluster) -> None:
    """Let the database be as it was before the epoch that begins now."""
    cluster.refresh_from_db()
    before = cluster.stamped
    Cluster.objects.update(epoch_at=None)
    cluster.before_writes(cluster.baseline.connect)
    Cluster.objects.update(epoch=before.number, epoch_stamp=before.stamp)


def test_a_restored_database_writes_nothing_until_confirmed_f28(cluster, shop, admin_api):
    unknown_grant(admin_api)
    restore(cluster)
    shop.labels = {"changed": "yes"}
    before = versions(admin_api)
    shop.declare(by="olga")
    settle_live()
    look(cluster)
    assert cluster.report_only == Reason.EPOCH
    assert versions(admin_api) == before
    assert f"Secret {GRANTS_NAMESPACE}/grant-lost" in cluster.unknown

    cluster.confirm(Reason.EPOCH, by="olga")
    settle_until(lambda: phase_of(shop) == "Deployed")
    assert admin_api.get(space(shop))["metadata"]["labels"]["changed"]
    for kind in ("secrets", "serviceaccounts"):
        assert admin_api.find(f"{GRANTS_PATH}/{kind}/grant-lost") is None
    assert look(cluster).phase == "Deployed"


# --- Deletions.


def test_deletions_that_nobody_meant_wait_for_an_operator_f30(cluster, shop, admin_api, settings):
    settings.GUARD_DELETIONS, settings.GUARD_PERCENT = 1, 0
    tenant = shop.tenant
    tenant.placement = {}
    tenant.declare(by="alice")
    settle_live()
    hurry()
    cluster.refresh_from_db()
    assert cluster.report_only == Reason.DELETIONS
    assert "deletionTimestamp" not in admin_api.get(space(shop))["metadata"]
    assert InferredDeletion.objects.waiting().filter(object=f"Namespace {shop.namespace}").exists()

    cluster.confirm(Reason.DELETIONS, by="olga")
    path = space(shop)
    settle_until(lambda: admin_api.find(path) is None)


# --- A namespace that a stranger has made anew.


def test_nothing_is_made_in_a_namespace_that_a_stranger_made_anew_f6(cluster, shop, admin_api):
    path = space(shop)
    admin_api.delete(path)
    admin_api.wait(path, lambda found: found is None)
    admin_api.create("/api/v1/namespaces", {"metadata": {"name": shop.namespace}})
    ref = Ref(CONFIG_MAP, shop.namespace, "late")
    meta: JSON = {"name": ref.name, "namespace": ref.namespace}
    body: JSON = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {}}
    with connect(cluster) as api, pytest.raises(Forbidden):
        api.apply(ref, body)  # as a worker that has not noticed
    shop.placements.get().mark()
    settle_live()
    assert shop.placements.get().conditions[0]["reason"] == "Taken"
    assert MANAGED_BY not in (admin_api.get(path)["metadata"].get("labels") or {})
    for kind in ("limitranges", "networkpolicies", "resourcequotas"):
        group = "apis/networking.k8s.io/v1" if kind == "networkpolicies" else "api/v1"
        assert admin_api.get(f"/{group}/namespaces/{shop.namespace}/{kind}")["items"] == []
