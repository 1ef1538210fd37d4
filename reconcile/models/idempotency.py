"""What was answered to a request that carries an Idempotency-Key."""

from datetime import timedelta
from typing import Self

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import QuerySet
from django.utils import timezone

from reconcile.refusals import InProgress, KeyReused

LIFETIME = timedelta(hours=24)
# A request that has not answered by then died with its process: its key may be taken over.
ABANDONED_AFTER = timedelta(seconds=90)


class IdempotencyQuerySet(QuerySet["IdempotencyRecord"]):
    """Reading and claiming verbs."""

    def expired(self) -> Self:
        """Return the records that nobody can ask for any more."""
        return self.filter(started_at__lt=timezone.now() - LIFETIME)

    def claim(self, *, user_id: int, route: str, key: str, body_hash: str) -> "IdempotencyRecord":
        """Return the record of this request: new and ours to run, or `done` with its answer.

        Raises KeyReused for another body, InProgress while the same request is being worked on.
        """
        which = {"user_id": user_id, "route": route, "key": key}
        self.expired().filter(**which).delete()
        try:
            with transaction.atomic():
                return self.create(**which, body_hash=body_hash)
        except IntegrityError:
            return self.get(**which)._again(body_hash)


class IdempotencyRecord(models.Model):
    """One key of one user on one route. `status` 0: being worked on.

    The answer of a verb that hands out a secret is never kept, only that it ran (`secret`) and for
    which object.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    route = models.CharField(max_length=512)
    key = models.CharField(max_length=255)
    body_hash = models.CharField(max_length=64)
    started_at = models.DateTimeField(default=timezone.now, db_index=True)
    status = models.PositiveSmallIntegerField(default=0)
    secret = models.BooleanField(default=False)
    object_id = models.CharField(max_length=64, blank=True, default="")
    headers = models.JSONField(default=dict)
    body = models.JSONField(null=True)

    objects = IdempotencyQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "route", "key"], name="reconcile_idempotency_unique"
            )
        ]

    def __str__(self) -> str:
        return f"{self.route} {self.key[:40]}"

    @property
    def done(self) -> bool:
        """Whether the request was answered."""
        return self.status != 0

    def finish(self, status: int, headers: dict[str, str], body: object) -> None:
        """Keep the answer."""
        self.status, self.headers, self.body = status, headers, body
        self.save(update_fields=["status", "headers", "body"])

    def finish_secret(self, status: int, object_id: str) -> None:
        """Keep that the request ran, and for which object; never what it answered."""
        self.status, self.secret, self.object_id = status, True, object_id
        self.save(update_fields=["status", "secret", "object_id"])

    def release(self) -> None:
        """Forget a request that failed: the same key may try again."""
        self.delete()

    def _again(self, body_hash: str) -> Self:
        if self.body_hash != body_hash:
            raise KeyReused("Use a new Idempotency-Key for a different request.")
        if not self.done and not self._take_over():
            raise InProgress(
                "It has not been answered yet. Retry in a moment.", headers={"Retry-After": "1"}
            )
        return self

    def _take_over(self) -> bool:
        """Claim the key of a request that died; the row count says who won."""
        now = timezone.now()
        rows = type(self).objects.filter(pk=self.pk, status=0, started_at__lt=now - ABANDONED_AFTER)
        return bool(rows.update(started_at=now))
