"""The ledger of a tenant's quota: what each project may use of it on each cluster, and uses."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import cache
from typing import Self

from django.db import models
from django.utils import timezone

from reconcile.models.pruning import drop
from reconcile.prepared import Prepared
from reconcile.values import JSON
from tenancy.rules.grants import held_now
from tenancy.rules.ledger import counted, sums, units, written


class QuotaEntry(models.Model):
    """One resource of one project on one cluster; all amounts are Kubernetes quantities.

    `target` is what it is to get, `granted` what its cluster may be told now and `held` the most
    that its cluster may still believe: over a tenant, what is held never exceeds the total.
    `updated_at` is when the target was another one.
    """

    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.CASCADE, related_name="quota_entries"
    )
    project = models.ForeignKey(
        "tenancy.Project", on_delete=models.CASCADE, related_name="quota_entries"
    )
    cluster = models.ForeignKey("clusters.Cluster", on_delete=models.CASCADE, related_name="+")
    resource = models.CharField(max_length=120)
    target = models.CharField(max_length=40)
    granted = models.CharField(max_length=40)
    held = models.CharField(max_length=40)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "quota entries"
        ordering = ["tenant", "resource", "cluster", "project"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "cluster", "resource"], name="quota_entry_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.granted} {self.resource} of {self.project} on {self.cluster.name}"

    def amount(self, column: str) -> int:
        """One of its amounts, in units of the resource."""
        return units(getattr(self, column), self.resource)

    @staticmethod
    def granted_by(rows: "Iterable[QuotaEntry]") -> dict[str, str]:
        """What the entries grant in sum, by resource."""
        known = list(rows)
        found = sums((row.resource, row.amount("granted")) for row in known)
        return {name: written(found[name], name) for name in sorted(found)}

    @classmethod
    def granted_to(cls, project: int, cluster: int) -> dict[str, str]:
        """What a cluster may be told for a project, by resource; both by their keys."""
        return dict(_granted().rows(project=project, cluster=cluster))

    @classmethod
    def held_by(cls, project: int, cluster: int) -> "list[QuotaEntry]":
        """The entries of a project on a cluster, locked until the transaction ends."""
        return _held().rows(project=project, cluster=cluster)

    @classmethod
    def granted_on(cls, tenant: int, cluster: int) -> "list[QuotaEntry]":
        """The entries of a tenant on a cluster."""
        return _on().rows(tenant=tenant, cluster=cluster)

    @classmethod
    def confirm(
        cls, rows: Iterable[Self], told: Mapping[str, str], facts: JSON, *, lowered: bool
    ) -> bool:
        """Note what a cluster may allow, now that it has taken what it was `told`.

        `rows` are locked. Unless `lowered`, nobody is known to allow less than before. Returns
        whether anybody has let go of something.
        """
        released = False
        for row in rows:
            if row.resource not in told:
                continue
            held, before = row.held_after(told[row.resource], facts), row.amount("held")
            if held == before or (held < before and not lowered):
                continue
            released |= held < before
            row.held = written(held, row.resource, declared=row.granted)
            row.save(update_fields=["held"])
        return released

    def held_after(self, told: str, facts: JSON) -> int:
        """What its cluster may allow by what the facts say that it has counted."""
        found = facts.get("quota", {}).get(self.resource, {})
        seen = [counted(found.get(name, "0"), self.resource) for name in ("hard", "used")]
        return held_now(self.amount("granted"), units(told, self.resource), seen)


@cache
def _granted() -> Prepared:
    rows = QuotaEntry.objects.order_by().values_list("resource", "granted")
    return Prepared(
        lambda project, cluster: (rows.filter(project_id=project, cluster_id=cluster), {}),
        project=int,
        cluster=int,
    )


@cache
def _held() -> Prepared:
    rows = QuotaEntry.objects.order_by("pk").select_for_update(of=("self",), no_key=True)
    return Prepared(
        lambda project, cluster: (rows.filter(project_id=project, cluster_id=cluster), {}),
        project=int,
        cluster=int,
    )


@cache
def _on() -> Prepared:
    rows = QuotaEntry.objects.order_by("pk")
    return Prepared(
        lambda tenant, cluster: (rows.filter(tenant_id=tenant, cluster_id=cluster), {}),
        tenant=int,
        cluster=int,
    )


class UsageSample(models.Model):
    """What a tenant used of one resource on one cluster at one time, as the cluster counted it."""

    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.CASCADE, related_name="usage_samples"
    )
    cluster = models.ForeignKey("clusters.Cluster", on_delete=models.CASCADE, related_name="+")
    resource = models.CharField(max_length=120)
    used = models.CharField(max_length=40)
    hard = models.CharField(max_length=40)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "cluster", "resource", "at"], name="usage_sample_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.used} of {self.hard} {self.resource} by {self.tenant} on {self.cluster.name}"

    @classmethod
    def prune(cls, days: int, batch: int = 5000) -> int:
        """Delete up to `batch` samples older than `days`; return how many went."""
        old = cls.objects.filter(at__lt=timezone.now() - timedelta(days=days))
        return drop(old, batch)
