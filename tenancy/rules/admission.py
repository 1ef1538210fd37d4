"""Each kind of restrictions as a ValidatingAdmissionPolicy with CEL, and its static bindings. Pure.

A policy reads what it allows from the ConfigMap `kubenova-rules` of the request's namespace, so it
is the same on every cluster and in every namespace. Creations fail where that ConfigMap is missing.
Changes do not: in a namespace that goes away it may be gone before a controller has taken the last
finalizer off. An update that leaves alone what a rule governs passes, also where it is broken.

Each policy is bound once more for each mode that refuses nothing, with a ConfigMap of that mode's
own, which need not be there.
"""

from collections.abc import Mapping, Sequence

from reconcile.values import JSON, MANAGED_BY, MANAGER, TENANT
from tenancy.rules import cel
from tenancy.rules.enforced import PODS, Enforced, Resources
from tenancy.rules.enforced_network import BOUNDS
from tenancy.rules.enforced_objects import OBJECTS
from tenancy.rules.enforced_workloads import WORKLOADS
from tenancy.rules.modes import ACTIONS, ADVISORY, CONFIG_MAPS, Mode

CREATE, UPDATE = "CREATE", "UPDATE"
_DEBUGGED = ("pods/ephemeralcontainers",)
IN_PROJECTS: JSON = {
    "matchLabels": {MANAGED_BY: MANAGER},
    "matchExpressions": [{"key": TENANT, "operator": "Exists"}],
}


_IMAGES = (
    f"{cel.containers('{spec}')}.map(each, each.?image.orValue('')) + "
    f"{cel.image_volumes('{spec}')}.map(each, each.image.?reference.orValue(''))"
)
_TAGLESS = (
    "name.lastIndexOf(':') > name.lastIndexOf('/') ? "
    "name.substring(0, name.lastIndexOf(':')) : name"
)
_HOSTED = (
    "name.matches('^([^/]*[.:][^/]*|localhost)/') ? name : "
    "name.contains('/') ? 'docker.io/' + name : 'docker.io/library/' + name"
)
_PLAIN_PORT = "name.matches('^[^/]*:443/') ? name.replace(':443/', '/', 1) : name"
_ONE_HUB = (
    "name.matches('^(index|registry-1)[.]docker[.]io/') ? "
    "name.substring(name.indexOf('.') + 1) : name"
)
_LIBRARY = "name.matches('^docker[.]io/[^/]+$') ? 'docker.io/library/' + name.substring(10) : name"
_PORTLESS = (
    "name.matches('^[^/:]*:[0-9]+/') ? "
    "name.substring(0, name.indexOf(':')) + name.substring(name.indexOf('/')) : name"
)
_STEPS = (_TAGLESS, _HOSTED, _PLAIN_PORT, _ONE_HUB, _LIBRARY)
_NORMALISED = "[image.lowerAscii().split('@')[0]]" + "".join(
    f".map(name, {step})" for step in _STEPS
)
_COVERED = "name == entry || name.startsWith(entry + '/')"
_REGISTRIES = (
    f"variables.now.filter(image, {_NORMALISED}.exists(name, "
    f"(variables.limited && !variables.allowed.exists(entry, {_COVERED})) || "
    f"[name, {_PORTLESS}].exists(name, variables.denied.exists(entry, {_COVERED}))))"
)
_HOSTS = (
    "{spec}.?rules.orValue([]).map(rule, rule.?host.orValue('*')) + "
    "{spec}.?tls.orValue([]).map(tls, tls.?hosts.orValue([]).join(' ')).join(' ').split(' ')"
    ".filter(host, host != '') + (has({spec}.defaultBackend) ? ['*'] : []) + "
    "dyn({name}).metadata.?annotations[?'nginx.ingress.kubernetes.io/server-alias'].orValue('')"
    ".split(',').map(host, host.trim()).filter(host, host != '')"
)
_SERVED = (
    "host == entry || (entry.startsWith('*.') && !host.startsWith('*') && host.contains('.') && "
    "host.substring(host.indexOf('.')) == entry.substring(1))"
)
_NAMED = "(variables.now.all(value, value == '') ? [''] : [])"
_IN_LIST = "variables.now.filter(value, value != '' && !(value in variables.allowed))"
_BETA_CLASS = "annotations[?'volume.beta.kubernetes.io/storage-class'].orValue('')"
_STORAGE = (
    "request.resource.resource == 'persistentvolumeclaims' ? "
    f"[{{spec}}.?storageClassName.orValue('')] + [dyn({{name}}).metadata.?{_BETA_CLASS}] : "
    "{spec}.?volumeClaimTemplates.orValue([])"
    ".map(claim, claim.spec.?storageClassName.orValue('')) + "
    "{spec}.?volumeClaimTemplates.orValue([])"
    f".map(claim, claim.metadata.?{_BETA_CLASS})"
)

