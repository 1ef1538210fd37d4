"""The admission policies around what KubeVela acts on in the namespaces of projects. Pure.

KubeVela runs an Application as the account that its annotations name, else as administrator of the
cluster (kubevela#7139). So whoever writes one, KubeNova too, has it run as the project's account.
A WorkflowRun its engine carries out by rights of its own: KubeNova alone writes one.
"""

from collections.abc import Sequence

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
_NO_CONTROLLER = f"!request.userInfo.username.startsWith('{_CONTROLLER}')"


def policies() -> list[JSON]:
    """Return the policies with their bindings; without KubeVela there is nothing to refuse."""
    return [*_applications(), *_runs(), *_pods()]


def _applications() -> list[JSON]:
    return _in_force(
        APPLICATION_POLICY,
        _rule(APPLICATION.group, APPLICATION.plural, "CREATE", "UPDATE"),
        [
            (
                f"{_value('object', ACCOUNT)} == '{DEPLOYER}'",
                f"Applications run as the account {DEPLOYER} of their project alone.",
            ),
            (
                " && ".join(f"{_value('object', key)} == ''" for key in _FORGED),
                "Applications name no user or group to run as.",
            ),
        ],
        # Finalizers and the rest of what the controller notes also go onto old Applications.
        changes=_acts(),
        others=f"{_NEW} || {_other_identity()} || {_NO_CONTROLLER}",
    )


def _runs() -> list[JSON]:
    """What the controller notes on one, and that it goes with its namespace, is nobody's act."""
    return _in_force(
        RUN_POLICY,
        _rule(WORKFLOW_RUN.group, WORKFLOW_RUN.plural, "CREATE", "UPDATE"),
        [("false", "WorkflowRuns are made by steps of KubeNova's workflows alone.")],
        changes=_acts(),
        others=f"request.userInfo.username != '{USERNAME}' && {_NO_CONTROLLER}",
    )


def _pods() -> list[JSON]:
    """Whoever makes a pod of an account has its rights: this one's are KubeVela's alone."""
    return _in_force(
        DEPLOYER_POLICY,
        _rule("", "pods", "CREATE"),
        [("false", f"The account {DEPLOYER} is KubeVela's: no pod runs as it.")],
        runs=f"object.spec.?serviceAccountName.orValue('') == '{DEPLOYER}'",
    )


def _in_force(
    name: str, rule: JSON, validations: Sequence[tuple[str, str]], **conditions: str
) -> list[JSON]:
    """A policy for projects and its binding: expressions with what is told, conditions by name."""
    spec: JSON = {
        "failurePolicy": "Fail",
        "matchConstraints": {"namespaceSelector": IN_PROJECTS, "resourceRules": [rule]},
        "validations": [{"expression": each, "message": told} for each, told in validations],
    }
    if conditions:
        spec["matchConditions"] = [
            {"name": word, "expression": each} for word, each in conditions.items()
        ]
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


def _acts() -> str:
    """Whether it is more than what a controller notes."""
    return f"{_NEW} || object.spec != oldObject.spec || {_other_identity()}"


def _other_identity() -> str:
    """Whether one of the annotations differs that say as whom it runs."""
    keys = (ACCOUNT, *_FORGED)
    differs = (f"{_value('object', key)} != {_value('oldObject', key)}" for key in keys)
    return f"({' || '.join(differs)})"


def _value(name: str, key: str) -> str:
    return f"{name}.metadata.?annotations[?'{key}'].orValue('')"
