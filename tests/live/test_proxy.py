"""kubectl through the access proxy, end to end on a real control plane."""

import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from itertools import product

import jwt
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from django.utils import timezone

from access.issuing import issue
from access.models import AuditRecord, GrantPlacement, KubeconfigGrant
from clusters.adapters.roles import cluster_roles
from clusters.models import Cluster
from tenancy.intents import Role
from tenancy.models import Project, Tenant
from tests.clusters.steps import settle_live
from tests.live.proxied import Door, Kubectl, door, pod, shared_database, wait_until
from tests.people import person

__all__ = ["door", "shared_database"]
pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

# What ends a stream ends it within a second; a busy machine is given three times that.
CUT = 3.0
HERS = ["namespace/acme--blog", "namespace/acme--shop"]
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: registry.example.org/web:1}]}
"""


@pytest.fixture(scope="module")
def alices(door: Door) -> Kubectl:
    """Alice's kubectl, for acme."""
    return door.kubectl(door.issue("alice"))


@pytest.fixture(scope="module")
def pods(door: Door) -> None:
    """A pod in each namespace, one of globex among them."""
    for namespace in ("acme--blog", "acme--shop", "globex--shop"):
        path = f"/api/v1/namespaces/{namespace}"
        door.api.wait(f"{path}/serviceaccounts/default", bool)
        body = json.loads(pod(f"pod-of-{namespace}"))
        body["metadata"]["labels"] = {"app": namespace}
        door.api.create(f"{path}/pods", body)


def assert_locked_out(kubectl: Kubectl, *arguments: str) -> None:
    """The answer is 401; kubectl has two ways of saying so."""
    told = kubectl.refused(*arguments)
    assert "Unauthorized" in told or "You must be logged in to the server" in told, told


# --- Namespaces.


def test_get_ns_lists_only_hers(alices):
    assert alices("get", "ns", "-o", "name").split() == HERS
    table = alices("get", "ns").splitlines()
    assert [line.split()[0] for line in table] == ["NAME", "acme--blog", "acme--shop"]
    assert alices("get", "namespaces", "--chunk-size=1", "-o", "name").split() == HERS


def test_get_ns_of_a_project_lists_its_own(door):
    kubectl = door.kubectl(door.issue("bob", "shop"))
    assert kubectl("get", "ns", "-o", "name").split() == ["namespace/acme--shop"]
    assert kubectl("config", "view", "-o", "jsonpath={..namespace}") == "acme--shop"


@pytest.mark.parametrize(
    "selector",
    [
        "kubenova.io/tenant=globex",
        "kubenova.io/tenant in (acme,globex)",
        "kubenova.io/tenant!=acme",
        "kubernetes.io/metadata.name in (kube-system,acme--shop)",
        "a),x notin (z",
        "x notin (a",
        ",",
        "!kubenova.io/tenant",
        "",
    ],
)
def test_a30_no_selector_widens_what_she_sees(alices, selector):
    done = alices.run("get", "ns", "-o", "name", "-l", selector)
    assert set(done.stdout.split()) <= set(HERS)


def test_selectors_narrow_as_usual(alices):
    found = alices("get", "ns", "-l", "kubenova.io/project=shop", "-o", "name")
    assert found.split() == ["namespace/acme--shop"]
    field = alices("get", "ns", "--field-selector", "metadata.name=acme--blog", "-o", "name")
    assert field.split() == ["namespace/acme--blog"]


def test_one_namespace_is_read_by_its_name(alices):
    assert alices("get", "ns", "acme--shop", "-o", "name").strip() == "namespace/acme--shop"


@pytest.mark.parametrize("name", ["globex--shop", "kube-system", "kubenova-grants", "nothing"])
def test_a_foreign_namespace_is_refused_like_a_missing_one(alices, name):
    told = alices.refused("get", "ns", name)
    assert "Forbidden" in told and "cannot get resource" in told


def test_get_ns_w_follows_a_new_project(door, alices):
    with alices.following("get", "ns", "-w", "-o", "name") as watch:
        watch.wait_for("acme--shop")
        Project(tenant=Tenant.objects.get(name="acme"), name="wiki").declare(by="alice")
        wait_until(lambda: settle_live() >= 0 and _granted("acme--wiki"), 120)
        watch.wait_for("acme--wiki")
        Project.objects.get(name="wiki").request_deletion(by="alice")
        wait_until(
            lambda: settle_live() >= 0 and not Project.objects.filter(name="wiki").exists(), 120
        )
        assert not any("globex" in line or "kube" in line for line in watch.lines)
    assert alices("get", "ns", "-o", "name").split() == HERS