ENFORCED: Mapping[str, Enforced] = {
    "image_registries": Enforced(
        ("image_registries.allow", "image_registries.deny"),
        PODS,
        _IMAGES,
        "The image",
        refused=_REGISTRIES,
        more=(
            ("denied", cel.lines("image_registries.deny")),
            ("limited", cel.restricted("image_registries.allow")),
        ),
    ),
    "image_references": Enforced(
        ("image_references",),
        PODS,
        _IMAGES,
        "The image reference",
        refused="variables.now.filter(image, "
        "!((image.contains('@') ? 'digest' : 'tag') in variables.allowed))",
    ),
    "image_pull_policies": Enforced(
        ("image_pull_policies",),
        PODS,
        f"{cel.containers('{spec}')}.map(each, each.?imagePullPolicy.orValue('')) + "
        f"{cel.image_volumes('{spec}')}.map(each, each.image.?pullPolicy.orValue(''))",
        "The image pull policy",
    ),
    "service_types": Enforced(
        ("service_types",),
        (("", ("services",)),),
        "[{spec}.?type.orValue('ClusterIP')]",
        "The Service type",
    ),
    "ingress_classes": Enforced(
        ("ingress_classes",),
        (("networking.k8s.io", ("ingresses",)),),
        "[{spec}.?ingressClassName.orValue('')] + "
        "[dyn({name}).metadata.?annotations[?'kubernetes.io/ingress.class'].orValue('')]",
        "The ingress class",
        "An Ingress without a class",
        f"{_IN_LIST} + {_NAMED}",
    ),
    "ingress_hosts": Enforced(
        ("ingress_hosts",),
        (("networking.k8s.io", ("ingresses",)),),
        _HOSTS,
        "The host name",
        refused=f"variables.now.filter(host, !variables.allowed.exists(entry, {_SERVED}))",
    ),
    "storage_classes": Enforced(
        ("storage_classes",),
        (("", ("persistentvolumeclaims",)), ("apps", ("statefulsets",))),
        _STORAGE,
        "The storage class",
        "A claim without a storage class",
        f"{_IN_LIST} + (request.resource.resource == 'persistentvolumeclaims' ? {_NAMED} : [])",
    ),
    "priority_classes": Enforced(
        ("priority_classes",),
        PODS,
        "[{spec}.?priorityClassName.orValue('')]",
        "The priority class",
        refused=_IN_LIST,
    ),
    "runtime_classes": Enforced(
        ("runtime_classes",),
        PODS,
        "[{spec}.?runtimeClassName.orValue('')]",
        "The runtime class",
        refused=_IN_LIST,
    ),
    "node_selector": Enforced(
        ("node_selector",),
        PODS,
        "{spec}.?nodeSelector.orValue({{}})",
        "nodeSelector",
        refused="[variables.allowed.filter(line, "
        "!variables.now.exists(key, key + '=' + variables.now[key] == line)).join(', ')]"
        ".filter(lines, lines != '')",
        told=("Pods have to select nodes with ", " here."),
    ),
    **WORKLOADS,
    **OBJECTS,
    **BOUNDS,
}


def policies() -> list[JSON]:
    """Return a policy for each kind, and the bindings that put it into force in every project."""
    return [body for kind, how in ENFORCED.items() for body in _bodies(cel.policy_name(kind), how)]


