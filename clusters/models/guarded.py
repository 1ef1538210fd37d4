"""What is asked before a cluster is written to: the one we know? are we behind? too much?"""

import uuid
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from django.conf import settings
from django.db.models.functions import Now

from clusters.epoch import identity, proofs, read_epoch, write_epoch
from clusters.models.confirmable import Confirmable
from reconcile.cluster import Cluster
from reconcile.errors import Conflict, Held
from reconcile.guard import Bounds, Doomed, Epoch, Reason
from reconcile.models import AppliedObject, Drift, InferredDeletion, marking
from reconcile.values import JSON, Step

Open = Callable[[], AbstractContextManager[Cluster]]
_IDENTITY_SECONDS = 1.0  # so long a process believes that the cluster is still the same
_NO_EPOCH: JSON = {"epoch": 0, "epoch_stamp": "", "epoch_at": None}


class Guarded(Confirmable):
    """A cluster that is asked before anything is written."""

    class Meta:
        abstract = True

    def before_writes(self, connect: Open) -> None:
        """Make sure that it is the cluster we know and that no later database writes to it.

        A process tells the cluster that writes begin before its first one, and all of them together
        do again after each CLUSTER_EPOCH_SECONDS. Raises Held, or what the cluster fails with.
        """
        lately = self._read_guard()
        self._stop()
        proof = proofs.of(self.pk)
        told = lately and proof.epoch == self.stamped and proof.age < settings.CLUSTER_EPOCH_SECONDS
        if told and proof.identity_age < _IDENTITY_SECONDS:
            return
        with connect() as api:
            self.identify(identity(api))
            self._stop()
            if not told:
                self._begin_once(api, begins=not lately or proof.epoch == Epoch())
        proofs.keep(self.pk, self.stamped, proof.moment if told else None)

    def _stop(self) -> None:
        if self.stopped:
            raise Held(self.stopped)

    def _begin_once(self, api: Cluster, *, begins: bool) -> None:
        """Begin, or take over what another process of ours has begun at the same moment."""
        try:
            self._begin(api, begins=begins)
        except Conflict:
            self._begin(api, begins=not self._read_guard())

    def _begin(self, api: Cluster, *, begins: bool) -> None:
        """Have the cluster hold our epoch, a new one where it `begins`."""
        theirs, before = read_epoch(api)
        self._compare(theirs)
        self._stop()
        if begins:
            self._count(theirs)
        if theirs != self.stamped:
            write_epoch(api, self.stamped, before)

    def identify(self, uid: str) -> None:
        """Hold the cluster when it is another than the one we know (threat F29).

        The one that an operator has confirmed takes its place.
        """
        known, facts = self.kube_system_uid, self.report_only_facts
        held = self.report_only == Reason.IDENTITY
        if not known or (uid == known and not held and not facts):
            return
        if held or (uid != known != "" and not self._succeeds(uid)):
            self.hold(Reason.IDENTITY, uid=uid)
        elif "confirmed" in facts:
            self._take_for(uid)

    def _succeeds(self, uid: str) -> bool:
        """Whether it was confirmed, and is registered under no other name."""
        others = type(self)._default_manager.filter(kube_system_uid=uid).exclude(pk=self.pk)
        return self.report_only_facts.get("confirmed") == uid and not others.exists()

    def _take_for(self, uid: str) -> None:
        """Take it for the cluster; nothing that is known of another one before is true of it."""
        changes: JSON = {"report_only_facts": {}}
        with marking():
            type(self).locked().get(pk=self.pk)
            if uid != self.kube_system_uid:
                AppliedObject.objects.filter(work__cluster_id=self.pk).delete()
                drift = Drift.objects.open().filter(work__cluster_id=self.pk)
                Drift.close(drift, Drift.Resolution.GONE)
                InferredDeletion.objects.on(self.pk).delete()
                self.begin_anew()
                changes |= {"kube_system_uid": uid, **_NO_EPOCH}
            self._row().update(**changes)
        self._read_guard()

    def check_epoch(self, api: Cluster) -> Epoch:
        """Look, writing nothing, whether a later database has written; return what is there."""
        theirs, _ = read_epoch(api)
        self._compare(theirs)
        if theirs != self.stamped:
            proofs.drop(self.pk)
        return theirs

    def _compare(self, theirs: Epoch) -> None:
        """Hold the cluster when we are behind; one that we never wrote to has no claim on us."""
        if not self.stamped.is_behind(theirs):
            return
        self._read_guard()  # another worker of ours may have begun meanwhile
        if self.epoch and self.stamped.is_behind(theirs):
            unknown = self.report_only_facts.get("unknown", [])
            self.hold(Reason.EPOCH, epoch=theirs.number, stamp=theirs.stamp, unknown=unknown)

    def _count(self, theirs: Epoch) -> None:
        """Begin a new epoch, in the database first: it never knows less than the cluster."""
        number = max(self.epoch, theirs.number) + 1
        rows = self._row().filter(epoch=self.epoch, epoch_stamp=self.epoch_stamp)
        rows.update(epoch=number, epoch_stamp=uuid.uuid4().hex, epoch_at=Now())
        self._read_guard()

    def before_deletions(self, row: str, steps: Iterable[Step]) -> None:
        """Count deletions that nobody asked for by name (threat F30). Raises Held for too many."""
        going = [Doomed(step.uid, str(step.ref), row) for step in steps]
        if not going:
            return
        bounds = Bounds(
            settings.GUARD_DELETIONS, settings.GUARD_PERCENT, settings.GUARD_WINDOW_SECONDS
        )
        with marking():
            type(self).locked().get(pk=self.pk)
            if InferredDeletion.objects.let_through(self.pk, going, self.doomed(), bounds):
                return
            self.hold(Reason.DELETIONS)
        raise Held(self._said(Reason.DELETIONS))

    def begin_anew(self) -> None:
        """Own nothing of what the cluster before has, so that it can be registered beside it."""
        raise NotImplementedError(f"{self.label} has nothing placed on it")

    def doomed(self) -> list[Doomed]:
        """What will go from it because rows on it are going that nobody asked to delete."""
        raise NotImplementedError(f"{self.label} has nothing placed on it")
