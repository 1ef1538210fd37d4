"""Who watches which cluster, and what was found there that belongs to nothing known."""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Self

from django.contrib.auth.models import AnonymousUser, User
from django.db import models
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from clusters.models.cluster import Cluster
from reconcile.models.pruning import drop
from reconcile.values import Kind, Ref

_FORGOTTEN_AFTER = timedelta(hours=1)
_NEVER = datetime.fromtimestamp(0, tz=timezone.get_default_timezone())


class Watcher(models.Model):
    """A process that watches clusters; alive until `until`. `holder` is host and pid, for people.

    Times are the database's, so that skewed machines agree (threat F23).
    """

    token = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    holder = models.CharField(max_length=200)
    until = models.DateTimeField()

    class Meta:
        ordering = ["holder"]

    def __str__(self) -> str:
        return self.holder

    @classmethod
    def living(cls) -> "QuerySet[Watcher]":
        """Those that renewed in time."""
        return cls.objects.filter(until__gt=Now())

    @classmethod
    def stay(cls, token: uuid.UUID, holder: str, seconds: float) -> None:
        """Be counted for another so many seconds; those long dead are forgotten."""
        until = Now() + timedelta(seconds=seconds)
        if not cls.objects.filter(token=token).update(until=until):
            cls.objects.create(token=token, holder=holder, until=until)
            cls.objects.filter(until__lt=Now() - _FORGOTTEN_AFTER).delete()

    @classmethod
    def leave(cls, token: uuid.UUID) -> None:
        """Be counted no more, and give every lease back."""
        WatchLease.objects.held(token).let_go()
        cls.objects.filter(token=token).delete()


class WatchLeaseQuerySet(QuerySet["WatchLease"]):
    """Reading and writing verbs."""

    def held(self, token: uuid.UUID) -> Self:
        """What one watcher holds; a lease that ran out is held by nobody."""
        return self.filter(token=token, until__gt=Now())

    def standing(self) -> Self:
        """What anybody holds."""
        return self.filter(until__gt=Now())

    def renew(self, seconds: float) -> int:
        """Hold them for another so many seconds; return how many."""
        return self.update(until=Now() + timedelta(seconds=seconds))

    def let_go(self) -> int:
        """Leave them to others at once."""
        return self.update(until=Now(), token=None)

    def take(self, cluster_pk: int, token: uuid.UUID, holder: str, seconds: float) -> bool:
        """Take one that nobody holds; False when another watcher was faster."""
        until = Now() + timedelta(seconds=seconds)
        free = self.filter(cluster_id=cluster_pk, until__lte=Now())
        return bool(free.update(token=token, holder=holder, until=until, taken_at=Now()))

    def offer(self, cluster_pks: Iterable[int]) -> None:
        """Make the rows of new clusters, held by nobody."""
        known = set(self.values_list("cluster_id", flat=True))
        new = [WatchLease(cluster_id=pk, until=_NEVER) for pk in set(cluster_pks) - known]
        if new:
            self.bulk_create(new, ignore_conflicts=True)


class WatchLease(models.Model):
    """The right to watch one cluster for a while. Two watchers at once do no harm, only work."""

    cluster = models.OneToOneField(Cluster, on_delete=models.CASCADE, related_name="watch_lease")
    token = models.UUIDField(null=True, blank=True, editable=False)
    holder = models.CharField(max_length=200, blank=True, default="")
    until = models.DateTimeField()
    taken_at = models.DateTimeField(null=True, blank=True)

    objects = WatchLeaseQuerySet.as_manager()

    class Meta:
        ordering = ["cluster__name"]

    def __str__(self) -> str:
        return f"Watch of {self.cluster.name}"


class OrphanQuerySet(QuerySet["Orphan"]):
    """Reading and writing verbs."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Whoever sees the cluster sees what lies around there."""
        return self.filter(cluster__in=Cluster.objects.visible_to(user))

    def there(self) -> Self:
        """Those that were not seen gone."""
        return self.filter(gone_at=None)

    def of_kind(self, cluster_pk: int, kind: Kind) -> Self:
        """Those of one kind on one cluster."""
        names = {"api_version": kind.api_version, "kind": kind.name}
        return self.filter(cluster_id=cluster_pk, **names)

    def note(self, cluster_pk: int, ref: Ref, uid: str, owner: str) -> bool:
        """Note that an orphan is there; True when it is news."""
        rows = self.filter(cluster_id=cluster_pk, uid=uid)
        if rows.there().update(last_seen=Now(), owner=owner):
            return False
        if rows.update(last_seen=Now(), owner=owner, gone_at=None):
            return True
        self.create(
            cluster_id=cluster_pk,
            api_version=ref.kind.api_version,
            kind=ref.kind.name,
            plural=ref.kind.plural,
            namespaced=ref.kind.namespaced,
            namespace=ref.namespace,
            name=ref.name,
            uid=uid,
            owner=owner,
        )
        return True

    def close(self, cluster_pk: int, ref: Ref) -> int:
        """Note that what lay there is gone, or has an owner again; return how many."""
        rows = self.there().of_kind(cluster_pk, ref.kind)
        return rows.filter(namespace=ref.namespace, name=ref.name).update(gone_at=Now())

    def prune(self, days: int, batch: int = 5000) -> int:
        """Delete up to `batch` that went more than `days` ago; return how many."""
        old = self.filter(gone_at__lt=timezone.now() - timedelta(days=days))
        return drop(old, batch)


class Orphan(models.Model):
    """An object that carries KubeNova's label and an owner that is not known.

    Reported, never removed by itself: its row may have been lost with a database.
    """

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="orphans")
    api_version = models.CharField(max_length=100)
    kind = models.CharField(max_length=63)
    plural = models.CharField(max_length=63)
    namespaced = models.BooleanField()
    namespace = models.CharField(max_length=63, blank=True, default="")
    name = models.CharField(max_length=253)
    uid = models.CharField(max_length=64)
    owner = models.CharField(max_length=63, blank=True, default="")
    first_seen = models.DateTimeField(default=timezone.now)
    last_seen = models.DateTimeField(default=timezone.now)
    gone_at = models.DateTimeField(null=True, blank=True)

    objects = OrphanQuerySet.as_manager()

    class Meta:
        ordering = ["cluster", "kind", "namespace", "name"]
        constraints = [models.UniqueConstraint(fields=["cluster", "uid"], name="orphan_once")]
        indexes = [
            models.Index(fields=["cluster"], condition=Q(gone_at=None), name="orphans_there")
        ]

    def __str__(self) -> str:
        return str(self.ref)

    @property
    def ref(self) -> Ref:
        """Which object."""
        kind = Kind(self.api_version, self.kind, self.plural, self.namespaced)
        return Ref(kind, self.namespace, self.name)
