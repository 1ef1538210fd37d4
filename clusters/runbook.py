"""The bootstrap runbook of a cluster: what is there, what is missing, which command mends it. Pure.

KubeNova works on plain Kubernetes: what is absent is an option that a cluster does not offer, never
an error. Charts are those of the projects themselves.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from clusters.intents import BASELINE
from clusters.platforms import Ability
from clusters.preflight import CAPSULE_CHART, PROXY_CHART, VELA_CHART, Found, Severity, Stage
from reconcile.values import JSON, Phase


class State(StrEnum):
    """How a step of the runbook stands."""

    ABSENT = "Absent"
    INSTALLING = "Installing"
    INSTALLED = "Installed"
    DEGRADED = "Degraded"
    READY = "Ready"


@dataclass(frozen=True)
class Part:
    """What a step is about. `platform` is its name among what was seen on a cluster."""

    stage: Stage
    title: str
    platform: str
    chart: str
    namespace: str
    needed: str
    without: str


PARTS = (
    Part(
        Stage.TENANCY,
        "Tenancy controller: Capsule",
        "capsule",
        CAPSULE_CHART,
        "capsule-system",
        "0.13.8",
        "Tenants are kept apart by KubeNova's own policies instead.",
    ),
    Part(
        Stage.PROXY,
        "Access proxy: capsule-proxy",
        "capsule-proxy",
        PROXY_CHART,
        "capsule-system",
        "0.4.6",
        "People reach the cluster through KubeNova's own access proxy instead.",
    ),
    Part(
        Stage.DELIVERY,
        "App delivery core: KubeVela",
        "kubevela",
        VELA_CHART,
        "vela-system",
        "",
        "Apps are rendered to plain Deployments, Services and Ingresses instead.",
    ),
)


@dataclass(frozen=True)
class Known:
    """All that the runbook of one cluster is written from.

    `platforms` is what `Sight.told` returned, `phase` that of the baseline, `runs` the phases of
    bundles that are under way, by step.
    """

    cluster: str
    phase: str
    platforms: Mapping[str, JSON]
    abilities: Sequence[Ability]
    findings: Sequence[Found]
    runs: Mapping[str, str]


@dataclass(frozen=True)
class RunbookStep:
    """One step. `version` is the one found, `needed` the oldest that may be used."""

    name: str
    title: str
    optional: bool
    state: State
    version: str
    needed: str
    health: str
    missing: tuple[str, ...]
    commands: tuple[str, ...]


def steps(known: Known) -> list[RunbookStep]:
    """Return the steps in the order in which they are taken."""
    return [*(_platform(known, part) for part in PARTS), _baseline(known)]


def _platform(known: Known, part: Part) -> RunbookStep:
    seen = known.platforms.get(part.platform, {})
    found = [each for each in known.findings if each.step == part.stage]
    bad = [each for each in found if each.severity is not Severity.INFO]
    state, health = _standing(known, part, seen, bad)
    absent = state is State.ABSENT
    commands = [each.fix for each in found if each.fix]
    return RunbookStep(
        name=part.stage,
        title=part.title,
        optional=True,
        state=state,
        version=str(seen.get("version", "")),
        needed=part.needed,
        health=health,
        missing=(part.title.partition(": ")[2],) if absent else _messages(bad),
        commands=(*(_installation(known.cluster, part) if absent else ()), *commands),
    )


def _standing(known: Known, part: Part, seen: JSON, bad: Iterable[Found]) -> tuple[State, str]:
    there = bool(seen.get("deployment")) or (
        bool(seen.get("served")) and part.stage is not Stage.PROXY
    )
    if known.runs.get(part.stage) in (Phase.PENDING, Phase.APPLYING):
        return State.INSTALLING, "A bundle is on its way."
    if not there:
        return State.ABSENT, f"Not installed. {part.without}"
    if told := _messages(bad):
        return State.DEGRADED, told[0]
    if not seen.get("deployment"):
        return State.INSTALLED, "Its kinds are served; its controller was not seen."
    return State.READY, f"{seen['deployment']}: {seen['ready']} of {seen['wanted']} pods run."


def _messages(found: Iterable[Found]) -> tuple[str, ...]:
    return tuple(each.message for each in found)


def _installation(cluster: str, part: Part) -> tuple[str, str]:
    """By Helm itself, or rendered by Helm and applied by KubeNova."""
    name, file = part.platform, f"{part.platform}.yaml"
    to = f"--namespace {part.namespace}"
    bundle = f'{{step: "{part.stage}", namespace: "{part.namespace}", bundle: $b, kubeconfig: $k}}'
    return (
        f"helm upgrade --install {name} {part.chart} {to} --create-namespace",
        f"helm template {name} {part.chart} {to} --include-crds > {file} && "
        f'jq -n --rawfile b {file} --arg k "$(base64 < "$KUBECONFIG" | tr -d \'\\n\')" '
        f"'{bundle}' | curl -fsS -X POST -H \"Authorization: Bearer $TOKEN\" "
        "-H 'Content-Type: application/json' --data-binary @- "
        f'"$KUBENOVA/api/v1/clusters/{cluster}:bootstrap"',
    )


def _baseline(known: Known) -> RunbookStep:
    versions = [
        ability.version
        for ability in known.abilities
        if ability.name.startswith("baseline.") and ability.served
    ]
    newest = max(versions, key=_number, default="")
    stands = known.phase == Phase.DEPLOYED
    current = newest == str(BASELINE)
    state = State.READY if stands and current else State.DEGRADED if newest else State.ABSENT
    health = "It stands." if stands else f"It is {known.phase}: see the conditions of the cluster."
    renew = (
        "jq -n --arg k \"$(base64 < \"$KUBECONFIG\" | tr -d '\\n')\" '{kubeconfig: $k}' | "
        'curl -fsS -X PUT -H "Authorization: Bearer $TOKEN" '
        "-H 'Content-Type: application/json' --data-binary @- "
        f'"$KUBENOVA/api/v1/clusters/{known.cluster}/credential"'
    )
    lacks = () if current else (f"Version {BASELINE} of the baseline",)
    return RunbookStep(
        name=Stage.BASELINE,
        title="KubeNova's baseline",
        optional=False,
        state=state,
        version=newest,
        needed=str(BASELINE),
        health=health,
        missing=lacks,
        commands=() if state is State.READY else (renew,),
    )


def _number(version: str) -> int:
    return int(version) if version.isdecimal() else 0
