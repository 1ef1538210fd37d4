"""A secret on a cluster."""

from collections.abc import Collection, Iterable, Mapping
from typing import ClassVar

from django.db import models

from clusters.models import Projected
from delivery.adapters.secrets import SecretIntent, Secrets
from delivery.models.secret import ProjectSecret
from reconcile.loop import Adapter, Outcome
from reconcile.models import Lease, marking, touch
from reconcile.models.rows import read
from reconcile.plan import Task
from reconcile.values import Live, Ref, RepairMode
from tenancy.models import Project

_RIGHTS = "baseline.4"  # the first one by which KubeNova may write Secrets in projects


class SecretPlacement(Projected):
    """A secret on a cluster; `version` is the one that is there, 0 for none."""

    secret = models.ForeignKey(ProjectSecret, on_delete=models.CASCADE, related_name="placements")
    version = models.PositiveIntegerField(default=0, editable=False)

    parent_field: ClassVar[str] = "secret"

    class Meta:
        ordering = ["cluster__name"]
        constraints = [
            models.UniqueConstraint(fields=["secret", "cluster"], name="secret_once_per_cluster")
        ]

    @property
    def repair_mode(self) -> RepairMode:
        """Its tenant's."""
        read(self.secret.project.tenant.key)
        return RepairMode(self.secret.project.tenant.repair_mode)

    @property
    def namespace(self) -> str:
        """The namespace of its project on this cluster."""
        home = self.secret.project.placements.filter(cluster=self.cluster_id).first()
        return home.namespace if home else self.secret.project.namespace

    def intent(self) -> SecretIntent:
        """The values, for the namespace of the project. Raises SealError."""
        secret = self.secret
        return SecretIntent(
            tenant=secret.project.tenant.name,
            project=secret.project.name,
            name=secret.name,
            namespace=self.namespace,
            version=secret.version,
            values=secret.reveal(),
        )

    def adapter(self) -> Adapter[SecretIntent]:
        """Plain Kubernetes; Secrets are listed nowhere but in this namespace."""
        return Secrets(self.namespace)

    @property
    def adapter_name(self) -> str:
        """Always the same."""
        return Secrets.name

    def needs(self, intent: SecretIntent) -> Iterable[str]:
        """The right to write Secrets."""
        return (_RIGHTS,)

    def record_success(
        self, task: Task, seen: Mapping[Ref, Live], generation: int, lease: Lease
    ) -> Outcome:
        """As for any row; apps that use it learn which version is there."""
        with marking(lease):
            version = task.intent.version if isinstance(task.intent, SecretIntent) else 0
            if version != self.version and not task.drift.held:
                self.version = version
                rows = SecretPlacement.objects.filter(lease.holds(), pk=self.pk)
                if rows.update(version=version):
                    touch(self.key)
            return super().record_success(task, seen, generation, lease)


def versions_on(cluster: int, project: Project, names: Collection[str]) -> dict[str, int]:
    """Return the versions of secrets that a cluster has, by their names, reading their keys."""
    if not names:
        return {}
    found = {}
    for secret in project.secrets.filter(name__in=names):
        read(secret.key)
        for row in secret.placements.filter(cluster=cluster):
            read(row.key)
            found[secret.name] = row.version
    return {name: version for name, version in found.items() if version}
