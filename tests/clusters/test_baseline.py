"""The baseline of a cluster over an API server in memory: registration, credential, deletion."""

from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.credentials import Given
from clusters.intents import ACCOUNT, BASELINE, GRANTS_NAMESPACE, MANAGER_ROLE, SYSTEM_NAMESPACE
from clusters.kinds import (
    ADMISSION_POLICY,
    ADMISSION_POLICY_BINDING,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    DEPLOYMENT,
    NAMESPACE,
    SERVICE_ACCOUNT,
)
from clusters.models import Cluster, ClusterBaseline
from reconcile.errors import Refused, Unauthenticated, Unreachable
from reconcile.models import AppliedObject, Event, Work
from reconcile.values import OWNER, Ref
from tenancy.models import Tenant
from tests.clusters import platforms
from tests.clusters.steps import hurry, settle, settle_until
from tests.fleet import admin
from tests.memory_cluster import MemoryCluster

pytestmark = pytest.mark.django_db

SYSTEM = Ref(NAMESPACE, "", SYSTEM_NAMESPACE)
MANAGER = Ref(CLUSTER_ROLE, "", MANAGER_ROLE)
KUBE_SYSTEM = Ref(NAMESPACE, "", "kube-system")
STAYING = (ADMISSION_POLICY, ADMISSION_POLICY_BINDING, CLUSTER_ROLE, CLUSTER_ROLE_BINDING)


def synced(cluster: Cluster) -> dict:
    cluster.refresh_from_db()
    return next(each for each in cluster.conditions if each["type"] == "Synced")


def verdict(cluster: Cluster) -> tuple[str, str]:
    """Its phase and the reason of its condition Synced, as stored by now."""
    reason = synced(cluster)["reason"]
    return cluster.phase, reason


def namespace(name: str) -> dict:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def ready(cluster: Cluster) -> dict:
    baseline = cluster.baseline
    return next(each for each in baseline.conditions if each["type"] == "Ready")


def look(cluster: Cluster) -> None:
    """Let the baseline take a step now."""
    cluster.baseline.mark()
    settle()
    cluster.refresh_from_db()


def give(cluster: Cluster, word: str = "admin") -> None:
    cluster.refresh_from_db()
    cluster.given = Given.of(admin(cluster.name, word))
    cluster.declare(by="olga")
    settle()
    cluster.refresh_from_db()


# --- Registration.


def test_it_is_pending_until_somebody_has_looked(fleet):
    cluster = fleet.declare("prod-a")
    assert (cluster.phase, cluster.generation, cluster.observed_generation) == ("Pending", 1, 0)
    assert fleet["prod-a"].calls == []


def test_it_stands_after_the_first_steps(fleet):
    cluster = fleet.register("prod-a")
    assert cluster.version == "v1.36.3"
    assert cluster.kube_system_uid == fleet["prod-a"].get(KUBE_SYSTEM).uid
    assert fleet["prod-a"].exists(Ref(SERVICE_ACCOUNT, SYSTEM_NAMESPACE, ACCOUNT))
    assert cluster.serves(f"baseline.{BASELINE}")


def test_it_drops_the_operators_credential_once_its_own_works(fleet):
    cluster = fleet.register("prod-a")
    assert cluster.bootstrap is None
    (own,) = cluster.own_credentials
    assert own.token.startswith(f"token-of-{SYSTEM_NAMESPACE}.{ACCOUNT}.")
    assert own.ca_pem == admin("prod-a").ca_pem
    life = cluster.scoped_expires_at - timezone.now()
    assert timedelta(days=29) < life <= timedelta(days=30)


def test_it_keeps_the_operators_credential_while_its_own_does_not_work(fleet):
    fleet.start("prod-a").fail_next(Refused("no tokens today"), verb="create_review", times=99)
    cluster = fleet.declare("prod-a")
    settle()
    cluster.refresh_from_db()
    assert cluster.bootstrap is not None
    assert cluster.scoped is None
    assert cluster.phase == "Error"


def test_it_writes_nothing_at_the_second_step(fleet):
    cluster = fleet.register("prod-a")
    fleet["prod-a"].writes.clear()
    look(cluster)
    assert fleet["prod-a"].writes == []
    assert cluster.phase == "Deployed"


