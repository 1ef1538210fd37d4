"""The ClusterRoles of the baseline: who may do what where KubeNova has made a namespace.

They are KubeNova's own and never Kubernetes' `admin` or `edit`: those may mint tokens of any
ServiceAccount (`serviceaccounts/token`) and so outlive what was granted. Nothing here may
escalate, impersonate, or bind more than it is told to by name.
"""

from collections.abc import Sequence

from clusters.adapters.capsule import GROUP as CAPSULE
from clusters.adapters.capsule import WRITTEN as CAPSULE_WRITTEN
from clusters.adapters.kubevela import (
    APPLICATION,
    COMPONENT_DEFINITION,
    STEP_DEFINITION,
    TRAIT_DEFINITION,
    WORKFLOW_RUN,
)
from clusters.intents import (
    ACCOUNT,
    DEPLOYER_ROLE,
    GRANTED_ROLES,
    MANAGER_ROLE,
    NAMESPACE_READER,
    PROJECTOR,
    READ_ONLY,
    READER_ROLE,
    TENANT_ADMIN,
    TENANT_DEV,
)
from reconcile.values import JSON

_READ = ("get", "list", "watch")
_WRITE = ("create", "update", "patch", "delete")
_ALL = (*_READ, *_WRITE)
_TENANT = (*_ALL, "deletecollection")

BINDABLE = (PROJECTOR, DEPLOYER_ROLE, TENANT_ADMIN, TENANT_DEV, READ_ONLY, *GRANTED_ROLES)


