"""What a rollout in waves does next: decided anew from what there is, whatever came before. Pure.

    Waiting → (WaitingApproval →) Running → Soaking → Done, wave after wave

A wave begins once all before it are done and, where it asks for approval, a person has promoted
it. It runs until each of its clusters is healthy on the revision, soaks for as long as that has to
last, and is done. Nothing is told to clusters while the rollout is paused, or something else holds
it: a freeze, or the cordon of the tenant.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from delivery.rules.strategy import divided, waves_of
from reconcile.values import JSON


class WaveState(StrEnum):
    """How far a wave has come."""

    WAITING = "Waiting"
    WAITING_APPROVAL = "WaitingApproval"
    RUNNING = "Running"
    SOAKING = "Soaking"
    DONE = "Done"


class RolloutState(StrEnum):
    """How far a rollout has come, or what has ended it before it was done."""

    RUNNING = "Running"
    WAITING_APPROVAL = "WaitingApproval"
    SOAKING = "Soaking"
    PAUSED = "Paused"
    HELD = "Held"
    DONE = "Done"
    ABORTED = "Aborted"
    ROLLED_BACK = "RolledBack"
    SUPERSEDED = "Superseded"


@dataclass(frozen=True)
class Member:
    """An app on a cluster: the revision it is to run there, 0 for none yet.

    `healthy`: it runs that one and all is well. `told` says how it fares, for people.
    """

    cluster: str
    labels: Mapping[str, str]
    target: int
    healthy: bool
    told: str = ""


@dataclass(frozen=True)
class Situation:
    """What a decision is made from. `base` is what clusters run until it is their turn, 0: nothing.

    `waves` is what the last decision left, by number. Times in it are texts (RFC 3339, UTC).
    `held` tells people what keeps the revision from clusters, "" for nothing.
    """

    revision: int
    strategy: JSON
    waves: Sequence[JSON]
    members: Sequence[Member]
    now: datetime
    base: int = 0
    paused: bool = False
    held: str = ""


@dataclass(frozen=True)
class Decision:
    """What is to be: how the waves stand, which clusters get which target, when to look again."""

    waves: Sequence[JSON]
    state: RolloutState
    reason: str
    moves: Mapping[str, int] = field(default_factory=dict)
    look_in: float | None = None


def decide(now: Situation) -> Decision:
    """Take the waves one after the other, until one is not done yet."""
    waves = laid_out(now.strategy, now.members, now.waves)
    moves: dict[str, int] = {}
    current: JSON | None = None
    for wave in waves:
        if not wave["clusters"]:
            wave["state"] = WaveState.WAITING if current else WaveState.DONE
            continue
        if current is None or wave["finished_at"]:
            moves |= _carried_on(wave, now)
        if current is None and wave["state"] != WaveState.DONE:
            current = wave
    moves = _meanwhile(now) | moves
    if current is None:
        return Decision(waves, RolloutState.DONE, "", moves)
    state, reason = RolloutState(_shown(current)), _reason(current, len(waves), now)
    if now.paused:
        state = RolloutState.PAUSED
    elif _is_held(current, now):
        which = f"Wave {current['number']} of {len(waves)}"
        state, reason = RolloutState.HELD, f"{which} waits. {now.held}"
    return Decision(waves, state, reason, moves, _left(current, now))


def _is_held(wave: JSON, now: Situation) -> bool:
    """Whether clusters of the wave would get the revision, if nothing held it."""
    if not now.held or wave["state"] == WaveState.WAITING_APPROVAL:
        return False
    mine = (each for each in now.members if each.cluster in wave["clusters"])
    return any(each.target != now.revision for each in mine)


def _meanwhile(now: Situation) -> dict[str, int]:
    """Give those that have nothing yet what runs until it is their turn."""
    return {each.cluster: now.base for each in now.members if now.base and not each.target}


def laid_out(strategy: JSON, members: Iterable[Member], known: Sequence[JSON]) -> list[JSON]:
    """Return the waves with their clusters of now and what is known of each; none is without end.

    The last one, of the clusters that no wave selects, is there only while there are any.
    """
    places = divided(strategy, {each.cluster: each.labels for each in members})
    declared = [*waves_of(strategy), {}]
    before = {wave["number"]: wave for wave in known}
    found = [
        _wave(number, names, wave, before.get(number, {}))
        for number, (names, wave) in enumerate(zip(places, declared, strict=True), 1)
    ]
    return found if places[-1] or len(found) == 1 else found[:-1]


def _wave(number: int, clusters: Sequence[str], declared: JSON, known: JSON) -> JSON:
    kept = ("started_at", "healthy_since", "finished_at", "approved_at")
    who = ("approved_by", "soak_ended_by")
    return {
        "number": number,
        "clusters": list(clusters),
        "state": known.get("state", WaveState.WAITING),
        "approval": declared.get("approval", False),
        "soak": declared.get("soak", 0),
        "max_unavailable": declared.get("max_unavailable"),
        **{name: known.get(name) for name in kept},
        **{name: known.get(name, "") for name in who},
    }


def _carried_on(wave: JSON, now: Situation) -> dict[str, int]:
    """Bring a wave as far as it may be by now; return the clusters that get the revision."""
    if not wave["started_at"]:
        if wave["approval"] and not wave["approved_by"]:
            wave["state"] = WaveState.WAITING_APPROVAL
            return {}
        if now.paused or now.held:
            wave["state"] = WaveState.WAITING
            return {}
        wave["started_at"] = written(now.now)
    mine = [each for each in now.members if each.cluster in wave["clusters"]]
    left = [each for each in mine if each.target != now.revision]
    unready = [each for each in mine if each.target == now.revision and not each.healthy]
    if not wave["finished_at"]:
        _timed(wave, now, at_rest=not (left or unready))
    if now.paused or now.held:
        return {}
    room = max(0, (wave["max_unavailable"] or len(mine)) - len(unready))
    # What is not healthy anyway comes first: it takes nobody's service away.
    left.sort(key=lambda each: (each.healthy, each.cluster))
    return {each.cluster: now.revision for each in left[:room]}


def _timed(wave: JSON, now: Situation, *, at_rest: bool) -> None:
    if not at_rest:
        wave["healthy_since"], wave["state"] = None, WaveState.RUNNING
        return
    wave["healthy_since"] = wave["healthy_since"] or written(now.now)
    wave["state"] = WaveState.SOAKING
    if wave["soak_ended_by"] or _soaks_until(wave) <= now.now:
        wave["finished_at"], wave["state"] = written(now.now), WaveState.DONE


def _soaks_until(wave: JSON) -> datetime:
    return datetime.fromisoformat(wave["healthy_since"]) + timedelta(seconds=wave["soak"])


def _left(wave: JSON, now: Situation) -> float | None:
    """Seconds until the wave has soaked; None when nothing is to be waited for by the clock."""
    if wave["state"] != WaveState.SOAKING:
        return None
    return max(0.0, (_soaks_until(wave) - now.now).total_seconds())


def _shown(wave: JSON) -> str:
    return RolloutState.RUNNING if wave["state"] == WaveState.WAITING else wave["state"]


def _reason(wave: JSON, count: int, now: Situation) -> str:
    """Say what the rollout waits for; no times, so that it stays while nothing happens."""
    which = f"Wave {wave['number']} of {count}"
    if wave["state"] == WaveState.WAITING_APPROVAL:
        return f"{which} waits for somebody to promote it."
    if wave["state"] == WaveState.SOAKING:
        return f"{which} is healthy and has to stay so for {wave['soak']} seconds."
    if wave["state"] == WaveState.WAITING:
        return f"{which} has not begun."
    told = ", ".join(_waited_for(wave, now))
    return f"{which} is under way: {told}."


def _waited_for(wave: JSON, now: Situation) -> Iterator[str]:
    for each in sorted(now.members, key=lambda member: member.cluster):
        if each.cluster not in wave["clusters"]:
            continue
        if each.target != now.revision:
            yield f"{each.cluster} has yet to get revision {now.revision}"
        elif not each.healthy:
            yield f"{each.cluster} is {each.told}"


# --- Times.


def written(moment: datetime) -> str:
    """Write a moment as a text, to the millisecond."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_of(began: str | None, ended: str | None, now: datetime) -> float | None:
    """Return how long something took, or takes until now; None if it has not begun."""
    if not began:
        return None
    until = datetime.fromisoformat(ended) if ended else now
    return round((until - datetime.fromisoformat(began)).total_seconds(), 3)
