"""Findings: what a policy set that only warns or audits has let pass, and since when."""

import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Self

from django.contrib.auth.models import AnonymousUser, User
from django.db import models, transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from policies.models.attachment import Attachment
from policies.models.policyset import PolicySet, governs
from policies.models.simulation import Simulation, SimulationFinding, Verdict
from reconcile.models.pruning import drop
from reconcile.values import digest
from tenancy.models import Project, Tenant
from tenancy.rules.modes import ADVISORY, Mode

_BATCH = 500
_SEEN_AGAIN = ("mode", "version", "message", "last_seen", "resolved_at")


class FindingQuerySet(QuerySet["Finding"]):
    """Reading verbs, and what looking around does."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """All for who writes policy sets; members see those of their tenants and projects."""
        if not user.is_active:
            return self.none()
        if governs(user):
            return self
        tenants = Tenant.objects.visible_to(user).order_by().values("pk")
        projects = Project.objects.visible_to(user).order_by().values("pk")
        return self.filter(Q(tenant__in=tenants) | Q(project__in=projects))

    def open(self) -> Self:
        """Those that are still so."""
        return self.filter(resolved_at=None)

    def counted(self) -> dict[str, int]:
        """Return how many are `open`, and how many there were in `total`."""
        return self.aggregate(open=Count("pk", filter=Q(resolved_at=None)), total=Count("pk"))

    def by_set_and_mode(self) -> dict[tuple[str, str], int]:
        """Return how many are open by the name of the set and the mode; 0 is told as well."""
        named = {*self.values_list("policyset_name", flat=True).order_by().distinct()}
        named |= {*PolicySet.objects.order_by().values_list("name", flat=True)}
        known = {(name, mode.value): 0 for name in sorted(named) for mode in ADVISORY}
        rows = self.open().order_by().values_list("policyset_name", "mode")
        return known | {(name, mode): count for name, mode, count in rows.annotate(Count("pk"))}

    # --- What a look around has found.

    def harvest(self, looked: Simulation) -> None:
        """Take over what a routine has found; what it has not found again is resolved."""
        rows = Attachment.objects.standing().filter(mode__in=ADVISORY)
        found = rows.filter(policy_set=looked.policy_set_id, name=looked.attachment).first()
        now = timezone.now()
        if found:
            self._take(found, looked, now)
            self._resolve(found, looked, now)
        with transaction.atomic():
            looked.findings.all().delete()
            Simulation.objects.filter(pk=looked.pk).update(harvested_at=now)

    def _take(self, attachment: Attachment, looked: Simulation, now: datetime) -> None:
        rows = looked.findings.exclude(verdict=Verdict.UNJUDGED).order_by("pk")
        for keys in _parts(rows.values_list("pk", flat=True)):
            made = [*_made(attachment, looked.number, rows.filter(pk__in=keys), now)]
            self.bulk_create(
                made, update_conflicts=True, unique_fields=["key"], update_fields=[*_SEEN_AGAIN]
            )

    def _resolve(self, attachment: Attachment, looked: Simulation, now: datetime) -> None:
        """What could not be looked at or judged this time stays as it was."""
        faulty = looked.runs.exclude(fault="").values("cluster__name")
        stale = self.open().filter(attachment=attachment, last_seen__lt=now)
        stale = stale.exclude(cluster__in=faulty)
        unjudged = looked.findings.filter(verdict=Verdict.UNJUDGED).order_by()
        kept = {*unjudged.values_list("cluster", "namespace", "kind", "name")}
        gone = [
            pk
            for pk, cluster, namespace, kind, name in stale.values_list(
                "pk", "cluster", "namespace", "kind", "name"
            )
            if not kept & _places(cluster, namespace, kind, name)
        ]
        for keys in _parts(gone):
            self.filter(pk__in=keys).update(resolved_at=now)

    def release_of(self, attachment: Attachment) -> int:
        """Resolve what an attachment let pass that binds nobody by now."""
        return self.open().filter(attachment=attachment).update(resolved_at=timezone.now())

    def release(self) -> int:
        """Resolve what is let pass no more: its attachment refuses by now, or is gone."""
        standing = Attachment.objects.standing().filter(mode__in=ADVISORY).order_by().values("pk")
        rows = self.open().filter(Q(attachment=None) | ~Q(attachment__in=standing))
        return rows.update(resolved_at=timezone.now())

    def prune(self, days: int, batch: int = 1000) -> int:
        """Delete up to `batch` that were resolved more than `days` ago; return how many went."""
        limit = timezone.now() - timedelta(days=days)
        return drop(self.filter(resolved_at__lt=limit), batch)


class Finding(models.Model):
    """An object that breaks a rule of an attachment that lets it pass.

    It outlives its set and attachment, and the object: `resolved_at` says since when it is over.
    `key` is what it is known again by.
    """

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    key = models.CharField(max_length=64, unique=True, editable=False)
    policy_set = models.ForeignKey(
        PolicySet, null=True, on_delete=models.SET_NULL, related_name="findings"
    )
    attachment = models.ForeignKey(
        Attachment, null=True, on_delete=models.SET_NULL, related_name="findings"
    )
    policyset_name = models.CharField(max_length=63)
    attachment_name = models.CharField(max_length=63)
    version = models.PositiveIntegerField()
    mode = models.CharField(max_length=7, choices=[(mode, mode) for mode in Mode])
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="policy_findings")
    project = models.ForeignKey(
        Project, null=True, on_delete=models.CASCADE, related_name="policy_findings"
    )
    cluster = models.CharField(max_length=63, blank=True, default="")
    namespace = models.CharField(max_length=63, blank=True, default="")
    kind = models.CharField(max_length=63)
    name = models.CharField(max_length=253)
    rule = models.CharField(max_length=63)
    message = models.CharField(max_length=1000)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True, db_index=True)

    objects = FindingQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.kind} {self.name} breaks {self.rule} of {self.policyset_name}"


def _parts(keys: Iterable[int]) -> Iterator[list[int]]:
    """Yield keys in parts, so that no statement holds the database for long."""
    found = list(keys)
    return (found[begin : begin + _BATCH] for begin in range(0, len(found), _BATCH))


def _made(
    attachment: Attachment, version: int, found: Iterable[SimulationFinding], now: datetime
) -> Iterator[Finding]:
    """Yield the rows; what belongs to nobody any more is passed over."""
    rows = list(found)
    names = {row.tenant for row in rows}
    tenants = {row.name: row for row in Tenant.objects.filter(name__in=names)}
    inside = Project.objects.filter(tenant__in=tenants.values()).select_related("tenant")
    projects = {(row.tenant.name, row.name): row for row in inside}
    for row in rows:
        tenant, project = tenants.get(row.tenant), projects.get((row.tenant, row.project))
        if tenant is None or (row.project and project is None):
            continue
        place = (row.cluster, row.namespace, row.kind, row.name, row.rule)
        yield Finding(
            key=digest([str(attachment.uid), str(tenant.uid), row.project, *place]),
            policy_set=attachment.policy_set,
            attachment=attachment,
            policyset_name=attachment.policy_set.name,
            attachment_name=attachment.name,
            **{"version": version, "mode": attachment.mode, "tenant": tenant, "project": project},
            **{"cluster": row.cluster, "namespace": row.namespace, "kind": row.kind},
            **{"name": row.name, "rule": row.rule, "message": row.message},
            **{"first_seen": now, "last_seen": now, "resolved_at": None},
        )


def _places(cluster: str, namespace: str, kind: str, name: str) -> set[tuple[str, str, str, str]]:
    """By which an object is not judged: itself, or its namespace as a whole."""
    return {(cluster, namespace, kind, name), (cluster, namespace, "Namespace", namespace)}
