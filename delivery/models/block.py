"""Revisions that are not to come back: what a rollback left, until somebody lifts it."""

from typing import TYPE_CHECKING

from django.db import models

from delivery.models.revision import Revision
from reconcile.models import Event
from reconcile.models.declared import Declared
from reconcile.refusals import Conflicting, Fault
from reconcile.values import JSON

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


class RevisionBlock(models.Model):
    """Why a revision is not to come back, and who said so."""

    revision = models.OneToOneField(Revision, on_delete=models.CASCADE, related_name="block")
    by = models.CharField(max_length=150)
    reason = models.CharField(max_length=300)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.revision} is blocked by {self.by}"


class Blocking(Declared):
    """The part of an app that keeps blocked revisions away, whoever asks for them and how.

    They are known by what they hold: a script that declares the same once more is refused too.
    """

    if TYPE_CHECKING:
        revision: models.PositiveIntegerField[int, int]
        revisions: RelatedManager[Revision]

    class Meta:
        abstract = True

    def block(self, revision: Revision, *, by: str, reason: str) -> bool:
        """Let a revision not come back; False when it is blocked already.

        Raises Conflicting for one that holds what is wanted now.
        """
        current = self.revisions.get(number=self.revision)
        if current.spec_hash == revision.spec_hash:
            raise Conflicting(f"Revision {revision.number} is what is wanted now. Change it first.")
        if RevisionBlock.objects.filter(revision=revision).exists():
            return False
        RevisionBlock.objects.create(revision=revision, by=by, reason=reason)
        self._tell_of("RevisionBlocked", revision, f"blocked by {by}: {reason}", by)
        return True

    def unblock(self, revision: Revision, *, by: str, reason: str = "") -> bool:
        """Let a revision come back again; False when it was not blocked."""
        deleted, _ = RevisionBlock.objects.filter(revision=revision).delete()
        if deleted:
            why = f": {reason}" if reason else "."
            self._tell_of("RevisionUnblocked", revision, f"no longer blocked, by {by}{why}", by)
        return bool(deleted)

    def refuse_blocked(self, spec_hash: str) -> None:
        """Raise Conflicting for what a blocked revision holds."""
        blocks = RevisionBlock.objects.filter(revision__in=self.revisions.order_by())
        found = blocks.filter(revision__spec_hash=spec_hash).select_related("revision").first()
        if found is None:
            return
        number = found.revision.number
        text = (
            f"This is what revision {number} holds, which {found.by} blocked ({found.reason}). "
            f"Lift that first: POST …/apps/{self.name}/revisions/{number}:unblock."  # type: ignore[attr-defined]
        )
        raise Conflicting(text, errors=[Fault("blocked", f"Revision {number} is blocked.")])

    def _tell_of(self, reason: str, revision: Revision, what: str, by: str) -> None:
        data: JSON = {"revision": revision.number}
        message = f"Revision {revision.number} of {self} is {what}"
        Event.record(self, reason, message, actor=by, data=data)
