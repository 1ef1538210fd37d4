"""The deletions that nobody asked for by name, counted per cluster."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import QuerySet
from django.db.models.functions import Now

from reconcile.guard import Bounds, Doomed
from reconcile.models.applied import AppliedObject

_CONFIRMED_SECONDS = 24 * 3600.0  # so long a confirmed deletion may take


class InferredDeletionQuerySet(QuerySet["InferredDeletion"]):
    """Reading and writing verbs."""

    def on(self, cluster_id: int) -> Self:
        """Those of one cluster."""
        return self.filter(cluster_id=cluster_id)

    def waiting(self) -> Self:
        """Those that an operator is asked about."""
        return self.filter(state=InferredDeletion.State.WAITING)

    def let_through(
        self, cluster_id: int, going: Iterable[Doomed], coming: Iterable[Doomed], bounds: Bounds
    ) -> bool:
        """Note the deletions of one plan; False when they would be too many: then all of them wait.

        What is `coming` is known to follow: it waits along before the first object has gone. An
        object counts once, however often its deletion is tried; what an operator has confirmed
        counts no more. The caller holds a lock on the cluster's row.
        """
        states = InferredDeletion.State
        self.on(cluster_id)._forget(states.COUNTED, bounds.seconds)
        self.on(cluster_id)._forget(states.CONFIRMED, _CONFIRMED_SECONDS)
        known = dict(self.on(cluster_id).values_list("uid", "state"))
        asked = {each.uid: each for each in going if known.get(each.uid) in {None, states.WAITING}}
        if not asked:
            return True
        all_ = asked | {each.uid: each for each in coming if each.uid not in known}
        counted = sum(state == states.COUNTED for state in known.values())
        objects = AppliedObject.objects.filter(work__cluster_id=cluster_id).count()
        waiting = states.WAITING in known.values()
        free = not waiting and counted + len(all_) <= bounds.most(objects)
        if free:
            self._note(cluster_id, asked.values(), states.COUNTED)
        else:
            self._note(cluster_id, all_.values(), states.WAITING)
        return free

    def _forget(self, state: str, seconds: float) -> None:
        since = Now() - timedelta(seconds=seconds)
        self.filter(state=state, noted_at__lt=since).delete()

    def _note(self, cluster_id: int, doomed: Iterable[Doomed], state: str) -> None:
        rows = [
            InferredDeletion(
                cluster_id=cluster_id,
                uid=each.uid,
                object=each.object,
                row=each.row[:200],
                state=state,
            )
            for each in doomed
        ]
        self.bulk_create(rows, ignore_conflicts=True)

    def confirm(self, cluster_id: int) -> int:
        """Let those go that wait, and begin to count anew; return how many waited."""
        states = InferredDeletion.State
        self.on(cluster_id).filter(state=states.COUNTED).delete()
        return self.on(cluster_id).waiting().update(state=states.CONFIRMED, noted_at=Now())


class InferredDeletion(models.Model):
    """The deletion of one object that follows from a change and that nobody asked for by name.

    Pruning an object that is wanted no more, and leaving a cluster that is selected no more.
    """

    class State(models.TextChoices):
        """Whether it may be done."""

        COUNTED = "counted"
        WAITING = "waiting"
        CONFIRMED = "confirmed"

    cluster_id = models.BigIntegerField()
    uid = models.CharField(max_length=64)
    object = models.CharField(max_length=400)
    row = models.CharField(max_length=200)
    state = models.CharField(max_length=9, choices=State.choices)
    noted_at = models.DateTimeField(db_default=Now())

    objects = InferredDeletionQuerySet.as_manager()

    class Meta:
        ordering = ["object"]
        constraints = [
            models.UniqueConstraint(fields=["cluster_id", "uid"], name="inferred_deletion_once"),
        ]

    def __str__(self) -> str:
        return self.object
