"""Who may do what in the namespace of a project: one binding per role of the fixed catalogue."""

from collections.abc import Iterable, Mapping

from clusters.adapters.kubevela import DEPLOYER
from reconcile.values import JSON
from tenancy.adapters.objects import ROLE_BINDING, SYSTEM_NAMESPACE, in_project
from tenancy.intents import ProjectIntent, Role

_RBAC = "rbac.authorization.k8s.io"
_PROJECTOR, _DEPLOYER = "projector", "deployer"
_ACCOUNT: JSON = {"kind": "ServiceAccount", "name": "kubenova", "namespace": SYSTEM_NAMESPACE}
_Subject = tuple[str, str, str]  # kind, namespace, name


def bindings(intent: ProjectIntent) -> list[JSON]:
    """KubeNova's own binding, then one for each role that anybody has here.

    Members, owners and the tenant's own role bindings that share a role share its binding, so that
    no two can meet under one name. Users and groups are told apart from accounts by their kind.
    """
    return [
        _binding(intent, _PROJECTOR, [_ACCOUNT]),
        *([_binding(intent, _DEPLOYER, [_deployer(intent)])] if intent.deployer else []),
        *(
            _binding(intent, role, [_manifest(subject) for subject in sorted(subjects)])
            for role, subjects in sorted(_subjects(intent).items())
            if subjects
        ),
    ]


def _deployer(intent: ProjectIntent) -> JSON:
    """The account that KubeVela acts by: it makes what apps are made of, and nothing else."""
    return {"kind": "ServiceAccount", "name": DEPLOYER, "namespace": intent.namespace}


def _subjects(intent: ProjectIntent) -> dict[str, set[_Subject]]:
    found: dict[str, set[_Subject]] = {}
    for role, names in intent.members.items():
        found.setdefault(role, set()).update(("User", "", name) for name in names)
    found.setdefault(Role.ADMIN, set()).update(_keys(intent.owner_subjects))
    for bound in intent.role_bindings:
        found.setdefault(bound["role"], set()).update(_keys(bound["subjects"]))
    return found


def _keys(subjects: Iterable[Mapping[str, str]]) -> Iterable[_Subject]:
    return ((each["kind"], each.get("namespace", ""), each["name"]) for each in subjects)


def _manifest(subject: _Subject) -> JSON:
    """Accounts live in a namespace, users and groups in the group of RBAC (rbac/v1)."""
    kind, namespace, name = subject
    place = {"namespace": namespace} if kind == "ServiceAccount" else {"apiGroup": _RBAC}
    return {"kind": kind, "name": name, **place}


def _binding(intent: ProjectIntent, role: str, subjects: list[JSON]) -> JSON:
    reference = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": f"kubenova:{role}"}
    return in_project(
        intent, ROLE_BINDING, f"kubenova:{role}", roleRef=reference, subjects=subjects
    )
