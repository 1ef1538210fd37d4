"""What happened, for people: past tense, with the values in it, found by correlation id."""

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Self

from django.db import models, transaction
from django.db.models import Count
from django.utils import timezone

from reconcile import metrics
from reconcile.correlation import Asked, asking, correlation_id
from reconcile.inserting import Inserting
from reconcile.models.pruning import drop
from reconcile.values import JSON

if TYPE_CHECKING:
    from reconcile.models.rows import Row

_CROWDED = 100  # objects that one batch looks at


class Event(models.Model):
    """One thing that happened to one object. `tenant` and `cluster` are names, for filters."""

    class Type(models.TextChoices):
        """As the events of Kubernetes have it."""

        NORMAL = "Normal"
        WARNING = "Warning"

    at = models.DateTimeField(default=timezone.now, db_index=True, editable=False)
    kind = models.CharField(max_length=60)
    object_uid = models.UUIDField(db_index=True)
    name = models.CharField(max_length=200)
    tenant = models.CharField(max_length=63, blank=True, default="", db_index=True)
    cluster = models.CharField(max_length=63, blank=True, default="")
    type = models.CharField(max_length=8, choices=Type.choices, default=Type.NORMAL)
    reason = models.CharField(max_length=60)
    message = models.TextField()
    actor = models.CharField(max_length=150, blank=True, default="")
    correlation_id = models.CharField(max_length=64, blank=True, default="", db_index=True)
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"

    @classmethod
    def record(
        cls,
        row: "Row",
        reason: str,
        message: str,
        *,
        warning: bool = False,
        actor: str = "",
        data: JSON | None = None,
    ) -> "Event":
        """Write down what happened to `row`, under the current correlation id.

        The first that a person's request does is preceded by the request itself.
        """
        if actor and (asked := asking()):
            cls._tell_request(row, asked, actor)
        event = cls.about(row, reason, message, warning=warning, actor=actor, data=data)
        return event._insert()

    @classmethod
    def _tell_request(cls, row: "Row", asked: Asked, actor: str) -> None:
        """Tell of the request once; a transaction that was undone has taken it along."""
        told = cls.objects.filter(pk=asked.event, correlation_id=correlation_id())
        if asked.event is not None and told.exists():
            return
        data = {"method": asked.method, "path": asked.path}
        message = f"{actor} asked: {asked.method} {asked.path}."
        asked.event = cls.about(row, "Requested", message, actor=actor, data=data)._insert().pk

    @classmethod
    def about(
        cls,
        row: "Row",
        reason: str,
        message: str,
        *,
        warning: bool = False,
        actor: str = "",
        data: JSON | None = None,
    ) -> Self:
        """Return an event of `row` that is not written yet; it happened now."""
        return cls(
            kind=row._meta.model_name or "",
            object_uid=row.uid,
            name=str(row)[:200],
            tenant=row.tenant_name,
            cluster=row.cluster_name,
            type=cls.Type.WARNING if warning else cls.Type.NORMAL,
            reason=reason,
            message=message,
            actor=actor[:150],
            correlation_id=correlation_id(),
            data=data or {},
        )

    @classmethod
    def keep(cls, events: "Sequence[Self]") -> None:
        """Write events down and count them; they are not told their keys."""
        for event in events:
            event._count()
        _keeping().insert(events)

    def _insert(self) -> Self:
        self._count()
        self.save(force_insert=True)
        return self

    def _count(self) -> None:
        """It is counted once it is true: a plan undoes what it rehearses."""
        counter = metrics.EVENTS.labels(kind=self.kind, reason=self.reason)
        transaction.on_commit(counter.inc)

    @classmethod
    def prune(cls, days: int, batch: int = 5000) -> int:
        """Delete up to `batch` events older than `days`; return how many went."""
        old = cls.objects.filter(at__lt=timezone.now() - timedelta(days=days))
        return drop(old, batch)

    @classmethod
    def thin_out(cls, most: int, batch: int = 5000) -> int:
        """Delete up to `batch` of the oldest events of objects with more than `most`."""
        counted = cls.objects.order_by().values("object_uid").annotate(count=Count("pk"))
        crowded = counted.filter(count__gt=most).values_list("object_uid", flat=True)
        keys: list[int] = []
        for uid in crowded[:_CROWDED]:
            newest_first = cls.objects.filter(object_uid=uid).order_by("-pk")
            keys += newest_first.values_list("pk", flat=True)[most : most + batch - len(keys)]
            if len(keys) >= batch:
                break
        return cls.objects.filter(pk__in=keys).delete()[0]


@cache
def _keeping() -> Inserting:
    return Inserting(Event)