def _bodies(name: str, how: Enforced) -> list[JSON]:
    made, changed = rules_for(how.resources, CREATE), rules_for(how.resources, UPDATE)
    made += rules_for((("", _DEBUGGED),), UPDATE) if how.of_pods else []
    changed += rules_for(how.scaled, UPDATE)
    if how.everything:
        # What a new namespace begins with is made before its parameters are.
        bindings, changed = [binding(name, name, (), "Allow")], []
    else:
        bindings = [
            binding(name, name, made, "Deny"),
            binding(f"{name}-changes", name, changed, "Allow"),
        ]
    return [
        _policy(name, how, [*made, *changed]),
        *bindings,
        *(binding(f"{name}-{mode}", name, (), "Allow", mode) for mode in ADVISORY),
    ]


def _policy(name: str, how: Enforced, rules: list[JSON]) -> JSON:
    spec: JSON = {
        "failurePolicy": "Fail",
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "matchConstraints": {"resourceRules": rules},
        "matchConditions": [
            {"name": "proof", "expression": cel.no_proof_of_others(name)},
            # A kind that is not restricted here costs an API server a quarter of one that is.
            {"name": "restricted", "expression": " || ".join(map(cel.restricted, how.keys))},
        ],
        "variables": _variables(how),
        "validations": [
            {
                "expression": "variables.refused.size() == 0",
                "message": f"{how.noun} is not allowed here.",
                "messageExpression": _message(how),
                "reason": "Forbidden",
            }
        ],
    }
    return document("ValidatingAdmissionPolicy", name, spec)


def _message(how: Enforced) -> str:
    if how.told:
        before, after = how.told
        return f"'{before}' + variables.refused[0] + '{after}'"
    return cel.message(how.noun, how.missing)


def _variables(how: Enforced) -> list[JSON]:
    """What the validation is made of, each once: values now and before, and what is allowed."""
    same = f"oldObject != null && variables.now == ({_governed(how, 'oldObject', 'was')})"
    return [
        cel.variable("allowed", cel.lines(how.keys[0])),
        *(cel.variable(name, expression) for name, expression in how.more),
        cel.variable("spec", _spec(how, "object")),
        cel.variable("was", f"oldObject == null ? dyn({{}}) : ({_spec(how, 'oldObject')})"),
        cel.variable("now", _governed(how, "object", "spec")),
        cel.variable("passes", same),
        cel.variable("refused", f"variables.passes ? [] : {how.refused}"),
    ]


def _spec(how: Enforced, name: str) -> str:
    return cel.pod_spec(name) if how.of_pods else f"dyn({name}).?spec.orValue({{}})"


def _governed(how: Enforced, name: str, spec: str) -> str:
    return how.governed.format(name=name, spec=f"variables.{spec}")


def rules_for(resources: Resources, operation: str) -> list[JSON]:
    """Return what a policy or binding matches of resources, at one operation."""
    return [
        {
            "apiGroups": [group],
            "apiVersions": ["*" if group == "*" else "v1"],
            "operations": [operation],
            "resources": list(plurals),
            **({"scope": "Namespaced"} if group == "*" else {}),
        }
        for group, plurals in resources
    ]


def binding(
    name: str, policy: str, rules: Sequence[JSON], missing: str, mode: Mode = Mode.ENFORCE
) -> JSON:
    """Return the binding of a policy to all projects; `missing` is what becomes without ConfigMap.

    The ConfigMap is that of the request's own namespace.
    """
    matched: JSON = {"namespaceSelector": IN_PROJECTS}
    spec: JSON = {
        "policyName": policy,
        "paramRef": {"name": CONFIG_MAPS[mode], "parameterNotFoundAction": missing},
        "matchResources": matched | ({"resourceRules": list(rules)} if rules else {}),
        "validationActions": [ACTIONS[mode]],
    }
    return document("ValidatingAdmissionPolicyBinding", name, spec)


def document(kind: str, name: str, spec: JSON) -> JSON:
    """Return a manifest of `admissionregistration/v1`."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }
