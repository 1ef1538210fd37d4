"""Rules in CEL that operators write: what they are, what is wrong with one, and their policy. Pure.

The policy is the same on every cluster and in every namespace: it holds where the parameters of the
request's own namespace name the rule (`tenancy.rules.named`), in the mode of these parameters.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clusters.bundles import ABSENT
from clusters.rule_names import BINDINGS, policy_of
from delivery.rules.schema import Path, Problem, schema_problems, within
from policies.rules.expressions import LONGEST, RESERVED, expression_fault
from reconcile.values import JSON
from tenancy.rules import cel, named
from tenancy.rules.admission import CREATE, UPDATE, binding, document
from tenancy.rules.modes import ADVISORY

MOST_VALIDATIONS = 20
MOST_VARIABLES = 20
OPERATIONS = (CREATE, UPDATE)
# As kubectl spells them. What KubeNova itself makes of a project is none of a rule's business.
RESOURCES: Mapping[str, tuple[str, str]] = {
    "pods": ("", "v1"),
    "services": ("", "v1"),
    "persistentvolumeclaims": ("", "v1"),
    **dict.fromkeys(
        ("daemonsets.apps", "deployments.apps", "replicasets.apps", "statefulsets.apps"),
        ("apps", "v1"),
    ),
    **dict.fromkeys(("cronjobs.batch", "jobs.batch"), ("batch", "v1")),
    "ingresses.networking.k8s.io": ("networking.k8s.io", "v1"),
    "horizontalpodautoscalers.autoscaling": ("autoscaling", "v2"),
    "poddisruptionbudgets.policy": ("policy", "v1"),
}
_MADE = BINDINGS[1]
_PROOFS: JSON = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "operations": [CREATE],
    "resources": ["configmaps"],
}
_TEXT: JSON = {"type": "string"}
_VARIABLE: JSON = {
    "type": "object",
    "properties": {"name": _TEXT, "expression": _TEXT},
    "required": ["name", "expression"],
    "additionalProperties": False,
}
_VALIDATION: JSON = {
    "type": "object",
    "properties": {
        "expression": _TEXT,
        "message": {"type": "string", "minLength": 3, "maxLength": 300, "pattern": r"\S[^\n]*"},
    },
    "required": ["expression", "message"],
    "additionalProperties": False,
}


def _several(items: JSON, most: int, least: int = 1) -> JSON:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


SCHEMA: JSON = {
    "type": "object",
    "properties": {
        "resources": _several({"enum": list(RESOURCES)}, len(RESOURCES)) | {"uniqueItems": True},
        "operations": _several({"enum": list(OPERATIONS)}, 2) | {"uniqueItems": True},
        "variables": _several(_VARIABLE, MOST_VARIABLES, 0),
        "validations": _several(_VALIDATION, MOST_VALIDATIONS),
    },
}
_VARIABLE_NAME = re.compile(r"[a-z_][A-Za-z0-9_]{0,62}", re.ASCII)
_OURS = "kubenova"  # how the names of the policy's own variables begin
_COMPILED = re.compile(r"spec\.(variables|validations)\[(\d+)\]\.?\w*: (.*?)(?=, spec\.|\Z)", re.S)


@dataclass(frozen=True)
class Rule:
    """A rule: `validations` are {expression, message}, `variables` {name, expression}."""

    name: str
    resources: Sequence[str]
    operations: Sequence[str]
    variables: Sequence[Mapping[str, Any]]
    validations: Sequence[Mapping[str, Any]]


def rule_problems(rule: Rule) -> Iterator[Problem]:
    """Yield what is wrong with a rule, as far as that is seen without a cluster."""
    if fault := named.rule_name_fault(rule.name):
        yield Problem(("name",), "name", f"The name {fault}.")
    body = {key: getattr(rule, key) for key in SCHEMA["properties"]}
    if found := list(schema_problems(body, SCHEMA)):
        yield from found
        return
    for part in ("variables", "validations"):
        for index, each in enumerate(body[part]):
            if fault := expression_fault(each["expression"]):
                yield Problem((part, index, "expression"), "cel", fault)
    yield from within(("variables",), _name_problems([each["name"] for each in rule.variables]))


def _name_problems(names: Sequence[str]) -> Iterator[Problem]:
    for index, name in enumerate(names):
        path: Path = (index, "name")
        if not _VARIABLE_NAME.fullmatch(name) or name in RESERVED or name.startswith(_OURS):
            text = f"Use letters, digits and _; no word of CEL, and not {_OURS}… ."
            yield Problem(path, "name", text)
        elif name in names[:index]:
            yield Problem(path, "name", "This is used twice.")


def manifests(rule: Rule) -> list[JSON]:
    """Return the policy of a rule and its bindings."""
    name = policy_of(rule.name)
    made, changed = (_matched(rule, operation) for operation in OPERATIONS)
    return [
        _policy(rule, [*made, *changed, _PROOFS]),
        # Parameters of a namespace are a ConfigMap themselves: proofs may lack them.
        binding(name, name, [*changed, _PROOFS], "Allow"),
        binding(f"{name}{_MADE}", name, made or changed, "Deny" if made else "Allow"),
        *(binding(f"{name}-{mode}", name, (), "Allow", mode) for mode in ADVISORY),
    ]


def absences(name: str) -> list[JSON]:
    """Return what a bundle says to have the objects of a rule taken away."""
    policy = policy_of(name)
    found = [
        document("ValidatingAdmissionPolicy", policy, {}),
        *(document("ValidatingAdmissionPolicyBinding", policy + end, {}) for end in BINDINGS),
    ]
    for each in found:
        each["metadata"]["annotations"] = {ABSENT: "true"}
    return found


def _matched(rule: Rule, operation: str) -> list[JSON]:
    if operation not in rule.operations:
        return []
    return [
        {
            "apiGroups": [RESOURCES[each][0]],
            "apiVersions": [RESOURCES[each][1]],
            "operations": [operation],
            "resources": [each.partition(".")[0]],
        }
        for each in rule.resources
    ]


def _policy(rule: Rule, rules: list[JSON]) -> JSON:
    """What people wrote stands in variables, as they wrote it: so faults are told where they are.

    What is on its way out is left alone: its last finalizer has to come off.
    """
    name = policy_of(rule.name)
    proof, message = cel.proof_of(name), named.proof(rule.name)[2]
    conditions = {
        "proof": cel.no_proof_of_others(name),
        "named": named.holds_here(rule.name),
        "governed": f"request.resource.resource != 'configmaps' || {proof}",
        "stays": "!dyn(object).metadata.?deletionTimestamp.hasValue()",
    }
    own = (
        cel.variable(f"{_OURS}{index}", each["expression"])
        for index, each in enumerate(rule.validations)
    )
    spec: JSON = {
        "failurePolicy": "Fail",
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "matchConstraints": {"resourceRules": rules},
        "matchConditions": [
            {"name": key, "expression": expression} for key, expression in conditions.items()
        ],
        "variables": [*(dict(each) for each in rule.variables), *own],
        "validations": [
            _validation(f"!{proof}", message),
            *(
                _validation(f"{proof} || variables.{_OURS}{index}", each["message"])
                for index, each in enumerate(rule.validations)
            ),
        ],
    }
    return document("ValidatingAdmissionPolicy", name, spec)


def _validation(expression: str, message: str) -> JSON:
    return {"expression": expression, "message": message, "reason": "Forbidden"}


def refused(rule: Rule, told: str) -> list[Problem]:
    """Return what an API server has refused of a rule's policy, each where people wrote it."""
    found: dict[Path, Problem] = {}
    for part, number, text in _COMPILED.findall(told):
        path = _written_at(rule, part, int(number))
        found.setdefault(path, Problem(path, "cel", text.strip(" ]")[: LONGEST * 2]))
    return list(found.values())


def _written_at(rule: Rule, part: str, number: int) -> Path:
    if part == "validations":  # the first one is the proof
        return ("validations", max(0, number - 1), "expression")
    if number < len(rule.variables):
        return ("variables", number, "expression")
    return ("validations", number - len(rule.variables), "expression")
