"""The kinds that tenancy is made of on any cluster, and the metadata that all of them carry."""

from collections.abc import Mapping

from reconcile.values import JSON, PROJECT, TENANT, Kind
from tenancy.intents import ProjectIntent

SYSTEM_NAMESPACE = "kubenova-system"
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False)
SERVICE_ACCOUNT = Kind("v1", "ServiceAccount", "serviceaccounts")
ROLE_BINDING = Kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
RESOURCE_QUOTA = Kind("v1", "ResourceQuota", "resourcequotas")
LIMIT_RANGE = Kind("v1", "LimitRange", "limitranges")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")


def identity(intent: ProjectIntent) -> dict[str, str]:
    """The labels that say whose an object is."""
    return {TENANT: intent.tenant, PROJECT: intent.name}


def manifest(
    kind: Kind,
    name: str,
    namespace: str = "",
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    **body: object,
) -> JSON:
    """Return an object; labels, annotations and a namespace only where there are any."""
    meta: JSON = {"name": name}
    optional = {"namespace": namespace, "labels": labels, "annotations": annotations}
    meta |= {
        key: dict(value) if isinstance(value, Mapping) else value
        for key, value in optional.items()
        if value
    }
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": meta, **body}


def in_project(intent: ProjectIntent, kind: Kind, name: str, **body: object) -> JSON:
    """Return an object in the namespace of a project, labelled as its own."""
    return manifest(kind, name, intent.namespace, labels=identity(intent)) | body
