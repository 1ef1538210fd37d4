"""Subjects of clusters that are no users of KubeNova, and the roles they may be bound to. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence

from reconcile.spelling import name_fault
from reconcile.values import JSON

# Roles of the fixed catalogue: the ClusterRole of each is `kubenova:<role>`.
BINDABLE_ROLES = (
    *("tenant-admin", "tenant-dev", "read-only"),
    *("view", "edit", "logs", "exec", "port-forward", "secrets"),
)
SUBJECT_KINDS = ("Group", "ServiceAccount", "User")
OWNER_KINDS = ("Group", "ServiceAccount")  # users own a tenant as its tenant-admins
_MOST = 100
# What an identity provider calls people and groups; never a name of the platform's own.
_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.@:/]{0,252}", re.ASCII)
_RESERVED = ("system:", "kubenova:", "kubeadm:")


def subject_problems(
    value: object, kinds: Sequence[str] = OWNER_KINDS
) -> Iterator[tuple[str, str]]:
    """Yield (path, what is wrong) for subjects: a list of {kind, name, namespace?}."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > _MOST:
        yield "", f'This is a list of at most {_MOST} such as {{"kind": "Group", "name": "devs"}}.'
        return
    for index, subject in enumerate(value):
        if problem := _subject_problem(subject, kinds):
            yield str(index), problem


def binding_problems(value: object) -> Iterator[tuple[str, str]]:
    """Yield (path, what is wrong) for role bindings: a list of {role, subjects}."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > _MOST:
        yield "", f'This is a list of at most {_MOST} such as {{"role": "view", "subjects": […]}}.'
        return
    for index, binding in enumerate(value):
        if not isinstance(binding, Mapping) or set(binding) != {"role", "subjects"}:
            yield str(index), "A role binding has a role and subjects."
            continue
        if binding["role"] not in BINDABLE_ROLES:
            yield f"{index}/role", f"Use one of {', '.join(BINDABLE_ROLES)}."
        for path, text in subject_problems(binding["subjects"], SUBJECT_KINDS):
            yield f"{index}/subjects/{path}".rstrip("/"), text


def _subject_problem(subject: object, kinds: Sequence[str]) -> str:
    if not isinstance(subject, Mapping) or set(subject) - {"kind", "name", "namespace"}:
        return "A subject has a kind, a name and, for a ServiceAccount, a namespace."
    kind, name = subject.get("kind"), subject.get("name")
    if kind not in kinds:
        return f"The kind is one of {', '.join(kinds)}."
    if kind == "ServiceAccount":
        fault = name_fault(name) if not isinstance(name, str) else _account_fault(subject)
        return fault and f"A ServiceAccount {fault}."
    if not isinstance(name, str) or not _NAME.fullmatch(name) or "namespace" in subject:
        return f"A {kind} has a name of at most 253 letters, digits and - _ . @ : /, no namespace."
    if name.lower().startswith(_RESERVED):
        return f"Names that begin with {', '.join(_RESERVED)} belong to the platform."
    return ""


def _account_fault(subject: Mapping[str, JSON]) -> str:
    for part in (subject["name"], subject.get("namespace")):
        if not isinstance(part, str) or not re.fullmatch(
            r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", part
        ):
            return "has a name and a namespace, both DNS labels"
    if str(subject["namespace"]).startswith("kube"):
        return "of a namespace of the platform cannot be named"
    return ""