def _granted(namespace: str) -> bool:
    return any(namespace in row.granted for row in GrantPlacement.objects.all())


# --- What is in them.


def test_get_pods_in_her_namespace(alices, pods):
    assert "pod-of-acme--shop" in alices("get", "pods", "-n", "acme--shop")


def test_get_pods_everywhere_is_everywhere_of_hers(alices, pods):
    table = alices("get", "pods", "-A").splitlines()
    assert table[0].split()[:2] == ["NAMESPACE", "NAME"]
    assert sorted(line.split()[:2] for line in table[1:]) == [
        ["acme--blog", "pod-of-acme--blog"],
        ["acme--shop", "pod-of-acme--shop"],
    ]
    body = json.loads(alices("get", "pods", "-A", "-o", "json"))
    assert {each["metadata"]["namespace"] for each in body["items"]} == {
        "acme--blog",
        "acme--shop",
    }
    labelled = alices("get", "pods", "-A", "-l", "app=acme--blog", "-o", "name")
    assert labelled.split() == ["pod/pod-of-acme--blog"]
    assert alices("get", "pods", "-A", "-l", "app=globex--shop", "-o", "name") == ""


def test_several_kinds_everywhere(alices, pods):
    found = alices("get", "pods,configmaps,deployments.apps", "-A", "-o", "name").split()
    assert {"pod/pod-of-acme--blog", "configmap/kube-root-ca.crt"} <= set(found)


def test_what_lives_in_no_namespace_is_the_clusters_to_refuse(alices):
    for kind in ("nodes", "clusterroles", "persistentvolumes"):
        assert "Forbidden" in alices.refused("get", kind)


def test_everything_of_one_project_comes_in_pages(door, pods):
    kubectl = door.kubectl(door.issue("bob", "shop"))
    found = kubectl("get", "configmaps,pods", "-A", "--chunk-size=1", "-o", "name").split()
    assert "pod/pod-of-acme--shop" in found


def test_apply_change_and_delete(alices):
    assert "created" in alices("apply", "-n", "acme--shop", "-f", "-", stdin=DEPLOYMENT)
    assert "unchanged" in alices("apply", "-n", "acme--shop", "-f", "-", stdin=DEPLOYMENT)
    alices("scale", "deployment", "web", "-n", "acme--shop", "--replicas=2")
    alices("rollout", "status", "deployment/web", "-n", "acme--shop", "--timeout=100s")
    alices("annotate", "deployment", "web", "-n", "acme--shop", "note=x")
    assert "web" in alices("describe", "deployment", "web", "-n", "acme--shop")
    alices("apply", "--server-side", "-n", "acme--shop", "-f", "-", stdin=pod("applied"))
    alices("delete", "deployment,pod", "--all", "-n", "acme--shop", "--wait=false")


def test_unknown_fields_are_told_as_usual(alices):
    told = alices.refused("create", "-n", "acme--shop", "-f", "-", stdin=pod("x", nonsense=1))
    assert "nonsense" in told


def test_discovery_and_explanations_pass(alices):
    assert "deployments" in alices("api-resources")
    assert "v1" in alices("api-versions")
    assert "KIND:       Pod" in alices("explain", "pod")
    assert "Server Version" in alices("version")


def test_auth_can_i_tells_the_truth(alices):
    assert alices("auth", "can-i", "create", "pods", "-n", "acme--shop").strip() == "yes"
    assert alices.run("auth", "can-i", "create", "pods", "-n", "globex--shop").stdout == "no\n"
    assert alices.run("auth", "can-i", "escalate", "clusterroles").stdout == "no\n"
    assert "kubenova-grants" in alices("auth", "whoami")


def test_a_viewer_views(door, pods):
    kubectl = door.kubectl(door.issue("carol"))
    assert "pod-of-acme--blog" in kubectl("get", "pods", "-A")
    for told in (
        kubectl.refused("get", "secrets", "-A"),
        kubectl.refused("get", "secrets", "-n", "acme--blog"),
        kubectl.refused("apply", "-n", "acme--blog", "-f", "-", stdin=pod("x")),
        kubectl.refused("delete", "pod", "pod-of-acme--blog", "-n", "acme--blog"),
    ):
        assert "Forbidden" in told
    told = kubectl.refused("exec", "-n", "acme--blog", "pod-of-acme--blog", "--", "id")
    assert "does not allow exec" in told