def rule(group: str, resources: Sequence[str], verbs: Sequence[str], *names: str) -> JSON:
    """Return one rule of RBAC, for the named objects alone where `names` are given."""
    body: JSON = {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
    return body | ({"resourceNames": list(names)} if names else {})


_LOGS = rule("", ("pods/log",), ("get",))
_EXEC = rule("", ("pods/attach", "pods/exec"), ("create", "get"))
_PORT_FORWARD = rule("", ("pods/portforward",), ("create", "get"))
_SECRETS = rule("", ("secrets",), _TENANT)
# Clients look at the pod, or for one, before they enter it.
_PODS = rule("", ("pods",), ("get", "list"))
_SEEN = [
    rule("", ("namespaces",), ("get",)),
    rule(
        "",
        (
            "configmaps",
            "endpoints",
            "events",
            "limitranges",
            "persistentvolumeclaims",
            "pods",
            "resourcequotas",
            "serviceaccounts",
            "services",
        ),
        _READ,
    ),
    rule(
        "apps",
        ("controllerrevisions", "daemonsets", "deployments", "replicasets", "statefulsets"),
        _READ,
    ),
    rule("apps", ("deployments/scale", "statefulsets/scale"), ("get",)),
    rule("autoscaling", ("horizontalpodautoscalers",), _READ),
    rule("batch", ("cronjobs", "jobs"), _READ),
    rule("discovery.k8s.io", ("endpointslices",), _READ),
    rule("events.k8s.io", ("events",), _READ),
    rule("metrics.k8s.io", ("pods",), ("get", "list")),
    rule("networking.k8s.io", ("ingresses", "networkpolicies"), _READ),
    rule("policy", ("poddisruptionbudgets",), _READ),
]
_SEEN_BY_ALL = [*_SEEN, _LOGS]
_EDITED = [
    rule("", ("configmaps", "persistentvolumeclaims", "pods", "services"), _TENANT),
    rule("", ("pods/eviction",), ("create",)),
    rule("apps", ("deployments", "statefulsets"), _TENANT),
    rule("apps", ("deployments/scale", "statefulsets/scale"), ("get", "update", "patch")),
    rule("autoscaling", ("horizontalpodautoscalers",), _TENANT),
    rule("batch", ("cronjobs", "jobs"), _TENANT),
    rule("networking.k8s.io", ("ingresses",), _TENANT),
    rule("policy", ("poddisruptionbudgets",), _TENANT),
]
_WORKED_WITH_BY_DEVELOPERS = [*_EDITED, _SECRETS, _EXEC, _PORT_FORWARD]
_LEFT_TO_TENANT_ADMINS = [
    rule("", ("serviceaccounts",), _TENANT),
    rule("rbac.authorization.k8s.io", ("rolebindings", "roles"), _READ),
]
_PROJECTED = [
    rule("", ("configmaps", "limitranges", "resourcequotas", "serviceaccounts", "services"), _ALL),
    rule("", ("persistentvolumeclaims",), _ALL),
    rule("apps", ("daemonsets", "deployments", "statefulsets"), _ALL),
    rule("autoscaling", ("horizontalpodautoscalers",), _ALL),
    rule("batch", ("cronjobs", "jobs"), _ALL),
    rule("networking.k8s.io", ("ingresses", "networkpolicies"), _ALL),
]
# What KubeVela makes of apps: what native delivery would, and nothing that reads or enters it.
_DEPLOYED = [
    rule("", ("configmaps", "persistentvolumeclaims", "services"), _ALL),
    rule("apps", ("daemonsets", "deployments", "statefulsets"), _ALL),
    rule("autoscaling", ("horizontalpodautoscalers",), _ALL),
    rule("batch", ("cronjobs", "jobs"), _ALL),
    rule("networking.k8s.io", ("ingresses",), _ALL),
]
# Not among what is projected above, which the watcher follows everywhere: in projects alone.
_WRITTEN_SECRETS = rule("", ("secrets",), ("get", "list", *_WRITE))
# KubeVela's, for KubeNova alone: whoever writes these has KubeVela act.
_ENGINE = (APPLICATION.plural, WORKFLOW_RUN.plural)
_FOR_KUBEVELA = rule(APPLICATION.group, _ENGINE, _ALL)
_SEEN_BY_THE_PROJECTOR = [
    rule("", ("events", "pods"), _READ),
    rule("", ("pods/log",), ("get",)),
    rule("apps", ("replicasets",), _READ),
]
_DEFINITIONS = (COMPONENT_DEFINITION.plural, TRAIT_DEFINITION.plural, STEP_DEFINITION.plural)
_POLICIES = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
_WEBHOOKS = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
_MANAGED = [
    rule("", ("namespaces",), _ALL),
    rule("rbac.authorization.k8s.io", ("rolebindings",), _ALL),
    rule("rbac.authorization.k8s.io", ("clusterroles",), ("bind",), *BINDABLE),
    rule("rbac.authorization.k8s.io", ("clusterrolebindings", "clusterroles", "roles"), _READ),
    rule("admissionregistration.k8s.io", _POLICIES, _READ),
    rule("admissionregistration.k8s.io", _WEBHOOKS, _READ),
    rule(CAPSULE, CAPSULE_WRITTEN, _ALL),
    rule(APPLICATION.group, (*_ENGINE, *_DEFINITIONS), _READ),
    rule(CAPSULE, ("capsuleconfigurations",), _READ),
    rule("apiextensions.k8s.io", ("customresourcedefinitions",), _READ),
    rule("authentication.k8s.io", ("selfsubjectreviews", "tokenreviews"), ("create",)),
    rule(
        "authorization.k8s.io",
        ("localsubjectaccessreviews", "selfsubjectaccessreviews", "subjectaccessreviews"),
        ("create",),
    ),
    # The keys that tokens of this cluster are signed with, for the access proxy.
    {"nonResourceURLs": ["/openid/v1/jwks"], "verbs": ["get"]},
    # What the watcher follows. Secrets are not among it, here or anywhere cluster-wide.
    *(rule(each["apiGroups"][0], each["resources"], _READ) for each in _PROJECTED),
]

SYSTEM_RULES = [
    rule("", ("configmaps",), _ALL),
    rule("", ("serviceaccounts/token",), ("create",), ACCOUNT, NAMESPACE_READER),
]
GRANTS_RULES = [
    rule("", ("secrets", "serviceaccounts"), _ALL),
    rule("", ("serviceaccounts/token",), ("create",)),
]


def cluster_roles() -> dict[str, list[JSON]]:
    """Return the rules of every ClusterRole of the baseline by its name."""
    developer = [*_SEEN_BY_ALL, *_WORKED_WITH_BY_DEVELOPERS]
    return {
        MANAGER_ROLE: _MANAGED,
        PROJECTOR: [*_PROJECTED, _FOR_KUBEVELA, _WRITTEN_SECRETS, *_SEEN_BY_THE_PROJECTOR],
        DEPLOYER_ROLE: _DEPLOYED,
        READ_ONLY: _SEEN_BY_ALL,
        TENANT_ADMIN: [*developer, *_LEFT_TO_TENANT_ADMINS],
        TENANT_DEV: developer,
        READER_ROLE: [rule("", ("namespaces",), _READ)],
        **_granted(),
    }


def _granted() -> dict[str, list[JSON]]:
    view, edit, logs, enter, port_forward, secrets = GRANTED_ROLES
    return {
        view: _SEEN,
        edit: _EDITED,
        logs: [_PODS, _LOGS],
        enter: [_PODS, _EXEC],
        port_forward: [_PODS, _PORT_FORWARD],
        secrets: [_SECRETS],
    }
