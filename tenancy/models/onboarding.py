"""What was asked for together with a tenant, and how far it has come."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from django.db import models
from django.utils import timezone

from reconcile.models.declared import Declared
from reconcile.values import JSON, Phase
from tenancy.models.invitation import Invitation, InvitationState
from tenancy.models.tenant import Tenant


class State(StrEnum):
    """How far one thing has come."""

    DONE = "done"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True)
class Item:
    """One line of the checklist: `step` is its kind, `subject` what it is about."""

    step: str
    subject: str
    state: State
    reason: str = ""


class Part(Protocol):
    """What a part above tenancy lets one ask for together with a tenant, under its own name."""

    name: str

    def items(self, tenant: Tenant, asked: Sequence[JSON]) -> Iterator[Item]:
        """Tell how far it has come."""


PARTS: dict[str, Part] = {}


def contribute(part: Part) -> None:
    """Let `asked` hold what another part prepares; called when that part is ready."""
    PARTS[part.name] = part


class Onboarding(models.Model):
    """The one call that brought a tenant, by the names of its fields; done once all of it was."""

    tenant = models.OneToOneField(Tenant, on_delete=models.CASCADE, related_name="onboarding")
    asked = models.JSONField(default=dict)
    asked_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    done_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"Onboarding of {self.tenant}"

    def checklist(self) -> list[Item]:
        """Tell how far each thing has come, until all was done once; then nothing any more."""
        if self.done_at is not None or self.tenant.deleting:
            return []
        found = [*self._placed(), *self._projects(), *self._people(), *self._others()]
        if all(item.state is State.DONE for item in found):
            type(self).objects.filter(pk=self.pk).update(done_at=timezone.now())
        return found

    def _placed(self) -> Iterator[Item]:
        yield _converged("tenant", self.tenant)

    def _projects(self) -> Iterator[Item]:
        rows = {row.name: row for row in self.tenant.projects.select_related("tenant")}
        for asked in self.asked.get("projects", []):
            row = rows.get(asked["name"])
            yield (
                _converged("project", row) if row else _failed("project", asked["name"], "deleted")
            )
            if row and self.tenant.quota:
                yield _granted(row)

    def _people(self) -> Iterator[Item]:
        tenant = self.tenant
        known = set(tenant.memberships.values_list("user__username", flat=True))
        for asked in self.asked.get("members", []):
            name = asked["username"]
            joined = name in known
            yield _done("member", name) if joined else _failed("member", name, "removed since")
        for asked in self.asked.get("invitations", []):
            rows = Invitation.objects.filter(tenant=tenant, username=asked["username"])
            project = asked.get("project")
            rows = rows.filter(project__name=project) if project else rows.filter(project=None)
            yield _answered(asked["username"], rows.first())

    def _others(self) -> Iterator[Item]:
        for name, part in sorted(PARTS.items()):
            yield from part.items(self.tenant, self.asked.get(name, []))


def _done(step: str, subject: str) -> Item:
    return Item(step, subject, State.DONE)


def _failed(step: str, subject: str, reason: str) -> Item:
    return Item(step, subject, State.FAILED, f"It was {reason}.")


def _converged(step: str, row: Declared) -> Item:
    """What has been as it was declared once stays done, whatever comes later."""
    subject = str(row).partition(" ")[2]
    if row.observed_generation and row.phase != Phase.ERROR:
        return _done(step, subject)
    told: JSON = next((each for each in row.conditions if each["type"] == "Synced"), {})
    state = State.FAILED if row.phase == Phase.ERROR else State.PENDING
    return Item(step, subject, state, told.get("message") or told.get("reason") or "Not looked at.")


def _granted(row: "models.Model") -> Item:
    subject = str(row).partition(" ")[2]
    places = row.placements.count()  # type: ignore[attr-defined]
    counted = len(row.usage())  # type: ignore[attr-defined]
    if places and counted >= places:
        return _done("quota", subject)
    reason = f"{counted} of {places} clusters count it."
    return Item("quota", subject, State.PENDING, reason)


def _answered(name: str, row: Invitation | None) -> Item:
    if row is None:
        return _failed("invitation", name, "removed")
    if row.shown_state == InvitationState.ACCEPTED:
        return _done("invitation", name)
    if row.shown_state == InvitationState.OPEN:
        return Item("invitation", name, State.PENDING, "It is not answered yet.")
    return _failed("invitation", name, row.shown_state.lower())
