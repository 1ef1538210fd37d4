"""Tenancy on plain Kubernetes: what is rendered for a tenant or a project, and how it is judged."""

import re
from dataclasses import replace

import pytest

from reconcile.spelling import label_key_fault, label_value_fault, reserved
from reconcile.values import (
    MANAGED_BY,
    PROJECT,
    TENANT,
    Health,
    Kind,
    Live,
    Ref,
    Wanted,
)
from tenancy.adapters import PROJECTS, TENANTS
from tenancy.adapters.native import NODE_SELECTOR
from tenancy.adapters.objects import (
    CONFIG_MAP,
    LIMIT_RANGE,
    NAMESPACE,
    NETWORK_POLICY,
    RESOURCE_QUOTA,
    ROLE_BINDING,
    SYSTEM_NAMESPACE,
)
from tenancy.intents import Isolation, ProjectIntent, Role, TenantIntent
from tenancy.rules.keeping import LABEL, PROTECTED
from tenancy.rules.limits import default_limits

TENANT_ADAPTER, PROJECT_ADAPTER = TENANTS["tenancy.native"], PROJECTS["tenancy.native"]
ACME = TenantIntent(
    "acme",
    labels={"tier": "gold"},
    quota={"requests.cpu": "4", "count/deployments.apps": "10"},
    isolation=Isolation.ISOLATED,
)
SHOP = ProjectIntent(
    tenant="acme",
    name="shop",
    namespace="acme--shop",
    labels={"team": "blue"},
    quota={"pods": "20"},
    limits=default_limits(),
    isolation=Isolation.ISOLATED,
    members={Role.ADMIN: ("kubenova:alice",), Role.DEV: ("kubenova:bob", "kubenova:anna")},
)
IDENTITY = {TENANT: "acme", PROJECT: "shop"}


def rendered(intent: ProjectIntent, kind: Kind) -> dict[str, dict]:
    """What is rendered of a kind, by name."""
    manifests = PROJECT_ADAPTER.render(intent)
    return {
        body["metadata"]["name"]: body
        for body in manifests
        if (body["apiVersion"], body["kind"]) == (kind.api_version, kind.name)
    }


BOTH = pytest.mark.parametrize(
    ("adapter", "intent"),
    [
        pytest.param(TENANT_ADAPTER, ACME, id="tenant"),
        pytest.param(PROJECT_ADAPTER, SHOP, id="project"),
    ],
)


@BOTH
def test_it_renders_the_same_each_time(adapter, intent):
    assert adapter.render(intent) == adapter.render(intent)


@BOTH
def test_it_renders_only_kinds_that_it_owns_and_each_object_once(adapter, intent):
    refs = [Wanted.of(manifest, adapter.kinds).ref for manifest in adapter.render(intent)]
    assert len(set(refs)) == len(refs)


@BOTH
def test_every_label_is_one_that_kubernetes_takes(adapter, intent):
    for manifest in adapter.render(intent):
        for key, value in manifest["metadata"].get("labels", {}).items():
            assert (label_key_fault(key), label_value_fault(value)) == ("", "")


@BOTH
def test_every_object_names_its_tenant(adapter, intent):
    for manifest in adapter.render(intent):
        assert manifest["metadata"]["labels"][TENANT] == "acme"


# --- Tenants.


def test_a_tenant_is_a_config_map_in_kubenova_s_own_namespace():
    (body,) = TENANT_ADAPTER.render(ACME)

    assert Wanted.of(body, [CONFIG_MAP]).ref == Ref(CONFIG_MAP, SYSTEM_NAMESPACE, "tenant-acme")
    assert body["metadata"]["labels"] == {"tier": "gold", TENANT: "acme"}
    assert body["data"] == {
        "tenant": "acme",
        "isolation": "isolated",
        "cordoned": "false",
        "deletion-protection": "false",
        "quota.requests.cpu": "4",
        "quota.count.deployments.apps": "10",
    }


