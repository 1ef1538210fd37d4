"""What binds a project is out of its people's reach: who changes it is KubeNova, or the cluster."""

from collections.abc import Iterator
from contextlib import suppress

import pytest

from clusters.connect import connect
from clusters.intents import TENANT_ADMIN, TENANT_DEV
from clusters.kinds import NAMESPACE
from reconcile.values import MANAGED_BY, MANAGER, TENANT, Ref
from sandbox.api import JSON_PATCH, MERGE, ApiError
from tests.live.ruled import (
    RBAC,
    Person,
    Ruled,
    home,
    keys,
    place,
    pod,
    refusal,
    registered,
    until,
    workload,
)

__all__ = ["home", "keys"]

pytestmark = [pytest.mark.live, pytest.mark.django_db]

MARKED = {MANAGED_BY: MANAGER}
MIGHTY = "kubenova-test-mighty"  # rights that no role of KubeNova's gives


@pytest.fixture
def mallory(home: Ruled) -> Iterator[Person]:
    """Somebody whom a careless hand has given every right on namespaces and what binds them."""
    rules = [
        {
            "apiGroups": ["", "networking.k8s.io", RBAC, "apps"],
            "resources": ["*"],
            "verbs": ["*", "bind", "escalate"],
        }
    ]
    path = f"/apis/{RBAC}/v1"
    with suppress(ApiError):
        home.api.create(f"{path}/clusterroles", {"metadata": {"name": MIGHTY}, "rules": rules})
    person = home.person(TENANT_DEV)
    name = f"{MIGHTY}-{home.namespace}"
    subject = {
        "kind": "Group",
        "name": f"system:serviceaccounts:{home.namespace}",
        "apiGroup": RBAC,
    }
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": MIGHTY}
    body = {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]}
    home.api.create(f"{path}/clusterrolebindings", body)
    until(
        lambda: not refusal(lambda: person.send("GET", "/api/v1/namespaces")), "rights are not seen"
    )
    yield person
    home.api.delete(f"{path}/clusterrolebindings/{name}")


def managed(home: Ruled) -> list[tuple[str, str]]:
    """One object of KubeNova's of each protected kind, by plural and name."""
    subject = {"kind": "User", "name": "kubenova:alice", "apiGroup": RBAC}
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": TENANT_ADMIN}
    bodies = {
        "resourcequotas": {"spec": {"hard": {"pods": "5"}}},
        "limitranges": {"spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}},
        "networkpolicies": {"spec": {"podSelector": {}}},
        "rolebindings": {"roleRef": role, "subjects": [subject]},
    }
    for plural, body in bodies.items():
        meta = {"name": "made-for-tenant", "labels": MARKED}
        home.api.create(place(home.namespace, plural), {"metadata": meta, **body})
    return [*((plural, "made-for-tenant") for plural in bodies), ("configmaps", "kubenova-rules")]


def test_nobody_else_changes_or_deletes_what_binds_a_project(home, mallory):
    for plural, name in managed(home):
        path = place(home.namespace, plural, name)
        patch = {"metadata": {"annotations": {"mallory": "was here"}}}
        assert "belongs to KubeNova" in refusal(
            lambda path=path, patch=patch: mallory.send("PATCH", path, patch, MERGE)
        )
        assert "belongs to KubeNova" in refusal(lambda path=path: mallory.send("DELETE", path))
        home.api.patch(path, patch)
    everything = place(home.namespace, "configmaps")
    assert "belongs to KubeNova" in refusal(lambda: mallory.send("DELETE", everything))


@pytest.mark.parametrize(
    ("plural", "meta", "body"),
    [
        pytest.param("configmaps", {"name": "kubenova-rules"}, {}, id="the parameters"),
        pytest.param(
            "networkpolicies",
            {"name": "kubenova-isolation"},
            {"spec": {"podSelector": {}}},
            id="a network policy",
        ),
        pytest.param(
            "resourcequotas", {"name": "kubenova"}, {"spec": {"hard": {}}}, id="a reserved name"
        ),
        pytest.param(
            "limitranges",
            {"name": "mine", "labels": MARKED},
            {"spec": {"limits": []}},
            id="a label",
        ),
    ],
)
def test_nobody_else_makes_what_would_pass_for_kubenova_s(home, mallory, plural, meta, body):
    if meta["name"] == "kubenova-rules":
        home.api.delete(place(home.namespace, plural, meta["name"]))
    said = refusal(lambda: mallory.make(plural, {"metadata": meta, **body}))
    assert "belongs to KubeNova" in said


def test_what_is_not_kubenova_s_is_left_to_its_people(home, mallory):
    mallory.make("networkpolicies", {"metadata": {"name": "mine"}, "spec": {"podSelector": {}}})
    mallory.make("configmaps", {"metadata": {"name": "mine", "labels": MARKED}})


@pytest.mark.parametrize("role", [TENANT_DEV, TENANT_ADMIN])
def test_a_tenant_s_people_have_no_way_round_their_rules(home, role):
    person = home.person(role)
    until(lambda: not refusal(lambda: person.make("pods", pod())), "no rights")
    own = f"/api/v1/namespaces/{home.namespace}"
    attempts = [
        ("POST", "/api/v1/namespaces", {"metadata": {"name": "mine"}}, ""),
        ("PATCH", own, {"metadata": {"labels": {MANAGED_BY: None}}}, MERGE),
        ("PATCH", own, {"metadata": {"labels": {"foreign": "label"}}}, MERGE),
        ("PATCH", f"{own}/status", {"metadata": {"labels": {TENANT: "other"}}}, MERGE),
        ("PUT", f"{own}/finalize", {"metadata": {"name": home.namespace}}, ""),
        ("DELETE", own, None, ""),
        ("DELETE", place(home.namespace, "rolebindings"), None, ""),
        ("DELETE", place(home.namespace, "configmaps", "kubenova-rules"), None, ""),
    ]
    for method, path, body, kind in attempts:
        said = refusal(lambda m=method, p=path, b=body, k=kind: person.send(m, p, b, k))
        assert "forbidden" in said, (method, path)


# --- Namespaces.


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param({"labels": {MANAGED_BY: None}}, id="given up"),
        pytest.param({"labels": {MANAGED_BY: "helm"}}, id="another manager"),
        pytest.param({"labels": {TENANT: "other"}}, id="another tenant"),
        pytest.param({"labels": {MANAGED_BY: None, TENANT: None}}, id="every mark at once"),
        pytest.param({"labels": {"kubenova.io/role": "grants"}}, id="a mark of ours"),
        pytest.param(
            {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}, id="pod security"
        ),
        pytest.param(
            {"annotations": {"scheduler.alpha.kubernetes.io/node-selector": ""}}, id="nodes"
        ),
        pytest.param(
            {
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "Node", "name": "none", "uid": "0000"}
                ]
            },
            id="an owner",
        ),
    ],
)
@pytest.mark.parametrize("sub", ["", "/status"], ids=["itself", "status"])
def test_nobody_else_relabels_or_takes_over_a_namespace_of_kubenova_s(home, mallory, patch, sub):
    path = f"/api/v1/namespaces/{home.namespace}"
    said = refusal(lambda: mallory.send("PATCH", path + sub, {"metadata": patch}, MERGE))
    assert "'kubenova-namespaces' with binding" in said
    assert home.api.get(path)["metadata"]["labels"][TENANT] == "acme"


