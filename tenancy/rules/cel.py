"""Pieces of CEL for the admission policies: text in, text out. Pure.

Kubernetes' dialect, `admissionregistration/v1`. What one policy reads of several kinds goes through
`dyn`: the type check of the API server knows one kind at a time.
"""

from collections.abc import Sequence

from clusters.intents import USERNAME
from reconcile.values import JSON

PROOF = "kubenova-proof-"  # the names of what is only ever tried, to see it refused
_LONGEST_HINT = 1000
_NAME = "request.?name.orValue('')"  # absent where the server is to make one up

_KUBE_SYSTEM = ("system:kube-controller-manager", "system:kube-scheduler", "system:apiserver")
_POLICIES = "authorizer.group('admissionregistration.k8s.io')"


def policy_name(kind: str) -> str:
    """Return the name of the policy of a kind of restrictions."""
    return f"kubenova-{kind.replace('_', '-')}"


def variable(name: str, expression: str) -> JSON:
    """Return one variable of a policy."""
    return {"name": name, "expression": expression}


def restricted(key: str) -> str:
    """Whether the ConfigMap has a key."""
    return f"params.?data[?'{key}'].hasValue()"


def lines(key: str) -> str:
    """The entries below a key of the ConfigMap; none where it is absent or empty."""
    return f"params.?data[?'{key}'].orValue('').split('\\n').filter(line, line != '')"


def pod_spec(name: str) -> str:
    """What a pod, or a template of pods, is made by; `name` is `object` or `oldObject`."""
    whole = f"dyn({name})"
    template = "spec.?template.?spec.orValue({})"
    return (
        f"request.resource.resource == 'pods' ? {whole}.spec : "
        f"request.resource.resource == 'cronjobs' ? {whole}.spec.jobTemplate.{template} : "
        f"{whole}.{template}"
    )


def containers(spec: str) -> str:
    """Every container of a pod, whichever way it got there."""
    sorts = ("containers", "initContainers", "ephemeralContainers")
    return "(" + " + ".join(f"{spec}.?{sort}.orValue([])" for sort in sorts) + ")"


def image_volumes(spec: str) -> str:
    """The volumes of a pod that are images."""
    return f"{spec}.?volumes.orValue([]).filter(volume, has(volume.image))"


def message(noun: str, missing: str = "") -> str:
    """What the user is told: the value that was refused and, where that is short, what is allowed.

    `noun` goes before the value; `missing` is said where there is no value.
    """
    told = f"'{noun} ' + variables.refused[0]"
    if missing:
        told = f"(variables.refused[0] == '' ? '{missing}' : {told})"
    hint = "' Allowed: ' + variables.allowed.join(', ') + '.'"
    short = f"variables.allowed.size() > 0 && variables.allowed.join(', ').size() < {_LONGEST_HINT}"
    return f"{told} + ' is not allowed here.' + ({short} ? {hint} : '')"


def told(noun: str, refused: str, allowed: Sequence[str], missing: str = "") -> str:
    """Return what `message` makes of a value and of what is allowed."""
    start = f"{noun} {refused}" if refused or not missing else missing
    listed = ", ".join(allowed)
    hint = f" Allowed: {listed}." if allowed and len(listed) < _LONGEST_HINT else ""
    return f"{start} is not allowed here.{hint}"


def proof_of(policy: str) -> str:
    """Whether this is the attempt to see this very policy refuse."""
    return f"({_tried()} && {_NAME} == '{PROOF}{policy}')"


def no_proof_of_others(policy: str) -> str:
    """Whether this is no attempt to see another policy refuse: it breaks that rule alone."""
    return f"!{_tried()} || {_NAME} == '{PROOF}{policy}'"


def _tried() -> str:
    return f"(has(request.dryRun) && request.dryRun && {_NAME}.startsWith('{PROOF}'))"


def trusted(*more_groups: str) -> str:
    """Whether the request is KubeNova's, the cluster's own, or of one who could lift the policies.

    `more_groups` are trusted as well.
    """
    user, groups = "request.userInfo.username", "request.userInfo.?groups.orValue([])"
    users = ", ".join(f"'{name}'" for name in (USERNAME, *_KUBE_SYSTEM))
    named = ("system:masters", "system:serviceaccounts:kube-system", *more_groups)
    of_them = " || ".join(f"'{name}' in {groups}" for name in named)
    lifts = f"{_POLICIES}.resource('validatingadmissionpolicies').check('patch').allowed()"
    return f"({user} in [{users}] || {of_them} || {lifts})"
