"""Looks at a cluster: who it is, which version it runs, what KubeNova can do on it. Only reads."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from clusters.definitions import definitions
from clusters.discovery import Served
from clusters.kinds import (
    ADMISSION_POLICY,
    ADMISSION_POLICY_BINDING,
    CONFIG_MAP,
    CRON_JOB,
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    INGRESS,
    JOB,
    LIMIT_RANGE,
    NAMESPACE,
    NETWORK_POLICY,
    RESOURCE_QUOTA,
    ROLE_BINDING,
    SERVICE,
    STATEFUL_SET,
)
from clusters.named_rules import WORD, named_rules
from clusters.platforms import Ability, numbers, platforms
from clusters.reachable import Reachable
from reconcile.errors import Refused
from reconcile.lanes import parallel
from reconcile.values import Kind, Ref

__all__ = ["Ability", "Findings", "check_permissions", "probe"]

KUBE_SYSTEM = Ref(NAMESPACE, "", "kube-system")
OLDEST = (1, 30)
_NEEDED_BY = {
    "admission.policies": (ADMISSION_POLICY, ADMISSION_POLICY_BINDING),
    "delivery.native": (
        DEPLOYMENT,
        STATEFUL_SET,
        JOB,
        CRON_JOB,
        SERVICE,
        INGRESS,
        HORIZONTAL_POD_AUTOSCALER,
    ),
    "tenancy.native": (
        NAMESPACE,
        CONFIG_MAP,
        RESOURCE_QUOTA,
        LIMIT_RANGE,
        NETWORK_POLICY,
        ROLE_BINDING,
    ),
}
_RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"
_WRITTEN_ONCE = (
    ("", "namespaces"),
    ("", "serviceaccounts"),
    (_RBAC, "clusterrolebindings"),
    (_RBAC, "clusterroles"),
    (_RBAC, "rolebindings"),
    (_RBAC, "roles"),
    (_ADMISSION, "validatingadmissionpolicies"),
    (_ADMISSION, "validatingadmissionpolicybindings"),
)


@dataclass(frozen=True)
class Findings:
    """What a look at a cluster told. `uid` is the one of its namespace kube-system."""

    version: str
    uid: str
    abilities: tuple[Ability, ...]
    served: Served = frozenset()


class VersionUnsupported(Refused):
    """The cluster is older than what KubeNova builds on."""

    reason = "VersionUnsupported"


class PermissionsMissing(Refused):
    """The credential may not do what the baseline needs."""

    reason = "PermissionsMissing"


def probe(cluster: Reachable, types: Mapping[str, Collection[str]] | None = None) -> Findings:
    """Look at the cluster, also for `types` (see `definitions`) and rules.

    Raises VersionUnsupported, Refused or any other ClusterError.
    """
    version = cluster.version()
    if numbers(version)[:2] < OLDEST:
        raise VersionUnsupported(f"Kubernetes {version} is too old: KubeNova needs 1.30 or newer.")
    live = cluster.get(KUBE_SYSTEM)
    if live is None:
        raise Refused("The cluster has no namespace kube-system, so it cannot be told from others.")
    served = cluster.discovery()
    natives = (_native(name, kinds, served, version) for name, kinds in _NEEDED_BY.items())
    types = types or {}
    found = (
        *natives,
        *platforms(cluster, served),
        *definitions(cluster, served, types),
        *named_rules(cluster, served, types.get(WORD, ())),
    )
    return Findings(version, live.uid, tuple(sorted(found)), served)


def check_permissions(cluster: Reachable) -> None:
    """Make sure that the baseline can be written. Raises PermissionsMissing naming what lacks."""
    asked = [
        (verb, group, resource) for group, resource in _WRITTEN_ONCE for verb in ("create", "patch")
    ]
    asked.append(("create", "", "serviceaccounts/token"))
    allowed = parallel(lambda attributes: cluster.access_review(*attributes), asked)
    lacking = [
        f"{verb} {resource}"
        for (verb, _, resource), may in zip(asked, allowed, strict=True)
        if not may
    ]
    if lacking:
        raise PermissionsMissing(
            f"The credential may not {', '.join(lacking)}. Give one of a cluster administrator; "
            "KubeNova uses it once and drops it."
        )


def _native(name: str, kinds: Iterable[Kind], served: Served, version: str) -> Ability:
    lacking = [kind.name for kind in kinds if (kind.api_version, kind.plural) not in served]
    if lacking:
        return Ability(name, False, version, f"The cluster does not serve {', '.join(lacking)}.")
    return Ability(name, True, version)
