"""The policy that keeps a protected tenant's namespaces from being deleted on the cluster. Pure.

Whoever may lift policies may delete any other namespace of KubeNova's: this one holds for them as
well, so that a slip of an operator's hand takes nothing away. The way is to take the protection off
in KubeNova; where KubeNova is no more, to take the label off first.
"""

from clusters.intents import USERNAME
from reconcile.values import JSON
from tenancy.rules.admission import document

POLICY = "kubenova-keep"
LABEL = "kubenova.io/deletion-protection"
PROTECTED = "true"


def keeps() -> list[JSON]:
    """Return the policy with its binding."""
    spec: JSON = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "resourceRules": [
                {
                    "apiGroups": [""],
                    "apiVersions": ["*"],
                    "operations": ["DELETE"],
                    "resources": ["namespaces"],
                }
            ]
        },
        "matchConditions": [
            {
                "name": "protected",
                "expression": f"oldObject.metadata.?labels[?'{LABEL}'].orValue('') == "
                f"'{PROTECTED}'",
            },
            {"name": "others", "expression": f"request.userInfo.username != '{USERNAME}'"},
        ],
        "validations": [
            {
                "expression": "false",
                "message": "This tenant is protected from deletion: take that off in KubeNova.",
                "reason": "Forbidden",
            }
        ],
    }
    bound: JSON = {"policyName": POLICY, "validationActions": ["Deny"]}
    return [
        document("ValidatingAdmissionPolicy", POLICY, spec),
        document("ValidatingAdmissionPolicyBinding", POLICY, bound),
    ]
