"""The admission policies of projects, their parameters, and the proofs that they hold."""

import re
from collections import Counter
from dataclasses import replace

import pytest

from clusters.adapters.policies import policies as baseline_policies
from clusters.adapters.roles import cluster_roles
from clusters.intents import MANAGER_ROLE, PROJECTOR
from clusters.kinds import ADMISSION_POLICY, ADMISSION_POLICY_BINDING, CONFIG_MAP, NAMESPACE
from reconcile.errors import Refused
from reconcile.loop import unproven
from reconcile.values import MANAGED_BY, MANAGER, TENANT, Ref, Wanted
from tenancy.adapters.parameters import parameters, proofs
from tenancy.intents import ProjectIntent
from tenancy.rules.admission import ENFORCED, policies
from tenancy.rules.cel import policy_name
from tenancy.rules.encoding import KEPT_HERE, PARAMETERS, encoded
from tenancy.rules.guards import guards
from tenancy.rules.kinds import KINDS
from tenancy.rules.named import NAMED
from tenancy.rules.values import IMAGE_REFERENCES, PULL_POLICIES, SERVICE_TYPES
from tenancy.rules.violations import cordon_violation, violation
from tests.memory_admission import decoded
from tests.memory_cluster import MemoryCluster

EXAMPLES = {name: kind.example for name, kind in KINDS.items()}
SHOP = ProjectIntent("acme", "shop", "acme--shop", restrictions=EXAMPLES, cordoned=True)
ALL_KINDS = (CONFIG_MAP, NAMESPACE)
HOME = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SHOP.namespace}}
ALL = [*policies(), *guards()]
BODIES = pytest.mark.parametrize(
    "body", ALL, ids=[f"{body['kind'][-7:]} {body['metadata']['name']}" for body in ALL]
)


def of(kind: str) -> list[dict]:
    return [body for body in ALL if body["kind"] == kind]


# --- Policies.


def test_each_kind_has_a_policy_but_those_that_kubenova_enforces_itself():
    names = {body["metadata"]["name"] for body in policies() if "paramKind" in body["spec"]}
    assert names == {
        f"kubenova-{kind.replace('_', '-')}" for kind in KINDS if kind not in {*KEPT_HERE, NAMED}
    }


def test_the_baseline_carries_every_policy_once():
    names = Counter((body["kind"], body["metadata"]["name"]) for body in baseline_policies())
    assert {(body["kind"], body["metadata"]["name"]) for body in ALL} <= set(names)
    assert set(names.values()) == {1}


@BODIES
def test_a_policy_fails_closed_and_a_binding_denies_or_is_one_that_only_tells(body):
    told = {"warn": "Warn", "audit": "Audit"}
    action = told.get(body["metadata"]["name"].rpartition("-")[2], "Deny")
    expected = (
        {"failurePolicy": "Fail"}
        if "Binding" not in body["kind"]
        else {"validationActions": [action]}
    )
    assert expected.items() <= body["spec"].items()


@BODIES
def test_a_policy_is_an_object_of_a_kind_that_the_baseline_owns(body):
    ref = Wanted.of(body, (ADMISSION_POLICY, ADMISSION_POLICY_BINDING)).ref
    assert ref.name.startswith("kubenova-")


@pytest.mark.parametrize("mode", ["warn", "audit"])
@pytest.mark.parametrize("kind", ENFORCED)
def test_each_kind_is_bound_once_more_for_a_mode_by_parameters_of_its_own(kind, mode):
    name = f"{policy_name(kind)}-{mode}"
    (found,) = [
        body["spec"]
        for body in of("ValidatingAdmissionPolicyBinding")
        if body["metadata"]["name"] == name
    ]
    assert found["policyName"] == policy_name(kind)
    params = {"name": f"kubenova-rules-{mode}", "parameterNotFoundAction": "Allow"}
    assert found["paramRef"] == params
    assert "resourceRules" not in found["matchResources"], "whatever the policy looks at"


def test_every_binding_belongs_to_a_policy():
    named = {body["metadata"]["name"] for body in of("ValidatingAdmissionPolicy")}
    assert {body["spec"]["policyName"] for body in of("ValidatingAdmissionPolicyBinding")} == named


def test_what_restricts_projects_is_bound_to_their_namespaces_alone():
    marked = {
        "matchLabels": {MANAGED_BY: MANAGER},
        "matchExpressions": [{"key": TENANT, "operator": "Exists"}],
    }
    for body in of("ValidatingAdmissionPolicyBinding"):
        if "paramRef" in body["spec"]:
            assert body["spec"]["matchResources"]["namespaceSelector"] == marked


def test_creations_fail_where_the_parameters_are_missing_and_changes_do_not():
    for body in of("ValidatingAdmissionPolicyBinding"):
        rules = body["spec"].get("matchResources", {}).get("resourceRules", [])
        operations = {
            operation
            for rule in rules
            for operation in rule["operations"]
            if not any("/" in plural for plural in rule["resources"])
        }
        missing = body["spec"].get("paramRef", {}).get("parameterNotFoundAction")
        assert (operations, missing) in (
            ({"CREATE"}, "Deny"),
            ({"UPDATE"}, "Allow"),
            (set(), "Allow"),
            (set(), None),
        )


def test_a_guard_of_namespaces_looks_at_them_before_and_after_and_at_no_selector():
    (body,) = (
        each
        for each in guards()
        if each["metadata"]["name"] == "kubenova-namespaces" and "Binding" not in each["kind"]
    )
    assert "namespaceSelector" not in str(body)
    (condition,) = (each for each in body["spec"]["matchConditions"] if each["name"] == "ours")
    assert {"object", "oldObject"} <= set(re.findall(r"\w*[oO]bject", condition["expression"]))


@pytest.mark.parametrize("kind", ENFORCED)
def test_a_policy_judges_nothing_where_its_kind_is_not_restricted(kind):
    """To judge a write costs an API server far more than to find that there is nothing to judge."""
    (spec,) = (
        body["spec"]
        for body in of("ValidatingAdmissionPolicy")
        if body["metadata"]["name"] == policy_name(kind)
    )
    conditions = {each["name"]: each["expression"] for each in spec["matchConditions"]}
    keys = re.findall(r"params\.\?data\[\?'([^']+)'\]\.hasValue\(\)", conditions["restricted"])
    assert tuple(keys) == ENFORCED[kind].keys
    written = encoded({kind: EXAMPLES[kind]})
    assert set(written) & set(keys), "the example of the kind is judged"


def test_the_cordon_judges_nothing_where_nobody_is_cordoned():
    (spec,) = (
        body["spec"]
        for body in guards()
        if body["metadata"]["name"] == "kubenova-cordon" and "Binding" not in body["kind"]
    )
    conditions = {each["name"]: each["expression"] for each in spec["matchConditions"]}
    assert conditions["cordoned"] == "params.?data[?'cordoned'].hasValue()"


def test_no_expression_has_a_placeholder_left():
    assert not re.search(r"\{(name|spec)\}", str(ALL))


# --- Parameters.


def test_the_parameters_are_there_without_restrictions_too():
    body = parameters(replace(SHOP, restrictions={}, cordoned=False))
    assert Wanted.of(body, [CONFIG_MAP]).ref == Ref(CONFIG_MAP, "acme--shop", PARAMETERS)
    assert "data" not in body


def test_restrictions_are_one_entry_a_line():
    data = parameters(
        replace(
            SHOP,
            restrictions={
                "service_types": ["ClusterIP", "NodePort"],
                "image_registries": {"allow": ["index.docker.io/acme"], "deny": ["evil.io:443"]},
                "node_selector": {"zone": "", "pool": "acme"},
                "namespaces": {"count": 3},
                "storage_classes": [],
            },
        )
    )["data"]
    assert data == {
        "cordoned": "true",
        "image_registries.allow": "docker.io/acme",
        "image_registries.deny": "evil.io",
        "node_selector": "pool=acme\nzone=",
        "service_types": "ClusterIP\nNodePort",
        "storage_classes": "",
    }


def test_what_is_encoded_can_be_told_apart():
    restrictions = {name: value for name, value in EXAMPLES.items() if name not in KEPT_HERE}
    assert decoded(encoded(restrictions)) == restrictions
    assert encoded({"storage_classes": []}) != encoded({})


# --- Violations and proofs.


