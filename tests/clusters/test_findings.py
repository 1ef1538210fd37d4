"""What is found of the platforms on a cluster, who is kept away by it, and what is accepted."""

import pytest
from django.contrib.auth.models import Permission
from rest_framework.test import APIClient

from clusters.inspection import inspect
from clusters.intents import BASELINE, USERNAME
from clusters.kinds import ADMISSION_POLICY, ADMISSION_POLICY_BINDING
from clusters.models import Capability, Cluster, Finding
from clusters.preflight import APPLICATION_POLICY, Found, Severity, Sight, Stage, check
from reconcile.errors import Forbidden
from reconcile.models import Event
from reconcile.values import Ref
from tests.api.conftest import pointers, problem, signed_in
from tests.clusters import platforms
from tests.clusters.steps import settle
from tests.fleet import Fleet
from tests.memory_cluster import MemoryCluster
from tests.people import alice, make_acme, olga, person, quick_passwords

__all__ = ["alice", "olga", "quick_passwords"]

pytestmark = pytest.mark.django_db
FINDINGS = "/api/v1/clusters/prod-a/findings"
HOLE = Found("capsule-version", Stage.TENANCY, Severity.CRITICAL, "It has holes.", "helm upgrade")
AUTHENTICATED = "--feature-gates=AuthenticateApplication=true"


@pytest.fixture
def cluster(fleet: Fleet) -> Cluster:
    return fleet.register("prod-a")


@pytest.fixture
def live(cluster: Cluster, fleet: Fleet) -> MemoryCluster:
    return fleet["prod-a"]


def look(cluster: Cluster) -> set[str]:
    """Look at the cluster now; return the codes of what was found."""
    cluster.baseline.mark()
    settle()
    return set(cluster.findings.values_list("code", flat=True))


def record(cluster: Cluster, *found: Found) -> None:
    Finding.objects.record(cluster, found)


# --- What is found.


def test_plain_kubernetes_is_a_cluster_without_findings(cluster):
    assert look(cluster) == set()
    assert cluster.findings.count() == 0


def test_capsule_as_it_should_be_is_no_finding(cluster, live):
    platforms.capsule(live)
    assert look(cluster) == set()
    cluster.refresh_from_db()
    assert cluster.platforms["capsule"]["deployment"] == "capsule-system/capsule"
    assert cluster.platforms["capsule"]["version"] == "0.14.0"


@pytest.mark.parametrize(
    ("version", "code"),
    [
        pytest.param("0.13.7", "capsule-version", id="known holes"),
        pytest.param("0.12.0", "capsule-version", id="older"),
        pytest.param("latest", "capsule-version-unknown", id="nobody knows"),
        pytest.param("0.13.8", None, id="just new enough"),
    ],
)
def test_capsule_has_to_be_without_known_holes_a41(cluster, live, version, code):
    platforms.capsule(live, version)
    assert look(cluster) == ({code} if code else set())


def test_capsule_has_to_take_kubenova_for_an_administrator_a41(cluster, live):
    platforms.capsule(live, administrator="system:serviceaccount:argocd:argocd")
    assert look(cluster) == {"capsule-administrators"}
    fix = cluster.findings.get().fix
    assert USERNAME in fix and "system:serviceaccount:argocd:argocd" in fix, "nobody is replaced"


@pytest.mark.parametrize(
    ("ref", "policy", "resource", "code"),
    [
        pytest.param(platforms.VALIDATING, "Ignore", "namespaces", "capsule-webhooks-ignore"),
        pytest.param(platforms.MUTATING, "Ignore", "tenants", "capsule-webhooks-ignore"),
    ],
    ids=["validating", "mutating"],
)
def test_capsules_webhooks_may_not_be_passed_by_a41(cluster, live, ref, policy, resource, code):
    platforms.capsule(live)
    platforms.hook(live, ref, policy, resource)
    assert code in look(cluster)


