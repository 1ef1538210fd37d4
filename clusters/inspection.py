"""Looks at the platforms of a cluster: which run, how they are set up. Only reads.

What may not be read (an older baseline, a narrower right) is told as unknown, never as missing.
"""

from collections.abc import Iterable, Sequence

from clusters.adapters.capsule import CAPSULE_CONFIGURATION
from clusters.adapters.kubevela import APPLICATION, WORKFLOW_RUN
from clusters.discovery import Served
from clusters.kinds import (
    ADMISSION_POLICY,
    ADMISSION_POLICY_BINDING,
    DEPLOYMENT,
    MUTATING_WEBHOOKS,
    VALIDATING_WEBHOOKS,
)
from clusters.platforms import authenticating
from clusters.preflight import APPLICATION_POLICY, Hook, Platform, Sight
from clusters.reachable import Reachable
from reconcile.errors import Forbidden, Missing
from reconcile.values import JSON, Live, Ref

CAPSULE = ("capsule.clastix.io/v1beta2", "tenants")
KUBEVELA = (APPLICATION.api_version, APPLICATION.plural)
WORKFLOW_RUNS = (WORKFLOW_RUN.api_version, WORKFLOW_RUN.plural)
_POLICY = (ADMISSION_POLICY, ADMISSION_POLICY_BINDING)
_CONFIGURED = Ref(CAPSULE_CONFIGURATION, "", "default")
_HOOKS = {
    VALIDATING_WEBHOOKS: (
        "validatingWebhookConfigurationName",
        "capsule-validating-webhook-configuration",
    ),
    MUTATING_WEBHOOKS: (
        "mutatingWebhookConfigurationName",
        "capsule-mutating-webhook-configuration",
    ),
}
_VELA_HOOKS = Ref(MUTATING_WEBHOOKS, "", "kubevela-vela-core-admission")
_MOST = 63  # characters of a version


def inspect(cluster: Reachable, served: Served) -> Sight:
    """Look at what is installed. A cluster without Capsule and KubeVela is asked nothing.

    Raises ClusterError.
    """
    capsule, vela = CAPSULE in served, KUBEVELA in served
    settings = _read(cluster, _CONFIGURED) if capsule else None
    spec: JSON = settings.body.get("spec") or {} if settings else {}
    found_vela = _deployment(cluster, "vela-core") if vela else None
    return Sight(
        capsule=_platform(capsule, _deployment(cluster, "capsule") if capsule else None),
        proxy=_platform(capsule, _deployment(cluster, "capsule-proxy") if capsule else None),
        vela=_platform(vela, found_vela),
        administrators=_administrators(spec) if settings else None,
        capsule_hooks=_capsule_hooks(cluster, spec) if capsule else None,
        vela_hooks=_hooks(cluster, [_VELA_HOOKS]) if vela else None,
        authenticates=bool(found_vela and authenticating(found_vela)),
        guarded=vela and all(_read(cluster, Ref(kind, "", APPLICATION_POLICY)) for kind in _POLICY),
        workflow_runs=WORKFLOW_RUNS in served,
    )


def _read(cluster: Reachable, ref: Ref) -> Live | None:
    """Return the object, None where it is not there or not to be seen."""
    try:
        return cluster.get(ref)
    except (Forbidden, Missing):
        return None


def _deployment(cluster: Reachable, name: str) -> Live | None:
    try:
        found = cluster.owned(DEPLOYMENT, {"app.kubernetes.io/name": name})
    except Forbidden:
        return None
    # A chart may run more than one; its controller is the one that tells a version.
    return next((live for live in sorted(found, key=lambda live: str(live.ref))), None)


def _platform(served: bool, live: Live | None) -> Platform:
    if live is None:
        return Platform(served)
    spec, status = live.body.get("spec") or {}, live.body.get("status") or {}
    wanted, ready = spec.get("replicas", 1), status.get("availableReplicas", 0)
    place = f"{live.ref.namespace}/{live.ref.name}"
    return Platform(served, told_version(live), place, _count(ready), _count(wanted))


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def told_version(live: Live) -> str:
    """Return the version that a Deployment tells by its label or image; empty when it does not."""
    labelled = live.labels.get("app.kubernetes.io/version", "")
    if labelled:
        return labelled[:_MOST]
    image = next((str(each.get("image", "")) for each in _containers(live)), "")
    return image.partition("@")[0].rpartition(":")[2][:_MOST]


def _containers(live: Live) -> list[JSON]:
    spec: object = live.body.get("spec")
    for key in ("template", "spec", "containers"):
        spec = spec.get(key) if isinstance(spec, dict) else None
    return _dicts(spec)


def _dicts(value: object) -> list[JSON]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _administrators(spec: JSON) -> tuple[tuple[str, str], ...]:
    entries = _dicts(spec.get("administrators"))
    return tuple((str(each.get("kind", "")), str(each.get("name", ""))) for each in entries)


def _capsule_hooks(cluster: Reachable, spec: JSON) -> tuple[Hook, ...] | None:
    overrides = spec.get("overrides")
    named = overrides if isinstance(overrides, dict) else {}
    refs = [Ref(kind, "", str(named.get(key) or usual)) for kind, (key, usual) in _HOOKS.items()]
    return _hooks(cluster, refs)


def _hooks(cluster: Reachable, refs: Iterable[Ref]) -> tuple[Hook, ...] | None:
    """Return the webhooks of some configurations; None where they may not be read."""
    try:
        found = [live for ref in refs if (live := cluster.get(ref))]
    except Forbidden:
        return None
    return tuple(_hook(each) for live in found for each in _dicts(live.body.get("webhooks")))


def _hook(webhook: JSON) -> Hook:
    rules: Sequence[JSON] = _dicts(webhook.get("rules"))
    resources = (each for rule in rules for each in rule.get("resources") or ())
    ignored = webhook.get("failurePolicy") == "Ignore"
    return Hook(str(webhook.get("name", "")), frozenset(map(str, resources)), ignored)
