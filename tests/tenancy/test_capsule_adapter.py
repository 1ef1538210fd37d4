"""What a tenant and a project become on Capsule: pure, without database or cluster."""

import re

import pytest

from clusters.adapters.capsule import (
    GLOBAL_TENANT_RESOURCE,
    OWNED_LABEL,
    TENANT_KIND,
    TENANT_LABEL,
    TENANT_OWNER,
)
from reconcile.values import JSON, PROJECT, TENANT, Health, Live, Ref, Wanted
from tenancy.adapters import PROJECTS, TENANTS
from tenancy.adapters.native import NODE_SELECTOR, NativeProjects
from tenancy.adapters.objects import NAMESPACE
from tenancy.intents import Isolation, ProjectIntent, TenantIntent
from tests.capsule import condition

NEW = frozenset(
    {"ingress-rules", "metadata-rules", "quota-rules", "registries", "replication", "services"}
)
OLD: frozenset[str] = frozenset()
ADAPTER = TENANTS["tenancy.capsule"]
PROJECT_ADAPTER = PROJECTS["tenancy.capsule"]


def rendered(features: frozenset[str] = NEW, **fields: object) -> list[JSON]:
    return ADAPTER.render(TenantIntent(name="acme", features=features, **fields))


def tenant(features: frozenset[str] = NEW, **fields: object) -> JSON:
    (found,) = [body for body in rendered(features, **fields) if body["kind"] == "Tenant"]
    return found["spec"]


def restricted(features: frozenset[str] = NEW, **restrictions: object) -> JSON:
    return tenant(features, restrictions=restrictions)


def of_kind(bodies: list[JSON], kind: str) -> list[JSON]:
    return [body for body in bodies if body["kind"] == kind]


# --- The tenant.


def test_a_plain_tenant_has_no_owner_of_its_own_and_forces_its_prefix():
    spec = tenant(isolation=Isolation.NONE)
    assert spec == {"cordoned": False, "preventDeletion": False, "forceTenantPrefix": True}


@pytest.mark.parametrize("features", [NEW, OLD], ids=["new", "old"])
def test_it_renders_the_same_every_time_and_each_object_once(features):
    fields = {
        "owners": ("kubenova:alice", "kubenova:dora"),
        "quota": {"pods": "5"},
        "limits": {"default": {"cpu": "1"}},
    }
    bodies = rendered(features, **fields)
    assert bodies == rendered(features, **fields)
    refs = [Wanted.of(body, ADAPTER.kinds).ref for body in bodies]
    assert len(refs) == len(set(refs))


def test_flags_and_metadata_are_the_tenants():
    body = rendered(
        labels={"tier": "gold"}, annotations={"note": "x"}, cordoned=True, protected=True
    )[0]
    assert body["metadata"]["labels"] == {"tier": "gold", TENANT: "acme"}
    assert body["metadata"]["annotations"] == {"note": "x"}
    assert (body["spec"]["cordoned"], body["spec"]["preventDeletion"]) == (True, True)


FIELDS = [
    pytest.param({"storage_classes": ["fast"]}, {"storageClasses": {"allowed": ["fast"]}}, id="sc"),
    pytest.param({"priority_classes": ["b"]}, {"priorityClasses": {"allowed": ["b"]}}, id="pc"),
    pytest.param({"runtime_classes": ["r"]}, {"runtimeClasses": {"allowed": ["r"]}}, id="rc"),
    pytest.param({"storage_classes": []}, {"storageClasses": {"allowed": []}}, id="none"),
    pytest.param({"node_selector": {"pool": "a"}}, {"nodeSelector": {"pool": "a"}}, id="nodes"),
    pytest.param(
        {"ingress_classes": ["public"]},
        {"ingressOptions": {"allowedClasses": {"allowed": ["public"]}}},
        id="ingress classes",
    ),
    pytest.param({"namespaces": {"count": 3}}, {"namespaceOptions": {"quota": 3}}, id="count"),
]


@pytest.mark.parametrize("features", [NEW, OLD], ids=["new", "old"])
@pytest.mark.parametrize(("restrictions", "expected"), FIELDS)
def test_what_every_version_has_is_a_field(features, restrictions, expected):
    spec = restricted(features, **restrictions)
    assert {key: spec[key] for key in expected} == expected
    assert "rules" not in spec


