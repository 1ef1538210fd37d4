"""A grant on one cluster."""

from collections.abc import Mapping
from typing import ClassVar

from django.db import models

from access.adapters import GRANTS, OWN_PROXY
from access.intents import GrantIntent
from access.models.grant import KubeconfigGrant
from clusters.models import Projected
from reconcile.loop import Adapter, Outcome
from reconcile.models import Lease
from reconcile.models.rows import read
from reconcile.plan import Task
from reconcile.values import Live, Ref
from tenancy.models import ProjectPlacement


class GrantPlacement(Projected):
    """A grant on a cluster.

    `anchor_uid` is the uid of the Secret that the newest token is bound to; `granted` are the
    namespaces that have its bindings.
    """

    grant = models.ForeignKey(KubeconfigGrant, on_delete=models.CASCADE, related_name="placements")
    anchor_uid = models.CharField(max_length=64, blank=True, default="", editable=False)
    granted = models.JSONField(default=list, blank=True, editable=False)

    parent_field: ClassVar[str] = "grant"

    class Meta:
        ordering = ["cluster__name"]
        constraints = [
            models.UniqueConstraint(fields=["grant", "cluster"], name="grant_once_per_cluster")
        ]

    @property
    def stands(self) -> bool:
        """Whether the cluster has everything that the newest token needs."""
        settled = self.observed_generation >= self.grant.generation
        return settled and self.phase == "Deployed" and not self.deleting

    def intent(self) -> GrantIntent:
        """Account, anchor and bindings in the namespaces that stand on this cluster."""
        grant = self.grant
        return GrantIntent(
            name=grant.name,
            anchor=grant.anchor,
            subject=grant.subject.get_username(),
            tenant=grant.tenant.name,
            namespaces=tuple(self.namespaces()),
            verbs=tuple(sorted(grant.allowed())),
        )

    def namespaces(self) -> list[str]:
        """The granted namespaces that exist on this cluster; a tenant's grant follows new ones."""
        grant = self.grant
        read(grant.tenant.projects_key)
        projects = grant.tenant.projects.filter(deletion_requested_at=None)
        if grant.project_id:
            projects = projects.filter(pk=grant.project_id)
        for project in projects:
            read(project.key)
        rows = ProjectPlacement.objects.filter(cluster=self.cluster, project__in=projects)
        found = []
        for row in rows.select_related("project__tenant"):
            read(row.key)
            if row.observed_generation and not row.deleting:
                found.append(row)
        wanted = set(grant.namespaces)
        if wanted:  # named as everywhere, or as an adopted one is called here
            found = [row for row in found if wanted & {row.namespace, row.project.namespace}]
        return sorted(row.namespace for row in found)

    def adapter(self) -> Adapter[GrantIntent]:
        """By how the cluster is registered; KubeNova's own proxy by default."""
        read(self.cluster.key)
        return GRANTS[(self.cluster.access_proxy or {}).get("kind", OWN_PROXY)]

    def record_success(
        self, task: Task, seen: Mapping[Ref, Live], generation: int, lease: Lease
    ) -> Outcome:
        """As for any row; the namespaces that are open now are noted for the proxy."""
        granted = list(task.intent.namespaces) if isinstance(task.intent, GrantIntent) else []
        if granted != self.granted:
            self.granted = granted
            rows = type(self)._default_manager.filter(lease.holds(), pk=self.pk)
            rows.update(granted=granted)
        return super().record_success(task, seen, generation, lease)

    def anchor_at(self, uid: str) -> None:
        """Note which Secret the newest token is bound to."""
        self.anchor_uid = uid
        type(self)._default_manager.filter(pk=self.pk).update(anchor_uid=uid)
