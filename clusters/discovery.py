"""Reads what a cluster serves: aggregated discovery (apidiscovery.k8s.io/v2), two answers."""

from collections.abc import Iterator

from reconcile.errors import Unreachable
from reconcile.values import JSON, Kind

ROOTS = ("api", "apis")
ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

Served = frozenset[tuple[str, str]]  # (apiVersion, plural), as ("apps/v1", "deployments")
Kinds = dict[tuple[str, str], Kind]  # by (apiVersion, kind), as in manifests


def served_in(body: JSON) -> Iterator[tuple[str, str]]:
    """Yield what one APIGroupDiscoveryList names. Raises Unreachable when it is none."""
    for api_version, resource in _resources(body):
        yield api_version, str(resource.get("resource"))


def kinds_in(body: JSON) -> Iterator[Kind]:
    """Yield the kinds that one APIGroupDiscoveryList names. Raises Unreachable when it is none."""
    for api_version, resource in _resources(body):
        kind = (resource.get("responseKind") or {}).get("kind", "")
        plural, namespaced = str(resource.get("resource")), resource.get("scope") == "Namespaced"
        yield Kind(api_version, str(kind), plural, namespaced)


def _resources(body: JSON) -> Iterator[tuple[str, JSON]]:
    if body.get("kind") != "APIGroupDiscoveryList":
        raise Unreachable("the cluster does not speak aggregated discovery: Kubernetes 1.30 does")
    for group in _dicts(body.get("items")):
        name = (group.get("metadata") or {}).get("name", "")
        for version in _dicts(group.get("versions")):
            api_version = f"{name}/{version.get('version')}".lstrip("/")
            for resource in _dicts(version.get("resources")):
                yield api_version, resource


def _dicts(value: object) -> list[JSON]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
