"""A cluster's registration, credential and rights on a real API server."""

import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from clusters.client import ApiCluster
from clusters.connect import connect
from clusters.credentials import Given
from clusters.intents import ACCOUNT, BASELINE, GRANTS_NAMESPACE, SYSTEM_NAMESPACE, USERNAME
from clusters.kinds import (
    CLUSTER_ROLE,
    CONFIG_MAP,
    DEPLOYMENT,
    NAMESPACE,
    ROLE_BINDING,
    SECRET,
    SERVICE_ACCOUNT,
)
from clusters.kubeconfig import parse
from clusters.models import Cluster
from clusters.rules import address_rules
from reconcile.errors import Forbidden, Refused
from reconcile.models import Event
from reconcile.values import JSON, MANAGED_BY, MANAGER, OWNER, Kind, Ref
from sandbox.api import ApiError
from tests.clusters.steps import settle_live, settle_until, settle_until_deployed

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(300)]

OURS = {MANAGED_BY: MANAGER}
HARMLESS = Ref(NAMESPACE, "", "guard-canary")


@pytest.fixture(autouse=True)
def keys(settings, tmp_path: Path) -> None:
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"


def declared(name: str, kubeconfig: str) -> Cluster:
    cluster = Cluster(name=name)
    cluster.given = Given.of(parse(kubeconfig.encode(), address_rules()))
    cluster.declare(by="olga")
    return cluster


def condition(cluster: Cluster, kind: str) -> JSON:
    cluster.refresh_from_db()
    return next(each for each in cluster.conditions if each["type"] == kind)


@pytest.fixture
def registered(admin_kubeconfig: str) -> Cluster:
    cluster = declared("real", admin_kubeconfig)
    settle_until_deployed(cluster)
    return cluster


@pytest.fixture
def own(registered: Cluster) -> Iterator[ApiCluster]:
    """KubeNova's own hands on the cluster, once the guard holds."""
    with connect(registered) as api:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                api.apply(HARMLESS, manifest(HARMLESS), dry_run=True)
            except Refused:
                break
            time.sleep(0.1)
        yield api


def manifest(ref: Ref, labels: dict[str, str] | None = None, **body: object) -> JSON:
    meta: JSON = {"name": ref.name, **({"labels": labels} if labels else {})}
    if ref.namespace:
        meta["namespace"] = ref.namespace
    return {"apiVersion": ref.kind.api_version, "kind": ref.kind.name, "metadata": meta, **body}


def test_it_registers_a_cluster_and_drops_what_the_operator_gave(registered, admin_api):
    assert re.fullmatch(r"v1\.\d+\.\d+", registered.version)
    system = admin_api.get("/api/v1/namespaces/kube-system")
    assert registered.kube_system_uid == system["metadata"]["uid"]
    served = set(registered.capabilities.filter(served=True).values_list("name", flat=True))
    baseline = f"baseline.{BASELINE}"
    assert {"tenancy.native", "delivery.native", "admission.policies", baseline} <= served
    assert registered.bootstrap is None
    assert registered.own_credentials[0].client_key_pem is None
    lifetime = registered.scoped_expires_at - timezone.now()
    assert timedelta(days=29) < lifetime <= timedelta(days=30)


def test_it_is_at_rest_after_its_registration(registered, admin_api):
    path = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}"
    before = admin_api.get(path)["metadata"]["resourceVersion"]
    registered.baseline.mark()
    settle_live()
    assert admin_api.get(path)["metadata"]["resourceVersion"] == before


