"""What binds a project, as admission policies take it, and the proof that they do."""

from collections.abc import Mapping

from clusters.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    INGRESS,
    NETWORK_POLICY,
    SERVICE,
    STATEFUL_SET,
)
from reconcile.proof import Proof
from reconcile.values import JSON, PROJECT, TENANT, ref_of
from tenancy.intents import ProjectIntent
from tenancy.rules.encoding import encoded
from tenancy.rules.kinds import KINDS
from tenancy.rules.modes import ADVISORY, CONFIG_MAPS, Mode
from tenancy.rules.violations import Violation, cordon_violation, violations

_TRIED = (CONFIG_MAP, DEPLOYMENT, INGRESS, NETWORK_POLICY, SERVICE, STATEFUL_SET)


def parameters(intent: ProjectIntent) -> JSON:
    """Return the ConfigMap that every admission policy of the baseline reads in the namespace.

    It is there for every project, also for one without restrictions: where it is missing the
    policies let nothing be made.
    """
    data = encoded(intent.restrictions, cordoned=intent.cordoned)
    return _config_map(intent, Mode.ENFORCE, data)


def advice(intent: ProjectIntent) -> list[JSON]:
    """Return the ConfigMaps of the modes that refuse nothing, where there is anything to say."""
    found = ((mode, encoded(intent.imposed.get(mode, {}))) for mode in ADVISORY)
    return [_config_map(intent, mode, data) for mode, data in found if data]


def _config_map(intent: ProjectIntent, mode: Mode, data: Mapping[str, str]) -> JSON:
    meta: JSON = {
        "name": CONFIG_MAPS[mode],
        "namespace": intent.namespace,
        "labels": {TENANT: intent.tenant, PROJECT: intent.name},
    }
    return {"apiVersion": CONFIG_MAP.api_version, "kind": "ConfigMap", "metadata": meta} | (
        {"data": dict(data)} if data else {}
    )


def proofs(intent: ProjectIntent) -> list[Proof]:
    """Return what the cluster has to refuse in the namespace: one creation for each restriction.

    Each is tried by dry run, and counts as refused only when that kind's policy has refused it with
    the values of this intent.
    """
    found = [(KINDS[kind].title, each) for kind, each in violations(intent.restrictions)]
    if intent.cordoned:
        found.append(("Cordon", cordon_violation()))
    return [_proof(intent.namespace, title, broken) for title, broken in found]


def _proof(namespace: str, title: str, broken: Violation) -> Proof:
    meta = {**broken.manifest["metadata"], "namespace": namespace}
    manifest = {**broken.manifest, "metadata": meta}
    return Proof(title, ref_of(manifest, _TRIED), manifest, broken.refusal)
