"""What Capsule's webhooks deny and warn of, as admission policies with the same words."""

from sandbox.api import JsonObject

_ADMISSION = "admissionregistration.k8s.io/v1"
_TENANT = "capsule.clastix.io/tenant"
_OLD_FIELDS = {
    "resourceQuotas": "rules[].quota",
    "limitRanges": "GlobalTenantResource or TenantResource",
    "networkPolicies": "GlobalTenantResource or TenantResource",
    "containerRegistries": "rules[].enforce.workloads.registries",
    "imagePullPolicies": "rules[].enforce.workloads.registries",
    "serviceOptions": "rules[].enforce.metadata",
}


def _webhooks(kind: str, word: str) -> JsonObject:
    """Registered as Capsule does, but never called: nothing has the label it selects."""
    hook = {
        "name": "namespaces.projectcapsule.dev",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "clientConfig": {"url": "https://127.0.0.1:1/namespaces"},
        "objectSelector": {"matchLabels": {"stand-in.example.org/never": "true"}},
        "rules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE", "DELETE"],
                "resources": ["namespaces"],
            }
        ],
    }
    name = f"capsule-{word}-webhook-configuration"
    return {
        "apiVersion": _ADMISSION,
        "kind": kind,
        "metadata": {"name": name},
        "webhooks": [hook],
    }


WEBHOOKS = (
    ("mutatingwebhookconfigurations", _webhooks("MutatingWebhookConfiguration", "mutating")),
    ("validatingwebhookconfigurations", _webhooks("ValidatingWebhookConfiguration", "validating")),
)


def _policy(
    name: str, resource: tuple[str, str, str], validations: list[JsonObject], **spec: object
) -> tuple[str, JsonObject]:
    group, plural, operation = resource
    rule = {
        "apiGroups": [group],
        "apiVersions": ["*"],
        "operations": operation.split(","),
        "resources": [plural],
    }
    body = {
        "apiVersion": _ADMISSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": f"capsule-{name}"},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule]},
            "validations": validations,
            **spec,
        },
    }
    return "validatingadmissionpolicies", body


def _binding(name: str, action: str = "Deny", **spec: object) -> tuple[str, JsonObject]:
    body = {
        "apiVersion": _ADMISSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": f"capsule-{name}"},
        "spec": {"policyName": f"capsule-{name}", "validationActions": [action], **spec},
    }
    return "validatingadmissionpolicybindings", body


def _denied(expression: str, message: str) -> JsonObject:
    return {"expression": expression, "message": message, "reason": "Forbidden"}


_OLD = [
    {
        "expression": f"!has(object.spec.{field})",
        "message": f"The field `{field}` is deprecated: migrate to {instead}",
    }
    for field, instead in _OLD_FIELDS.items()
]
_KNOWN = (
    "params.metadata.name != object.metadata.labels[?'" + _TENANT + "'].orValue('') || "
    "(has(params.status) && has(params.status.conditions) && "
    "params.status.conditions.exists(each, each.type == 'Ready' && each.status == 'True'))"
)
_PROTECTED = "!has(oldObject.spec.preventDeletion) || !oldObject.spec.preventDeletion"
_LABELLED = f"object.metadata.?labels[?'{_TENANT}'].hasValue()"

POLICIES = (
    _policy("warns", ("capsule.clastix.io", "tenants", "CREATE,UPDATE"), _OLD),
    _binding("warns", "Warn"),
    _policy(
        "protects",
        ("capsule.clastix.io", "tenants", "DELETE"),
        [_denied(_PROTECTED, "tenant is protected and cannot be deleted")],
    ),
    _binding("protects"),
    # Who comes before Capsule has resolved the owners is taken for a stranger.
    _policy(
        "assigns",
        ("", "namespaces", "CREATE"),
        [_denied(_KNOWN, "can not assign the desired namespace to a non-owned Tenant")],
        paramKind={"apiVersion": "capsule.clastix.io/v1beta2", "kind": "Tenant"},
        matchConditions=[{"name": "labelled", "expression": _LABELLED}],
    ),
    _binding("assigns", paramRef={"selector": {}, "parameterNotFoundAction": "Deny"}),
)
