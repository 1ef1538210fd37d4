"""What the baseline renders: pure, without database or cluster."""

import re
from itertools import product

import pytest

from clusters.adapters.baseline import Baseline
from clusters.adapters.roles import BINDABLE, cluster_roles
from clusters.intents import (
    ACCOUNT,
    GRANTS_NAMESPACE,
    MANAGER_ROLE,
    NAMESPACE_READER,
    PROJECTOR,
    READ_ONLY,
    READER_ROLE,
    SYSTEM_NAMESPACE,
    TENANT_ADMIN,
    TENANT_DEV,
    BaselineIntent,
)
from clusters.kinds import ADMISSION_POLICY
from reconcile.values import JSON, MANAGED_BY, MANAGER, Health, Live, Ref, Wanted

RENDERED = Baseline().render(BaselineIntent())
TENANT_ROLES = (TENANT_ADMIN, TENANT_DEV, READ_ONLY)
WRITES = ("create", "update", "patch", "delete", "deletecollection")


def allows(rules: list[JSON], verb: str, group: str, resource: str, name: str = "") -> bool:
    """Judge as RBAC does."""
    return any(
        {group, "*"} & set(rule.get("apiGroups", ()))
        and {resource, "*"} & set(rule.get("resources", ()))
        and {verb, "*"} & set(rule["verbs"])
        and (not rule.get("resourceNames") or name in rule["resourceNames"])
        for rule in rules
    )


def rendered(kind: str, name: str, namespace: str = "") -> JSON:
    (found,) = [
        body
        for body in RENDERED
        if body["kind"] == kind
        and body["metadata"]["name"] == name
        and body["metadata"].get("namespace", "") == namespace
    ]
    return found


def test_it_renders_the_same_every_time():
    assert Baseline().render(BaselineIntent(expires="2027-01-01", refused="x")) == RENDERED


def test_it_renders_each_object_once_and_of_its_own_kinds():
    refs = [Wanted.of(body, Baseline.kinds).ref for body in RENDERED]
    assert len(refs) == len(set(refs))
    assert {ref.kind for ref in refs} == set(Baseline.kinds)


def test_it_guards_before_it_grants():
    order = [kind.name for kind in Baseline.kinds]
    assert order.index("ValidatingAdmissionPolicyBinding") < order.index("ClusterRole")
    assert order[0] == "Namespace"
    assert order[-1] == "ClusterRoleBinding"


@pytest.mark.parametrize("role", cluster_roles())
def test_no_role_has_wildcards(role):
    for rule in cluster_roles()[role]:
        assert "*" not in {*rule.get("apiGroups", ()), *rule.get("resources", ()), *rule["verbs"]}


NEVER = [
    ("create", "", "serviceaccounts/token"),
    ("impersonate", "", "serviceaccounts"),
    ("impersonate", "", "users"),
    ("impersonate", "", "groups"),
    ("escalate", "rbac.authorization.k8s.io", "clusterroles"),
    ("escalate", "rbac.authorization.k8s.io", "roles"),
    ("bind", "rbac.authorization.k8s.io", "roles"),
    ("create", "rbac.authorization.k8s.io", "clusterrolebindings"),
    ("create", "rbac.authorization.k8s.io", "clusterroles"),
    ("create", "rbac.authorization.k8s.io", "roles"),
    ("get", "", "nodes/proxy"),
    ("get", "", "pods/proxy"),
    ("get", "", "services/proxy"),
    ("update", "", "namespaces/finalize"),
    ("create", "", "endpoints"),
    ("create", "discovery.k8s.io", "endpointslices"),
]


@pytest.mark.parametrize(("verb", "group", "resource"), NEVER)
@pytest.mark.parametrize("role", cluster_roles())
def test_no_role_may_ever_a15(role, verb, group, resource):
    assert not allows(cluster_roles()[role], verb, group, resource)


@pytest.mark.parametrize("resource", ["applications", "workflowruns"])
@pytest.mark.parametrize("role", sorted({*cluster_roles()} - {PROJECTOR}))
def test_nobody_but_kubenova_has_kubevela_act(role, resource):
    rules = cluster_roles()[role]
    assert not any(allows(rules, verb, "core.oam.dev", resource) for verb in WRITES)
    assert allows(cluster_roles()[PROJECTOR], "create", "core.oam.dev", resource)


@pytest.mark.parametrize("role", TENANT_ROLES)
@pytest.mark.parametrize(
    ("group", "resource"),
    [
        ("", "resourcequotas"),
        ("", "limitranges"),
        ("", "namespaces"),
        ("networking.k8s.io", "networkpolicies"),
        ("rbac.authorization.k8s.io", "rolebindings"),
        ("apps", "daemonsets"),
    ],
)
def test_tenants_do_not_touch_their_own_limits(role, group, resource):
    assert not any(allows(cluster_roles()[role], verb, group, resource) for verb in WRITES)


def test_read_only_reads_and_never_secrets():
    rules = cluster_roles()[READ_ONLY]
    assert {verb for rule in rules for verb in rule["verbs"]} <= {"get", "list", "watch"}
    assert not any(allows(rules, verb, "", "secrets") for verb in ("get", "list", "watch"))
    assert allows(rules, "list", "", "pods")
    assert allows(rules, "get", "", "pods/log")
    assert not allows(rules, "create", "", "pods/exec")


@pytest.mark.parametrize(
    ("role", "verb", "group", "resource"),
    [
        (TENANT_DEV, "create", "apps", "deployments"),
        (TENANT_DEV, "get", "", "secrets"),
        (TENANT_DEV, "create", "", "pods/exec"),
        (TENANT_DEV, "patch", "apps", "deployments/scale"),
        (TENANT_ADMIN, "create", "", "serviceaccounts"),
        (TENANT_ADMIN, "list", "rbac.authorization.k8s.io", "rolebindings"),
        (PROJECTOR, "patch", "apps", "deployments"),
        (PROJECTOR, "delete", "networking.k8s.io", "networkpolicies"),
        (PROJECTOR, "get", "", "pods/log"),
    ],
)
def test_roles_allow_the_work_they_are_for(role, verb, group, resource):
    assert allows(cluster_roles()[role], verb, group, resource)


def test_a_developer_has_all_that_a_reader_has_and_an_admin_all_of_a_developer():
    reader, developer, admin = (cluster_roles()[role] for role in reversed(TENANT_ROLES))
    for rule in reader:
        assert rule in developer
    for rule in developer:
        assert rule in admin


def test_secrets_are_written_inside_of_projects_alone_and_never_watched():
    projector, manager = (cluster_roles()[role] for role in (PROJECTOR, MANAGER_ROLE))
    for verb in ("get", "list", "create", "update", "patch", "delete"):
        assert allows(projector, verb, "", "secrets")
        assert not allows(manager, verb, "", "secrets")
    for rules in (projector, manager):
        assert not allows(rules, "watch", "", "secrets")
    everywhere = {
        body["roleRef"]["name"] for body in RENDERED if body["kind"] == "ClusterRoleBinding"
    }
    assert PROJECTOR not in everywhere


def test_its_own_account_may_bind_its_own_roles_and_no_other():
    rules = cluster_roles()[MANAGER_ROLE]
    group, resource = "rbac.authorization.k8s.io", "clusterroles"
    for name in BINDABLE:
        assert allows(rules, "bind", group, resource, name)
    for name in ("admin", "edit", "cluster-admin", MANAGER_ROLE):
        assert not allows(rules, "bind", group, resource, name)


def test_its_own_account_writes_only_namespaces_and_bindings_everywhere():
    rules = cluster_roles()[MANAGER_ROLE]
    writable = {
        resource
        for rule in rules
        for resource, verb in product(rule.get("resources", ()), WRITES)
        if verb in rule["verbs"] and not resource.endswith("reviews")
    }
    capsules = {"globaltenantresources", "tenantowners", "tenants"}  # bounded by the guard
    assert writable == {"namespaces", "rolebindings", *capsules}


def test_its_own_account_mints_tokens_of_itself_and_of_grants_alone():
    system = rendered("Role", MANAGER_ROLE, SYSTEM_NAMESPACE)["rules"]
    grants = rendered("Role", MANAGER_ROLE, GRANTS_NAMESPACE)["rules"]
    assert allows(system, "create", "", "serviceaccounts/token", ACCOUNT)
    assert not allows(system, "create", "", "serviceaccounts/token", "default")
    assert allows(grants, "create", "", "serviceaccounts/token", "any")
    assert not allows(system, "get", "", "secrets")