@pytest.mark.parametrize(
    "arguments",
    [
        ("get", "pods", "-n", "globex--shop"),
        ("get", "configmaps", "-n", "kube-system"),
        ("get", "secrets", "-n", "kubenova-grants"),
        ("get", "serviceaccounts", "-n", "kubenova-system"),
        ("create", "token", "kubenova", "-n", "kubenova-system"),
        ("create", "token", "default", "-n", "acme--shop"),
        ("create", "ns", "mine"),
        ("delete", "ns", "acme--shop"),
        ("label", "ns", "acme--shop", "kubenova.io/tenant=globex", "--overwrite"),
        ("create", "clusterrolebinding", "x", "--clusterrole=cluster-admin", "--user=x"),
        ("create", "rolebinding", "x", "--clusterrole=admin", "--user=x", "-n", "acme--shop"),
        ("get", "pods", "-A", "--as=system:admin"),
        ("get", "ns", "--as=x", "--as-group=system:masters"),
        ("get", "--raw", "/api/v1/namespaces/globex--shop/pods"),
        ("get", "--raw", "/api/v1/nodes"),
    ],
    ids=" ".join,
)
def test_a15_beyond_the_grant_everything_is_refused(alices, arguments):
    done = alices.run(*arguments)
    if "--as=system:admin" in arguments or "--as=x" in arguments:  # the words are simply not heard
        assert "globex" not in done.stdout and "kube-system" not in done.stdout
        return
    assert done.returncode != 0
    assert "orbidden" in done.stderr


MATRIX_VERBS = ("get", "list", "create", "patch", "delete", "deletecollection", "escalate")
MATRIX_RESOURCES = (
    ("", "pods"),
    ("", "pods/exec"),
    ("", "pods/log"),
    ("", "pods/portforward"),
    ("", "secrets"),
    ("", "configmaps"),
    ("", "namespaces"),
    ("", "serviceaccounts"),
    ("", "serviceaccounts/token"),
    ("", "resourcequotas"),
    ("", "nodes"),
    ("", "nodes/proxy"),
    ("apps", "deployments"),
    ("apps", "daemonsets"),
    ("networking.k8s.io", "networkpolicies"),
    ("rbac.authorization.k8s.io", "rolebindings"),
    ("core.oam.dev", "applications"),
)
MATRIX_NAMESPACES = ("acme--blog", "acme--shop", "globex--shop", "kube-system", "")


