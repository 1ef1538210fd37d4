"""The part of an app that keeps a new revision back while rollouts are frozen.

Windows are rules of the tenant or of policy sets. What is declared in one is a revision like any
other; no cluster gets it before the last window has closed, or somebody has broken the glass.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import models
from django.utils import timezone

from delivery.models.revised import Revised
from delivery.models.revision import Revision
from reconcile.loop import Outcome
from reconcile.models import Event, Lease
from reconcile.refusals import Conflicting
from reconcile.values import JSON, Condition, Status
from tenancy.rules.freezing import Freeze
from tenancy.rules.modes import ADVISORY, Mode

if TYPE_CHECKING:
    from tenancy.models import Project

BREAK_GLASS = "break_glass"
FROZEN = "Frozen"
CORDONED = "Cordoned"
_TOLD = {Mode.WARN: "FreezeWarned", Mode.AUDIT: "FreezeNoted"}


class RevisionThaw(models.Model):
    """Why a revision may come to clusters though rollouts are frozen, and who said so."""

    revision = models.OneToOneField(Revision, on_delete=models.CASCADE, related_name="thaw")
    by = models.CharField(max_length=150)
    reason = models.CharField(max_length=300)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.revision} was let through by {self.by}"


@dataclass(frozen=True)
class Obstacle:
    """What keeps revisions from clusters now; without `until`, until somebody takes it away."""

    reason: str
    message: str
    until: datetime | None = None

    @property
    def left(self) -> float | None:
        """In how many seconds it ends by itself, and a little more."""
        if self.until is None:
            return None
        return max(0.0, (self.until - timezone.now()).total_seconds()) + 0.1


class Freezing(Revised):
    """While a window is open, or the tenant is cordoned, no cluster gets what is new to it."""

    looks_in: float | None = None  # seconds, as the step under way has found

    if TYPE_CHECKING:
        project: models.ForeignKey[Project, Project]

    class Meta:
        abstract = True

    # --- What keeps it back.

    def obstacle(self) -> Obstacle | None:
        """What keeps the current revision from clusters that do not run it yet."""
        tenant = self.project.tenant
        if tenant.cordoned:
            text = f"{tenant} is cordoned: no more clusters get this revision until that is over."
            return Obstacle(CORDONED, text)
        found = self._frozen(Mode.ENFORCE)
        if found is None or self._thawed():
            return None
        return Obstacle(FROZEN, f"{found}", found.until)

    def held(self) -> Obstacle | None:
        """What keeps the current revision back; None as well where nobody has to be told of it."""
        if self.deleting or not (found := self.obstacle()):
            return None
        return found if self._is_news() else None

    def _frozen(self, mode: Mode) -> Freeze | None:
        return self.project.frozen(mode, timezone.now())

    def advised(self) -> Freeze | None:
        """The window in which people are only warned, if one is open."""
        return self._frozen(Mode.WARN)

    def _thawed(self) -> bool:
        rows = RevisionThaw.objects.filter(revision__app=self.pk)
        return rows.filter(revision__number=self.revision).exists()

    def _is_news(self) -> bool:
        """Whether some cluster runs, or is to run, something else by now; or none runs anything."""
        column: tuple[str, ...] = ("target",)
        numbers = self.placements_of().exclude(**{"target": 0}).order_by().values(*column)
        rows = self.revisions.filter(number__in=numbers)
        known = set(rows.order_by().values_list("spec_hash", flat=True))
        current = self.current_revision()
        return current is None or known != {current.spec_hash}

    # --- What it keeps back.

    def aim_joined(self) -> None:
        """Let clusters run the current revision as far as they may by now."""
        self.retarget_unless_held()

    def retarget(self) -> None:
        """Let every cluster run the current revision, unless it is held."""
        self.retarget_unless_held()

    def retarget_unless_held(self) -> None:
        """Let every cluster run the current revision; while it is held, what ran until then."""
        if not (found := self.held()):
            self.aim(self.revision)
            return
        self.look_again(found.left)
        if base := self.standing_revision():
            self.aim(base, only=0)

    def look_again(self, seconds: float | None) -> None:
        """Have the step under way look again by then at the latest."""
        looks = [each for each in (self.looks_in, seconds) if each is not None]
        self.looks_in = min(looks, default=None)

    def step(self, lease: Lease) -> Outcome:
        """As for any declared row; it looks again when a wave has soaked, or a window closes."""
        self.looks_in = None
        outcome = super().step(lease)
        self.look_again(outcome.look_in)
        return Outcome(self.looks_in)

    def record(
        self, lease: Lease | None, synced: Condition, ready: Condition, **status: Any
    ) -> bool:
        """As for any row; what is only to be warned of is told where all is well."""
        if ready.status == Status.TRUE and (found := self.advised()):
            self.look_again(Obstacle(FROZEN, "", found.until).left)
            current = self.current_revision()
            if current and current.created_at >= found.since:
                ready = Condition("Ready", Status.TRUE, ready.reason, f"Warning: {found}")
        return super().record(lease, synced, ready, **status)

    # --- Who comes through, and what is told.

    def revise(self, by: str) -> None:
        """As for any revision; one that leads back by itself is not kept back."""
        super().revise(by)
        if self.change.at_once and self._frozen(Mode.ENFORCE):
            self._thaw(by, self.change.message)
        elif found := self.held():
            self.tell_held(found)
        for mode in ADVISORY:
            if freeze := self._frozen(mode):
                warning = mode is Mode.WARN
                text = f"Revision {self.revision} of {self} came in a freeze. {freeze}"
                data = {**self._told_of(freeze), "mode": mode.value}
                Event.record(self, _TOLD[mode], text, actor=by, warning=warning, data=data)

    def tell_held(self, found: Obstacle) -> None:
        """Write down that no more clusters get the current revision."""
        text = f"Revision {self.revision} of {self} is kept back. {found.message}"
        Event.record(self, "RolloutHeld", text, data={"revision": self.revision})

    def _told_of(self, found: Freeze) -> JSON:
        until = found.until.isoformat()
        return {"revision": self.revision, "policy_set": found.policy_set, "until": until}

    def _thaw(self, by: str, reason: str) -> None:
        row = self.revisions.get(number=self.revision)
        RevisionThaw.objects.create(revision=row, by=by, reason=reason or "It leads back.")

    def break_glass(self, *, by: str, reason: str) -> None:
        """Let the current revision come to its clusters in spite of a freeze.

        Whoever calls it holds the row. Raises Conflicting where no freeze keeps it back, or a
        cordon does.
        """
        found, freeze = self.held(), self._frozen(Mode.ENFORCE)
        if found and found.reason == CORDONED:
            raise Conflicting(f"{found.message} An operator lifts it: set `cordoned` to false.")
        if found is None or freeze is None:
            raise Conflicting(f"Revision {self.revision} of {self} is not kept back by a freeze.")
        self._thaw(by, reason)
        message = f"{by} let revision {self.revision} of {self} through: {reason} {freeze}"
        data = {**self._told_of(freeze), "why": reason}
        Event.record(self, "GlassBroken", message, actor=by, warning=True, data=data)
