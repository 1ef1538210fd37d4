"""An object that a step has applied, on a cluster."""

from collections.abc import Iterable
from typing import ClassVar

from django.db import models

from clusters.adapters.kubevela import RUN_RIGHTS
from clusters.models import Projected
from delivery.adapters.engine import EngineSteps
from delivery.adapters.objects import ObjectIntent, Objects
from delivery.models.project_object import ProjectObject
from delivery.models.serving import step_needs
from reconcile.loop import Adapter
from reconcile.models import AppliedObject
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
        """Its tenant's; what the engine carries out is never done again unasked, but shown."""
        if self.applied.by_engine:
            return RepairMode.MANUAL
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
            made=self.applied.by_engine and self._is_made(),
        )

    def _is_made(self) -> bool:
        """Whether what is wanted was written here before."""
        body = self.applied.body_on(self.cluster.name)
        known = AppliedObject.recorded(self.label, self.pk)
        return body is not None and body["metadata"]["name"] in {ref.name for ref in known}

    def adapter(self) -> Adapter[ObjectIntent]:
        """Plain Kubernetes, or KubeVela's engine."""
        return EngineSteps() if self.applied.by_engine else Objects()

    @property
    def adapter_name(self) -> str:
        """That of what it is."""
        return self.adapter().name

    def needs(self, intent: ObjectIntent) -> Iterable[str]:
        """The right to write such objects; before an engine gets a step, what that takes."""
        if not self.applied.by_engine:
            return (_RIGHTS,)
        if intent.made or intent.body is None:
            return (RUN_RIGHTS,)
        (step,) = intent.body["spec"]["workflowSpec"]["steps"]
        return tuple(step_needs(step["type"]))
