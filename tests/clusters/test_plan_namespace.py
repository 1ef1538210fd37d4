"""The namespace in which plans are tried: part of the baseline, and nothing real lives there."""

import pytest

from clusters.adapters.baseline import Baseline
from clusters.connect import connect
from clusters.intents import (
    ACCOUNT,
    BASELINE,
    PROJECTOR,
    SIMULATION_NAMESPACE,
    SYSTEM_NAMESPACE,
    BaselineIntent,
)
from clusters.kinds import CONFIG_MAP, NAMESPACE, ROLE_BINDING
from clusters.models import Cluster
from reconcile.errors import Forbidden
from reconcile.models import AppliedObject
from reconcile.planning.values import PLAN_NAMESPACE
from reconcile.values import JSON, MANAGED_BY, MANAGER, Ref
from tests.clusters.steps import hurry
from tests.clusters.test_baseline import give, look, synced, verdict
from tests.fleet import Fleet
from tests.memory_admission import WARN

HOME = Ref(NAMESPACE, "", PLAN_NAMESPACE)
TRIED = Ref(CONFIG_MAP, PLAN_NAMESPACE, "a")


def rendered(kind: str, name: str) -> list[JSON]:
    return [
        body
        for body in Baseline().render(BaselineIntent())
        if (body["kind"], body["metadata"]["name"]) == (kind, name)
    ]


def manifest(ref: Ref) -> JSON:
    meta = {"name": ref.name, "namespace": ref.namespace}
    return {"apiVersion": ref.kind.api_version, "kind": ref.kind.name, "metadata": meta}


def test_it_is_ours_and_no_pod_could_run_in_it():
    (home,) = rendered("Namespace", PLAN_NAMESPACE)
    labels = home["metadata"]["labels"]
    assert labels[MANAGED_BY] == MANAGER
    assert labels["pod-security.kubernetes.io/enforce"] == labels[WARN] == "restricted"


def test_only_our_account_has_rights_in_it():
    binding, other = rendered("RoleBinding", PROJECTOR)
    assert binding["metadata"]["namespace"] == PLAN_NAMESPACE
    assert other["metadata"]["namespace"] == SIMULATION_NAMESPACE
    assert binding["roleRef"]["name"] == PROJECTOR
    (subject,) = binding["subjects"]
    assert (subject["name"], subject["namespace"]) == (ACCOUNT, SYSTEM_NAMESPACE)


def test_the_guard_lets_dry_runs_alone_into_it():
    (policy,) = rendered("ValidatingAdmissionPolicy", "kubenova-guard-places")
    (rule,) = [
        each for each in policy["spec"]["validations"] if PLAN_NAMESPACE in each["expression"]
    ]
    assert "request.dryRun" in rule["expression"] and "nothing real" in rule["message"]


@pytest.fixture
def cluster(fleet: Fleet, db) -> Cluster:
    return fleet.register("prod-a")


def test_a_dry_run_is_let_in_and_a_write_is_not(cluster, fleet):
    with connect(cluster) as api:
        assert api.apply(TRIED, manifest(TRIED), dry_run=True).ref == TRIED
        with pytest.raises(Forbidden):
            api.apply(TRIED, manifest(TRIED))
    assert not fleet["prod-a"].exists(TRIED)


def test_an_older_baseline_needs_a_fresh_credential(cluster, fleet):
    """KubeNova's own account may make namespaces, but neither bind itself nor change its guard."""
    fleet["prod-a"].remove(HOME)
    AppliedObject.objects.filter(namespace=PLAN_NAMESPACE).delete()
    AppliedObject.objects.filter(name=PLAN_NAMESPACE).delete()
    cluster.capabilities.filter(name=f"baseline.{BASELINE}").delete()
    look(cluster)
    assert verdict(cluster) == ("Drifted", "Drifted")
    assert "PUT /api/v1/clusters/prod-a/credential" in synced(cluster)["message"]
    assert not cluster.serves(f"baseline.{BASELINE}")
    give(cluster)
    assert cluster.phase == "Deployed" and cluster.serves(f"baseline.{BASELINE}")
    assert fleet["prod-a"].exists(Ref(ROLE_BINDING, PLAN_NAMESPACE, PROJECTOR))


def test_it_goes_with_the_cluster(cluster, fleet):
    cluster.request_deletion(by="olga")
    for _ in range(5):
        hurry()
    assert not Cluster.objects.exists() and not fleet["prod-a"].exists(HOME)
