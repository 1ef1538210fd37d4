"""Where clusters differ from what is wanted of them, field by field, and for how long."""

import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from reconcile.models.decidable import Decidable
from reconcile.models.decisions import Decision, above
from reconcile.models.pruning import drop
from reconcile.models.work import Work, marking
from reconcile.omission import Known
from reconcile.values import Kind, Ref

if TYPE_CHECKING:
    from reconcile.models.converging import Converging


# A field that is set back this often within this time is managed by somebody else: each further
# repair waits twice as long, up to an hour.
_FIGHT = 5
_FIGHT_WITHIN = timedelta(minutes=10)
_TRUCE = timedelta(minutes=1)
_LONGEST_TRUCE = timedelta(hours=1)


class DriftQuerySet(QuerySet["Drift"]):
    """Reading verbs."""

    def open(self) -> Self:
        """What differs now."""
        return self.filter(resolution="")

    def of(self, work: Work) -> Self:
        """That of one row."""
        return self.filter(work=work)

    def at(self, ref: Ref) -> Self:
        """That of one object."""
        return self.filter(
            api_version=ref.kind.api_version,
            object_kind=ref.kind.name,
            namespace=ref.namespace,
            object_name=ref.name,
        )


class Drift(Decidable, models.Model):
    """One field of one object that differs or differed; an empty `path` means the whole object.

    `wanted` and `found` are values as JSON, None where there is none; Secrets are masked before
    they come here. Names of the row, its parent, tenant and cluster are kept for filters.
    """

    class Class(models.TextChoices):
        """Who or what has changed it, as far as the API server tells."""

        HUMAN = "human"
        AUTOSCALER = "autoscaler"
        CONTROLLER = "controller"
        MISSING = "missing"
        EXTRA = "extra"
        UNKNOWN = "unknown"

    class Resolution(models.TextChoices):
        """How it ended; empty while it is open."""

        REPAIRED = "repaired"
        ACCEPTED = "accepted"
        IGNORED = "ignored"
        GONE = "gone"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    work = models.ForeignKey(Work, on_delete=models.CASCADE, related_name="drift")
    row = models.CharField(max_length=200)
    parent_kind = models.CharField(max_length=60)
    parent_uid = models.UUIDField(db_index=True)
    tenant = models.CharField(max_length=63, blank=True, default="", db_index=True)
    cluster = models.CharField(max_length=63, blank=True, default="")

    api_version = models.CharField(max_length=100)
    object_kind = models.CharField(max_length=63)
    plural = models.CharField(max_length=63)
    namespaced = models.BooleanField()
    namespace = models.CharField(max_length=63, blank=True, default="")
    object_name = models.CharField(max_length=253)
    object_uid = models.CharField(max_length=64, blank=True, default="")

    path = models.CharField(max_length=1000, blank=True, default="")
    wanted = models.JSONField(null=True, blank=True)
    found = models.JSONField(null=True, blank=True)
    drift_class = models.CharField(max_length=12, choices=Class.choices, default=Class.UNKNOWN)
    actor = models.CharField(max_length=150, blank=True, default="")
    first_seen = models.DateTimeField(default=timezone.now, db_index=True)
    last_seen = models.DateTimeField(default=timezone.now)
    times = models.PositiveIntegerField(default=1)
    repairs = models.JSONField(default=list, blank=True, editable=False)
    correlation_id = models.CharField(max_length=64, blank=True, default="")

    repair_requested_by = models.CharField(max_length=150, blank=True, default="")
    resolution = models.CharField(
        max_length=10, choices=Resolution.choices, blank=True, default="", db_index=True
    )
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.CharField(max_length=150, blank=True, default="")

    objects = DriftQuerySet.as_manager()

    class Meta:
        ordering = ["-first_seen", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["work", "api_version", "object_kind", "namespace", "object_name", "path"],
                condition=Q(resolution=""),
                name="drift_open_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.ref}{self.path and ' ' + self.path}"

    @property
    def ref(self) -> Ref:
        """Which object."""
        kind = Kind(self.api_version, self.object_kind, self.plural, self.namespaced)
        return Ref(kind, self.namespace, self.object_name)

    @property
    def whole(self) -> bool:
        """Whether it is about the object as a whole: missing or extra."""
        return not self.path

    @property
    def contested_until(self) -> datetime | None:
        """Until when it is left as it is because another manager undoes each repair."""
        recent = [moment for text in self.repairs if (moment := parse_datetime(text))]
        if len(recent) < _FIGHT or recent[-1] - recent[-_FIGHT] > _FIGHT_WITHIN:
            return None
        truce = _TRUCE * 2 ** min(max(self.times - _FIGHT, 0), 6)
        until: datetime = recent[-1] + min(truce, _LONGEST_TRUCE)
        return until

    @property
    def seconds_left(self) -> float | None:
        """For how long it is still left as it is; None when it is not contested."""
        until = self.contested_until
        left = (until - timezone.now()).total_seconds() if until else 0.0
        return left if left > 0 else None

    @property
    def known(self) -> Known:
        """What the loop plans with."""
        contested = self.seconds_left is not None
        return Known(self.path, bool(self.repair_requested_by), contested)

    def note_repair(self) -> None:
        """Count a repair of it, now; not saved yet."""
        self.repairs = [*self.repairs, timezone.now().isoformat()][-_FIGHT:]

    def settle(self, resolution: str, by: str) -> None:
        """Close it as resolved, or open it again with an empty `resolution`; not saved yet."""
        self.resolution, self.resolved_by = resolution, by
        self.resolved_at = timezone.now() if resolution else None
        if resolution:
            self.repair_requested_by = ""

    @classmethod
    def about(cls, row: "Converging", work: Work, ref: Ref) -> Self:
        """An unsaved record about an object of `row`."""
        return cls(
            work=work,
            row=str(row)[:200],
            parent_kind=row.parent.label,
            parent_uid=row.parent.uid,
            tenant=row.tenant_name,
            cluster=row.cluster_name,
            api_version=ref.kind.api_version,
            object_kind=ref.kind.name,
            plural=ref.kind.plural,
            namespaced=ref.kind.namespaced,
            namespace=ref.namespace,
            object_name=ref.name,
        )

    @classmethod
    def extra(cls, row: "Converging", work: Work, ref: Ref, uid: str, actor: str = "") -> None:
        """Note an object that carries our owner label though we never made it; idempotent.

        One that people chose to ignore is overlooked.
        """
        rows = cls.objects.open().of(work).at(ref).filter(path="", drift_class=cls.Class.EXTRA)
        if rows.update(last_seen=timezone.now(), object_uid=uid):
            return
        decisions = Decision.objects.on(*above(row.parent)).standing().at(row.cluster_name)
        if decisions.ignoring(ref):
            return
        drift = cls.about(row, work, ref)
        drift.object_uid, drift.actor, drift.drift_class = uid, actor, cls.Class.EXTRA
        drift.found = str(ref)
        with marking() as marks:
            drift.save(force_insert=True)
            marks.mark(Work.objects.filter(pk=work.pk), by_the_way=True)

    @classmethod
    def extra_gone(cls, work: Work, ref: Ref) -> int:
        """Close what was noted of an extra object that is there no more; return how many."""
        rows = cls.objects.open().of(work).at(ref).filter(drift_class=cls.Class.EXTRA)
        with marking() as marks:
            if gone := cls.close(rows, cls.Resolution.GONE):
                marks.mark(Work.objects.filter(pk=work.pk), by_the_way=True)
        return gone

    @classmethod
    def close(cls, rows: "QuerySet[Drift]", resolution: str, by: str = "") -> int:
        """Close open records; return how many."""
        return rows.filter(resolution="").update(
            resolution=resolution, resolved_at=timezone.now(), resolved_by=by[:150]
        )

    @classmethod
    def prune(cls, days: int, batch: int = 5000) -> int:
        """Delete up to `batch` records that were closed so many days ago; return how many went."""
        old = cls.objects.filter(resolved_at__lt=timezone.now() - timedelta(days=days))
        return drop(old, batch)
