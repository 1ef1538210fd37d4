"""What we applied, object by object: the memory that makes rest cost nothing."""

from collections.abc import Iterable
from typing import Self

from django.db import models
from django.db.models import QuerySet

from reconcile.inserting import Inserting
from reconcile.models.work import Work
from reconcile.prepared import Prepared
from reconcile.values import CORRELATION, Kind, Live, Recorded, Ref, Step

UNEXAMINED = ""  # no object has this fingerprint: it differs


class AppliedObjectQuerySet(QuerySet["AppliedObject"]):
    """Reading verbs."""

    def at(self, ref: Ref) -> "AppliedObjectQuerySet":
        """The record of one object."""
        return self.filter(
            api_version=ref.kind.api_version,
            kind=ref.kind.name,
            namespace=ref.namespace,
            name=ref.name,
        )


class AppliedObject(models.Model):
    """An object on a cluster that we own; `live_fp` and `status_fp` are as last seen."""

    work = models.ForeignKey(Work, on_delete=models.CASCADE, related_name="applied")
    api_version = models.CharField(max_length=100)
    kind = models.CharField(max_length=63)
    plural = models.CharField(max_length=63)
    namespaced = models.BooleanField()
    namespace = models.CharField(max_length=63, blank=True, default="")
    name = models.CharField(max_length=253)
    uid = models.CharField(max_length=64)
    wanted_hash = models.CharField(max_length=32)
    applied_fp = models.CharField(max_length=32)
    live_fp = models.CharField(max_length=32)
    status_fp = models.CharField(max_length=32)
    correlation_id = models.CharField(max_length=64, blank=True, default="")

    objects = AppliedObjectQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["work", "api_version", "kind", "namespace", "name"], name="applied_once"
            ),
        ]
        # What a watcher has seen is looked up by where it is, among the objects of all rows.
        indexes = [
            models.Index(
                fields=["api_version", "kind", "namespace", "name"], name="applied_by_place"
            ),
        ]

    def __str__(self) -> str:
        return str(self.ref)

    @property
    def ref(self) -> Ref:
        """Which object."""
        kind = Kind(self.api_version, self.kind, self.plural, self.namespaced)
        return Ref(kind, self.namespace, self.name)

    @property
    def value(self) -> Recorded:
        """The part that the loop plans with."""
        told = (self.correlation_id, self.live_fp, self.status_fp)
        return Recorded(self.ref, self.uid, self.wanted_hash, self.applied_fp, *told)

    @classmethod
    def recorded(cls, kind: str, object_id: int) -> dict[Ref, Recorded]:
        """Return the records of a row as values, by object; `kind` is its model label."""
        found: list[AppliedObject] = _RECORDED.rows(kind=kind, object_id=object_id)
        return {row.ref: row.value for row in found}

    @classmethod
    def of(cls, work: Work, ref: Ref) -> Self:
        """An unsaved record for `ref`."""
        return cls(
            work=work,
            api_version=ref.kind.api_version,
            kind=ref.kind.name,
            plural=ref.kind.plural,
            namespaced=ref.kind.namespaced,
            namespace=ref.namespace,
            name=ref.name,
        )

    @classmethod
    def after(cls, work: Work, step: Step, live: Live) -> Self:
        """An unsaved record of an apply that was answered with `live`."""
        row = cls.of(work, step.ref)
        row.uid, row.wanted_hash = live.uid, step.wanted_hash
        row.applied_fp = UNEXAMINED if step.partial else live.fp
        row.live_fp = live.fp
        row.status_fp = live.status_fp
        annotations = step.manifest["metadata"].get("annotations", {})
        row.correlation_id = annotations.get(CORRELATION, "")
        return row

    @classmethod
    def keep(cls, rows: Iterable[Self]) -> None:
        """Insert or overwrite the records."""
        _KEEPING.insert(rows)


_KEEPING = Inserting(
    AppliedObject,
    unique=("work", "api_version", "kind", "namespace", "name"),
    over=("uid", "wanted_hash", "applied_fp", "live_fp", "status_fp", "correlation_id"),
)
_RECORDED = Prepared(
    lambda kind, object_id: (
        AppliedObject.objects.filter(work__kind=kind, work__object_id=object_id),
        {},
    ),
    kind=str,
    object_id=int,
)
