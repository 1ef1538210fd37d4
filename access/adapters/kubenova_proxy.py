"""Grants behind KubeNova's own access proxy: the cluster's RBAC decides, the proxy only filters."""

from collections.abc import Mapping, Sequence

from access.intents import GrantIntent
from clusters.intents import GRANTS_NAMESPACE
from clusters.kinds import ROLE_BINDING, SECRET, SERVICE_ACCOUNT
from reconcile.values import JSON, TENANT, Assessment, Health, Kind, Live, Ref

GRANT = "kubenova.io/grant"
SUBJECT = "kubenova.io/subject"
_RBAC = "rbac.authorization.k8s.io"


class KubenovaProxy:
    """One ServiceAccount and one Secret per grant, outside of every tenant's namespaces.

    The token is bound to the Secret, so that deleting it ends this token alone.
    """

    name = "access.kubenova-proxy"
    kinds: Sequence[Kind] = (SERVICE_ACCOUNT, SECRET, ROLE_BINDING)
    homes: Mapping[Kind, str] = {SERVICE_ACCOUNT: GRANTS_NAMESPACE, SECRET: GRANTS_NAMESPACE}

    def render(self, intent: GrantIntent) -> list[JSON]:
        """The account, what its token is bound to, and one binding per namespace and verb."""
        bindings = [
            _binding(intent, namespace, verb)
            for namespace in sorted(intent.namespaces)
            for verb in sorted(intent.verbs)
        ]
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": _meta(intent, intent.name, GRANTS_NAMESPACE),
            "automountServiceAccountToken": False,
        }
        anchor = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": _meta(intent, intent.anchor, GRANTS_NAMESPACE),
        }
        return [account, anchor, *bindings]

    def assess(self, intent: GrantIntent, seen: Mapping[Ref, Live]) -> Assessment:
        """Ready when the account and what its token is bound to are there."""
        if anchor_of(intent.anchor) in seen:
            return Assessment(Health.READY, "Granted")
        return Assessment(Health.PROGRESSING, "Granting", "The ServiceAccount is being made.")


def anchor_of(name: str) -> Ref:
    """Return which Secret a token is bound to."""
    return Ref(SECRET, GRANTS_NAMESPACE, name)


def _meta(intent: GrantIntent, name: str, namespace: str) -> JSON:
    labels = {TENANT: intent.tenant, GRANT: intent.name}
    annotations = {SUBJECT: intent.subject}
    return {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations}


def _binding(intent: GrantIntent, namespace: str, verb: str) -> JSON:
    subject = {"kind": "ServiceAccount", "name": intent.name, "namespace": GRANTS_NAMESPACE}
    return {
        "apiVersion": ROLE_BINDING.api_version,
        "kind": "RoleBinding",
        "metadata": _meta(intent, f"kubenova:{intent.name}:{verb}", namespace),
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": f"kubenova:{verb}"},
        "subjects": [subject],
    }