@pytest.mark.parametrize("kind", ENFORCED)
def test_a_violation_names_the_value_that_its_policy_refuses(kind):
    found = violation(kind, EXAMPLES[kind])
    assert found is not None
    assert found.policy == f"kubenova-{kind.replace('_', '-')}"
    assert found.manifest["metadata"]["name"] == f"kubenova-proof-{found.policy}"
    assert found.message in found.refusal


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param("service_types", list(SERVICE_TYPES), id="every type"),
        pytest.param("image_references", list(IMAGE_REFERENCES), id="every reference"),
        pytest.param("image_pull_policies", list(PULL_POLICIES), id="every policy"),
        pytest.param("image_registries", {"deny": []}, id="nothing denied"),
        pytest.param("node_selector", {}, id="every node"),
        pytest.param("namespaces", {"count": 1}, id="no policy"),
    ],
)
def test_nothing_breaks_what_forbids_nothing(kind, value):
    assert violation(kind, value) is None


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        pytest.param(
            "ingress_classes", ["kubenova-proof-0"], "class kubenova-proof-1 is", id="name"
        ),
        pytest.param(
            "ingress_hosts", ["*.kubenova-0.invalid"], "proof.kubenova-1.invalid", id="host"
        ),
        pytest.param(
            "image_registries",
            {"allow": ["kubenova-proof-0.invalid"]},
            "kubenova-proof-1.invalid",
            id="registry",
        ),
        pytest.param(
            "image_registries", {"deny": ["evil.io"]}, "evil.io/kubenova-proof", id="deny"
        ),
        pytest.param("service_types", ["ExternalName"], "ClusterIP is not allowed", id="type"),
        pytest.param("priority_classes", [], "kubenova-proof-0 is not allowed here.", id="none"),
        pytest.param(
            "storage_classes",
            ["x" * 250 + str(n) for n in range(9)],
            "not allowed here.",
            id="long",
        ),
    ],
)
def test_a_violation_keeps_clear_of_what_is_allowed(kind, value, told):
    found = violation(kind, value)
    assert found is not None
    assert told in found.message
    assert len(found.message) < 1200


def test_the_tried_manifests_are_of_kinds_that_kubenova_may_make():
    rights = {
        resource
        for rule in (*cluster_roles()[PROJECTOR], *cluster_roles()[MANAGER_ROLE])
        if {"create", "patch"} <= set(rule["verbs"])
        for resource in rule["resources"]
    }
    found = proofs(SHOP)
    assert {proof.ref.kind.plural for proof in found} <= rights
    assert len(found) == len(ENFORCED) + 2  # the cordon, and a rule in CEL
    assert all(proof.ref.namespace == proof.manifest["metadata"]["namespace"] for proof in found)


def test_without_restrictions_nothing_has_to_be_proven():
    assert proofs(replace(SHOP, restrictions={}, cordoned=False)) == []


@pytest.fixture
def bound() -> MemoryCluster:
    """A cluster with the namespace of a project and its parameters."""
    cluster = MemoryCluster()
    for body in (HOME, parameters(SHOP)):
        wanted = Wanted.of(body, ALL_KINDS)
        cluster.apply(wanted.ref, body)
    return cluster


def test_a_cluster_in_memory_refuses_each_violation_as_a_real_one_does(bound):
    assert unproven(bound, proofs(SHOP)) == []


def test_old_parameters_prove_nothing(bound):
    changed = replace(SHOP, restrictions={**EXAMPLES, "service_types": ["ClusterIP", "NodePort"]})
    assert [proof.name for proof in unproven(bound, proofs(changed))] == ["Service types"]


def test_a_cluster_that_enforces_nothing_proves_nothing(bound):
    bound.enforces = False
    assert len(unproven(bound, proofs(SHOP))) == len(ENFORCED) + 2


def test_what_breaks_no_rule_is_taken(bound):
    body = cordon_violation().manifest
    harmless = {**body, "metadata": {"name": "mine", "namespace": SHOP.namespace}}
    bound.apply(Ref(CONFIG_MAP, SHOP.namespace, "mine"), harmless)
    body = {**body, "metadata": {**body["metadata"], "namespace": SHOP.namespace}}
    with pytest.raises(Refused, match="cordoned"):
        bound.apply(Ref(CONFIG_MAP, SHOP.namespace, body["metadata"]["name"]), body, dry_run=True)