def test_a_quota_is_a_rule_where_there_are_some():
    quota = {"requests.cpu": "4", "pods": "10"}
    assert tenant(quota=quota)["rules"] == [{"quota": [{"name": "kubenova", "hard": quota}]}]
    assert "resourceQuotas" not in tenant(quota=quota)
    legacy = tenant(OLD, quota=quota)
    assert legacy["resourceQuotas"] == {"scope": "Tenant", "items": [{"hard": quota}]}
    assert "rules" not in legacy


def test_no_quota_is_no_rule():
    assert "rules" not in tenant() and "resourceQuotas" not in tenant(OLD)


# --- Images.


def decided(spec: JSON, image: str, policy: str = "Always") -> bool:
    """Decide about an image as Capsule documents it: the last rule that matches decides."""
    verdict, allowing = "", False
    for rule in spec.get("rules", []):
        enforced = rule["enforce"]
        for registry in enforced["workloads"]["registries"]:
            allowing |= enforced["action"] == "allow"
            if re.search(registry["exp"], image):
                policies = registry.get("policy", [policy])
                allowed = enforced["action"] == "allow" and policy in policies
                verdict = "allow" if allowed else "deny"
    return verdict == "allow" or (not verdict and not allowing)


IMAGES = [
    ({"allow": ["r.example.org"]}, "r.example.org/web:1", True),
    ({"allow": ["r.example.org"]}, "r.example.org/a/b/web", True),
    ({"allow": ["r.example.org"]}, "r.example.org:5000/web", False),
    ({"allow": ["r.example.org"]}, "r-example.org/web", False),
    ({"allow": ["r.example.org"]}, "rXexample.org/web", False),
    ({"allow": ["r.example.org"]}, "evil.io/r.example.org/web", False),
    ({"allow": ["r.example.org"]}, "r.example.org.evil.io/web", False),
    ({"allow": ["r.example.org"]}, "nginx", False),
    ({"allow": ["r.example.org:5000"]}, "r.example.org:5000/web", True),
    ({"allow": ["r.example.org/acme"]}, "r.example.org/acme/web@sha256:00", True),
    ({"allow": ["r.example.org/acme"]}, "r.example.org/acme:1", True),
    ({"allow": ["r.example.org/acme"]}, "r.example.org/acme", True),
    ({"allow": ["r.example.org/acme"]}, "r.example.org/acme-evil/web", False),
    ({"allow": ["docker.io"]}, "nginx:1.25", True),
    ({"allow": ["docker.io"]}, "bitnami/redis", True),
    ({"allow": ["docker.io"]}, "localhost:5000/redis", False),
    ({"allow": ["docker.io/library"]}, "nginx:1.25", True),
    ({"allow": ["docker.io/library"]}, "library/nginx", True),
    ({"allow": ["docker.io/library"]}, "bitnami/redis", False),
    ({"allow": ["docker.io/bitnami"]}, "bitnami/redis", True),
    ({"deny": ["evil.io"]}, "evil.io/web", False),
    ({"deny": ["evil.io"]}, "good.io/web", True),
    ({"deny": ["docker.io"]}, "nginx", False),
    ({"deny": ["docker.io"]}, "docker.io/nginx", False),
    ({"allow": ["good.io"], "deny": ["good.io/old"]}, "good.io/old/web", False),
    ({"allow": ["good.io"], "deny": ["good.io/old"]}, "good.io/new/web", True),
    ({"allow": []}, "good.io/web", False),
]


@pytest.mark.parametrize(("registries", "image", "allowed"), IMAGES)
def test_the_rules_decide_about_images_as_the_restriction_says(registries, image, allowed):
    assert decided(restricted(image_registries=registries), image) == allowed


@pytest.mark.parametrize(
    ("policies", "policy", "allowed"),
    [(["Always"], "Always", True), (["Always"], "Never", False), ([], "Always", False)],
)
def test_pull_policies_are_part_of_the_rule_of_images(policies, policy, allowed):
    spec = restricted(image_pull_policies=policies)
    assert decided(spec, "good.io/web", policy) == allowed
    both = restricted(image_pull_policies=policies, image_registries={"allow": ["good.io"]})
    assert decided(both, "good.io/web", policy) == allowed
    assert not decided(both, "evil.io/web", policy)


