"""The part of an app that brings a new revision to its clusters in waves."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from django.db import models
from django.utils import timezone

from delivery.models.freezing import FROZEN, Freezing
from delivery.models.rollout import Failure, Rollout
from delivery.models.validators import validate_strategy
from delivery.rules.schema import Problem
from delivery.rules.strategy import foreign_clusters, names_in, strategy_problems, waves_of
from delivery.rules.waves import Member, RolloutState, WaveState, laid_out, seconds_of, written
from reconcile.models import Lease, marking
from reconcile.refusals import Conflicting, Deleting
from reconcile.values import JSON, Condition, Phase, Status

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

    from delivery.models.placement import AppPlacement

_ENDED = frozenset({RolloutState.ABORTED, RolloutState.ROLLED_BACK})
_VERBS = {
    RolloutState.RUNNING: ("pause",),
    RolloutState.WAITING_APPROVAL: ("promote", "pause"),
    RolloutState.SOAKING: ("promote", "pause"),
    RolloutState.PAUSED: ("resume",),
    RolloutState.HELD: ("pause",),
}


class Staged(Freezing):
    """With a strategy each new revision has a rollout, until it is on all clusters.

    What goes back goes everywhere at once.
    """

    strategy = models.JSONField(default=dict, blank=True, validators=[validate_strategy])

    if TYPE_CHECKING:
        rollouts: RelatedManager[Rollout]

        def refuse_cordoned(self) -> None:
            """As `Cordonable` has it."""

    class Meta:
        abstract = True

    def strategy_faults(self, known: set[str]) -> list[Problem]:
        """Return the clusters of waves that are not `known`, unless they stood there before."""
        if not self.strategy or strategy_problems(self.strategy):
            return []  # which is refused already
        rows = type(self)._default_manager.filter(pk=self.pk)
        before = names_in(rows.values_list("strategy", flat=True).first())
        return foreign_clusters(self.strategy, known | before)

    # --- What each step does.

    def staged(self) -> Rollout | None:
        """The rollout of the current revision, until it is done."""
        return self._under_way() if self.strategy else None

    def _under_way(self) -> Rollout | None:
        found = self.rollouts.filter(revision=self.revision, finished_at=None).first()
        if found:
            found.app = cast("Any", self)  # as it is here, and held
        return found

    def aim_joined(self) -> None:
        """In waves it is the rollout that says who runs what; it goes as far as it may by now."""
        if rollout := self.staged():
            self.look_again(rollout.advance())
        else:
            super().aim_joined()

    def record(
        self, lease: Lease | None, synced: Condition, ready: Condition, **status: Any
    ) -> bool:
        """As for any row; it is not deployed before the last wave is done, nor while it is held."""
        if (why := self._awaited()) and self._is_between(status.get("phase")):
            ready = Condition("Ready", Status.FALSE, *why)
            status["phase"] = Phase.APPLYING
        return super().record(lease, synced, ready, **status)

    def _awaited(self) -> tuple[str, str] | None:
        """What has to come before it is on all clusters: a reason, and a message."""
        if self.deleting:
            return None
        if (rollout := self.staged()) and rollout.state != RolloutState.HELD:
            return rollout.state, rollout.told
        found = self.held()
        return (found.reason, rollout.told if rollout else found.message) if found else None

    def _is_between(self, phase: Phase | None) -> bool:
        """Whether what has begun is well, and only those wait whose turn it is not."""
        begun = self.placements_of().exclude(**{"target": 0})
        waits = phase == Phase.PENDING and not begun.filter(phase=Phase.PENDING).exists()
        return waits or phase == Phase.DEPLOYED

    def members(self) -> list[Member]:
        """Each of its clusters, and how it fares there."""
        rows = self._with_clusters().filter(deletion_requested_at=None)
        return [_member(row) for row in rows]

    def _with_clusters(self) -> "models.QuerySet[AppPlacement]":
        rows = cast("models.QuerySet[AppPlacement]", self.placements_of())
        return rows.select_related("cluster")

    def failures(self) -> list[Failure]:
        """Return which components of the current revision have failed, and on which clusters.

        What a cluster refuses or nobody can reach has not failed.
        """
        running = {"target": self.revision, "revision": self.revision, "phase": Phase.ERROR}
        return [
            Failure(row.cluster.name, part["name"], part["message"])
            for row in self._with_clusters().filter(**running)
            for part in row.components
            if part["phase"] == Phase.ERROR and part["revision"] == self.revision
        ]

    # --- When something else is wanted.

    def revise(self, by: str) -> None:
        """As for any revision; what was under way ends, and another rollout begins."""
        super().revise(by)
        back = self.change.origin is not None
        state = RolloutState.ROLLED_BACK if back else RolloutState.SUPERSEDED
        why = self.change.message or f"Revision {self.revision} came before it was done."
        for rollout in self.rollouts.filter(finished_at=None):
            rollout.end(state, by, why)
        self.rollouts.exclude(revision__in=self.revisions.values("number")).delete()
        if waves_of(self.strategy) and not back:
            self.rollouts.create(revision=self.revision, strategy=self.strategy)

    def retarget(self) -> None:
        """Let every cluster run the current revision, or those whose turn it is."""
        rollout = self._under_way()
        if rollout and self.strategy:
            rollout.follow(self.strategy)
            rollout.advance()
            return
        if rollout:
            why = "The strategy was taken away: every cluster got it at once."
            rollout.end(RolloutState.SUPERSEDED, self.declared_by, why)
        super().retarget()

    # --- What people do.

    def pause(self, *, by: str, reason: str = "") -> None:
        """Tell no more clusters until somebody resumes. Raises Conflicting in another state."""
        with self._rolling() as rollout:
            if rollout.paused_at:
                raise self._refused("paused", RolloutState.PAUSED)
            rollout.hold(by, reason)
            rollout.advance()

    def resume(self, *, by: str) -> None:
        """Go on after a pause. Raises Conflicting in another state."""
        with self._rolling() as rollout:
            if not rollout.paused_at:
                raise self._refused("resumed", rollout.state)
            self.refuse_cordoned()
            rollout.release(by, self.failures())
            rollout.advance()

    def promote(self, *, by: str, wave: int | None = None) -> None:
        """Approve the wave that waits, or end the soak. Raises Conflicting in another state.

        Whoever names the `wave` that they mean cannot approve one that waits only since.
        """
        with self._rolling() as rollout:
            if rollout.state not in {RolloutState.WAITING_APPROVAL, RolloutState.SOAKING}:
                raise self._refused("promoted", rollout.state)
            if wave is not None and wave != rollout.stands_at:
                text = f"Wave {wave} does not wait to be promoted: wave {rollout.stands_at} does."
                raise Conflicting(text, state=rollout.state, wave=rollout.stands_at)
            self.refuse_cordoned()
            rollout.promote(by)
            rollout.advance()

    def abort(self, *, by: str, reason: str = "") -> None:
        """Go back to what was healthy last, wherever the current revision has come to.

        Raises Conflicting when there is nothing under way, and what `rollback` raises.
        """
        with marking():
            self._hold()
            rollout, state = self.staged(), self.rollout_told()["state"]
            if state not in _VERBS:
                raise self._refused("aborted", state)
            message = f"The rollout of revision {self.revision} was aborted by {by}"
            message = f"{message}: {reason}"[:300] if reason else f"{message}."
            if rollout:
                rollout.end(RolloutState.ABORTED, by, message)
                rollout.tell("RolloutAborted", message, by=by)
            if not self.rollback(None, by=by, message=message, at_once=True):
                raise Conflicting(f"Revision {self.revision} holds what was healthy last.")

    def break_glass(self, *, by: str, reason: str) -> None:
        """Let the current revision through a freeze, wave by wave. Raises Conflicting."""
        with marking():
            self._hold()
            super().break_glass(by=by, reason=reason)
            self.retarget()
            self.mark()

    @contextmanager
    def _rolling(self) -> Iterator[Rollout]:
        """Hold the app while something is done to its rollout; the next step sums up."""
        with marking():
            self._hold()
            rollout = self.staged()
            if rollout is None:
                raise self._refused("steered", self.rollout_told()["state"])
            yield rollout
            self.mark()

    def _hold(self) -> None:
        self.take_turn()
        self.read_anew(locked=True)
        if self.deleting:
            raise Deleting(f"{self} is being deleted.")

    def _refused(self, verb: str, state: str) -> Conflicting:
        which = f"The rollout of revision {self.revision} of {self}"
        return Conflicting(f"{which} is {state} and cannot be {verb}.", state=state)

    # --- How it is shown.

    def rollout_told(self) -> JSON:
        """Return how far the current revision has come, in waves or everywhere at once.

        `verbs` are what its state allows.
        """
        rollout = self.rollouts.filter(revision=self.revision).first()
        if rollout is None or rollout.state == RolloutState.SUPERSEDED:
            told = self._told_at_once()
            verbs: tuple[str, ...] = ()
        else:
            rollout.app = cast("Any", self)
            told, verbs = rollout.shown(), _VERBS.get(RolloutState(rollout.state), ())
        if told["state"] in _VERBS and self.standing_revision():
            verbs = (*verbs, "abort")
        found = self.held() if told["state"] == RolloutState.HELD else None
        if found and found.reason == FROZEN:
            verbs = (*verbs, "break-glass")
        return {"strategy": self.strategy, "verbs": verbs, **told}

    def _told_at_once(self) -> JSON:
        rows = [cast("AppPlacement", row) for row in self.placements_of()]
        members, current = [_member(row) for row in rows], self.current_revision()
        there = all(each.healthy and each.target == self.revision for each in members)
        done = bool(current and current.healthy) or bool(members and there)
        began = written(current.created_at) if current else None
        sinces = [part["since"] for row in rows for part in row.components] if there else []
        # Clusters tell whole seconds, and what was well before the revision came ended with it.
        ended = max([began, *sinces], key=datetime.fromisoformat) if began and sinces else None
        taken: JSON = {
            "started_at": began,
            "finished_at": ended,
            "seconds": seconds_of(began, ended, timezone.now()),
        }
        (wave,) = laid_out({}, members, [])
        held = None if done else self.held()
        wave["state"] = WaveState.DONE if done else WaveState.RUNNING
        back = self._left() if current and current.origin else None
        state = RolloutState.DONE if done else RolloutState.RUNNING
        reason = back.end_reason if back else ""
        if held:
            wave["state"], state, reason = WaveState.WAITING, RolloutState.HELD, held.message
        return {
            "state": RolloutState(back.state) if back and not held else state,
            "reason": reason,
            "paused": None,
            **taken,
            "waves": [wave | taken],
        }

    def _left(self) -> Rollout | None:
        """The rollout that the current revision has ended by going back, if it has."""
        return self.rollouts.filter(revision=self.revision - 1, state__in=_ENDED).first()


def _member(row: "AppPlacement") -> Member:
    there = row.revision == row.target
    bad = next((each for each in row.conditions if each["status"] != Status.TRUE), None)
    told = row.phase if there or row.phase != Phase.DEPLOYED else Phase.APPLYING
    return Member(
        cluster=row.cluster.name,
        labels=row.cluster.labels,
        target=row.target,
        healthy=there and row.phase == Phase.DEPLOYED,
        told=f"{told} ({bad['reason']})" if bad else str(told),
    )
