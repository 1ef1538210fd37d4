"""What KubeNova may write of Capsule's on a cluster: a few kinds of its own tenants. Pure.

Whoever writes Capsule's objects has Capsule's controller act, which may do anything. So the guard
lets KubeNova name no roles but its own and replicate nothing but network policies and limits.
"""

from clusters.intents import GRANTED_ROLES, READ_ONLY, TENANT_ADMIN, TENANT_DEV
from reconcile.values import JSON, Kind

GROUP = "capsule.clastix.io"
_VERSION = f"{GROUP}/v1beta2"
TENANT_KIND = Kind(_VERSION, "Tenant", "tenants", namespaced=False)
TENANT_OWNER = Kind(_VERSION, "TenantOwner", "tenantowners", namespaced=False)
GLOBAL_TENANT_RESOURCE = Kind(
    _VERSION, "GlobalTenantResource", "globaltenantresources", namespaced=False
)
CAPSULE_CONFIGURATION = Kind(
    _VERSION, "CapsuleConfiguration", "capsuleconfigurations", namespaced=False
)
# Capsule takes a namespace with this label into its Tenant; owners are joined by the other one.
TENANT_LABEL = f"{GROUP}/tenant"
OWNED_LABEL = "projectcapsule.dev/tenant"

WRITTEN = (TENANT_KIND.plural, TENANT_OWNER.plural, GLOBAL_TENANT_RESOURCE.plural)
_REPLICATED = ("LimitRange", "NetworkPolicy")

IS_CAPSULE = (
    f"(request.resource.group == '{GROUP}' && request.resource.resource in {list(WRITTEN)})"
)
_ROLES = f"in {[TENANT_ADMIN, TENANT_DEV, READ_ONLY, *GRANTED_ROLES]}"


def _of(kind: Kind) -> str:
    return (
        f"request.resource.group != '{GROUP}' || "
        f"request.resource.resource != '{kind.plural}' || object == null"
    )


def limits() -> list[JSON]:
    """Return the validations of the guard that bound what KubeNova has Capsule do."""
    bindings = "object.spec.?additionalRoleBindings.orValue([])"
    rules = "object.spec.?rules.orValue([])"
    return [
        {
            "expression": f"{_of(TENANT_KIND)} || (object.spec.?owners.orValue([]).size() == 0 && "
            f"{bindings}.all(each, each.clusterRoleName {_ROLES}) && "
            f"{rules}.all(each, !has(each.permissions)))",
            "message": "KubeNova's tenants bind KubeNova's own roles alone.",
        },
        {
            "expression": f"{_of(TENANT_OWNER)} || "
            f"object.spec.?clusterRoles.orValue(['']).all(each, each {_ROLES})",
            "message": "KubeNova's owners of tenants have KubeNova's own roles alone.",
        },
        {
            "expression": f"{_of(GLOBAL_TENANT_RESOURCE)} || "
            "(!has(object.spec.serviceAccount) && object.spec.resources.all(each, "
            "!has(each.generators) && !has(each.namespacedItems) && "
            f"each.?rawItems.orValue([]).all(item, item.kind in {list(_REPLICATED)})))",
            "message": "KubeNova has Capsule replicate network policies and limits alone.",
        },
    ]