@pytest.mark.parametrize("name", ["alice", "bob", "carol"])
def test_a15_the_rights_on_the_cluster_are_those_of_the_verbs_and_no_more(door, name):
    issued = door.issue(name, "shop")
    door.believe(issued.grant)
    user = f"system:serviceaccount:kubenova-grants:{issued.grant.name}"
    allowed = {
        (verb, group, resource)
        for granted in issued.grant.verbs
        for rule in cluster_roles()[f"kubenova:{granted}"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    asked = list(product(MATRIX_VERBS, MATRIX_RESOURCES, MATRIX_NAMESPACES))
    wrong = [
        (verb, group, resource, namespace)
        for verb, (group, resource), namespace in asked
        if door.may(user, namespace, verb, resource, group)
        is not ((verb, group, resource) in allowed and namespace == "acme--shop")
    ]
    assert len(asked) > 500
    assert wrong == []


# --- Streams.


def test_get_pods_w_streams(door, alices):
    with alices.following("get", "pods", "-w", "-n", "acme--blog", "-o", "name") as watch:
        time.sleep(0.5)
        alices("apply", "-n", "acme--blog", "-f", "-", stdin=pod("streamed"))
        watch.wait_for("pod/streamed")
        assert watch.process.poll() is None


def test_get_pods_w_everywhere_streams_from_all_of_hers(door, alices, pods):
    with alices.following("get", "pods", "-A", "-w") as watch:
        watch.wait_for("pod-of-acme--blog")
        for namespace in ("acme--blog", "acme--shop"):
            alices("apply", "-n", namespace, "-f", "-", stdin=pod(f"late-{namespace}"))
        path = "/api/v1/namespaces/globex--shop/pods"
        door.api.create(path, json.loads(pod("secret-of-globex")))
        watch.wait_for("late-acme--blog")
        watch.wait_for("late-acme--shop")
        assert not any("globex" in line for line in watch.lines)
        headers = [line for line in watch.lines if line.startswith("NAMESPACE")]
        assert len(headers) == 1


def test_wait_works(alices):
    alices("apply", "-n", "acme--blog", "-f", "-", stdin=pod("awaited"))
    alices("wait", "pod/awaited", "-n", "acme--blog", "--for=condition=Ready", "--timeout=100s")
    alices("delete", "pod", "awaited", "-n", "acme--blog", "--timeout=100s")


# --- The end of a grant.


def test_a27_revoked_its_watch_ends_within_a_second_and_it_opens_nothing(door):
    issued = door.issue("alice", "blog")
    kubectl = door.kubectl(issued)
    (user,) = yaml.safe_load(issued.kubeconfig)["users"]
    token = user["user"]["token"]
    assert door.token_is_alive(token)
    with kubectl.following("get", "pods", "-w") as watch:
        time.sleep(1.0)
        assert watch.process.poll() is None
        issued.grant.revoke("alice")
        took = wait_until(lambda: watch.process.poll() is not None)
        assert took < CUT, f"{took:.2f} s"
    assert_locked_out(kubectl, "get", "pods")
    settle_live()
    wait_until(lambda: not door.token_is_alive(token), 45)
    wait_until(lambda: seen_dead(issued.grant) == {"real"})
    denied = AuditRecord.objects.filter(grant=issued.grant.name, source="proxy", status=401)
    assert denied.filter(actor="alice", tenant="acme").exists()
    path = f"/api/v1/namespaces/kubenova-grants/serviceaccounts/{issued.grant.name}"
    door.api.wait(path, lambda found: found is None)


def seen_dead(grant: KubeconfigGrant) -> set[str]:
    """The clusters of which it is recorded when they refused the token."""
    grant.refresh_from_db()
    return set(grant.seen_dead)


def test_expired_its_watch_ends_it_opens_nothing_and_nothing_of_it_is_left(door):
    issued = door.issue("alice", "blog")
    kubectl = door.kubectl(issued)
    with kubectl.following("get", "ns", "-w") as watch:
        watch.wait_for("acme--blog")
        soon = timezone.now() + timedelta(seconds=1)
        KubeconfigGrant.objects.filter(pk=issued.grant.pk).update(expires_at=soon)
        took = wait_until(lambda: watch.process.poll() is not None)
        assert 0.4 < took < 1.0 + CUT, f"{took:.2f} s"
    assert_locked_out(kubectl, "get", "pods")
    issued.grant.mark()  # its own look was due at the expiry that the cluster had said
    settle_live()
    issued.grant.refresh_from_db()
    assert issued.grant.state == "Expired"
    path = f"/api/v1/namespaces/kubenova-grants/serviceaccounts/{issued.grant.name}"
    door.api.wait(path, lambda found: found is None)
    wait_until(lambda: not door.token_is_alive(token_of(kubectl)))
    wait_until(lambda: seen_dead(issued.grant) == {"real"})
    settle_live()
    issued.grant.refresh_from_db()
    assert issued.grant.closed_at is not None


def test_a27_a_removed_member_is_out_at_once(door):
    bob, acme = person("bob"), Tenant.objects.get(name="acme")
    kubectl = door.kubectl(door.issue("bob", "shop"))
    with kubectl.following("get", "pods", "-w") as watch:
        time.sleep(1.0)
        acme.dismiss(bob, by="alice")
        assert wait_until(lambda: watch.process.poll() is not None) < CUT
    assert_locked_out(kubectl, "get", "pods")
    acme.admit(bob, Role.DEV, by="alice")


def test_a27_a_demoted_member_loses_what_the_role_lost(door):
    acme, carol = Tenant.objects.get(name="acme"), person("carol")
    acme.admit(carol, Role.DEV, by="alice")
    kubectl = door.kubectl(door.issue("carol", "blog"))
    kubectl("apply", "-f", "-", stdin=pod("carols"))
    acme.admit(carol, Role.READ_ONLY, by="alice")
    settle_live()
    wait_until(lambda: kubectl.run("delete", "pod", "carols", "--dry-run=server").returncode)
    assert "Forbidden" in kubectl.refused("delete", "pod", "carols", "--dry-run=server")
    assert "carols" in kubectl("get", "pods")


def test_f35_a_second_token_ends_the_first(door):
    first = door.issue("alice", "shop", verbs=["view"])
    old = door.kubectl(first)
    assert old("get", "ns")
    fresh = issue(KubeconfigGrant.objects.get(pk=first.grant.pk), again=True)
    second = door.folder / "second"
    second.mkdir()
    (second / "config").write_text(fresh.kubeconfig)
    assert Kubectl(second / "config")("get", "ns")
    assert_locked_out(old, "get", "ns")


# --- Tokens that are none.


def token_of(kubectl: Kubectl) -> str:
    """The token in a kubeconfig."""
    (user,) = yaml.safe_load(kubectl.file.read_text())["users"]
    return str(user["user"]["token"])


def with_token(door: Door, kubectl: Kubectl, token: str) -> Kubectl:
    """The same kubeconfig with another token."""
    folder = door.folder / f"forged-{time.time_ns()}"
    folder.mkdir()
    text = kubectl.file.read_text().replace(token_of(kubectl), token)
    (folder / "config").write_text(text)
    return Kubectl(folder / "config")


def part(value: dict) -> str:
    """A part of a JWT."""
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def claims_of(token: str) -> dict:
    """The claims of a JWT, not verified."""
    body = token.split(".")[1]
    return json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))