def test_it_looks_again_by_itself(fleet, settings):
    cluster = fleet.register("prod-a")
    due = Work.objects.get(kind="clusters.clusterbaseline", object_id=cluster.baseline.pk).due_at
    soon = timezone.now() + timedelta(seconds=settings.CLUSTER_PROBE_SECONDS)
    assert abs(due - soon) < timedelta(seconds=30)


def test_it_leaves_a_paused_cluster_alone(fleet):
    cluster = fleet.register("prod-a")
    cluster.pause(by="olga")
    settle()
    fleet["prod-a"].calls.clear()
    look(cluster)
    assert fleet["prod-a"].calls == []
    cluster.resume(by="olga")
    settle()
    assert fleet["prod-a"].calls != []


# --- What goes wrong at registration, told to people, healed by itself.


def test_it_says_that_the_token_is_wrong_and_heals_with_a_right_one_f25(fleet):
    cluster = fleet.declare("prod-a", word="wrong")
    settle()
    assert synced(cluster)["reason"] == "Unauthenticated"
    assert "PUT /api/v1/clusters/prod-a/credential" in synced(cluster)["message"]
    assert cluster.phase == "Error"
    give(cluster)
    assert cluster.phase == "Deployed"


def test_it_bears_a_silent_cluster_for_a_while_and_heals(fleet, settings):
    fleet.start("prod-a").always(Unreachable("cannot connect to 198.51.100.7: refused"))
    cluster = fleet.declare("prod-a")
    settle()
    cluster.refresh_from_db()
    assert cluster.phase == "Pending"
    settings.UNREACHABLE_GRACE_SECONDS = 0
    look(cluster)
    assert verdict(cluster) == ("Error", "Unreachable")
    assert "cannot connect to 198.51.100.7: refused" in synced(cluster)["message"]
    fleet["prod-a"].heal()
    look(cluster)
    assert cluster.phase == "Deployed"


def test_it_refuses_an_old_cluster(fleet):
    fleet.start("prod-a", MemoryCluster(version="v1.29.14"))
    cluster = fleet.declare("prod-a")
    settle()
    assert synced(cluster)["reason"] == "VersionUnsupported"
    assert fleet["prod-a"].writes == []


def test_it_names_the_permissions_that_lack_a41(fleet):
    allowed = fleet.start("prod-a").reviews
    allowed.allow = lambda asked: asked.get("resource") != "clusterroles"
    cluster = fleet.declare("prod-a")
    settle()
    assert synced(cluster)["reason"] == "PermissionsMissing"
    assert "create clusterroles, patch clusterroles" in synced(cluster)["message"]
    assert fleet["prod-a"].writes == []


def test_it_refuses_the_same_cluster_under_another_name(fleet):
    fleet.register("prod-a")
    other = fleet.start("prod-b", fleet["prod-a"])
    other.writes.clear()
    cluster = fleet.declare("prod-b")
    settle()
    assert synced(cluster)["reason"] == "AlreadyRegistered"
    assert "prod-a" in synced(cluster)["message"]
    assert other.writes == []


def test_it_stops_when_another_cluster_answers_f29(fleet):
    cluster = fleet.register("prod-a")
    live = fleet["prod-a"]
    live.remove(KUBE_SYSTEM)
    live.apply_as("installer", KUBE_SYSTEM, namespace("kube-system"))
    live.writes.clear()
    look(cluster)
    assert verdict(cluster) == ("Error", "ClusterIdentityChanged")
    assert live.writes == []
    give(cluster)
    assert verdict(cluster) == ("Error", "ClusterIdentityChanged")
    assert live.writes == []


# --- Capabilities.


def test_it_finds_what_plain_kubernetes_can_do(fleet):
    cluster = fleet.register("prod-a")
    found = {row.name: row.served for row in cluster.capabilities.all()}
    assert found == {
        "admission.policies": True,
        f"baseline.{BASELINE}": True,
        "delivery.kubevela": False,
        "delivery.native": True,
        "tenancy.capsule": False,
        "tenancy.native": True,
    }


def test_it_tells_readers_when_capabilities_change(fleet):
    cluster = fleet.register("prod-a")
    platforms.kubevela(fleet["prod-a"])
    look(cluster)
    assert cluster.serves("delivery.kubevela")
    told = Event.objects.filter(reason="CapabilitiesChanged").latest("id")
    assert told.data == {
        "capabilities": [
            "delivery.kubevela",
            "delivery.kubevela.authentication",
            "delivery.kubevela.installed",
            "delivery.workflowrun",
        ]
    }


