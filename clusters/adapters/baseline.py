"""The baseline: KubeNova's namespaces, roles, account and guard rails on a cluster. Pure."""

from collections.abc import Mapping, Sequence

from clusters.adapters.policies import policies
from clusters.adapters.roles import GRANTS_RULES, SYSTEM_RULES, cluster_roles
from clusters.intents import (
    ACCOUNT,
    GRANTS_NAMESPACE,
    MANAGER_ROLE,
    NAMESPACE_READER,
    PROJECTOR,
    READER_ROLE,
    SIMULATION_NAMESPACE,
    SYSTEM_NAMESPACE,
    BaselineIntent,
)
from clusters.kinds import (
    ADMISSION_POLICY,
    ADMISSION_POLICY_BINDING,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    NAMESPACE,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
)
from reconcile.guard import Reason
from reconcile.planning.values import PLAN_NAMESPACE
from reconcile.values import (
    JSON,
    MANAGED_BY,
    MANAGER,
    TENANT,
    Assessment,
    Health,
    Kind,
    Live,
    Ref,
)

_RBAC = "rbac.authorization.k8s.io"
_RULES = {SYSTEM_NAMESPACE: SYSTEM_RULES, GRANTS_NAMESPACE: GRANTS_RULES}
# No pod ever runs in these namespaces: the strictest profile costs nothing.
_SEALED_OFF = {"pod-security.kubernetes.io/enforce": "restricted", MANAGED_BY: MANAGER}
# What a plan tries here is warned of as in the namespaces of projects.
_PLANS = {**_SEALED_OFF, "pod-security.kubernetes.io/warn": "restricted"}
# The policies of projects hold here too; no tenant can have this name.
_SIMULATIONS = {**_SEALED_OFF, TENANT: SIMULATION_NAMESPACE}
_PROJECTED = (PLAN_NAMESPACE, SIMULATION_NAMESPACE)


class Baseline:
    """Guard rails come before rights: the account is bound when its policies are in place."""

    name = "baseline"
    kinds: Sequence[Kind] = (
        NAMESPACE,
        ADMISSION_POLICY,
        ADMISSION_POLICY_BINDING,
        CLUSTER_ROLE,
        SERVICE_ACCOUNT,
        ROLE,
        ROLE_BINDING,
        CLUSTER_ROLE_BINDING,
    )

    def render(self, intent: BaselineIntent) -> list[JSON]:
        """Everything of the baseline, the same on every cluster."""
        return [
            *(_object(NAMESPACE, name, labels=_SEALED_OFF) for name in _RULES),
            _object(NAMESPACE, PLAN_NAMESPACE, labels=_PLANS),
            _object(NAMESPACE, SIMULATION_NAMESPACE, labels=_SIMULATIONS),
            *policies(),
            *(_object(CLUSTER_ROLE, name, rules=rules) for name, rules in cluster_roles().items()),
            _object(SERVICE_ACCOUNT, ACCOUNT, SYSTEM_NAMESPACE),
            _object(SERVICE_ACCOUNT, NAMESPACE_READER, SYSTEM_NAMESPACE),
            *(_object(ROLE, MANAGER_ROLE, space, rules=rules) for space, rules in _RULES.items()),
            *(_binding(ROLE_BINDING, "Role", MANAGER_ROLE, namespace=space) for space in _RULES),
            *(
                _binding(ROLE_BINDING, "ClusterRole", PROJECTOR, namespace=space)
                for space in _PROJECTED
            ),
            _binding(CLUSTER_ROLE_BINDING, "ClusterRole", MANAGER_ROLE),
            _binding(CLUSTER_ROLE_BINDING, "ClusterRole", READER_ROLE, NAMESPACE_READER),
        ]

    def assess(self, intent: BaselineIntent, seen: Mapping[Ref, Live]) -> Assessment:
        """Ready unless the cluster finds fault with a policy; what needs an eye is told."""
        faulty = sorted(ref.name for ref, live in seen.items() if _misunderstood(live))
        if faulty:
            told = f"The cluster does not understand the policy {', '.join(faulty)}."
            return Assessment(Health.FAILED, "PolicyInvalid", told)
        if intent.asks:
            return Assessment(Health.READY, Reason.DELETIONS, intent.asks)
        if intent.refused:
            told = (
                f"The credential given last does not work ({intent.refused}); the one before does."
            )
            return Assessment(Health.READY, "CredentialRefused", told)
        if intent.expires:
            told = f"KubeNova's credential ends on {intent.expires} and could not be renewed."
            return Assessment(Health.READY, "CredentialExpiring", told)
        return Assessment(Health.READY, "BaselineStands")


def _object(
    kind: Kind,
    name: str,
    namespace: str = "",
    *,
    labels: Mapping[str, str] | None = None,
    **body: object,
) -> JSON:
    meta: JSON = {"name": name}
    if namespace:
        meta["namespace"] = namespace
    if labels:
        meta["labels"] = dict(labels)
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": meta, **body}


def _binding(
    kind: Kind, role_kind: str, role: str, account: str = ACCOUNT, namespace: str = ""
) -> JSON:
    subject = {"kind": "ServiceAccount", "name": account, "namespace": SYSTEM_NAMESPACE}
    reference = {"apiGroup": _RBAC, "kind": role_kind, "name": role}
    return _object(kind, role, namespace, roleRef=reference, subjects=[subject])


def _misunderstood(live: Live) -> bool:
    """Whether the API server's type check of a policy has warnings."""
    checked = (live.body.get("status") or {}).get("typeChecking") or {}
    return live.ref.kind == ADMISSION_POLICY and bool(checked.get("expressionWarnings"))
