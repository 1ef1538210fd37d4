"""The audit log: who did, or tried to do, what. Written once, never changed."""

from collections.abc import Iterable
from datetime import timedelta
from typing import ClassVar, Self

from django.contrib.auth.models import AnonymousUser, User
from django.db import models
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from reconcile.correlation import correlation_id
from reconcile.models.pruning import drop
from tenancy.intents import Role
from tenancy.models import Tenant

_NOBODYS_ROWS = 20  # per peer and source
_NOBODYS_MINUTE = timedelta(minutes=1)


class AuditQuerySet(QuerySet["AuditRecord"]):
    """Reading verbs."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Tenant-admins read all of their tenants, everybody their own, operators everything."""
        if not user.is_active:
            return self.none()
        if user.is_staff:
            return self
        led = Tenant.objects.filter(memberships__user=user, memberships__role=Role.ADMIN)
        return self.filter(Q(actor=user.get_username()) | Q(tenant__in=led.values("name")))


class AuditRecord(models.Model):
    """One request that wrote something or was denied, one sign-in, or one call of the proxy.

    `actor` is a user name, empty for nobody in particular; `tenant`, `cluster` and `grant` are
    names, as they were then. `more` counts what followed, was alike and has no record of its own.
    """

    class Source(models.TextChoices):
        """Which door it came through."""

        API = "api"
        PAGE = "page"
        PROXY = "proxy"
        SIGN_IN = "sign-in"

    at = models.DateTimeField(default=timezone.now, db_index=True)
    source = models.CharField(max_length=8, choices=Source.choices)
    actor = models.CharField(max_length=150, blank=True, default="", db_index=True)
    verb = models.CharField(max_length=40)
    resource = models.CharField(max_length=120, blank=True, default="")
    namespace = models.CharField(max_length=63, blank=True, default="")
    name = models.CharField(max_length=253, blank=True, default="")
    status = models.PositiveSmallIntegerField()
    tenant = models.CharField(max_length=63, blank=True, default="", db_index=True)
    cluster = models.CharField(max_length=63, blank=True, default="")
    grant = models.CharField(max_length=40, blank=True, default="", db_index=True)
    peer = models.CharField(max_length=45, blank=True, default="")
    correlation_id = models.CharField(max_length=64, blank=True, default="", db_index=True)
    more = models.PositiveIntegerField(default=0)

    objects = AuditQuerySet.as_manager()

    texts: ClassVar[tuple[str, ...]] = (
        "actor",
        "verb",
        "resource",
        "namespace",
        "name",
        "tenant",
        "cluster",
        "grant",
        "peer",
        "correlation_id",
    )

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["peer", "at"], condition=Q(actor=""), name="audit_of_nobody")
        ]

    def __str__(self) -> str:
        return f"{self.actor or 'nobody'} {self.verb} {self.resource} {self.name}: {self.status}"

    @classmethod
    def of(cls, source: str, verb: str, status: int, **texts: str) -> "AuditRecord":
        """Return a record that is not saved; texts are cut to what their columns hold."""
        texts.setdefault("correlation_id", correlation_id())
        fitting = {name: cls._fit(name, text) for name, text in {"verb": verb, **texts}.items()}
        return cls(source=source, status=status, **fitting)

    @classmethod
    def note(cls, source: str, verb: str, status: int, **texts: str) -> "AuditRecord":
        """Write down one thing that happened: `texts` are the columns named in `texts`."""
        record = cls.of(source, verb, status, **texts)
        record.save(force_insert=True)
        return record

    @classmethod
    def note_nobody(cls, source: str, verb: str, status: int, **texts: str) -> None:
        """Write down what nobody in particular did: so much a minute per peer, the rest counted."""
        record = cls.of(source, verb, status, **texts)
        since = timezone.now() - _NOBODYS_MINUTE
        recent = cls.objects.filter(actor="", source=source, peer=record.peer, at__gt=since)
        keys = list(recent.order_by("-pk").values_list("pk", flat=True)[:_NOBODYS_ROWS])
        if len(keys) < _NOBODYS_ROWS:
            record.save(force_insert=True)
        else:
            cls.objects.filter(pk=keys[0]).update(more=F("more") + 1)

    @classmethod
    def note_all(cls, records: Iterable[Self]) -> None:
        """Write down many at once."""
        cls.objects.bulk_create(records, batch_size=500)

    @classmethod
    def prune(cls, days: int, batch: int = 5000) -> int:
        """Delete up to `batch` records older than `days`; return how many went."""
        old = cls.objects.filter(at__lt=timezone.now() - timedelta(days=days))
        return drop(old, batch)

    @classmethod
    def _fit(cls, name: str, text: str) -> str:
        longest = cls._meta.get_field(name).max_length  # type: ignore[union-attr]
        return text.replace("\x00", "")[:longest]
