"""An object that a step has applied, on a cluster."""

from collections.abc import Iterable
from typing import ClassVar

from django.db import models

from clusters.models import Projected
from delivery.adapters.objects import ObjectIntent, Objects
from delivery.models.project_object import ProjectObject
from reconcile.loop import Adapter
from reconcile.models.rows import read
from reconcile.values import RepairMode

_RIGHTS = "baseline.4"  # by this one KubeNova writes each of the kinds in projects


class ObjectPlacement(Projected):
    """An object on a cluster."""

    applied = models.ForeignKey(ProjectObject, on_delete=models.CASCADE, related_name="placements")

    parent_field: ClassVar[str] = "applied"

    class Meta:
        ordering = ["cluster__name"]
        constraints = [
            models.UniqueConstraint(fields=["applied", "cluster"], name="object_once_per_cluster")
        ]

    @property
    def repair_mode(self) -> RepairMode:
        """Its tenant's."""
        tenant = self.applied.project.tenant
        read(tenant.key)
        return RepairMode(tenant.repair_mode)

    def intent(self) -> ObjectIntent:
        """What is wanted here, for the namespace of the project."""
        project = self.applied.project
        home = project.placements.filter(cluster=self.cluster_id).first()
        return ObjectIntent(
            tenant=project.tenant.name,
            project=project.name,
            namespace=home.namespace if home else project.namespace,
            body=self.applied.body_on(self.cluster.name),
        )

    def adapter(self) -> Adapter[ObjectIntent]:
        """Plain Kubernetes."""
        return Objects()

    @property
    def adapter_name(self) -> str:
        """Always the same."""
        return Objects.name

    def needs(self, intent: ObjectIntent) -> Iterable[str]:
        """The right to write such objects."""
        return (_RIGHTS,)
