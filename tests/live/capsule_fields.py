"""Capsule's column of the table of fields: what its Tenant, owners and replicas show of each.

On Capsule a project's namespace holds all that it holds natively; this is what comes beside it.
"""

from collections.abc import Mapping

from sandbox.api import JsonObject
from tests.live.fields import NETWORK, TABLE, Place, Read, Shown
from tests.live.platforms import GROUP

CAPSULE = "tenancy.capsule"


def tenant(place: Place) -> JsonObject:
    return place.api.find(f"{GROUP}/tenants/{place.tenant}") or {"metadata": {}, "spec": {}}


def meta(side: str, key: str) -> Read:
    return lambda place: (tenant(place)["metadata"].get(side) or {}).get(key)


def spec(*path: str) -> Read:
    """A field of the Tenant, None where it or what it lies in is missing."""

    def read(place: Place) -> object:
        found: object = tenant(place)["spec"]
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return found

    return read


def rules(place: Place) -> list[JsonObject]:
    found: list[JsonObject] = tenant(place)["spec"].get("rules", [])
    return found


def quota(place: Place) -> object:
    found = [
        each["hard"].get("requests.cpu") for rule in rules(place) for each in rule.get("quota", [])
    ]
    return found[0] if found else None


def enforced(side: str, place: Place) -> list[JsonObject]:
    found = (rule.get("enforce", {}) for rule in rules(place))
    return [each for each in found if side in each]


def images(place: Place) -> object:
    """What is allowed and denied, in the order in which it is tried."""
    found = (
        (e["action"], e["workloads"]["registries"][0]["exp"]) for e in enforced("workloads", place)
    )
    return [f"{action} {exp}" for action, exp in found]


def pull_policies(place: Place) -> object:
    found = enforced("workloads", place)
    return found[0]["workloads"]["registries"][0].get("policy") if found else None


def services(place: Place) -> object:
    found = enforced("services", place)
    return found[0]["services"]["types"] if found else None


def hosts(place: Place) -> object:
    found = enforced("ingress", place)
    return found[0]["ingress"]["hostnames"][0]["exp"] if found else None


def owners(place: Place) -> object:
    mine = f"projectcapsule.dev/tenant={place.tenant}"
    found = place.api.items(f"{GROUP}/tenantowners", labelSelector=mine)
    return sorted(f"{each['spec']['kind']} {each['spec']['name']}" for each in found)


def bound(place: Place) -> object:
    found = tenant(place)["spec"].get("additionalRoleBindings", [])
    return [
        f"{each['clusterRoleName']} {subject['name']}"
        for each in found
        for subject in each["subjects"]
    ]


def replicated(kind: str, name: str, *path: str) -> Read:
    """A field of the spec of what Capsule puts into each namespace of the tenant."""

    def read(place: Place) -> object:
        found = place.api.find(f"{GROUP}/globaltenantresources/kubenova-{place.tenant}")
        each = found["spec"]["resources"][0]["rawItems"] if found else []
        items = {(item["kind"], item["metadata"]["name"]): item["spec"] for item in each}
        value: object = items.get((kind, f"kubenova-tenant{name}"))
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    return read


def container_default(place: Place) -> object:
    found = replicated("LimitRange", "", "limits")(place)
    return found[0].get("default") if isinstance(found, list) else None


_ALICE, _ANNA = "User kubenova:alice", "User kubenova:anna"
_ROBOT = "ServiceAccount system:serviceaccount:ci:robot"
_OWNERS = Shown(owners, ["Group ops", _ALICE], [_ROBOT, _ALICE, _ANNA], [])
_WILD = r"(\*|[^.*]+)\.acme\.example\.org"
_BELOW = "([/:@].*)?"
_HUB = r"docker\.io/.*|[^/]+|[^/.:]+/.*"


_BESIDE = (
    *("image_references", "pod_security", "host_access", "capabilities", "container_resources"),
    *("workload_metadata", "replicas", "load_balancers", "api_kinds"),
)


def _listed(first: object, then: object, *path: str) -> Shown:
    return Shown(spec(*path), first, then)


COLUMN: Mapping[str, Shown] = {
    "tenant.labels": Shown(meta("labels", "tier"), "gold", "tin"),
    "tenant.annotations": Shown(meta("annotations", "example.org/cost"), "42", "43"),
    "tenant.quota": Shown(quota, "8", "4"),
    "tenant.limits": Shown(
        container_default, {"cpu": "250m"}, {"cpu": "500m"}, {"cpu": "500m", "memory": "512Mi"}
    ),
    "tenant.isolation": Shown(
        replicated("NetworkPolicy", "-isolation", "policyTypes"),
        ["Ingress"],
        None,
        ["Ingress", "Egress"],
    ),
    "tenant.network": Shown(
        replicated("NetworkPolicy", "-network", "egress"),
        [
            {
                "to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
                "ports": [{"protocol": "TCP", "port": 443}],
            }
        ],
        [
            {
                "to": [{"ipBlock": {"cidr": "192.0.2.0/25"}}],
                "ports": [{"protocol": "UDP", "port": 8000, "endPort": 8010}],
            }
        ],
    ),
    "tenant.owners": _OWNERS,
    "tenant.owner_subjects": _OWNERS,
    "tenant.role_bindings": Shown(
        bound, ["kubenova:view viewers"], ["kubenova:view viewers", "kubenova:view robot"], []
    ),
    "tenant.cordoned": Shown(spec("cordoned"), True, False, False),
    "tenant.deletion_protection": Shown(spec("preventDeletion"), True, False, False),
    "tenant.restrictions.image_registries": Shown(
        images,
        [rf"allow ^(registry\.example\.org/acme{_BELOW})$"],
        [rf"allow ^(registry\.example\.org/team{_BELOW})$", f"deny ^({_HUB})$"],
        [],
    ),
    "tenant.restrictions.image_pull_policies": Shown(
        pull_policies, ["Always"], ["Always", "IfNotPresent"]
    ),
    "tenant.restrictions.service_types": Shown(
        services, ["ClusterIP"], ["ClusterIP", "LoadBalancer"]
    ),
    "tenant.restrictions.ingress_hosts": Shown(
        hosts, f"^({_WILD})$", rf"^({_WILD}|acme\.example\.org)$"
    ),
    "tenant.restrictions.ingress_classes": _listed(
        ["public"], ["public", "private"], "ingressOptions", "allowedClasses", "allowed"
    ),
    "tenant.restrictions.storage_classes": _listed(
        ["standard"], ["standard", "fast"], "storageClasses", "allowed"
    ),
    "tenant.restrictions.priority_classes": _listed(
        ["batch"], ["batch", "urgent"], "priorityClasses", "allowed"
    ),
    "tenant.restrictions.runtime_classes": _listed(
        ["sandboxed"], ["sandboxed", "plain"], "runtimeClasses", "allowed"
    ),
    "tenant.restrictions.node_selector": _listed(
        {"pool": "acme"}, {"pool": "batch", "arch": "arm64"}, "nodeSelector"
    ),
    # Capsule has no word for these: the native objects beside it have.
    **{each.name: each.native for each in TABLE if each.path[-1] in _BESIDE},
    **{each.name: each.native for each in NETWORK if each.path[0] == "restrictions"},
}
