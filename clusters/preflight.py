"""What is checked before tenants are placed on a cluster: known holes of the platforms there. Pure.

Sources: the projects' advisories (Capsule before 0.13.8, CVE-2026-65834, CVE-2026-65835 and older;
capsule-proxy before 0.4.6, CVE-2023-48312; KubeVela issue 7139), and how they behave.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from clusters.intents import BASELINE, USERNAME
from clusters.platforms import CAPSULE, INSTALLED, KUBEVELA, OLDEST_CAPSULE, Ability, numbers
from reconcile.values import JSON

OLDEST_PROXY = (0, 4, 6)
# Denies everybody but KubeNova what makes an Application run as somebody else.
APPLICATION_POLICY = "kubenova-applications"
CAPSULE_CHART = "oci://ghcr.io/projectcapsule/charts/capsule"
PROXY_CHART = "oci://ghcr.io/projectcapsule/charts/capsule-proxy"
VELA_CHART = "vela-core --repo https://kubevela.github.io/charts"
WORKFLOW_CHART = "vela-workflow --repo https://kubevela.github.io/charts"

_KEEPERS = frozenset({"*", "*/*", "namespaces", "tenants"})  # without these, no tenancy


class Severity(StrEnum):
    """How bad a finding is: an unaccepted `critical` one keeps new tenants away."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Stage(StrEnum):
    """The steps of the bootstrap runbook, in order."""

    TENANCY = "tenancy-controller"
    PROXY = "access-proxy"
    DELIVERY = "delivery-core"
    BASELINE = "baseline"


@dataclass(frozen=True)
class Found:
    """Something that an operator should know. `fix` is the command or request that ends it."""

    code: str
    step: Stage
    severity: Severity
    message: str
    fix: str = ""


@dataclass(frozen=True)
class Platform:
    """A platform as it was seen. `deployment` is `namespace/name` of its controller, if seen."""

    served: bool = False
    version: str = ""
    deployment: str = ""
    ready: int = 0
    wanted: int = 0

    @property
    def down(self) -> bool:
        """Whether its controller was seen, and not enough of it runs."""
        return bool(self.deployment) and self.ready < max(self.wanted, 1)


@dataclass(frozen=True)
class Hook:
    """One admission webhook: what it looks at, and whether the API server goes on without it."""

    name: str
    resources: frozenset[str]
    ignored: bool


@dataclass(frozen=True)
class Sight:
    """What a look at the platforms of a cluster told; None is what could not be seen.

    `administrators` are pairs (kind, name) of Capsule's configuration; `capsule_hooks` and
    `vela_hooks` are their admission webhooks, empty where there are none.
    """

    capsule: Platform = Platform()
    proxy: Platform = Platform()
    vela: Platform = Platform()
    administrators: tuple[tuple[str, str], ...] | None = None
    capsule_hooks: tuple[Hook, ...] | None = None
    vela_hooks: tuple[Hook, ...] | None = None
    authenticates: bool = False
    guarded: bool = False
    workflow_runs: bool = False

    def told(self) -> JSON:
        """Return what the runbook shows, as plain values by the name of the platform."""
        shown = {"capsule": self.capsule, "capsule-proxy": self.proxy, "kubevela": self.vela}
        return {name: asdict(each) for name, each in shown.items() if each != Platform()}


def check(cluster: str, sight: Sight, abilities: Iterable[Ability]) -> list[Found]:
    """Return what an operator should know of `cluster`, in the order of the runbook.

    `abilities` are its capabilities, those of its baseline among them.
    """
    known = {ability.name: ability for ability in abilities}
    found: list[Found] = []
    if sight.capsule.served:
        found += [*_capsule(sight), *_capsule_hooks(sight)]
        found += _half_installed(known, found)
    found += _proxy(sight.proxy)
    if sight.vela.served:
        found += [*_vela(cluster, sight), *_unfit_vela(known)]
    return [*found, *_baseline(cluster, known)]


def _half_installed(known: Mapping[str, Ability], found: Collection[Found]) -> Iterator[Found]:
    """What else keeps Capsule from being used, in the words of whoever has found it."""
    unfit = INSTALLED in known and not (CAPSULE in known and known[CAPSULE].served)
    told = known[CAPSULE].reason if unfit and CAPSULE in known else ""
    if told and not any(each.severity is not Severity.INFO for each in found):
        fix = _upgrade("capsule", CAPSULE_CHART, "capsule-system")
        yield Found("capsule-unfit", Stage.TENANCY, Severity.CRITICAL, told, fix)


def _capsule(sight: Sight) -> Iterator[Found]:
    capsule = sight.capsule
    upgrade = _upgrade("capsule", CAPSULE_CHART, _home(capsule))
    if not numbers(capsule.version) > (0, 0, 0):
        told = "The version of Capsule cannot be seen, so nobody knows whether it has known holes."
        yield Found("capsule-version-unknown", Stage.TENANCY, Severity.WARNING, told, upgrade)
    elif numbers(capsule.version) < OLDEST_CAPSULE:
        told = (
            f"Capsule {capsule.version} has known holes through which tenants become cluster "
            "administrators (CVE-2026-65835 and others): KubeNova needs 0.13.8 or newer."
        )
        yield Found("capsule-version", Stage.TENANCY, Severity.CRITICAL, told, upgrade)
    if capsule.down:
        yield _down("capsule-down", Stage.TENANCY, "Capsule", capsule)
    if sight.administrators is not None and not _is_administrator(sight.administrators):
        told = (
            "KubeNova is not among the administrators of Capsule's configuration: it can put no "
            "namespace into a Capsule tenant."
        )
        fix = administrator_command(sight.administrators)
        yield Found("capsule-administrators", Stage.TENANCY, Severity.CRITICAL, told, fix)


