"""The admission policies of the baseline: what even a right of KubeNova's own does not allow.

RBAC cannot tell one namespace from another by its label, so KubeNova's ServiceAccount may write
more than it should; these policies take that back (Kubernetes CEL, `admissionregistration/v1`).
"""

from collections.abc import Callable

from clusters.adapters import capsule
from clusters.adapters.capsule import IS_CAPSULE
from clusters.intents import GRANTS_NAMESPACE, SIMULATION_NAMESPACE, SYSTEM_NAMESPACE, USERNAME
from reconcile.planning.values import PLAN_NAMESPACE
from reconcile.values import CORRELATION, JSON, MANAGED_BY, MANAGER, OWNER

GUARD = "kubenova-guard"
TOKENS = "kubenova-tokens"

_NAMESPACE = "(request.resource.group == '' && request.resource.resource == 'namespaces')"
# Where the object lies; a request for a cluster-scoped one has no such field at all.
_PLACE = "request.?namespace.orValue('')"
_REVIEWS = "request.resource.group in ['authentication.k8s.io', 'authorization.k8s.io']"


# Its namespace itself is written as every other of ours.
_DRY = f"{_NAMESPACE} || (has(request.dryRun) && request.dryRun)"


def _ours(name: str) -> str:
    return f"{name}.metadata.?labels[?'{MANAGED_BY}'].orValue('') == '{MANAGER}'"


def _known(name: str) -> str:
    """Ours, also when somebody has taken some of our marks off: else KubeNova could not mend it."""
    owner = f"{name}.metadata.?labels[?'{OWNER}'].hasValue()"
    correlation = f"{name}.metadata.?annotations[?'{CORRELATION}'].hasValue()"
    return f"({_ours(name)} || {owner} || {correlation})"


def _validation(expression: str, message: str) -> JSON:
    return {"expression": expression, "message": message}


def _policy(name: str, **spec: object) -> JSON:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {"failurePolicy": "Fail", **spec},
    }


def _guard() -> JSON:
    """Denies KubeNova any write outside of its own namespaces; reviews change nothing."""
    return _policy(
        GUARD,
        matchConstraints={
            "resourceRules": [
                {
                    "apiGroups": ["*"],
                    "apiVersions": ["*"],
                    "operations": ["*"],
                    "resources": ["*/*"],
                }
            ]
        },
        matchConditions=[
            {"name": "kubenova", "expression": f"request.userInfo.username == '{USERNAME}'"},
            {"name": "no-review", "expression": f"!({_REVIEWS})"},
        ],
        validations=_limits(),
    )


def _limits() -> list[JSON]:
    """What the guard lets KubeNova do."""
    return [
        _validation(
            f"!{_NAMESPACE} || ((object == null || {_ours('object')}) && "
            f"(oldObject == null || {_known('oldObject')}))",
            "KubeNova neither takes over nor gives up nor deletes a namespace of others.",
        ),
        _validation(
            f"{_NAMESPACE} || {_PLACE} == '' || {_known('namespaceObject')}",
            "KubeNova writes only in namespaces of its own.",
        ),
        _validation(
            f"{_NAMESPACE} || {_PLACE} != '' || ({IS_CAPSULE} && (object == null || "
            f"{_ours('object')}) && (oldObject == null || {_known('oldObject')}))",
            "KubeNova writes no cluster-scoped objects but its namespaces and tenants.",
        ),
        *capsule.limits(),
        _validation(
            "request.resource.resource != 'rolebindings' || "
            f"!({_PLACE} in ['{SYSTEM_NAMESPACE}', '{GRANTS_NAMESPACE}'])",
            "KubeNova changes no bindings in the namespaces that hold its own rights.",
        ),
        _validation(
            f"{_PLACE} != '{PLAN_NAMESPACE}' || {_DRY}",
            "Plans are tried here by dry runs alone: nothing real lives here.",
        ),
        _validation(
            f"{_PLACE} != '{SIMULATION_NAMESPACE}' || {_DRY} || "
            "(request.resource.group == '' && request.resource.resource == 'configmaps')",
            "Policies are simulated here by dry runs: nothing but their parameters lives here.",
        ),
    ]


def _tokens() -> JSON:
    """Denies Secrets that would make the API server mint a token without end."""
    return _policy(
        TOKENS,
        matchConstraints={
            "namespaceSelector": {"matchLabels": {MANAGED_BY: MANAGER}},
            "resourceRules": [
                {
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE"],
                    "resources": ["secrets"],
                }
            ],
        },
        validations=[
            _validation(
                "object.?type.orValue('') != 'kubernetes.io/service-account-token'",
                "Tokens of ServiceAccounts end: ask KubeNova for a kubeconfig instead.",
            )
        ],
    )


def _binding(name: str) -> JSON:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }


_contributed: list[Callable[[], list[JSON]]] = []


def contribute(more: Callable[[], list[JSON]]) -> None:
    """Have the baseline carry the policies of a part that this one does not know, once each."""
    if more not in _contributed:
        _contributed.append(more)


def policies() -> list[JSON]:
    """Return every policy of the baseline with the binding that puts it into force."""
    own = [_guard(), _tokens(), _binding(GUARD), _binding(TOKENS)]
    return own + [body for more in _contributed for body in more()]