RIGHTS = [
    ("get", "", "secrets", "kube-system", "", False),
    ("list", "", "secrets", "", "", False),
    ("watch", "", "secrets", "", "", False),
    ("get", "", "secrets", SYSTEM_NAMESPACE, "", False),
    ("get", "", "secrets", GRANTS_NAMESPACE, "", True),
    ("create", "", "serviceaccounts/token", "kube-system", "default", False),
    ("create", "", "serviceaccounts/token", SYSTEM_NAMESPACE, "default", False),
    ("create", "", "serviceaccounts/token", SYSTEM_NAMESPACE, ACCOUNT, True),
    ("create", "", "serviceaccounts/token", GRANTS_NAMESPACE, "any", True),
    ("create", "rbac.authorization.k8s.io", "clusterroles", "", "", False),
    ("update", "rbac.authorization.k8s.io", "clusterroles", "", "kubenova:manager", False),
    ("escalate", "rbac.authorization.k8s.io", "clusterroles", "", "", False),
    ("escalate", "rbac.authorization.k8s.io", "clusterroles", "", "kubenova:projector", False),
    ("bind", "rbac.authorization.k8s.io", "clusterroles", "", "", False),
    ("bind", "rbac.authorization.k8s.io", "clusterroles", "", "admin", False),
    ("bind", "rbac.authorization.k8s.io", "clusterroles", "", "kubenova:manager", False),
    ("bind", "rbac.authorization.k8s.io", "clusterroles", "", "kubenova:projector", True),
    ("bind", "rbac.authorization.k8s.io", "clusterroles", "", "kubenova:tenant-admin", True),
    ("create", "rbac.authorization.k8s.io", "clusterrolebindings", "", "", False),
    ("create", "rbac.authorization.k8s.io", "roles", "", "", False),
    ("create", "rbac.authorization.k8s.io", "rolebindings", "", "", True),
    ("impersonate", "", "users", "", "", False),
    ("impersonate", "", "groups", "", "system:masters", False),
    ("impersonate", "", "serviceaccounts", "", "", False),
    ("create", "", "pods", "", "", False),
    ("create", "", "pods/exec", "", "", False),
    ("get", "", "nodes/proxy", "", "", False),
    ("create", "apps", "deployments", "", "", False),
    ("create", "apps", "deployments", "default", "", False),
    ("create", "", "configmaps", "default", "", False),
    ("create", "", "configmaps", SYSTEM_NAMESPACE, "", True),
    ("list", "apps", "deployments", "", "", True),
    ("watch", "networking.k8s.io", "networkpolicies", "", "", True),
    ("create", "", "namespaces", "", "", True),
    ("update", "", "namespaces/finalize", "", "", False),
    ("update", "", "namespaces/status", "", "", False),
    (
        "delete",
        "admissionregistration.k8s.io",
        "validatingadmissionpolicies",
        "",
        "kubenova-guard",
        False,
    ),
    ("create", "certificates.k8s.io", "certificatesigningrequests", "", "", False),
]


def test_its_own_account_may_do_what_it_needs_and_no_more(own):
    found = [(*asked, own.access_review(*asked)) for *asked, _ in RIGHTS]
    assert found == RIGHTS


def foreign(path: str = "kube-public") -> Ref:
    return Ref(NAMESPACE, "", path)


def binding(namespace: str, role: str, subject: JSON | None = None) -> tuple[Ref, JSON]:
    ref = Ref(ROLE_BINDING, namespace, "taken-over")
    account = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": SYSTEM_NAMESPACE}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    return ref, manifest(ref, roleRef=reference, subjects=[subject or account])


def plain(kind: Kind, namespace: str, name: str, **body: object) -> tuple[Ref, JSON]:
    ref = Ref(kind, namespace, name)
    return ref, manifest(ref, **body)


DENIED = {
    "A12-an unlabelled namespace": lambda: (HARMLESS, manifest(HARMLESS)),
    "A12-a foreign namespace as its own": lambda: (foreign(), manifest(foreign(), OURS)),
    "kube-system as its own": lambda: (
        foreign("kube-system"),
        manifest(foreign("kube-system"), OURS),
    ),
    "a role of its own in kube-system": lambda: binding("kube-system", "kubenova:projector"),
    "A15-the role admin in kube-system": lambda: binding("kube-system", "admin"),
    "a binding among its own rights": lambda: binding(SYSTEM_NAMESPACE, "kubenova:projector"),
    "a binding among the grants": lambda: binding(GRANTS_NAMESPACE, "kubenova:tenant-dev"),
    "a ConfigMap in default": lambda: plain(CONFIG_MAP, "default", "x", data={}),
    "a Deployment in default": lambda: plain(DEPLOYMENT, "default", "x"),
    "a Secret in its own namespace": lambda: plain(SECRET, SYSTEM_NAMESPACE, "x"),
    "A15-a ClusterRole": lambda: plain(CLUSTER_ROLE, "", "x", rules=[]),
    "an account among its own rights": lambda: plain(SERVICE_ACCOUNT, SYSTEM_NAMESPACE, "x"),
}