def test_it_says_which_kind_a_cluster_does_not_serve(fleet):
    cluster = fleet.register("prod-a")
    fleet["prod-a"].unserve(DEPLOYMENT)
    look(cluster)
    found = cluster.capabilities.get(name="delivery.native")
    assert (found.served, found.reason) == (False, "The cluster does not serve Deployment.")


# --- The credential.


def rotated(cluster: Cluster, days: int) -> None:
    then = timezone.now() - timedelta(days=days)
    Cluster.objects.filter(pk=cluster.pk).update(rotated_at=then)


def test_its_credential_is_renewed_daily_and_the_previous_one_dropped_later(fleet):
    cluster = fleet.register("prod-a")
    (first,) = cluster.own_credentials
    rotated(cluster, 1)
    look(cluster)
    second, previous = cluster.own_credentials
    assert previous == first
    assert second.token != first.token
    look(cluster)
    assert cluster.own_credentials == [second]


def test_it_goes_back_to_the_previous_credential_when_the_new_one_dies(fleet):
    cluster = fleet.register("prod-a")
    rotated(cluster, 1)
    look(cluster)
    second, first = cluster.own_credentials
    fleet.revoke(second.token)
    look(cluster)
    third, *_ = cluster.own_credentials
    assert third.token not in (first.token, second.token)
    assert cluster.phase == "Deployed"


def test_a_renewal_that_fails_is_told_when_the_end_is_near(fleet):
    cluster = fleet.register("prod-a")
    soon = timezone.now() + timedelta(days=3)
    rotated(cluster, 27)
    Cluster.objects.filter(pk=cluster.pk).update(scoped_expires_at=soon)
    fleet["prod-a"].fail_on("create_review", "serviceaccounts", Refused("no"))
    look(cluster)
    assert cluster.phase == "Deployed"
    assert ready(cluster)["reason"] == "CredentialExpiring"
    assert soon.date().isoformat() in ready(cluster)["message"]


def test_a_dead_credential_is_a_condition_f25(fleet):
    cluster = fleet.register("prod-a")
    fleet["prod-a"].always(Unauthenticated("Unauthorized"))
    look(cluster)
    assert verdict(cluster) == ("Error", "Unauthenticated")
    fleet["prod-a"].heal()
    give(cluster)
    assert cluster.phase == "Deployed"


def test_a_new_credential_that_does_not_work_leaves_its_own_in_use(fleet):
    cluster = fleet.register("prod-a")
    give(cluster, word="mistyped")
    assert cluster.phase == "Deployed"
    assert ready(cluster)["reason"] == "CredentialRefused"
    assert cluster.bootstrap is not None
    give(cluster)
    assert ready(cluster)["reason"] == "BaselineStands"
    assert cluster.bootstrap is None


def test_the_same_credential_again_writes_the_baseline_anew(fleet):
    cluster = fleet.register("prod-a")
    generation = cluster.generation
    fleet["prod-a"].edit(MANAGER, "kubectl-edit", lambda body: body.update(rules=[]))
    look(cluster)
    assert verdict(cluster) == ("Drifted", "Drifted")
    assert "PUT /api/v1/clusters/prod-a/credential" in synced(cluster)["message"]
    give(cluster)
    assert cluster.generation == generation + 1
    assert cluster.phase == "Deployed"
    assert fleet["prod-a"].body(MANAGER)["rules"]


def test_its_own_credential_repairs_its_namespaces(fleet):
    cluster = fleet.register("prod-a")
    key = "pod-security.kubernetes.io/enforce"
    fleet["prod-a"].edit(SYSTEM, "kubectl-label", lambda body: body["metadata"]["labels"].pop(key))
    look(cluster)
    assert fleet["prod-a"].body(SYSTEM)["metadata"]["labels"][key] == "restricted"
    assert cluster.phase == "Deployed"


# --- The end.


