"""Tenancy on plain Kubernetes: namespaces with the bindings, quotas, limits and rules of each."""

from collections.abc import Mapping, Sequence, Set

from clusters.adapters.kubevela import DEPLOYER
from reconcile.proof import Proof
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
from tenancy.adapters.bindings import bindings
from tenancy.adapters.networks import policies
from tenancy.adapters.objects import (
    CONFIG_MAP,
    LIMIT_RANGE,
    NAMESPACE,
    NETWORK_POLICY,
    RESOURCE_QUOTA,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    SYSTEM_NAMESPACE,
    identity,
    in_project,
    manifest,
)
from tenancy.adapters.parameters import advice, parameters, proofs
from tenancy.intents import ProjectIntent, TenantIntent
from tenancy.rules import keeping, profiles
from tenancy.rules.network_bounds import isolation_of
from tenancy.rules.usage import quota_facts, uncounted

# Where the admission plugin PodNodeSelector is on, it selects these nodes for pods that do not.
NODE_SELECTOR = "scheduler.alpha.kubernetes.io/node-selector"
_LIMIT_FIELDS = {
    "default": "default",
    "default_request": "defaultRequest",
    "max": "max",
    "min": "min",
}
_NAME = "kubenova"


class NativeTenants:
    """A tenant is a ConfigMap in KubeNova's namespace: what binds it all, for who operates.

    The cluster enforces it in each project's namespace, where the same rules are rendered.
    """

    name = "tenancy.native"
    kinds: Sequence[Kind] = (CONFIG_MAP,)

    def render(self, intent: TenantIntent) -> list[JSON]:
        """One ConfigMap, out of the tenant's reach."""
        data = {
            "tenant": intent.name,
            "isolation": isolation_of(intent.isolation, intent.restrictions),
            "cordoned": _flag(intent.cordoned),
            "deletion-protection": _flag(intent.protected),
        }
        data |= {f"quota.{_data_key(key)}": value for key, value in intent.quota.items()}
        labels = {**intent.labels, TENANT: intent.name}
        name = f"tenant-{intent.name}"
        annotations = intent.annotations
        return [
            manifest(
                CONFIG_MAP,
                name,
                SYSTEM_NAMESPACE,
                labels=labels,
                annotations=annotations,
                data=data,
            )
        ]

    def assess(self, intent: TenantIntent, seen: Mapping[Ref, Live]) -> Assessment:
        """Ready as soon as it is there."""
        return Assessment(Health.READY, "Projected")


class NativeProjects:
    """A project is a namespace with the bindings, quota, limits and network rules of its tenant."""

    name = "tenancy.native"
    kinds: Sequence[Kind] = (
        NAMESPACE,
        ROLE_BINDING,
        CONFIG_MAP,  # of parameters: some time goes by until what they judge is written
        SERVICE_ACCOUNT,
        RESOURCE_QUOTA,
        LIMIT_RANGE,
        NETWORK_POLICY,
    )

    def render(self, intent: ProjectIntent) -> list[JSON]:
        """The namespace first; KubeNova's own binding lets it write the rest.

        An adopted namespace is rendered as any other: server-side apply leaves what is foreign.
        """
        return [
            _namespace(intent),
            *bindings(intent),
            parameters(intent),
            *advice(intent),
            *_quota(intent),
            *limit_ranges(intent),
            *policies(intent),
            *_accounts(intent),
        ]

    def proofs(self, intent: ProjectIntent) -> Sequence[Proof]:
        """What the cluster has to refuse in the namespace before the project is ready."""
        return proofs(intent)

    def awaits(self, seen: Mapping[Ref, Live]) -> Set[Ref]:
        """Its cluster counts by a new quota at once."""
        return uncounted(seen)

    def assess(self, intent: ProjectIntent, seen: Mapping[Ref, Live]) -> Assessment:
        """Ready when the namespace is active; what is used of the quota is a fact beside it."""
        phase = _status(seen, Ref(NAMESPACE, "", intent.namespace)).get("phase", "")
        if phase == "Active":
            quota = _status(seen, Ref(RESOURCE_QUOTA, intent.namespace, _NAME))
            facts = quota_facts(quota) if intent.quota else {}
            return Assessment(Health.READY, "NamespaceActive", facts=facts)
        return Assessment(
            Health.PROGRESSING, "NamespacePending", "The namespace is not active yet."
        )


def _status(seen: Mapping[Ref, Live], ref: Ref) -> JSON:
    live = seen.get(ref)
    return (live.body.get("status") or {}) if live else {}


def _flag(value: bool) -> str:
    return str(value).lower()


def _data_key(key: str) -> str:
    return key.replace("/", ".")


def _namespace(intent: ProjectIntent) -> JSON:
    profile = str(intent.restrictions.get("pod_security", profiles.LEAST))
    labels = {**intent.labels, **profiles.labels(profile), **identity(intent), MANAGED_BY: MANAGER}
    if intent.protected:
        labels[keeping.LABEL] = keeping.PROTECTED
    annotations = {**intent.annotations, **_nodes(intent)}
    return manifest(NAMESPACE, intent.namespace, labels=labels, annotations=annotations)


def _nodes(intent: ProjectIntent) -> dict[str, str]:
    selector = intent.restrictions.get("node_selector") or {}
    text = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    return {NODE_SELECTOR: text} if text else {}


def _accounts(intent: ProjectIntent) -> list[JSON]:
    """The one that KubeVela acts by; no pod is given its token."""
    if not intent.deployer:
        return []
    return [in_project(intent, SERVICE_ACCOUNT, DEPLOYER, automountServiceAccountToken=False)]


def _quota(intent: ProjectIntent) -> list[JSON]:
    if not intent.quota:
        return []
    return [in_project(intent, RESOURCE_QUOTA, _NAME, spec={"hard": dict(intent.quota)})]


def limit_ranges(intent: ProjectIntent) -> list[JSON]:
    """The limits of containers, where there are any."""
    """The limits of containers, where there are any."""
    item = {_LIMIT_FIELDS[kind]: dict(values) for kind, values in intent.limits.items() if values}
    if not item:
        return []
    spec = {"limits": [{"type": "Container", **item}]}
    return [in_project(intent, LIMIT_RANGE, _NAME, spec=spec)]
