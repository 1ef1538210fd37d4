"""Every field of tenants and projects: what enforces it, by adapter, and what that needs. Pure.

`docs/fields.md` is this table; a test compares the two, and both with the columns of the models.
"""

from dataclasses import dataclass

_POLICY = "admission.policies"
_CAPSULE = "tenancy.capsule"


@dataclass(frozen=True)
class Means:
    """How an adapter enforces a field: by which objects, and which capability that needs.

    No capability: nothing beside the adapter's own. `older` is what stands in where a Capsule lacks
    the capability.
    """

    by: str
    capability: str = ""
    older: str = ""


@dataclass(frozen=True)
class Field:
    """A field by its path; without `capsule` it is enforced there as on plain Kubernetes."""

    path: str
    native: Means
    capsule: Means | None = None


def _policy(of: str = "Validating admission policy") -> Means:
    return Means(of, _POLICY)


_KUBENOVA = Means("KubeNova itself")
_NAMESPACE = Means("Namespace")
_BINDING = Means("RoleBinding")
_NETWORK = Means("NetworkPolicy")


def _rule(kind: str, field: str, capability: str = "", older: str = "") -> Field:
    """A restriction: the policy holds it in projects, Capsule's Tenant in all namespaces."""
    means = Means(f"{field}; policy", f"{_CAPSULE}.{capability}" if capability else "", older)
    return Field(f"restrictions.{kind}", _policy(), means)


TENANT = (
    Field("name", Means("label of each object"), Means("Tenant")),
    Field("description", _KUBENOVA),
    Field("labels", Means("ConfigMap"), Means("Tenant")),
    Field("annotations", Means("ConfigMap"), Means("Tenant")),
    Field("owner_subjects", _BINDING, Means("TenantOwner; RoleBinding")),
    Field("role_bindings", _BINDING, Means("additionalRoleBindings; RoleBinding")),
    Field(
        "quota",
        Means("ResourceQuota, by KubeNova's ledger"),
        Means("rules[].quota; ResourceQuota", f"{_CAPSULE}.quota-rules", "resourceQuotas"),
    ),
    Field("quota_floors", Means("KubeNova's ledger")),
    Field("quota_division", Means("KubeNova's ledger")),
    Field(
        "limits",
        Means("LimitRange"),
        Means("GlobalTenantResource; LimitRange", f"{_CAPSULE}.replication", "limitRanges"),
    ),
    Field(
        "isolation",
        _NETWORK,
        Means("GlobalTenantResource; NetworkPolicy", f"{_CAPSULE}.replication", "networkPolicies"),
    ),
    Field(
        "network",
        _NETWORK,
        Means("GlobalTenantResource; NetworkPolicy", f"{_CAPSULE}.replication", "networkPolicies"),
    ),
    _rule(
        "image_registries",
        "rules[].enforce.workloads.registries",
        "registries",
        "containerRegistries (hosts alone)",
    ),
    Field("restrictions.image_references", _policy()),
    _rule(
        "image_pull_policies",
        "rules[].enforce.workloads.registries",
        "registries",
        "imagePullPolicies",
    ),
    _rule("service_types", "rules[].enforce.services.types", "services", "serviceOptions"),
    _rule("ingress_classes", "ingressOptions.allowedClasses"),
    _rule(
        "ingress_hosts",
        "rules[].enforce.ingress.hostnames",
        "ingress-rules",
        "ingressOptions.allowedHostnames",
    ),
    _rule("storage_classes", "storageClasses"),
    _rule("priority_classes", "priorityClasses"),
    _rule("runtime_classes", "runtimeClasses"),
    _rule("node_selector", "nodeSelector"),
    Field(
        "restrictions.network",
        Means("NetworkPolicy; validating admission policy", _POLICY),
        Means("GlobalTenantResource; NetworkPolicy; policy", _POLICY),
    ),
    Field("restrictions.pod_security", Means("Namespace, by labels of Pod Security Admission")),
    *(
        Field(f"restrictions.{kind}", _policy())
        for kind in (
            *("host_access", "capabilities", "container_resources", "workload_metadata"),
            *("replicas", "load_balancers", "api_kinds"),
        )
    ),
    Field(
        "restrictions.namespaces",
        Means("KubeNova itself: nobody else makes its namespaces"),
        Means(
            "namespaceOptions; rules[].enforce.metadata",
            f"{_CAPSULE}.metadata-rules",
            "namespaceOptions",
        ),
    ),
    Field("restrictions.freeze", _KUBENOVA),
    Field("restrictions.cel", _policy("Validating admission policy that an operator publishes")),
    Field("placement", _KUBENOVA),
    Field("repair_mode", _KUBENOVA),
    Field("cordoned", _policy(), Means("cordoned; policy", _POLICY)),
    Field(
        "deletion_protection",
        _policy("Validating admission policy, by a label of the Namespace"),
        Means("preventDeletion; policy", _POLICY),
    ),
)
PROJECT = (
    Field("name", _NAMESPACE, Means("Namespace, with Capsule's label of the tenant")),
    Field("description", _KUBENOVA),
    Field("labels", _NAMESPACE),
    Field("annotations", _NAMESPACE),
    Field("quota", Means("ResourceQuota, by KubeNova's ledger")),
    Field("weight", Means("KubeNova's ledger")),
    Field("network", _NETWORK),
)