@pytest.mark.parametrize(
    "value", ["r.example.org", "a-b.example.org:5000/x_y/z", "docker.io/library"]
)
def test_expressions_are_anchored_escaped_and_no_templates(value):
    spec = restricted(
        image_registries={"allow": [value], "deny": [value]},
        ingress_hosts=["*.example.org", "shop.example.org"],
    )
    found = re.findall(r"'exp': '([^']*)'", str(spec).replace("\\\\", "\\"))
    assert len(found) == 3
    for exp in found:
        assert exp.startswith("^") and exp.endswith("$")
        assert "{{" not in exp
        re.compile(exp)


def test_older_fields_know_hosts_alone():
    registries = {"allow": ["r.example.org/acme", "good.io"], "deny": ["evil.io"]}
    spec = restricted(OLD, image_registries=registries, image_pull_policies=["Always"])
    assert spec["containerRegistries"] == {"allowed": ["good.io", "r.example.org"]}
    assert spec["imagePullPolicies"] == ["Always"]
    assert "rules" not in spec


# --- Services, hosts and labels of namespaces.


def test_service_types_are_a_rule_or_flags():
    (rule,) = restricted(service_types=["ClusterIP"])["rules"]
    assert rule == {"enforce": {"action": "allow", "services": {"types": ["ClusterIP"]}}}
    (none,) = restricted(service_types=[])["rules"]
    assert none["enforce"]["action"] == "deny" and len(none["enforce"]["services"]["types"]) == 4
    flags = restricted(OLD, service_types=["ClusterIP", "NodePort"])["serviceOptions"]
    allowed = {"nodePort": True, "externalName": False, "loadBalancer": False}
    assert flags == {"allowedServices": allowed}


HOSTS = [
    ("shop.example.org", True),
    ("a.acme.example.org", True),
    ("*.acme.example.org", True),
    ("a.b.acme.example.org", False),
    ("acme.example.org", False),
    ("shopXexample.org", False),
    ("shop.example.org.evil.io", False),
]


@pytest.mark.parametrize(("host", "allowed"), HOSTS)
def test_hosts_match_as_the_restriction_says(host, allowed):
    hosts = ["shop.example.org", "*.acme.example.org"]
    spec = restricted(ingress_hosts=hosts)
    (rule,) = spec["rules"]
    (exp,) = [each["exp"] for each in rule["enforce"]["ingress"]["hostnames"]]
    assert bool(re.search(exp, host)) == allowed
    assert spec["ingressOptions"] == {"allowWildcardHostnames": True}
    names = restricted(OLD, ingress_hosts=hosts)["ingressOptions"]["allowedHostnames"]
    legacy = host in names["allowed"] or bool(re.search(names["allowedRegex"], host))
    assert legacy == allowed


def test_no_host_at_all_is_denied():
    (rule,) = restricted(ingress_hosts=[])["rules"]
    assert rule["enforce"]["action"] == "deny"
    assert rule["enforce"]["ingress"]["hostnames"] == [{"exp": "^.*$"}]


def test_labels_of_namespaces_are_rules_or_older_fields():
    wanted = {"required_labels": {"team": "a.b", "any": ""}, "forbidden_labels": ["cost"]}
    first, second = (rule["enforce"] for rule in restricted(namespaces=wanted)["rules"])
    assert (first["action"], second["action"]) == ("allow", "deny")
    assert first["metadata"][0]["kinds"] == ["Namespace"]
    assert first["metadata"][0]["labels"] == {
        "team": {"required": True, "values": [{"exact": ["a.b"]}]},
        "any": {"required": True},
    }
    assert list(second["metadata"][0]["labels"]) == ["cost"]
    options = restricted(OLD, namespaces=wanted)["namespaceOptions"]
    assert options["forbiddenLabels"] == {"denied": ["cost"]}
    assert options["requiredMetadata"]["labels"] == {"team": r"^a\.b$", "any": "^.*$"}


# --- People.