def test_its_deletion_removes_what_its_rights_allow_and_tells_the_rest(fleet):
    cluster = fleet.register("prod-a")
    cluster.request_deletion(by="olga")
    settle()
    hurry()
    assert not Cluster.objects.exists()
    assert not ClusterBaseline.objects.exists()
    assert not AppliedObject.objects.exists()
    live = fleet["prod-a"]
    assert not live.exists(SYSTEM)
    assert not live.exists(Ref(NAMESPACE, "", GRANTS_NAMESPACE))
    told = Event.objects.get(reason="LeftBehind")
    assert told.data["stays"] == sorted(
        str(ref) for kind in STAYING for ref in live.refs(kind) if OWNER in live.get(ref).labels
    )
    assert "kubectl delete clusterrolebindings,clusterroles" in told.message


def test_its_deletion_with_a_fresh_credential_leaves_nothing(fleet):
    cluster = fleet.register("prod-a")
    Cluster.objects.filter(pk=cluster.pk).update(paused=True)
    cluster.refresh_from_db()
    cluster.given = Given.of(admin("prod-a"))
    cluster.declare(by="olga")
    cluster.request_deletion(by="olga")
    settle()
    hurry()
    live = fleet["prod-a"]
    assert not Cluster.objects.exists()
    assert [ref for ref in live.refs() if OWNER in live.get(ref).labels] == []
    assert not Event.objects.filter(reason="LeftBehind").exists()


def test_a_cluster_that_never_answered_can_be_deleted(fleet):
    fleet.start("prod-a").always(Unreachable("down"))
    cluster = fleet.declare("prod-a")
    settle()
    cluster.request_deletion(by="olga")
    settle()
    assert not Cluster.objects.exists()


def test_what_an_earlier_registration_left_is_continued(fleet):
    cluster = fleet.register("prod-a")
    uid = cluster.baseline.uid
    stays = cluster.abandon(by="olga")
    assert f"ClusterRole {MANAGER_ROLE}" in stays
    fleet.start("prod-b", fleet["prod-a"])
    again = fleet.register("prod-b")
    assert again.baseline.uid == uid
    assert Event.objects.filter(reason="BaselineTakenOver").count() == 1


def test_whoever_waits_for_a_baseline_hears_of_it_under_the_identity_that_it_continues(fleet):
    fleet.register("prod-a").abandon(by="olga")
    fleet.start("prod-b", fleet["prod-a"])
    cluster = fleet.declare("prod-b")
    tenant = Tenant(name="acme", placement={"clusters": ["prod-b"]})
    tenant.declare(by="olga")
    soon = timezone.now() + timedelta(hours=1)
    cluster.baseline.work.update(due_at=soon)
    settle()
    assert tenant.placements.get().conditions[0]["reason"] == "WaitingForCluster"
    cluster.baseline.work.mark()
    settle_until(lambda: tenant.placements.get().phase == "Deployed", 5.0)


def test_a_foreign_object_of_the_same_name_is_never_taken_over_a12(fleet):
    live = fleet.start("prod-a")
    body = {"apiVersion": CLUSTER_ROLE.api_version, "kind": "ClusterRole", "rules": []}
    live.apply_as("helm", MANAGER, body | {"metadata": {"name": MANAGER_ROLE}})
    cluster = fleet.declare("prod-a")
    settle()
    assert verdict(cluster) == ("Error", "Taken")
    assert live.body(MANAGER)["rules"] == []


def test_a_policy_that_the_cluster_does_not_understand_is_an_error(fleet):
    cluster = fleet.register("prod-a")
    guard = Ref(ADMISSION_POLICY, "", "kubenova-guard")
    warning = {"fieldRef": "spec.validations[0].expression", "warning": "undefined field"}
    status = {"typeChecking": {"expressionWarnings": [warning]}}
    fleet["prod-a"].set_status(guard, status)
    look(cluster)
    assert ready(cluster)["reason"] == "PolicyInvalid"
    assert cluster.phase == "Error"


def test_a_deletion_that_lacks_a_credential_goes_on_with_a_new_one(fleet):
    cluster = fleet.register("prod-a")
    fleet.revoke(cluster.own_credentials[0].token)
    cluster.request_deletion(by="olga")
    settle()
    assert verdict(cluster) == ("Error", "Unauthenticated")
    assert "POST /api/v1/clusters/prod-a:forget" in synced(cluster)["message"]
    assert cluster.give(Given.of(admin("prod-a")), by="olga")
    hurry()
    hurry()
    assert not Cluster.objects.exists()
    live = fleet["prod-a"]
    assert [ref for ref in live.refs() if OWNER in live.get(ref).labels] == []
