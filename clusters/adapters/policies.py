"""The admission policies of the baseline: what even a right of KubeNova's own does not allow.

RBAC cannot tell one namespace from another by its label, so KubeNova's ServiceAccount may write
more than it should; these policies take that back (Kubernetes CEL, `admissionregistration/v1`).
"""

from collections.abc import Callable

from clusters.adapters import capsule
from clusters.adapters.capsule import IS_CAPSULE
from clusters.intents import (
    GRANTS_NAMESPACE,
    OWN_NAMESPACES,
    SIMULATION_NAMESPACE,
    SYSTEM_NAMESPACE,
    USERNAME,
)
from reconcile.planning.values import PLAN_NAMESPACE
from reconcile.values import CORRELATION, JSON, MANAGED_BY, MANAGER, OWNER

GUARD = "kubenova-guard"
GUARD_NAMESPACES = "kubenova-guard-namespaces"
GUARD_PLACES = "kubenova-guard-places"
TOKENS = "kubenova-tokens"

# Where the object lies; a request for a cluster-scoped one has no such field at all.
_PLACE = "request.?namespace.orValue('')"
_REVIEWS = "request.resource.group in ['authentication.k8s.io', 'authorization.k8s.io']"
_DRY = "(has(request.dryRun) && request.dryRun)"
_NAMESPACES: JSON = {"apiGroups": [""], "resources": ["namespaces", "namespaces/*"]}


def _ours(name: str) -> str:
    return f"{name}.metadata.?labels[?'{MANAGED_BY}'].orValue('') == '{MANAGER}'"


def _known(name: str) -> str:
    """Ours, also when somebody has taken some of our marks off: else KubeNova could not mend it."""
    owner = f"{name}.metadata.?labels[?'{OWNER}'].hasValue()"
    correlation = f"{name}.metadata.?annotations[?'{CORRELATION}'].hasValue()"
    return f"({_ours(name)} || {owner} || {correlation})"


_OWN_NAMESPACE = (
    f"(object == null || {_ours('object')}) && (oldObject == null || {_known('oldObject')})"
)


def _validation(expression: str, message: str) -> JSON:
    return {"expression": expression, "message": message}


def _policy(name: str, **spec: object) -> JSON:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {"failurePolicy": "Fail", **spec},
    }


def _guards() -> list[JSON]:
    """Deny KubeNova any write outside of its own namespaces; reviews change nothing.

    A write in a tenant's namespace meets none of the three, and that namespace itself the first
    one's conditions alone: to judge a write can cost an API server more than to take it.
    """
    others = _selector(MANAGED_BY, "NotIn", MANAGER)
    places = _selector("kubernetes.io/metadata.name", "In", *OWN_NAMESPACES)
    within = {**_every(), "excludeResourceRules": [_matched(_NAMESPACES)]}
    return [
        *_kept_to(
            GUARD_NAMESPACES, _every(_NAMESPACES), [_taken()], foreign=f"!({_OWN_NAMESPACE})"
        ),
        *_kept_to(GUARD_PLACES, {**within, "namespaceSelector": places}, _limits_of_places()),
        *_kept_to(
            GUARD,
            {**within, "namespaceSelector": others},
            _limits(),
            **{"no-review": f"!({_REVIEWS})"},
        ),
    ]


def _kept_to(name: str, matched: JSON, validations: list[JSON], **conditions: str) -> list[JSON]:
    """A policy that KubeNova's own account is kept to, with its binding."""
    conditions = {"kubenova": f"request.userInfo.username == '{USERNAME}'"} | conditions
    policy = _policy(
        name,
        matchConstraints=matched,
        matchConditions=[
            {"name": word, "expression": expression} for word, expression in conditions.items()
        ],
        validations=validations,
    )
    return [policy, _binding(name)]


def _every(resources: JSON | None = None) -> JSON:
    return {"resourceRules": [_matched(resources or {"apiGroups": ["*"], "resources": ["*/*"]})]}


def _matched(resources: JSON) -> JSON:
    return {"apiVersions": ["*"], "operations": ["*"], **resources}


def _selector(key: str, operator: str, *values: str) -> JSON:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


def _taken() -> JSON:
    return _validation(
        _OWN_NAMESPACE,
        "KubeNova neither takes over nor gives up nor deletes a namespace of others.",
    )


def _limits() -> list[JSON]:
    """What the guard lets KubeNova do outside of its own namespaces."""
    return [
        _validation(
            f"{_PLACE} == '' || {_known('namespaceObject')}",
            "KubeNova writes only in namespaces of its own.",
        ),
        _validation(
            f"{_PLACE} != '' || ({IS_CAPSULE} && (object == null || "
            f"{_ours('object')}) && (oldObject == null || {_known('oldObject')}))",
            "KubeNova writes no cluster-scoped objects but its namespaces and tenants.",
        ),
        *capsule.limits(),
    ]


def _limits_of_places() -> list[JSON]:
    """What it may do in the namespaces that are none of a tenant's."""
    return [
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
        matchConditions=[
            {
                "name": "endless",
                "expression": "object.?type.orValue('') == 'kubernetes.io/service-account-token'",
            }
        ],
        validations=[
            _validation(
                "false", "Tokens of ServiceAccounts end: ask KubeNova for a kubeconfig instead."
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
    own = [*_guards(), _tokens(), _binding(TOKENS)]
    return own + [body for more in _contributed for body in more()]