def test_each_owner_is_an_object_with_kubenovas_own_role():
    subjects = (
        {"kind": "Group", "name": "acme-admins"},
        {"kind": "ServiceAccount", "name": "robot", "namespace": "ci"},
    )
    owners = of_kind(
        rendered(owners=("kubenova:alice",), owner_subjects=subjects), TENANT_OWNER.name
    )
    assert {(body["spec"]["kind"], body["spec"]["name"]) for body in owners} == {
        ("User", "kubenova:alice"),
        ("Group", "acme-admins"),
        ("ServiceAccount", "system:serviceaccount:ci:robot"),
    }
    for body in owners:
        assert body["spec"]["clusterRoles"] == ["kubenova:tenant-admin"]
        assert body["metadata"]["labels"][OWNED_LABEL] == "acme"


def test_owners_of_two_tenants_are_two_objects():
    intents = (TenantIntent(name=name, owners=("kubenova:alice",)) for name in ("acme", "globex"))
    names = [
        body["metadata"]["name"]
        for intent in intents
        for body in of_kind(ADAPTER.render(intent), TENANT_OWNER.name)
    ]
    assert len(set(names)) == 2


def test_role_bindings_name_kubenovas_roles_and_all_kinds_of_subjects():
    subjects = [
        {"kind": "User", "name": "carol"},
        {"kind": "ServiceAccount", "name": "robot", "namespace": "ci"},
    ]
    bound = ({"role": "view", "subjects": subjects}, {"role": "edit", "subjects": []})
    (binding,) = tenant(role_bindings=bound)["additionalRoleBindings"]
    assert binding["clusterRoleName"] == "kubenova:view"
    assert binding["subjects"] == [
        {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "carol"},
        {"kind": "ServiceAccount", "name": "robot", "namespace": "ci"},
    ]


# --- What each namespace gets.

LIMITS = {"default": {"cpu": "200m"}}
OPEN = ({"direction": "ingress", "peers": [{"cidr": "192.0.2.0/24"}]},)


