"""A rollout in waves: which clusters may run a new revision by now, and what the others wait for.

All of it is decided in the database, with the row of the app held: each step reads what there is
and does what is missing, so that a worker which dies has done all of a step or none of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.utils import timezone

from delivery.rules.waves import (
    Decision,
    Member,
    RolloutState,
    Situation,
    WaveState,
    decide,
    seconds_of,
    written,
)
from reconcile.models import Event
from reconcile.values import JSON, MANAGER

_UNTIL_THEN = "finished_at", "state", "ended_by", "end_reason"
_TOLD = 300


@dataclass(frozen=True)
class Failure:
    """A component that has failed on a cluster, and what it says."""

    cluster: str
    component: str
    message: str

    @property
    def key(self) -> str:
        """By which it is known again."""
        return f"{self.cluster}/{self.component}"

    def __str__(self) -> str:
        return f"{self.cluster}: {self.component}: {self.message}"


class Rollout(models.Model):
    """How one revision of an app comes to its clusters, wave by wave.

    `strategy` is what `waves` were laid out by, `excused` the failures that somebody went on
    after. Whoever calls its verbs holds the row of the app.
    """

    app = models.ForeignKey("delivery.App", on_delete=models.CASCADE, related_name="rollouts")
    revision = models.PositiveIntegerField()
    strategy = models.JSONField(default=dict)
    state = models.CharField(
        max_length=15,
        choices=[(each.value, each.value) for each in RolloutState],
        default=RolloutState.RUNNING.value,
    )
    reason = models.TextField(blank=True, default="")
    waves = models.JSONField(default=list)
    excused = models.JSONField(default=list)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=150, blank=True, default="")
    pause_reason = models.CharField(max_length=300, blank=True, default="")
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=150, blank=True, default="")
    end_reason = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering = ["-started_at", "-revision"]
        constraints = [
            models.UniqueConstraint(fields=["app", "revision"], name="rollout_once_per_revision")
        ]

    def __str__(self) -> str:
        return f"Rollout of revision {self.revision} of {self.app}"

    @property
    def told(self) -> str:
        """What it waits for and, if it is paused, who did that and why."""
        if not self.paused_at:
            return self.reason
        why = f": {self.pause_reason.rstrip('.')}" if self.pause_reason else ""
        return f"Paused by {self.paused_by}{why}. {self.reason}".strip()

    @property
    def current(self) -> JSON | None:
        """The first wave that is not done; None after the last."""
        return next((wave for wave in self.waves if wave["state"] != WaveState.DONE), None)

    @property
    def stands_at(self) -> int:
        """The number of that wave; 0 after the last."""
        return self.current["number"] if self.current else 0

    # --- What happens by itself.

    def advance(self) -> float | None:
        """Do what is due by now; return in how many seconds there may be more to do.

        Without any cluster it waits for the first.
        """
        if not (members := self.app.members()):
            return None
        self._hold_failed(self.app.failures())
        obstacle = self.app.obstacle()
        decision = decide(self._situation(members, obstacle.message if obstacle else ""))
        for number in sorted({*decision.moves.values()}):
            names = [name for name, each in decision.moves.items() if each == number]
            self.app.aim(number, on=names)
        known = bool(self.waves) and self.state != RolloutState.HELD
        self._take(decision)
        if obstacle is None or decision.state != RolloutState.HELD:
            return decision.look_in
        if known:
            self.app.tell_held(obstacle)
        return obstacle.left

    def _situation(self, members: Sequence[Member], held: str) -> Situation:
        new = any(not each.target for each in members)
        return Situation(
            revision=self.revision,
            strategy=self.strategy,
            waves=self.waves,
            members=members,
            now=timezone.now(),
            base=self.app.standing_revision() if new else 0,
            paused=self.paused_at is not None,
            held=held,
        )

    def _hold_failed(self, failed: "Sequence[Failure]") -> None:
        """Pause when a component fails that nobody has seen fail before."""
        new = [each for each in failed if each.key not in self.excused]
        still = [each.key for each in failed if each.key in self.excused]
        if len(still) < len(self.excused):
            self._write(excused=still)
        if new and self.paused_at is None:
            why = f"Revision {self.revision} failed on {'; '.join(map(str, new))}"
            self.hold(MANAGER, why[:_TOLD], warning=True)

    def _take(self, decision: Decision) -> None:
        """Write down what was decided, and tell what is news in it."""
        before = {wave["number"]: wave for wave in self.waves}
        news = {"waves": list(decision.waves), "state": decision.state, "reason": decision.reason}
        if all(getattr(self, name) == value for name, value in news.items()):
            return
        for wave in decision.waves:
            self._tell_wave(before.get(wave["number"], {}), wave, len(decision.waves))
        self._write(**news)
        if decision.state == RolloutState.DONE:
            self._write(finished_at=timezone.now(), paused_at=None)
            self.tell("RolledOut", f"Revision {self.revision} of {self.app} is on all clusters.")

    def _tell_wave(self, before: JSON, wave: JSON, count: int) -> None:
        which = f"Wave {wave['number']} of {count} of revision {self.revision} of {self.app}"
        where = ", ".join(wave["clusters"])
        data = {"wave": wave["number"], "clusters": wave["clusters"]}
        if wave["started_at"] and not before.get("started_at"):
            self.tell("WaveBegan", f"{which} began on {where}.", **data)
        if wave["state"] != before.get("state") and wave["state"] == WaveState.WAITING_APPROVAL:
            self.tell("ApprovalAwaited", f"{which} waits for somebody to promote it.", **data)
        if wave["finished_at"] and not before.get("finished_at"):
            self.tell("WaveDone", f"{which} is healthy on {where}.", **data)

    # --- What people do.

    def hold(self, by: str, reason: str, *, warning: bool = False) -> None:
        """Tell no more clusters."""
        self._write(paused_at=timezone.now(), paused_by=by, pause_reason=reason)
        why = f": {reason}" if reason else "."
        text = f"The rollout of revision {self.revision} of {self.app} was paused by {by}{why}"
        self.tell("RolloutPaused", text, by=by, warning=warning)

    def release(self, by: str, failed: "Sequence[Failure]") -> None:
        """Go on; what fails by now is known, and does not pause it once more."""
        excused = [each.key for each in failed]
        self._write(paused_at=None, paused_by="", pause_reason="", excused=excused)
        text = f"The rollout of revision {self.revision} of {self.app} was resumed by {by}."
        self.tell("RolloutResumed", text, by=by)

    def promote(self, by: str) -> None:
        """Approve the wave that waits for it, or end the soak of the one that soaks."""
        number = self.stands_at
        waits = self.state == RolloutState.WAITING_APPROVAL
        told: JSON = (
            {"approved_by": by, "approved_at": written(timezone.now())}
            if waits
            else {"soak_ended_by": by}
        )
        waves = [wave | told if wave["number"] == number else wave for wave in self.waves]
        self._write(waves=waves)
        what = "approved wave" if waits else "ended the soak of wave"
        text = f"{by} {what} {number} of revision {self.revision} of {self.app}."
        self.tell("WavePromoted", text, by=by, wave=number)

    def follow(self, strategy: JSON) -> None:
        """Begin anew with the first wave if the strategy is another one by now."""
        if strategy != self.strategy:
            self._write(strategy=strategy, waves=[])

    def end(self, state: RolloutState, by: str, reason: str) -> None:
        """Leave it as it is: another revision comes, or all clusters get this one at once."""
        values = timezone.now(), state, by, reason[:_TOLD]
        self._write(**dict(zip(_UNTIL_THEN, values, strict=True)))

    def tell(
        self, reason: str, message: str, *, by: str = "", warning: bool = False, **data: Any
    ) -> None:
        """Write down what happened to it, as an event of the app."""
        data = {"revision": self.revision, **data}
        Event.record(self.app, reason, message, actor=by, warning=warning, data=data)

    def _write(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self, name, value)
        self.save(update_fields=[*values])

    # --- How it is shown.

    def shown(self) -> JSON:
        """Return it for people and programs, with how long it and its waves took so far."""
        now, began = timezone.now(), written(self.started_at)
        ended = written(self.finished_at) if self.finished_at else None
        paused = {"by": self.paused_by, "at": self.paused_at, "reason": self.pause_reason}
        return {
            "state": RolloutState(self.state),
            "reason": self.end_reason or self.told,
            "started_at": began,
            "finished_at": ended,
            "seconds": seconds_of(began, ended, now),
            "paused": paused if self.paused_at else None,
            "waves": [
                wave | {"seconds": seconds_of(wave["started_at"], wave["finished_at"], now)}
                for wave in self.waves
            ],
        }