def _is_administrator(administrators: Collection[tuple[str, str]]) -> bool:
    group = USERNAME.replace("serviceaccount:", "serviceaccounts:").rpartition(":")[0]
    return bool(
        {("ServiceAccount", USERNAME), ("User", USERNAME), ("Group", group)} & {*administrators}
    )


def administrator_command(administrators: Collection[tuple[str, str]]) -> str:
    """Return the command that adds KubeNova to the administrators of Capsule."""
    wanted = [*administrators, ("ServiceAccount", USERNAME)]
    entries = ",".join(f'{{"kind":"{kind}","name":"{name}"}}' for kind, name in wanted)
    patch = f'{{"spec":{{"administrators":[{entries}]}}}}'
    return f"kubectl patch capsuleconfiguration default --type=merge -p '{patch}'"


def _capsule_hooks(sight: Sight) -> Iterator[Found]:
    if sight.capsule_hooks is None:
        return
    keepers = [hook for hook in sight.capsule_hooks if hook.resources & _KEEPERS]
    again = f"{_upgrade('capsule', CAPSULE_CHART, _home(sight.capsule))} --force"
    if not keepers:
        told = (
            "Capsule's admission webhooks for namespaces and tenants are missing: nothing keeps "
            "tenants apart."
        )
        yield Found("capsule-webhooks-missing", Stage.TENANCY, Severity.CRITICAL, told, again)
    if lenient := sorted(hook.name for hook in keepers if hook.ignored):
        told = (
            f"Capsule's webhooks {', '.join(lenient)} have failurePolicy Ignore: while Capsule is "
            "down, nothing keeps tenants apart."
        )
        yield Found("capsule-webhooks-ignore", Stage.TENANCY, Severity.CRITICAL, told, again)


def _proxy(proxy: Platform) -> Iterator[Found]:
    if not proxy.deployment:
        return
    if (0, 0, 0) < numbers(proxy.version) < OLDEST_PROXY:
        told = (
            f"capsule-proxy {proxy.version} lets requests with an empty token pass "
            "(CVE-2023-48312): KubeNova needs 0.4.6 or newer."
        )
        fix = _upgrade("capsule-proxy", PROXY_CHART, _home(proxy))
        yield Found("capsule-proxy-version", Stage.PROXY, Severity.CRITICAL, told, fix)
    if proxy.down:
        yield _down("capsule-proxy-down", Stage.PROXY, "capsule-proxy", proxy)


def _vela(cluster: str, sight: Sight) -> Iterator[Found]:
    namespace = _home(sight.vela, "vela-system")
    if not sight.guarded and (why := _open(sight)):
        told = f"{why} Whoever may create Applications becomes administrator of the cluster (7139)."
        fix = f"PUT /api/v1/clusters/{cluster}/credential"  # its baseline brings the policy along
        yield Found("kubevela-open", Stage.DELIVERY, Severity.CRITICAL, told, fix)
    if sight.vela.down:
        yield _down("kubevela-down", Stage.DELIVERY, "KubeVela", sight.vela)
    if not sight.workflow_runs:
        told = "WorkflowRun is not served: no step of a workflow can have KubeVela carry it out."
        fix = _upgrade("vela-workflow", WORKFLOW_CHART, namespace)
        yield Found("kubevela-workflowrun", Stage.DELIVERY, Severity.INFO, told, fix)


def _unfit_vela(known: Mapping[str, Ability]) -> Iterator[Found]:
    """What keeps KubeVela from being used for apps."""
    told = known[KUBEVELA].reason if KUBEVELA in known else ""
    if told:
        fix = _upgrade("kubevela", VELA_CHART, "vela-system")
        fix += " --set authentication.enabled=false"
        yield Found("kubevela-unfit", Stage.DELIVERY, Severity.WARNING, told, fix)


def _open(sight: Sight) -> str:
    """Why KubeVela runs what somebody writes as somebody else; empty when it does not."""
    if not sight.authenticates:
        return "KubeVela runs without authentication, and no policy of KubeNova's stands before it."
    if sight.vela_hooks is not None and not any(not hook.ignored for hook in sight.vela_hooks):
        return "KubeVela's mutating webhook is missing or has failurePolicy Ignore."
    return ""


def _down(code: str, step: Stage, name: str, platform: Platform) -> Found:
    told = f"{name} is not available: {platform.deployment} lacks running pods."
    namespace, _, deployment = platform.deployment.partition("/")
    fix = f"kubectl --namespace {namespace} rollout status deployment/{deployment}"
    return Found(code, step, Severity.WARNING, told, fix)


def _upgrade(name: str, chart: str, namespace: str) -> str:
    return f"helm upgrade --install {name} {chart} --namespace {namespace} --reuse-values"


def _home(platform: Platform, usual: str = "capsule-system") -> str:
    return platform.deployment.partition("/")[0] or usual


def _baseline(cluster: str, known: Collection[str]) -> Iterator[Found]:
    baselines = [name for name in known if name.startswith("baseline.")]
    if not baselines or f"baseline.{BASELINE}" in baselines:
        return
    told = f"KubeNova's baseline is older than version {BASELINE}: newer rules cannot be kept."
    fix = f"PUT /api/v1/clusters/{cluster}/credential"
    yield Found("baseline-outdated", Stage.BASELINE, Severity.WARNING, told, fix)
