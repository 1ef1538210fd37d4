"""The admission policies around what KubeVela acts on in the namespaces of projects. Pure.

KubeVela runs an Application as the account that its annotations name, else as administrator of the
cluster (kubevela#7139). So whoever writes one, KubeNova too, has it run as the project's account.
A WorkflowRun its engine carries out by rights of its own: KubeNova alone writes one.
"""

from clusters.adapters.kubevela import APPLICATION, DEPLOYER, WORKFLOW_RUN
from clusters.intents import USERNAME
from clusters.preflight import APPLICATION_POLICY
from reconcile.values import JSON
from tenancy.rules.admission import IN_PROJECTS, document

DEPLOYER_POLICY = "kubenova-deployer"
RUN_POLICY = "kubenova-workflowruns"
ACCOUNT = "app.oam.dev/service-account-name"
_FORGED = ("app.oam.dev/username", "app.oam.dev/group")
# Where KubeVela's own chart puts its controller.
_CONTROLLER = "system:serviceaccount:vela-system:"
_NEW = "request.operation == 'CREATE'"


def policies() -> list[JSON]:
    """Return the policies with their bindings; without KubeVela there is nothing to refuse."""
    return [*_applications(), *_runs(), *_pods()]


def _applications() -> list[JSON]:
    spec: JSON = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "namespaceSelector": IN_PROJECTS,
            "resourceRules": [_rule(APPLICATION.group, APPLICATION.plural, "CREATE", "UPDATE")],
        },
        "matchConditions": [
            # Finalizers and the rest of what the controller notes also go onto old Applications.
            {"name": "changes", "expression": f"{_NEW} || {_changed()} || {_other_identity()}"},
            {
                "name": "others",
                "expression": f"{_NEW} || {_other_identity()} || "
                f"!request.userInfo.username.startsWith('{_CONTROLLER}')",
            },
        ],
        "validations": [
            {
                "expression": f"{_value('object', ACCOUNT)} == '{DEPLOYER}'",
                "message": f"Applications run as the account {DEPLOYER} of their project alone.",
            },
            {
                "expression": " && ".join(f"{_value('object', key)} == ''" for key in _FORGED),
                "message": "Applications name no user or group to run as.",
            },
        ],
    }
    return _in_force(APPLICATION_POLICY, spec)


def _runs() -> list[JSON]:
    """What the controller notes on one, and that it goes with its namespace, is nobody's act."""
    spec: JSON = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "namespaceSelector": IN_PROJECTS,
            "resourceRules": [_rule(WORKFLOW_RUN.group, WORKFLOW_RUN.plural, "CREATE", "UPDATE")],
        },
        "matchConditions": [
            {"name": "changes", "expression": f"{_NEW} || {_changed()} || {_other_identity()}"},
            {
                "name": "others",
                "expression": f"request.userInfo.username != '{USERNAME}' && "
                f"!request.userInfo.username.startsWith('{_CONTROLLER}')",
            },
        ],
        "validations": [
            {
                "expression": "false",
                "message": "WorkflowRuns are made by steps of KubeNova's workflows alone.",
            }
        ],
    }
    return _in_force(RUN_POLICY, spec)


def _pods() -> list[JSON]:
    """Whoever makes a pod of an account has its rights: this one's are KubeVela's alone."""
    spec: JSON = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "namespaceSelector": IN_PROJECTS,
            "resourceRules": [_rule("", "pods", "CREATE")],
        },
        "validations": [
            {
                "expression": f"object.spec.?serviceAccountName.orValue('') != '{DEPLOYER}'",
                "message": f"The account {DEPLOYER} is KubeVela's: no pod runs as it.",
            }
        ],
    }
    return _in_force(DEPLOYER_POLICY, spec)


def _in_force(name: str, spec: JSON) -> list[JSON]:
    bound: JSON = {"policyName": name, "validationActions": ["Deny"]}
    return [
        document("ValidatingAdmissionPolicy", name, spec),
        document("ValidatingAdmissionPolicyBinding", name, bound),
    ]


def _rule(group: str, plural: str, *operations: str) -> JSON:
    return {
        "apiGroups": [group],
        "apiVersions": ["*"],
        "operations": list(operations),
        "resources": [plural],
    }


def _changed() -> str:
    return "object.spec != oldObject.spec"


def _other_identity() -> str:
    """Whether one of the annotations differs that say as whom it runs."""
    keys = (ACCOUNT, *_FORGED)
    differs = (f"{_value('object', key)} != {_value('oldObject', key)}" for key in keys)
    return f"({' || '.join(differs)})"


def _value(name: str, key: str) -> str:
    return f"{name}.metadata.?annotations[?'{key}'].orValue('')"
