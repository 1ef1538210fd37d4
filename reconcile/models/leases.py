"""The right to work on a row for a while, by the database's clock (threats F5, F23)."""

import time
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.db.models import Exists, QuerySet
from django.db.models.functions import Now

from reconcile.errors import Stale
from reconcile.locks import one_writer
from reconcile.prepared import Prepared

if TYPE_CHECKING:
    from reconcile.models.work import Work


_FREE: dict[str, Any] = {"lease_token": None, "lease_until": None, "attempts": 0}


def held(pk: int, token: uuid.UUID) -> "QuerySet[Work]":
    """The work row, as long as the lease on it is the one of the token."""
    rows: QuerySet[Work] = apps.get_model("reconcile.work")._default_manager.all()
    return rows.filter(pk=pk, lease_token=token)


_HELD = Prepared(
    lambda pk, token: (held(pk, token).select_for_update(no_key=True).values_list("pk"), {}),
    pk=int,
    token=uuid.UUID,
)
_DUE_IN = Prepared(
    lambda pk, token, marks, failures, look_in: (
        held(pk, token).filter(marks=marks),
        {"due_at": Now() + look_in, "failures": failures, **_FREE},
    ),
    pk=int,
    token=uuid.UUID,
    marks=int,
    failures=int,
    look_in=timedelta,
)
_AT_REST = Prepared(
    lambda pk, token, marks, failures: (
        held(pk, token).filter(marks=marks),
        {"due_at": None, "failures": failures, **_FREE},
    ),
    pk=int,
    token=uuid.UUID,
    marks=int,
    failures=int,
)


class Lease:
    """The right to work on a row for a while. A holder whose time is up writes nothing."""

    def __init__(self, work: "Work", began: float) -> None:
        """`began` is the monotonic time before the claim: the lease never ends later than told."""
        self.work = work
        self.token: uuid.UUID = work.lease_token or uuid.uuid4()
        self._deadline = began + settings.LEASE_SECONDS
        self._released = False

    @property
    def mine(self) -> "QuerySet[Work]":
        """The work row, as long as the lease on it is ours."""
        return held(self.work.pk, self.token)

    def holds(self) -> Exists:
        """A condition for UPDATEs of other tables: true only while the lease is ours."""
        return Exists(self.mine)

    def hold(self) -> None:
        """Keep the lease ours until the transaction ends. Raises Stale when it is lost already."""
        if not _HELD.exists(pk=self.work.pk, token=self.token):
            raise Stale("The lease was lost.")

    def check(self) -> None:
        """Raise Stale when too little time is left to begin a wave of writes."""
        if time.monotonic() > self._deadline - settings.LEASE_SECONDS / 5:
            raise Stale("The lease ran out.")

    def renew(self) -> bool:
        """Extend the lease; False when it was lost meanwhile."""
        began = time.monotonic()
        until = Now() + timedelta(seconds=settings.LEASE_SECONDS)
        if not self.mine.filter(lease_until__gt=Now()).update(lease_until=until):
            return False
        self._deadline = began + settings.LEASE_SECONDS
        return True

    def release(self, look_in: float | None, failures: int = 0) -> None:
        """Give the row back, due in `look_in` seconds (None: at rest) or now if it was marked.

        What was given back in the transaction that ended the step is not given back again.
        """
        if self._released:
            return
        with one_writer():
            self._release(look_in, failures)
        self._released = True

    def _release(self, look_in: float | None, failures: int) -> None:
        pk, token = self.work.pk, self.token
        given = {"marks": self.work.marks, "failures": failures}
        if look_in is None:
            done = _AT_REST.update(pk=pk, token=token, **given)
        else:
            later = timedelta(seconds=look_in)
            done = _DUE_IN.update(pk=pk, token=token, look_in=later, **given)
        if not done:
            self.mine.update(due_at=Now(), failures=0, **_FREE)

    def crash(self, traceback: str) -> bool:
        """Record that the step failed by a defect; True when the row is now quarantined.

        Who changed what is wanted during the step has revived the row: it is due at once.
        """
        crashed = {"traceback": traceback, "lease_token": None, "lease_until": None}
        if self.mine.filter(attempts=0).update(due_at=Now(), **crashed):
            return False
        poisoned = self.work.attempts >= settings.QUARANTINE_ATTEMPTS
        later = Now() + timedelta(seconds=2 ** min(self.work.attempts, 8))
        quarantined = Now() if poisoned else None
        rows = self.mine.update(due_at=later, quarantined_at=quarantined, **crashed)
        return poisoned and bool(rows)