def test_the_keys_of_a_config_map_are_ones_that_kubernetes_takes():
    (body,) = TENANT_ADAPTER.render(ACME)
    assert all(re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", key) for key in body["data"])


def test_a_tenant_cannot_name_itself_another_by_a_label_a5():
    (body,) = TENANT_ADAPTER.render(replace(ACME, labels={TENANT: "globex"}))
    assert body["metadata"]["labels"][TENANT] == "acme"


def test_a_tenant_s_config_map_tells_what_binds_it_all():
    (body,) = TENANT_ADAPTER.render(
        replace(ACME, annotations={"cost": "42"}, cordoned=True, protected=True)
    )
    assert body["metadata"]["annotations"] == {"cost": "42"}
    assert (body["data"]["cordoned"], body["data"]["deletion-protection"]) == ("true", "true")


def test_a_tenant_is_ready_as_soon_as_it_is_there():
    assert TENANT_ADAPTER.assess(ACME, {}).health is Health.READY


# --- Projects.


def test_a_project_is_a_namespace_with_all_that_binds_it():
    refs = {
        str(Wanted.of(body, PROJECT_ADAPTER.kinds).ref) for body in PROJECT_ADAPTER.render(SHOP)
    }

    assert refs == {
        "Namespace acme--shop",
        "RoleBinding acme--shop/kubenova:projector",
        "RoleBinding acme--shop/kubenova:tenant-admin",
        "RoleBinding acme--shop/kubenova:tenant-dev",
        "ConfigMap acme--shop/kubenova-rules",
        "ResourceQuota acme--shop/kubenova",
        "LimitRange acme--shop/kubenova",
        "NetworkPolicy acme--shop/kubenova-isolation",
    }


def test_the_namespace_comes_first_and_the_right_to_write_into_it_second():
    assert PROJECT_ADAPTER.kinds[:2] == (NAMESPACE, ROLE_BINDING)


def test_the_namespace_enforces_pod_security():
    labels = rendered(SHOP, NAMESPACE)["acme--shop"]["metadata"]["labels"]

    assert labels["pod-security.kubernetes.io/enforce"] == "baseline"
    assert labels["pod-security.kubernetes.io/warn"] == "restricted"
    assert labels["team"] == "blue" and labels[MANAGED_BY] == "kubenova"
    assert labels.items() >= IDENTITY.items()


def test_the_namespace_enforces_the_profile_of_its_restrictions():
    bound = replace(SHOP, restrictions={"pod_security": "restricted"})
    labels = rendered(bound, NAMESPACE)["acme--shop"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_namespace_carries_annotations_and_none_where_there_are_none():
    annotated = replace(SHOP, annotations={"example.org/contact": "blue team"})
    (meta,) = (body["metadata"] for body in rendered(annotated, NAMESPACE).values())
    (bare,) = (body["metadata"] for body in rendered(SHOP, NAMESPACE).values())

    assert meta["annotations"] == {"example.org/contact": "blue team"}
    assert "annotations" not in bare


def test_the_namespace_names_the_nodes_for_clusters_that_select_them_by_themselves():
    nodes = replace(SHOP, restrictions={"node_selector": {"pool": "batch", "arch": "arm64"}})
    (body,) = rendered(nodes, NAMESPACE).values()
    assert body["metadata"]["annotations"] == {NODE_SELECTOR: "arch=arm64,pool=batch"}


def test_no_annotation_of_a_user_chooses_the_nodes_a5():
    assert reserved(NODE_SELECTOR)
    hostile = replace(
        SHOP,
        annotations={NODE_SELECTOR: "pool=ours"},
        restrictions={"node_selector": {"pool": "acme"}},
    )
    (body,) = rendered(hostile, NAMESPACE).values()
    assert body["metadata"]["annotations"] == {NODE_SELECTOR: "pool=acme"}


def test_an_adopted_namespace_is_rendered_as_any_other():
    adopted = replace(SHOP, namespace="legacy", adopted=True)
    (body,) = rendered(adopted, NAMESPACE).values()
    made = rendered(SHOP, NAMESPACE)["acme--shop"]

    assert body["metadata"]["name"] == "legacy"
    assert body["metadata"]["labels"] == made["metadata"]["labels"]
    assert {each["metadata"]["namespace"] for each in PROJECT_ADAPTER.render(adopted)[1:]} == {
        "legacy"
    }


def test_a_protected_namespace_says_so_to_the_policy_that_keeps_it():
    (kept,) = rendered(replace(SHOP, protected=True), NAMESPACE).values()
    (bare,) = rendered(SHOP, NAMESPACE).values()
    assert kept["metadata"]["labels"][LABEL] == PROTECTED
    assert LABEL not in bare["metadata"]["labels"]


def test_the_restrictions_are_there_as_parameters_of_admission():
    bound = replace(SHOP, restrictions={"service_types": ["ClusterIP"]}, cordoned=True)
    (body,) = rendered(bound, CONFIG_MAP).values()
    assert body["data"] == {"service_types": "ClusterIP", "cordoned": "true"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("pod-security.kubernetes.io/enforce", "privileged", id="pod security"),
        pytest.param(TENANT, "globex", id="tenant"),
        pytest.param(PROJECT, "other", id="project"),
        pytest.param(MANAGED_BY, "helm", id="managed by"),
    ],
)
def test_no_label_of_a_user_overrules_ours_a5(key, value):
    hostile = replace(SHOP, labels={key: value})
    assert rendered(hostile, NAMESPACE)["acme--shop"]["metadata"]["labels"][key] != value


def test_members_are_bound_to_the_fixed_roles_by_their_names_in_order():
    bindings = rendered(SHOP, ROLE_BINDING)
    developers = bindings["kubenova:tenant-dev"]

    assert developers["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "kubenova:tenant-dev",
    }
    assert [subject["name"] for subject in developers["subjects"]] == [
        "kubenova:anna",
        "kubenova:bob",
    ]
    assert {subject["kind"] for subject in developers["subjects"]} == {"User"}


def test_a_role_without_members_has_no_binding():
    bindings = rendered(replace(SHOP, members={Role.DEV: ()}), ROLE_BINDING)
    assert set(bindings) == {"kubenova:projector"}


def test_kubenova_binds_itself_with_its_own_service_account():
    (subject,) = rendered(SHOP, ROLE_BINDING)["kubenova:projector"]["subjects"]
    assert subject == {
        "kind": "ServiceAccount",
        "name": "kubenova",
        "namespace": SYSTEM_NAMESPACE,
    }


def test_the_order_of_members_does_not_matter():
    swapped = replace(SHOP, members={Role.DEV: ("kubenova:anna", "kubenova:bob")})
    straight = replace(SHOP, members={Role.DEV: ("kubenova:bob", "kubenova:anna")})
    assert PROJECT_ADAPTER.render(swapped) == PROJECT_ADAPTER.render(straight)


@pytest.mark.parametrize(
    ("intent", "kind"),
    [
        pytest.param(replace(SHOP, quota={}), RESOURCE_QUOTA, id="no quota"),
        pytest.param(replace(SHOP, limits={}), LIMIT_RANGE, id="no limits"),
        pytest.param(replace(SHOP, limits={"max": {}}), LIMIT_RANGE, id="empty limits"),
        pytest.param(replace(SHOP, isolation=Isolation.NONE), NETWORK_POLICY, id="no isolation"),
    ],
)
def test_what_is_not_declared_is_not_rendered(intent, kind):
    assert rendered(intent, kind) == {}


def test_the_quota_is_the_share_of_the_project():
    assert rendered(SHOP, RESOURCE_QUOTA)["kubenova"]["spec"] == {"hard": {"pods": "20"}}


def test_limits_are_spelled_as_kubernetes_does():
    (limits,) = rendered(SHOP, LIMIT_RANGE)["kubenova"]["spec"]["limits"]

    assert limits == {
        "type": "Container",
        "default": {"cpu": "500m", "memory": "512Mi"},
        "defaultRequest": {"cpu": "100m", "memory": "128Mi"},
    }


@pytest.mark.parametrize(
    ("isolation", "types"),
    [
        pytest.param(Isolation.ISOLATED, ["Ingress", "Egress"], id="isolated"),
        pytest.param(Isolation.EGRESS_OPEN, ["Ingress"], id="egress open"),
    ],
)
def test_only_the_same_tenant_comes_in(isolation, types):
    spec = rendered(replace(SHOP, isolation=isolation), NETWORK_POLICY)["kubenova-isolation"][
        "spec"
    ]
    same_tenant = {"namespaceSelector": {"matchLabels": {TENANT: "acme"}}}

    assert spec["podSelector"] == {} and spec["policyTypes"] == types
    assert spec["ingress"] == [{"from": [same_tenant]}]
    assert ("egress" in spec) is ("Egress" in types)


def test_an_isolated_project_reaches_its_tenant_and_names_alone():
    spec = rendered(SHOP, NETWORK_POLICY)["kubenova-isolation"]["spec"]
    to_tenant, to_names = spec["egress"]

    assert to_tenant == {"to": [{"namespaceSelector": {"matchLabels": {TENANT: "acme"}}}]}
    assert [(port["protocol"], port["port"]) for port in to_names["ports"]] == [
        ("UDP", 53),
        ("TCP", 53),
    ]


@pytest.mark.parametrize(
    ("status", "health"),
    [
        pytest.param({"status": {"phase": "Active"}}, Health.READY, id="active"),
        pytest.param({"status": {"phase": "Terminating"}}, Health.PROGRESSING, id="terminating"),
        pytest.param({"status": {}}, Health.PROGRESSING, id="no phase"),
        pytest.param({"status": None}, Health.PROGRESSING, id="null"),
        pytest.param({}, Health.PROGRESSING, id="no status"),
        pytest.param(None, Health.PROGRESSING, id="not seen"),
    ],
)
def test_a_project_is_ready_when_its_namespace_is_active(status, health):
    ref = Ref(NAMESPACE, "", "acme--shop")
    seen = {} if status is None else {ref: Live(ref, status)}

    assert PROJECT_ADAPTER.assess(SHOP, seen).health is health
