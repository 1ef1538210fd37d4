"""Which platform serves a tenant and its projects on a cluster: chosen once, then remembered."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, ClassVar

from clusters.adapters.kubevela import DEPLOYER_RIGHTS
from clusters.models import Capability, Cluster
from clusters.models.chosen import Chosen
from clusters.platforms import KUBEVELA_INSTALLED
from clusters.preflight import Stage
from reconcile.errors import ClusterError
from reconcile.locks import one_writer
from reconcile.loop import Done, Outcome
from reconcile.models import Lease
from reconcile.models.rows import read
from reconcile.plan import Task, stamped
from reconcile.refusals import Unserved
from reconcile.values import Assessment, Health, Live, Plan, Ref
from tenancy.adapters import CAPSULE, CAPSULE_INSTALLED, NATIVE
from tenancy.rules.needs import needs

WARNINGS = "warnings"  # the fact that holds what the cluster warned of, by object
_LONGEST = 500


class Adapted(Chosen):
    """A placement of tenancy. To move it would take namespaces out of one tenant into another."""

    plain: ClassVar[str] = NATIVE
    warned: Mapping[str, Sequence[str]] = MappingProxyType({})  # by the step under way

    class Meta:
        abstract = True

    def likely(self) -> str:
        """Capsule where it is served."""
        return CAPSULE if self.cluster.serves(CAPSULE) else NATIVE

    def needs(self, intent: Any) -> Iterable[str]:
        """Its choice, and what the fields of the intent need."""
        return (*super().needs(intent), *(need.capability for need in needs(intent)))

    @property
    def has_kubevela(self) -> bool:
        """Whether KubeVela is on its cluster, fit or not, and KubeNova may give it an account."""
        there = self.cluster.serves(KUBEVELA_INSTALLED)
        return there and not self.cluster.lacking([DEPLOYER_RIGHTS])

    # --- What the cluster says beside its answers.

    def remember(self, done: Sequence[Done], lease: Lease) -> None:
        """As for any row; what the cluster warned of belongs to what was applied."""
        told = {str(item.step.ref): item.after.warnings if item.after else () for item in done}
        self.warned = {**self.warned, **told}
        super().remember(done, lease)

    def record_failure(self, error: ClusterError, generation: int, lease: Lease) -> Outcome:
        """As for any row; what the waves before the failure were warned of is kept in mind."""
        facts = {**self.facts, WARNINGS: self._warnings()}
        if self.warned and facts != self.facts:
            rows = type(self)._default_manager.filter(lease.holds(), pk=self.pk)
            with one_writer():
                rows.update(facts=facts)
        return super().record_failure(error, generation, lease)

    def _warnings(self) -> dict[str, list[str]]:
        known = {**self.facts.get(WARNINGS, {}), **self.warned}
        return {ref: [*texts] for ref, texts in sorted(known.items()) if texts}

    def _proven(self, found: Assessment) -> Assessment:
        """With the warnings of the last apply of each object, as long as it is as applied then."""
        found = super()._proven(found)
        warnings = self._warnings()
        if not warnings:
            return found
        message = found.message
        if found.health is Health.READY and not message:
            every = sorted({text for texts in warnings.values() for text in texts})
            message = f"The cluster warns: {' '.join(every)}"[:_LONGEST]
        return replace(found, message=message, facts={**found.facts, WARNINGS: warnings})

    # --- Deletion.

    def before_writing(self, task: Task, plan: Plan, seen: Mapping[Ref, Live]) -> None:
        """As for any row; what a platform protects from deletion is released first."""
        super().before_writing(task, plan, seen)
        unlocked = getattr(self.adapter(), "unlocked", None)
        if not (unlocked and task.deleting and plan):
            return
        with self.connect() as cluster:
            for ref, live in seen.items():
                if manifest := unlocked(live):
                    body = stamped(manifest, task.labels, task.correlation_id)
                    cluster.apply(ref, body, uid=live.uid, force=True)

    def features(self) -> frozenset[str]:
        """What its platform offers beyond the least, reading the key of what the cluster can do."""
        read(self.cluster.capabilities_key)
        prefix = f"{self.choice}."
        known = Capability.objects.known(self.cluster)
        return frozenset(
            name.removeprefix(prefix)
            for name, ability in known.items()
            if ability.served and name.startswith(prefix)
        )


def refuse_half_installed(clusters: Sequence[Cluster]) -> None:
    """Raise Unserved for a cluster with a Capsule that is too old or not set up for KubeNova.

    Without any Capsule plain Kubernetes serves; beside a faulty one a tenant would be neither's.
    """
    for cluster in clusters:
        found = {row.name: row for row in cluster.capabilities.filter(name__startswith=CAPSULE)}
        faulty, installed = found.get(CAPSULE), found.get(CAPSULE_INSTALLED)
        if faulty is None or faulty.served or not (installed and installed.served):
            continue
        accepted = cluster.findings.filter(step=Stage.TENANCY).exclude(accepted_at=None)
        if accepted.exists():  # an operator has said why: plain Kubernetes serves beside it
            continue
        able = Cluster.objects.filter(capabilities__name=CAPSULE, capabilities__served=True)
        raise Unserved(
            f"Cluster {cluster.name} takes no new tenants: {faulty.reason}",
            capability=CAPSULE,
            cluster=cluster.name,
            found=faulty.version or "none",
            needed=CAPSULE,
            clusters=sorted(able.values_list("name", flat=True)),
        )