@pytest.mark.parametrize("attempt", DENIED.values(), ids=DENIED.keys())
def test_it_cannot_write(attempt, own):
    ref, body = attempt()
    with pytest.raises(Refused):
        own.apply(ref, body, force=True, dry_run=True)


@pytest.fixture
def ours(own: ApiCluster) -> Iterator[Ref]:
    ref = Ref(NAMESPACE, "", f"ours-{time.time_ns()}")
    live = own.apply(ref, manifest(ref, OURS))
    yield ref
    own.delete(ref, live.uid)


def test_it_works_in_a_namespace_that_it_made(own, ours):
    ref, body = binding(ours.name, "kubenova:projector")
    own.apply(ref, body)
    config = Ref(CONFIG_MAP, ours.name, "settings")
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            own.apply(config, manifest(config, data={"a": "b"}))
            break
        except Refused:
            time.sleep(0.02)
    assert own.get(config)


def test_it_cannot_give_up_a_namespace_that_it_made(own, ours):
    with pytest.raises(Refused, match="gives up"):
        own.apply(ours, manifest(ours), force=True)


def test_it_cannot_bind_more_than_its_own_roles_where_it_may_bind(own, ours):
    ref, body = binding(ours.name, "admin")
    with pytest.raises(Refused, match="not currently held"):
        own.apply(ref, body)


def test_it_cannot_delete_a_foreign_namespace(own, scratch_namespace):
    ref = foreign(scratch_namespace)
    with pytest.raises(Refused, match="kubenova-guard"):
        own.delete(ref, own.get(ref).uid)


def test_nobody_gets_a_token_without_end_where_tenants_live(own, ours, admin_api):
    body = {
        "metadata": {
            "name": "forever",
            "annotations": {"kubernetes.io/service-account.name": "default"},
        },
        "type": "kubernetes.io/service-account-token",
    }
    until = time.monotonic() + 60
    refused = ""
    while time.monotonic() < until and not refused:
        try:
            admin_api.create(f"/api/v1/namespaces/{ours.name}/secrets", body)
            admin_api.delete(f"/api/v1/namespaces/{ours.name}/secrets/forever")
        except ApiError as error:
            refused = str(error)
    assert "kubenova-tokens" in refused


def test_its_credential_is_rotated_and_the_previous_one_dropped_later(registered):
    first = registered.own_credentials[0]
    Cluster.objects.update(rotated_at=timezone.now() - timedelta(days=2))
    registered.baseline.mark()
    settle_live()
    registered.refresh_from_db()
    second, previous = registered.own_credentials
    assert second.token != first.token
    assert previous == first
    registered.baseline.mark()
    settle_live()
    registered.refresh_from_db()
    assert registered.own_credentials == [second]


def test_a_wrong_token_is_told_and_healed_by_a_right_one_f25(admin_kubeconfig, registered):
    good = registered.own_credentials[0]
    Cluster.objects.all()[0].abandon(by="olga")
    text = admin_kubeconfig
    text = re.sub(r"\n\s*client-key-data: .*", "", text)
    text = re.sub(r"client-certificate-data: .*", "token: not-a-token", text)
    cluster = declared("wrong", text)
    settle_live()
    synced = condition(cluster, "Synced")
    assert (cluster.phase, synced["reason"]) == ("Error", "Unauthenticated")
    assert "PUT /api/v1/clusters/wrong/credential" in synced["message"]
    assert good.token not in str(cluster.conditions)
    cluster.given = Given.of(parse(admin_kubeconfig.encode(), address_rules()))
    cluster.declare(by="olga")
    settle_live()
    assert condition(cluster, "Ready")["status"] == "True"


