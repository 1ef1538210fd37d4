"""Plans that somebody was shown: kept for a day, so that a refusal can say what has moved."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import QuerySet
from django.utils import timezone

from reconcile.models.pruning import drop
from reconcile.planning.footing import Footing

LIFETIME = timedelta(hours=24)


class PlanQuerySet(QuerySet["PlanRecord"]):
    """Reading verbs."""

    def expired(self) -> Self:
        """Return those that nobody can refer to any more."""
        return self.filter(planned_at__lt=timezone.now() - LIFETIME)

    def shown_to(self, username: str, plan_hash: str) -> "PlanRecord | None":
        """Return the plan that this person was shown; another's names what they may not see."""
        return self.filter(hash=plan_hash, planned_by=username).first()


class PlanRecord(models.Model):
    """What one plan stood on, row by row (`Footing.as_json`): no manifests, so no secrets."""

    hash = models.CharField(max_length=32)
    planned_by = models.CharField(max_length=150)
    planned_at = models.DateTimeField(default=timezone.now, db_index=True)
    rows = models.JSONField(default=list)

    objects = PlanQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["hash", "planned_by"], name="plan_once_per_person")
        ]

    def __str__(self) -> str:
        return self.hash

    @property
    def footings(self) -> list[Footing]:
        """What it stood on."""
        return [Footing.read(row) for row in self.rows]

    @classmethod
    def keep(cls, plan_hash: str, username: str, footings: Iterable[Footing]) -> None:
        """Remember what somebody was shown; the same plan again lives on."""
        rows = [footing.as_json() for footing in footings]
        cls.objects.update_or_create(
            hash=plan_hash,
            planned_by=username,
            defaults={"planned_at": timezone.now(), "rows": rows},
        )

    @classmethod
    def prune(cls, batch: int = 5000) -> int:
        """Delete up to `batch` that are expired; return how many went."""
        return drop(cls.objects.expired(), batch)