@pytest.mark.parametrize("forger", ["alg none", "another key", "key in the header", "another body"])
def test_a_forged_token_with_another_grants_claims_lists_nothing(door, alices, forger):
    mine = door.kubectl(door.issue("charlie", tenant="globex"))
    claims, header = claims_of(token_of(alices)), jwt.get_unverified_header(token_of(alices))
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    _, _, signature = token_of(mine).split(".")
    forged = {
        "alg none": lambda: f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}.eA",
        "another key": lambda: jwt.encode(claims, key, "RS256", {"kid": header["kid"]}),
        "key in the header": lambda: jwt.encode(claims, key, "RS256", {"jwk": jwk, "kid": "x"}),
        "another body": lambda: f"{part(header)}.{part(claims)}.{signature}",
    }[forger]()
    kubectl = with_token(door, mine, forged)
    for arguments in (("get", "ns"), ("get", "pods", "-A"), ("get", "pods", "-n", "acme--shop")):
        assert_locked_out(kubectl, *arguments)


def test_kubenovas_own_token_and_other_accounts_are_not_let_in(door, alices):
    own = Cluster.objects.get(name="real").own_credentials[0].token
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    other = door.api.create(path, body)["status"]["token"]
    for token in (own, other, "x", "a.b.c"):
        assert_locked_out(with_token(door, alices, token), "get", "ns")


def test_a_token_of_a_grant_that_is_not_bound_to_its_secret_is_not_let_in(door, alices):
    """Whoever can mint tokens of the account on the cluster still has no grant."""
    name = claims_of(token_of(alices))["kubernetes.io"]["serviceaccount"]["name"]
    path = f"/api/v1/namespaces/kubenova-grants/serviceaccounts/{name}/token"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    unbound = door.api.create(path, body)["status"]["token"]
    assert door.token_is_alive(unbound)
    assert_locked_out(with_token(door, alices, unbound), "get", "ns")


# --- What is written down.


def test_every_call_is_recorded_with_who_what_and_what_came_of_it(door):
    issued = door.issue("bob", "shop")
    kubectl = door.kubectl(issued)
    kubectl.run("get", "configmap", "nothing")
    kubectl.run("get", "pods", "-n", "globex--shop")
    rows = AuditRecord.objects.filter(grant=issued.grant.name, source="proxy")
    wait_until(lambda: rows.filter(resource="pods").exists())
    missing = rows.get(resource="configmaps", name="nothing")
    assert (missing.status, missing.verb, missing.namespace) == (404, "get", "acme--shop")
    refused = rows.get(resource="pods")
    assert (refused.status, refused.verb, refused.namespace) == (403, "list", "globex--shop")
    assert {(row.actor, row.tenant, row.cluster) for row in rows} == {("bob", "acme", "real")}
    assert all(len(row.correlation_id) == 32 for row in rows)
    assert AuditRecord.objects.visible_to(person("alice")).filter(pk=refused.pk).exists()
    assert not AuditRecord.objects.visible_to(person("charlie")).filter(pk=refused.pk).exists()


def test_the_account_that_lists_namespaces_can_do_nothing_else(door):
    user = "system:serviceaccount:kubenova-system:kubenova-namespaces"
    assert door.may(user, "", "list", "namespaces") and door.may(user, "", "watch", "namespaces")
    for verb, resource in (
        ("create", "namespaces"),
        ("delete", "namespaces"),
        ("list", "pods"),
        ("get", "secrets"),
        ("create", "serviceaccounts/token"),
    ):
        assert not door.may(user, "acme--shop", verb, resource), (verb, resource)


def test_a_secret_that_would_mint_a_token_without_end_is_refused(door, alices):
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/service-account-token",
        "metadata": {
            "name": "forever",
            "annotations": {"kubernetes.io/service-account.name": "default"},
        },
    }
    told = alices.refused("apply", "-n", "acme--shop", "-f", "-", stdin=json.dumps(body))
    assert "kubenova-tokens" in told or "Forbidden" in told


def test_the_door_serves_after_all_that(alices):
    assert alices("get", "ns", "-o", "name").split() == HERS