def test_capsule_without_webhooks_keeps_nobody_apart_a41(cluster, live):
    platforms.capsule(live)
    live.remove(platforms.VALIDATING)
    live.remove(platforms.MUTATING)
    assert look(cluster) == {"capsule-webhooks-missing"}
    assert cluster.findings.get().severity == "critical"


def test_what_may_not_be_read_is_unknown_and_not_missing(cluster, live):
    platforms.capsule(live)
    live.fail_on("get", platforms.VALIDATING, Forbidden("no"))
    assert "capsule-webhooks-missing" not in look(cluster)


def test_a_controller_that_is_down_is_told(cluster, live):
    platforms.capsule(live)
    live.set_status(platforms.run(live, "capsule", "0.14.0"), {"availableReplicas": 0})
    assert look(cluster) == {"capsule-down"}


@pytest.mark.parametrize(
    ("version", "found"),
    [
        pytest.param("0.4.5", {"capsule-proxy-version"}, id="an empty token passes"),
        pytest.param("0.4.6", set(), id="mended"),
    ],
)
def test_capsule_proxy_may_let_nobody_pass_without_a_token_a41(cluster, live, version, found):
    platforms.capsule(live)
    platforms.run(live, "capsule-proxy", version)
    assert look(cluster) == found


@pytest.mark.parametrize(
    ("arguments", "policy", "is_open"),
    [
        pytest.param((), None, True, id="as its chart has it"),
        pytest.param((AUTHENTICATED,), "Ignore", True, id="a webhook that may be passed by"),
        pytest.param((AUTHENTICATED,), "Fail", False, id="authenticated"),
        pytest.param(("--v=2",), "Fail", True, id="a webhook alone"),
    ],
)
def test_kubevela_has_to_know_who_writes_a41(live, arguments, policy, is_open):
    platforms.kubevela(live, *arguments)
    live.serve(platforms.WORKFLOW_RUNS)
    if policy:
        platforms.hook(live, platforms.VELA_HOOK, policy, "applications")
    live.remove(Ref(ADMISSION_POLICY, "", APPLICATION_POLICY))
    sight = inspect(live, live.discovery())
    found = {each.code: each.fix for each in check("prod-a", sight, ())}
    assert found == ({"kubevela-open": "PUT /api/v1/clusters/prod-a/credential"} if is_open else {})


def test_the_baseline_closes_kubevela_a41(cluster, live):
    platforms.kubevela(live)
    assert look(cluster) == {"kubevela-workflowrun"}
    assert cluster.findings.get().severity == "info"


@pytest.mark.parametrize("kind", [ADMISSION_POLICY, ADMISSION_POLICY_BINDING])
def test_half_of_the_policy_guards_nothing_a41(cluster, live, kind):
    platforms.kubevela(live)
    assert inspect(live, live.discovery()).guarded
    live.remove(Ref(kind, "", APPLICATION_POLICY))
    assert not inspect(live, live.discovery()).guarded


def test_a_kubevela_that_cannot_be_used_is_told_with_the_command(cluster, live):
    platforms.kubevela(live, AUTHENTICATED)
    assert "kubevela-unfit" in look(cluster)
    found = cluster.findings.get(code="kubevela-unfit")
    assert found.severity == "warning"
    assert found.fix.endswith("--set authentication.enabled=false")


def test_an_older_baseline_is_told_with_its_way_out(cluster):
    Capability.objects.filter(cluster=cluster, name=f"baseline.{BASELINE}").update(
        name=f"baseline.{BASELINE - 1}"
    )
    found = check("prod-a", Sight(), [row.ability for row in cluster.capabilities.all()])
    assert [(each.code, each.fix) for each in found] == [
        ("baseline-outdated", "PUT /api/v1/clusters/prod-a/credential")
    ]


# --- How it is remembered.


def test_it_is_told_once_and_over_once(cluster):
    record(cluster, HOLE)
    record(cluster, HOLE)
    seen = Event.objects.filter(reason="FindingSeen")
    assert seen.count() == 1 and seen.get().type == "Warning"
    record(cluster)
    assert not cluster.findings.exists()
    assert Event.objects.filter(reason="FindingOver").count() == 1


