"""Policies that keep what binds a tenant out of its reach, and cordon it. Pure.

What KubeNova has put into a project's namespace, and the namespace itself, is changed by KubeNova,
by the cluster's own controllers, and by those who could lift these policies anyway.
"""

from reconcile.values import JSON, MANAGED_BY, MANAGER, TENANT
from tenancy.rules import cel
from tenancy.rules.admission import IN_PROJECTS, binding, document
from tenancy.rules.encoding import CORDONED
from tenancy.rules.modes import CONFIG_MAPS

PROTECT = "kubenova-protect"
NAMESPACES = "kubenova-namespaces"
CORDON = "kubenova-cordon"

_RESERVED = "kubenova"  # how the names of KubeNova's own objects begin
_PROTECTED = (
    ("", ("configmaps", "limitranges", "resourcequotas")),
    ("networking.k8s.io", ("networkpolicies",)),
    ("rbac.authorization.k8s.io", ("rolebindings",)),
)
# Apps have ConfigMaps as well, and their people do with those as they like.
_NO_APP = "request.resource.resource != 'configmaps'"
_PARAMETERS = ", ".join(f"'{name}'" for name in CONFIG_MAPS.values())
_WRITES = ["CREATE", "UPDATE", "DELETE"]
_NEVER_CORDONED = (
    ("", ["events"]),
    ("events.k8s.io", ["events"]),
    ("coordination.k8s.io", ["leases"]),
    ("authorization.k8s.io", ["*"]),
)
# Keys of labels that say whose a namespace is, or how the cluster treats it.
_KEPT_LABELS = (
    f"key == '{MANAGED_BY}' || key.matches('^([^/]*[.])?kubenova[.]io/') || "
    "key.startsWith('pod-security.kubernetes.io/')"
)
_KEPT_ANNOTATIONS = (
    "key.matches('^([^/]*[.])?kubenova[.]io/') || key.startsWith('scheduler.alpha.kubernetes.io/')"
)
_CAPSULE = "capsule.clastix.io/"


def guards() -> list[JSON]:
    """Return the policies that protect projects, each with its binding."""
    return [*_protect(), *_namespaces(), *_cordon()]


def cordoned_message() -> str:
    """What somebody is told who writes into a cordoned namespace."""
    return "This tenant is cordoned: nothing can be made, changed or deleted here."


def _protect() -> list[JSON]:
    """Objects of KubeNova's: known by their label or by a name that is reserved for them."""
    ours = " || ".join(
        f"({each} != null && (({_NO_APP} && {each}.metadata.name.startsWith('{_RESERVED}')) || "
        f"({_NO_APP} && {_label(each, MANAGED_BY)} == '{MANAGER}') || "
        f"{each}.metadata.name in [{_PARAMETERS}]))"
        for each in ("dyn(object)", "dyn(oldObject)")
    )
    spec: JSON = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "namespaceSelector": IN_PROJECTS,
            "resourceRules": [_rule(group, list(plurals)) for group, plurals in _PROTECTED],
        },
        "matchConditions": [_condition("others", f"!{cel.trusted()}")],
        "validations": [
            _validation(
                f"!({ours})",
                "This belongs to KubeNova: what binds a project is changed in KubeNova alone.",
            )
        ],
    }
    return [document("ValidatingAdmissionPolicy", PROTECT, spec), _bound(PROTECT)]


def _namespaces() -> list[JSON]:
    """Namespaces of KubeNova's, before or after a write; a selector would look at the labels after.

    `status` and `finalize` are ways into a namespace as well (CVE-2026-30963, CVE-2026-55636).
    """
    spec: JSON = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "resourceRules": [
                _rule("", ["namespaces", "namespaces/finalize", "namespaces/status"]),
            ]
        },
        "matchConditions": [
            _condition("ours", f"{_ours('object')} || {_ours('oldObject')}"),
            _condition("others", f"!{cel.trusted()}"),
        ],
        "validations": [
            _validation(
                "request.operation == 'UPDATE' && request.?subResource.orValue('') == ''",
                "KubeNova's namespaces are made, deleted and finalized by KubeNova alone.",
            ),
            _validation(
                f"request.operation != 'UPDATE' || ({_kept('labels', _KEPT_LABELS)})",
                "The labels that bind a namespace of KubeNova's are KubeNova's alone.",
            ),
            _validation(
                f"request.operation != 'UPDATE' || ({_kept('annotations', _KEPT_ANNOTATIONS)})",
                "The annotations that bind a namespace of KubeNova's are KubeNova's alone.",
            ),
            _validation(
                f"request.operation != 'UPDATE' || ({_OWNED})",
                "A namespace of KubeNova's gets no other owner.",
            ),
        ],
    }
    return [document("ValidatingAdmissionPolicy", NAMESPACES, spec), _bound(NAMESPACES)]


def _cordon() -> list[JSON]:
    """Every object of a namespace, but no subresource: what runs goes on and can be looked at."""
    excluded = [_rule(group, plurals) for group, plurals in _NEVER_CORDONED]
    trusted = cel.trusted("system:nodes")
    spec: JSON = {
        "failurePolicy": "Fail",
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "matchConstraints": {
            "resourceRules": [{**_rule("*", ["*"]), "scope": "Namespaced"}],
            "excludeResourceRules": excluded,
        },
        "matchConditions": [
            _condition("proof", cel.no_proof_of_others(CORDON)),
            # Most namespaces are not: conditions cost an API server a third of what validations do.
            _condition("cordoned", cel.restricted(CORDONED)),
        ],
        "validations": [
            _validation(f"!{cel.proof_of(CORDON)} && {trusted}", cordoned_message()),
        ],
    }
    return [
        document("ValidatingAdmissionPolicy", CORDON, spec),
        binding(CORDON, CORDON, (), "Allow"),
    ]


def _ours(name: str) -> str:
    marked = f"{_label(name, MANAGED_BY)} == '{MANAGER}' || {_label(name, TENANT)} != ''"
    return f"({name} != null && ({marked}))"


def _label(name: str, key: str) -> str:
    return f"{name}.metadata.?labels[?'{key}'].orValue('')"


def _kept(field: str, keys: str) -> str:
    """Whether a map is the same before and after, as far as `keys` (CEL of `key`) says."""
    now, was = (f"{name}.metadata.?{field}.orValue({{}})" for name in ("object", "oldObject"))
    same = f"{now}.all(key, !({keys}) || (key in {was} && {now}[key] == {was}[key]))"
    return f"{same} && {was}.all(key, !({keys}) || key in {now})"


_OWNED = (
    "object.metadata.?ownerReferences.orValue([]).all(owner, "
    f"owner.apiVersion.startsWith('{_CAPSULE}') || "
    "oldObject.metadata.?ownerReferences.orValue([]).exists(old, old.uid == owner.uid))"
)


def _rule(group: str, plurals: list[str]) -> JSON:
    return {
        "apiGroups": [group],
        "apiVersions": ["*"],
        "operations": _WRITES,
        "resources": plurals,
    }


def _condition(name: str, expression: str) -> JSON:
    return {"name": name, "expression": expression}


def _validation(expression: str, message: str) -> JSON:
    return {"expression": expression, "message": message, "reason": "Forbidden"}


def _bound(name: str) -> JSON:
    spec: JSON = {"policyName": name, "validationActions": ["Deny"]}
    return document("ValidatingAdmissionPolicyBinding", name, spec)
