"""What an app does by itself when a new revision fails: it goes back, if it was asked to."""

from enum import StrEnum

from django.core.exceptions import ValidationError
from django.db import models

from delivery.models.staging import Staged
from reconcile.models import Event
from reconcile.refusals import Refusal
from reconcile.values import MANAGER, Phase

_IMPOSSIBLE = "RollbackImpossible"


class OnFailure(StrEnum):
    """What follows when a new revision fails."""

    WAIT = "wait"
    ROLLBACK = "rollback"


class Retreating(Staged):
    """With `on_failure: rollback` a revision that fails makes room for the last healthy one."""

    on_failure = models.CharField(
        max_length=8, choices=[(each, each) for each in OnFailure], default=OnFailure.WAIT
    )

    class Meta:
        abstract = True

    def retreat(self) -> bool:
        """Go back if the current revision has failed somewhere; whether it went.

        One that was healthy once stays: what fails later is no fault of the change. What a cluster
        refuses or nobody can reach has not failed.
        """
        if self.on_failure != OnFailure.ROLLBACK or self.phase != Phase.ERROR:
            return False
        current = self.current_revision()
        if current is None or current.healthy or not (failed := self.failures()):
            return False
        told = "; ".join(map(str, failed))
        message = f"Revision {self.revision} failed on {told}"[:300]
        try:
            if self.rollback(None, by=MANAGER, message=message, at_once=True):
                return True
            why = "it holds what was healthy last."
        except (Refusal, ValidationError) as error:
            why = error.detail if isinstance(error, Refusal) else " ".join(error.messages)
        self._tell_once(f"{message} It stays: {why}")
        return False

    def _tell_once(self, message: str) -> None:
        known = Event.objects.filter(object_uid=self.uid, reason=_IMPOSSIBLE)
        if not known.filter(data__revision=self.revision).exists():
            data = {"revision": self.revision}
            Event.record(self, _IMPOSSIBLE, message, warning=True, data=data)