def test_an_acceptance_holds_for_what_was_accepted_alone(cluster):
    record(cluster, HOLE)
    cluster.findings.get().accept("Upgrade on Monday.", by="olga")
    record(cluster, HOLE)
    assert not cluster.findings.get().blocks
    worse = Found(HOLE.code, HOLE.step, HOLE.severity, "It has more holes.", HOLE.fix)
    record(cluster, worse)
    assert cluster.findings.get().blocks


def test_a_finding_that_comes_back_has_to_be_accepted_anew(cluster):
    record(cluster, HOLE)
    cluster.findings.get().accept("Upgrade on Monday.", by="olga")
    record(cluster)
    record(cluster, HOLE)
    assert Finding.objects.blocking().count() == 1


# --- Over HTTP.


@pytest.fixture
def hole(cluster: Cluster) -> Finding:
    record(cluster, HOLE)
    return cluster.findings.get()


def verb(client: APIClient, name: str, body: object = None, code: str = HOLE.code, **headers: str):
    return client.post(f"{FINDINGS}/{code}:{name}", body or {}, format="json", **headers)


def test_operators_read_and_accept_it_with_a_reason(hole, olga):
    client = signed_in(olga)
    (found,) = client.get(FINDINGS).json()["items"]
    assert (found["code"], found["blocks"], found["fix"]) == (HOLE.code, True, HOLE.fix)
    answer = verb(client, "accept", {"reason": "Upgrade on Monday."})
    assert answer.status_code == 202
    assert (answer.json()["accepted_by"], answer.json()["blocks"]) == ("olga", False)
    event = Event.objects.get(reason="FindingAccepted")
    assert event.actor == "olga" and "Upgrade on Monday." in event.message


def test_an_acceptance_is_taken_back(hole, olga):
    client = signed_in(olga)
    verb(client, "accept", {"reason": "Upgrade on Monday."})
    assert verb(client, "revoke").json()["blocks"]
    assert Event.objects.filter(reason="FindingRevoked", actor="olga").count() == 1


def test_the_same_request_accepts_once(hole, olga):
    client, reason = signed_in(olga), {"reason": "Upgrade on Monday."}
    first = verb(client, "accept", reason, HTTP_IDEMPOTENCY_KEY="k")
    assert verb(client, "accept", reason, HTTP_IDEMPOTENCY_KEY="k").json() == first.json()
    assert Event.objects.filter(reason="FindingAccepted").count() == 1


@pytest.mark.parametrize(
    "body",
    [{}, {"reason": ""}, {"reason": "   "}, {"reason": "x" * 501}, {"reason": "a", "by": "bob"}],
    ids=["nothing", "empty", "blank", "long", "more"],
)
def test_nothing_is_accepted_without_a_reason(hole, olga, body):
    found = problem(verb(signed_in(olga), "accept", body), 400, "KN-INVALID")
    assert pointers(found) in (["/reason"], ["/by"])
    assert Finding.objects.get().blocks


def test_members_and_strangers_see_nothing_a24(hole, alice):
    make_acme()
    client = signed_in(alice)
    assert client.get(FINDINGS).status_code == 404
    assert verb(client, "accept", {"reason": "Please."}).status_code == 404


def test_who_may_only_see_clusters_accepts_nothing(hole):
    viewer = person("vera")
    viewer.user_permissions.add(Permission.objects.get(codename="view_cluster"))
    client = signed_in(viewer)
    assert client.get(FINDINGS).status_code == 200
    assert verb(client, "accept", {"reason": "Please."}).status_code == 403
    assert verb(client, "revoke").status_code == 403


def test_what_was_not_found_cannot_be_accepted(hole, olga):
    answer = verb(signed_in(olga), "accept", {"reason": "So what."}, code="capsule-down")
    assert answer.status_code == 404


def test_a_cluster_tells_how_many_there_are(hole, olga):
    client = signed_in(olga)
    counts = client.get("/api/v1/clusters/prod-a").json()["status"]["findings"]
    assert counts == {"critical": 1, "warning": 0, "info": 0, "blocking": 1}