def test_policies_and_limits_are_replicated_where_they_can_be():
    bodies = rendered(limits=LIMITS, network=OPEN)
    (body,) = of_kind(bodies, GLOBAL_TENANT_RESOURCE.name)
    assert body["spec"]["tenantSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "acme"}
    (resource,) = body["spec"]["resources"]
    items = {(item["kind"], item["metadata"]["name"]): item for item in resource["rawItems"]}
    assert set(items) == {
        ("NetworkPolicy", "kubenova-tenant-isolation"),
        ("NetworkPolicy", "kubenova-tenant-network"),
        ("LimitRange", "kubenova-tenant"),
    }
    policy = items["NetworkPolicy", "kubenova-tenant-isolation"]["spec"]
    selector = {"namespaceSelector": {"matchLabels": {TENANT_LABEL: "acme"}}}
    assert policy["ingress"] == [{"from": [selector]}]
    assert "networkPolicies" not in bodies[0]["spec"]


def test_the_replicas_are_not_taken_for_kubenovas_own():
    (body,) = of_kind(rendered(limits=LIMITS), GLOBAL_TENANT_RESOURCE.name)
    own = PROJECT_ADAPTER.render(ProjectIntent("acme", "shop", "acme--shop", limits=LIMITS))
    names = {(item["kind"], item["metadata"]["name"]) for item in own}
    for item in body["spec"]["resources"][0]["rawItems"]:
        assert set(item["metadata"]) == {"name"}
        assert (item["kind"], item["metadata"]["name"]) not in names


def test_older_tenants_hold_policies_and_limits_themselves():
    spec = tenant(OLD, limits=LIMITS)
    assert spec["limitRanges"]["items"][0]["limits"][0]["default"] == {"cpu": "200m"}
    assert spec["networkPolicies"]["items"][0]["policyTypes"] == ["Ingress", "Egress"]
    assert of_kind(rendered(OLD, limits=LIMITS), GLOBAL_TENANT_RESOURCE.name) == []


def test_nothing_to_replicate_is_no_object():
    assert of_kind(rendered(isolation=Isolation.NONE), GLOBAL_TENANT_RESOURCE.name) == []


# --- Projects.


def test_a_project_is_what_it_is_natively_with_capsules_label():
    intent = ProjectIntent(
        "acme", "shop", "acme--shop", restrictions={"node_selector": {"pool": "a"}}
    )
    native, found = NativeProjects().render(intent), PROJECT_ADAPTER.render(intent)
    assert found[1:] == native[1:]
    labels = found[0]["metadata"]["labels"]
    assert labels.pop(TENANT_LABEL) == "acme"
    assert labels == native[0]["metadata"]["labels"] and labels[PROJECT] == "shop"
    assert NODE_SELECTOR not in found[0]["metadata"].get("annotations", {})


def namespace(**meta: object) -> Live:
    body = {"metadata": {"name": "acme--shop", "uid": "u", **meta}, "status": {"phase": "Active"}}
    return Live(Ref(NAMESPACE, "", "acme--shop"), body)


@pytest.mark.parametrize(
    ("owners", "health"),
    [
        ([], Health.PROGRESSING),
        ([{"kind": "Tenant", "name": "globex"}], Health.PROGRESSING),
        ([{"kind": "Tenant", "name": "acme"}], Health.READY),
    ],
    ids=["nobody's", "another's", "the tenant's"],
)
def test_a_project_is_ready_when_its_namespace_is_the_tenants(owners, health):
    live = namespace(ownerReferences=owners)
    intent = ProjectIntent("acme", "shop", "acme--shop")
    assert PROJECT_ADAPTER.assess(intent, {live.ref: live}).health is health


# --- Health.

OWNERS = [{"kind": "User", "name": "kubenova:alice"}]
WELL = {
    "state": "Active",
    "size": 2,
    "observedGeneration": 3,
    "owners": OWNERS,
    "conditions": [condition("Ready")],
}
HEALTH = [
    pytest.param({}, Health.READY, "", id="well"),
    pytest.param({"observedGeneration": 2}, Health.PROGRESSING, "taken up", id="not observed"),
    pytest.param({"owners": []}, Health.PROGRESSING, "kubenova:alice", id="owner unknown"),
    pytest.param({"conditions": []}, Health.PROGRESSING, "taken up", id="no condition"),
    pytest.param(
        {"conditions": [condition("Ready", "False", "template: x")]},
        Health.FAILED,
        "template: x",
        id="refused",
    ),
    pytest.param({"state": "Cordoned"}, Health.PROGRESSING, "opened", id="still cordoned"),
    pytest.param({"state": "Terminating"}, Health.PROGRESSING, "deleted", id="going"),
    pytest.param({"owners": "none", "size": "x"}, Health.PROGRESSING, "alice", id="nonsense"),
]


@pytest.mark.parametrize(("status", "health", "told"), HEALTH)
def test_a_tenant_is_as_well_as_capsule_says(status, health, told):
    live = Live(
        Ref(TENANT_KIND, "", "acme"),
        {"metadata": {"name": "acme", "uid": "u", "generation": 3}, "status": {**WELL, **status}},
    )
    found = ADAPTER.assess(TenantIntent(name="acme", owners=("kubenova:alice",)), {live.ref: live})
    assert found.health is health
    assert told in found.message
    assert health is not Health.READY or found.facts == {"capsule": {"namespaces": 2}}


@pytest.mark.parametrize(
    ("conditions", "health"),
    [
        ([condition("Ready")], Health.READY),
        ([], Health.PROGRESSING),
        ([condition("Ready", "False", "conflict")], Health.FAILED),
    ],
    ids=["replicated", "not yet", "not at all"],
)
def test_a_tenant_is_ready_when_all_is_replicated(conditions, health):
    body = {"metadata": {"name": "acme", "uid": "u", "generation": 1}, "status": WELL}
    live = Live(Ref(TENANT_KIND, "", "acme"), body)
    ref = Ref(GLOBAL_TENANT_RESOURCE, "", "kubenova-acme")
    replicated = Live(ref, {"metadata": {}, "status": {"conditions": conditions}})
    found = ADAPTER.assess(TenantIntent(name="acme"), {live.ref: live, ref: replicated})
    assert found.health is health


def test_a_tenant_that_is_not_there_is_not_ready():
    assert ADAPTER.assess(TenantIntent(name="acme"), {}).health is Health.PROGRESSING


def test_a_protected_tenant_is_unlocked_before_it_is_deleted():
    def live(**spec: object) -> Live:
        body = {"metadata": {"name": "acme", "uid": "u"}, "spec": spec}
        return Live(Ref(TENANT_KIND, "", "acme"), body)

    body = ADAPTER.unlocked(live(preventDeletion=True))
    assert body and body["spec"] == {"preventDeletion": False}
    assert ADAPTER.unlocked(live(preventDeletion=False)) is None
    assert ADAPTER.unlocked(namespace()) is None