def test_the_same_cluster_is_not_registered_twice(registered, admin_kubeconfig):
    other = declared("again", admin_kubeconfig)
    settle_live()
    assert condition(other, "Synced")["reason"] == "AlreadyRegistered"
    assert "real" in condition(other, "Synced")["message"]


def test_a_drifted_role_is_shown_with_the_way_out(registered, admin_api, admin_kubeconfig):
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/kubenova:read-only"
    role = admin_api.get(path)
    admin_api.replace(path, role | {"rules": role["rules"][:2]})
    registered.baseline.mark()
    settle_live()
    synced = condition(registered, "Synced")
    assert (registered.phase, synced["reason"]) == ("Drifted", "Drifted")
    assert "PUT /api/v1/clusters/real/credential" in synced["message"]
    registered.given = Given.of(parse(admin_kubeconfig.encode(), address_rules()))
    registered.declare(by="olga")
    settle_live()
    assert admin_api.get(path)["rules"] == role["rules"]
    assert condition(registered, "Synced")["status"] == "True"
    assert Event.objects.filter(reason="DriftRepaired").exists()


def test_its_deletion_removes_its_namespaces_and_tells_what_stays(
    registered, admin_api, admin_kubeconfig
):
    registered.request_deletion(by="olga")
    settle_until(lambda: not Cluster.objects.exists())
    told = Event.objects.get(reason="LeftBehind")
    assert "ClusterRole kubenova:manager" in told.data["stays"]
    assert not any(SYSTEM_NAMESPACE in each for each in told.data["stays"])
    path = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}"
    admin_api.wait(path, lambda found: found is None)
    again = declared("again", admin_kubeconfig)
    settle_live()
    assert condition(again, "Ready")["status"] == "True"
    assert Event.objects.filter(reason="BaselineTakenOver").exists()


def test_its_account_is_the_one_that_the_guard_names(own):
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = own.create_review("authentication.k8s.io/v1", "selfsubjectreviews", body)
    assert answer["status"]["userInfo"]["username"] == USERNAME


def test_it_says_why_a_cluster_does_not_answer(settings, registered, admin_kubeconfig):
    settings.UNREACHABLE_GRACE_SECONDS = 0
    Cluster.objects.get().abandon(by="olga")
    cluster = declared("dead", re.sub(r"(127\.0\.0\.1):\d+", r"\1:1", admin_kubeconfig))
    settle_live()
    synced = condition(cluster, "Synced")
    assert (cluster.phase, synced["reason"]) == ("Error", "Unreachable")
    assert "cannot connect to 127.0.0.1:1: Connection refused" in synced["message"]


def test_it_refuses_a_server_that_another_authority_vouches_for(
    settings, admin_kubeconfig, second_admin_kubeconfig
):
    settings.UNREACHABLE_GRACE_SECONDS = 0
    field = r"certificate-authority-data: .*"
    other = re.search(field, second_admin_kubeconfig)[0]
    cluster = declared("forged", re.sub(field, other, admin_kubeconfig))
    settle_live()
    assert "certificate" in condition(cluster, "Synced")["message"]
    assert cluster.phase == "Error"


def test_it_cannot_read_a_secret_of_the_system(own):
    with pytest.raises(Forbidden):
        own.get(Ref(SECRET, "kube-system", "any"))


def test_it_mends_a_namespace_that_lost_the_mark_of_kubenova(own, ours, admin_api):
    path = f"/api/v1/namespaces/{ours.name}"
    admin_api.patch(path, {"metadata": {"labels": {MANAGED_BY: None, OWNER: "a.b"}}})
    assert own.apply(ours, manifest(ours, OURS), force=True).labels[MANAGED_BY] == MANAGER