def test_everything_is_bound_to_its_own_account_alone():
    bindings = [body for body in RENDERED if body["kind"].endswith("RoleBinding")]
    accounts = {MANAGER_ROLE: ACCOUNT, PROJECTOR: ACCOUNT, READER_ROLE: NAMESPACE_READER}
    assert len(bindings) == 6
    for binding in bindings:
        name = accounts[binding["roleRef"]["name"]]
        account = {"kind": "ServiceAccount", "name": name, "namespace": SYSTEM_NAMESPACE}
        assert binding["subjects"] == [account]


GUARDS = ["kubenova-guard", "kubenova-guard-namespaces", "kubenova-guard-places"]


@pytest.mark.parametrize("name", [*GUARDS, "kubenova-tokens"])
def test_its_policies_are_in_force_and_fail_closed(name):
    policy = rendered("ValidatingAdmissionPolicy", name)["spec"]
    binding = rendered("ValidatingAdmissionPolicyBinding", name)["spec"]
    assert policy["failurePolicy"] == "Fail"
    assert all(rule["message"] for rule in policy["validations"])
    assert binding == {"policyName": name, "validationActions": ["Deny"]}


def test_what_kubenova_writes_in_namespaces_of_its_own_is_judged_by_no_guard():
    """Such writes are nearly all: the API server selects by the namespace's label alone."""
    found = {
        name: rendered("ValidatingAdmissionPolicy", name)["spec"]["matchConstraints"]
        for name in GUARDS
    }
    elsewhere, places = found["kubenova-guard"], found["kubenova-guard-places"]
    assert elsewhere["namespaceSelector"]["matchExpressions"] == [
        {"key": MANAGED_BY, "operator": "NotIn", "values": [MANAGER]}
    ]
    (named,) = places["namespaceSelector"]["matchExpressions"]
    assert (named["key"], named["operator"]) == ("kubernetes.io/metadata.name", "In")
    assert {SYSTEM_NAMESPACE, GRANTS_NAMESPACE} <= set(named["values"])
    assert not any("--" in name for name in named["values"]), "no project's"


def test_namespaces_themselves_are_guarded_whatever_their_labels_say():
    """A selector looks at the labels that a write gives them, and says nothing of those before."""
    guard = rendered("ValidatingAdmissionPolicy", "kubenova-guard-namespaces")["spec"]
    assert "namespaceSelector" not in guard["matchConstraints"]
    (rule,) = guard["matchConstraints"]["resourceRules"]
    assert set(rule["resources"]) == {"namespaces", "namespaces/*"}
    conditions = {each["name"]: each["expression"] for each in guard["matchConditions"]}
    (judged,) = guard["validations"]
    assert conditions["foreign"] == f"!({judged['expression']})", "judged is what is refused"
    assert {"object", "oldObject"} <= set(re.findall(r"\w*[oO]bject", judged["expression"]))


def policy_with(warnings: list[JSON]) -> dict[Ref, Live]:
    ref = Ref(ADMISSION_POLICY, "", "kubenova-guard")
    body = rendered("ValidatingAdmissionPolicy", ref.name)
    return {ref: Live(ref, body | {"status": {"typeChecking": {"expressionWarnings": warnings}}})}


ASSESSED = [
    pytest.param(BaselineIntent(), [], Health.READY, "BaselineStands", id="all is well"),
    pytest.param(
        BaselineIntent(expires="2027-01-01"),
        [],
        Health.READY,
        "CredentialExpiring",
        id="ends soon",
    ),
    pytest.param(
        BaselineIntent(refused="Unauthorized", expires="2027-01-01"),
        [],
        Health.READY,
        "CredentialRefused",
        id="what was given does not work",
    ),
    pytest.param(
        BaselineIntent(refused="Unauthorized"),
        [{"warning": "undefined field"}],
        Health.FAILED,
        "PolicyInvalid",
        id="a policy without effect is worse",
    ),
]


@pytest.mark.parametrize(("intent", "warnings", "health", "reason"), ASSESSED)
def test_it_tells_how_it_is_doing(intent, warnings, health, reason):
    found = Baseline().assess(intent, policy_with(warnings))
    assert (found.health, found.reason) == (health, reason)