def test_nobody_else_makes_deletes_or_finalizes_one(home, mallory):
    own = f"/api/v1/namespaces/{home.namespace}"
    marked = {"metadata": {"name": "taken", "labels": {TENANT: "acme"}}}
    final = {**home.api.get(own), "spec": {"finalizers": []}}
    for method, path, body in (
        ("POST", "/api/v1/namespaces", marked),
        ("PUT", f"{own}/finalize", final),
        ("DELETE", own, None),
    ):
        said = refusal(lambda m=method, p=path, b=body: mallory.send(m, p, b))
        assert "made, deleted and finalized by KubeNova alone" in said


def test_a_foreign_namespace_is_not_passed_off_as_kubenova_s(scratch_namespace, home, mallory):
    path = f"/api/v1/namespaces/{scratch_namespace}"
    for marks in ({MANAGED_BY: MANAGER}, {TENANT: "acme"}):
        patch = {"metadata": {"labels": marks}}
        said = refusal(lambda patch=patch: mallory.send("PATCH", path, patch, MERGE))
        assert "KubeNova" in said
    mallory.send("PATCH", path, {"metadata": {"labels": {"team": "blue"}}}, MERGE)


def test_what_others_note_on_a_namespace_is_theirs(home, mallory):
    path = f"/api/v1/namespaces/{home.namespace}"
    noted = {"labels": {"istio-injection": "enabled"}, "annotations": {"mesh": "on"}}
    mallory.send("PATCH", path, {"metadata": noted}, MERGE)
    finalizers = [{"op": "add", "path": "/metadata/finalizers", "value": ["example.org/x"]}]
    mallory.send("PATCH", path, finalizers, JSON_PATCH)  # type: ignore[arg-type]
    mallory.send("PATCH", path, {"metadata": {"finalizers": None}}, MERGE)


# --- Cordon.


def test_in_a_cordoned_namespace_nothing_is_made_changed_or_deleted(home):
    bob = home.person(TENANT_DEV)
    until(lambda: not refusal(lambda: bob.make("pods", pod())), "no rights")
    bob.make("deployments", workload(image="r.example.org/a"), dry=False)
    home.bind({}, cordoned=True)

    path = place(home.namespace, "deployments", "web")
    attempts = [
        lambda: bob.make("configmaps", {"metadata": {"name": "mine"}}),
        lambda: bob.make("pods", pod()),
        lambda: bob.send("PATCH", path, {"spec": {"replicas": 3}}, MERGE),
        lambda: bob.send("DELETE", path),
    ]
    for attempt in attempts:
        assert "This tenant is cordoned" in refusal(attempt)
    assert bob.send("GET", path)["spec"]["replicas"] == 0
    home.api.patch(path, {"spec": {"replicas": 1}})
    pods = place(home.namespace, "pods")
    home.api.wait(pods, lambda found: found and found["items"])

    home.bind({})
    until(lambda: not refusal(lambda: bob.send("DELETE", path)), "still cordoned")


def test_kubenova_itself_goes_on(admin_kubeconfig, home):
    home.bind({}, cordoned=True)
    with connect(registered(admin_kubeconfig)) as api:
        ref = Ref(NAMESPACE, "", home.namespace)
        live = api.get(ref)
        assert live is not None
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home.namespace}}
        body["metadata"]["labels"] = {MANAGED_BY: MANAGER, TENANT: "acme", "tier": "gold"}
        assert api.apply(ref, body, uid=live.uid, force=True).labels["tier"] == "gold"
