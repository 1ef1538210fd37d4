"""The restrictions of a tenant as fields of Capsule's Tenant, by what its schema has.

Rules are tried in order and the last that matches an image, a Service or a host decides; with an
allowing rule only what it names is allowed. Expressions are ours alone: every value goes in
escaped, and anchored at both ends, because Capsule looks for a match anywhere. Capsule renders
rules as templates of Go; no value of a restriction can hold a brace.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reconcile.values import JSON
from tenancy.intents import TenantIntent

_QUOTA = "kubenova"
_ALL = "^.*$"
_CLASSES = {
    "storage_classes": "storageClasses",
    "priority_classes": "priorityClasses",
    "runtime_classes": "runtimeClasses",
}
_OPTIONAL_SERVICES = {
    "NodePort": "nodePort",
    "ExternalName": "externalName",
    "LoadBalancer": "loadBalancer",
}
_HUB = "docker.io"


def spec_fields(intent: TenantIntent) -> JSON:
    """Return the fields of the spec that are there in every version, and older ones where needed.

    A quota of nothing, and a restriction that is not set, has no field.
    """
    limits = _limits(intent)
    spec: JSON = {
        field: {"allowed": [*limits[kind]]} for kind, field in _CLASSES.items() if kind in limits
    }
    if selector := limits.get("node_selector"):
        spec["nodeSelector"] = dict(selector)
    if ingress := _ingress(intent):
        spec["ingressOptions"] = ingress
    if namespaces := _namespaces(intent):
        spec["namespaceOptions"] = namespaces
    if "registries" not in intent.features:
        spec |= _images(intent)
    if "services" not in intent.features and "service_types" in limits:
        allowed = {
            field: kind in limits["service_types"] for kind, field in _OPTIONAL_SERVICES.items()
        }
        spec["serviceOptions"] = {"allowedServices": allowed}
    if "quota-rules" not in intent.features and intent.quota:
        spec["resourceQuotas"] = {"scope": "Tenant", "items": [{"hard": dict(intent.quota)}]}
    return spec


def rules(intent: TenantIntent) -> Iterator[JSON]:
    """Yield the rules of the Tenant, as far as its schema has them."""
    limits, features = _limits(intent), intent.features
    if "quota-rules" in features and intent.quota:
        yield {"quota": [{"name": _QUOTA, "hard": dict(intent.quota)}]}
    if "registries" in features:
        yield from _registries(intent)
    if "services" in features and "service_types" in limits:
        yield _services(limits["service_types"])
    if "ingress-rules" in features and "ingress_hosts" in limits:
        yield _hosts(limits["ingress_hosts"])
    if "metadata-rules" in features:
        yield from _metadata(intent)


def _limits(intent: TenantIntent) -> Mapping[str, Any]:
    """The values of `tenancy.rules.kinds` by name: lists and maps."""
    return intent.restrictions


def _enforce(action: str, **what: object) -> JSON:
    return {"enforce": {"action": action, **what}}


# --- Images.


def _registries(intent: TenantIntent) -> Iterator[JSON]:
    registries = _limits(intent).get("image_registries", {})
    policies = _limits(intent).get("image_pull_policies")
    allowed = registries.get("allow")
    if allowed is not None or policies is not None:
        exp = _ALL if allowed is None else _one_of(map(_image, allowed))
        policy = {"policy": [*policies]} if policies else {}
        yield _images_rule("allow", exp, **policy)
    if denied := registries.get("deny"):
        yield _images_rule("deny", _one_of(map(_image, denied)))
    if policies == [] or allowed == []:  # nothing at all is allowed; Capsule knows no empty list
        yield _images_rule("deny", _ALL)


def _images_rule(action: str, exp: str, **policy: object) -> JSON:
    return _enforce(action, workloads={"registries": [{"exp": exp, **policy}]})


def _image(registry: str) -> str:
    """An expression of all images at or below a registry or path.

    A host without a path ends at its slash: what follows a colon may be another port. What names
    no host comes from Docker Hub.
    """
    host, _, path = registry.partition("/")
    end = "[/:@].*" if path else "/.*"
    found = f"{re.escape(registry)}{end}" if not path else f"{re.escape(registry)}({end})?"
    return f"{found}|{_unqualified(path)}" if host == _HUB else found


def _unqualified(path: str) -> str:
    """An expression of the images of Docker Hub below `path` that do not name it."""
    if not path:
        return "[^/]+|[^/.:]+/.*"
    below = f"{re.escape(path)}([/:@].*)?"
    return f"{below}|[^/]+" if path == "library" else below


def _images(intent: TenantIntent) -> JSON:
    """The older fields know allowed hosts alone: the namespaces of projects hold the rest."""
    found: JSON = {}
    allowed = _limits(intent).get("image_registries", {}).get("allow")
    if allowed is not None:
        hosts = {registry.partition("/")[0] for registry in allowed}
        found["containerRegistries"] = {"allowed": sorted(hosts)}
    if policies := _limits(intent).get("image_pull_policies"):
        found["imagePullPolicies"] = [*policies]
    return found


# --- Services and hosts.


def _services(types: Sequence[str]) -> JSON:
    if types:
        return _enforce("allow", services={"types": [*types]})
    return _enforce("deny", services={"types": ["ClusterIP", *_OPTIONAL_SERVICES]})


def _hosts(hosts: Sequence[str]) -> JSON:
    exp = _one_of(map(_host, hosts))
    action = "allow" if hosts else "deny"
    return _enforce(action, ingress={"types": ["Ingress"], "hostnames": [{"exp": exp or _ALL}]})


def _host(host: str) -> str:
    """An expression of a host; `*.` stands for one label, and for itself as Ingresses write it."""
    if host.startswith("*."):
        return rf"(\*|[^.*]+){re.escape(host[1:])}"
    return re.escape(host)


def _ingress(intent: TenantIntent) -> JSON:
    limits = _limits(intent)
    found: JSON = {}
    if "ingress_classes" in limits:
        found["allowedClasses"] = {"allowed": [*limits["ingress_classes"]]}
    if "ingress_hosts" not in limits:
        return found
    wild = [host for host in limits["ingress_hosts"] if host.startswith("*.")]
    if wild:
        found["allowWildcardHostnames"] = True
    if "ingress-rules" not in intent.features:
        exact = [host for host in limits["ingress_hosts"] if host not in wild]
        expression = {"allowedRegex": _one_of(map(_host, wild))} if wild else {}
        found["allowedHostnames"] = {"allowed": exact, **expression}
    return found


# --- Namespaces.


def _namespaces(intent: TenantIntent) -> JSON:
    wanted = _limits(intent).get("namespaces", {})
    found: JSON = {"quota": wanted["count"]} if "count" in wanted else {}
    if "metadata-rules" in intent.features:
        return found
    if required := wanted.get("required_labels"):
        labels = {
            key: f"^{re.escape(value)}$" if value else _ALL for key, value in required.items()
        }
        found["requiredMetadata"] = {"labels": labels}
    if forbidden := wanted.get("forbidden_labels"):
        found["forbiddenLabels"] = {"denied": [*forbidden]}
    return found


def _metadata(intent: TenantIntent) -> Iterator[JSON]:
    wanted = _limits(intent).get("namespaces", {})
    if required := wanted.get("required_labels"):
        labels = {key: _required(value) for key, value in required.items()}
        yield _enforce("allow", metadata=[{"kinds": ["Namespace"], "labels": labels}])
    if forbidden := wanted.get("forbidden_labels"):
        any_value = {"values": [{"exp": _ALL}]}
        labels = {key: any_value for key in forbidden}
        yield _enforce("deny", metadata=[{"kinds": ["Namespace"], "labels": labels}])


def _required(value: str) -> JSON:
    return {"required": True} | ({"values": [{"exact": [value]}]} if value else {})


def _one_of(expressions: Iterable[str]) -> str:
    """Join expressions into one that matches a whole value; empty for none."""
    found = [*expressions]
    return f"^({'|'.join(found)})$" if found else ""
