"""The part of an attachment that is about exceptions from its rules."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.utils import timezone

from policies.models.exception import PolicyException
from policies.rules.binding import Attached
from reconcile.models import Event, marking, touch
from reconcile.models.declared import Declared
from reconcile.refusals import Fault, Invalid

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


class Sparing(Declared):
    """Spares tenants and projects single kinds of its rules, each with a reason and an end."""

    if TYPE_CHECKING:
        exceptions: RelatedManager[PolicyException]

    class Meta:
        abstract = True

    @property
    def attached(self) -> Attached:
        """The part that binding is resolved with."""
        raise NotImplementedError

    def make_exception(
        self, by: str, *, tenant: str, project: str, kind: str, reason: str, expires_at: datetime
    ) -> PolicyException:
        """Spare a tenant, or one of its projects, one kind of its rules until then.

        Raises Invalid.
        """
        row = PolicyException(
            **{"attachment": self, "tenant": tenant, "project": project, "kind": kind},
            reason=reason,
            author=by,
            expires_at=expires_at,
        )
        self._refuse_exception(row)
        with marking():
            row.save()
            message = f"{by} made an exception from {kind} for {row.subject}: {reason}"
            data = {"tenant": tenant, "project": project, "kind": kind}
            data["expires_at"] = expires_at.isoformat()
            Event.record(self, "ExceptionMade", message, actor=by, data=data)
            touch(self.key)
        return row

    def end_exception(self, row: PolicyException, by: str) -> None:
        """Let the rule hold again."""
        with marking():
            row.delete()
            Event.record(self, "ExceptionEnded", f"{by} ended the {row}.", actor=by)
            touch(self.key)

    def _refuse_exception(self, row: PolicyException) -> None:
        faults = []
        if row.kind not in self.attached.rules:
            faults.append(Fault("unknown", "The set has no rule of this kind.", "/kind"))
        if row.expires_at <= timezone.now():
            faults.append(Fault("past", "This has to be in the future.", "/expires_at"))
        faults += row.bind()
        if not 3 <= len(row.reason.strip()) <= 300:
            faults.append(Fault("reason", "Say why, in 3 to 300 characters.", "/reason"))
        if faults:
            raise Invalid("Parts of the request are wrong.", errors=faults)
