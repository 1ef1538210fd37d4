"""How what operators publish comes to a cluster and leaves it: by a run, as an administrator.

KubeNova's own account may neither write nor delete it, so the credential is an operator's. A run
carries both: what is to be there, and what is to go.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from django.db import models, transaction

from clusters.bundles import bundle
from clusters.models.bootstrap import BootstrapRun
from clusters.models.bundling import Asked, apply_bundle
from clusters.models.cluster import Cluster
from clusters.models.published import Published, Sent
from reconcile.refusals import Conflicting, Fault, Invalid
from reconcile.values import JSON, Live, Phase


@dataclass(frozen=True)
class Carrying:
    """What goes to a cluster, all of one sort; `asked` says with whose credential, and by whom."""

    rows: Sequence[Published]
    asked: Asked

    @classmethod
    def of(cls, rows: Sequence[Published], asked: Asked, namespace: str) -> "Carrying":
        """Put rows into the bundle that is asked for; those that go, where they are.

        Raises Invalid where nothing is left.
        """
        there = asked.cluster.pk
        found = [
            row
            for row in rows
            if not row.deleting or row.publications.filter(cluster=there).exists()
        ]
        if not found:
            text = "What is being deleted is not on this cluster."
            fault = Fault("unknown", text, f"/{rows[0].noun}")
            raise Invalid("Parts of the request are wrong.", errors=[fault])
        raw = bundle(each for row in found for each in row.manifests)
        return cls(found, replace(asked, step=rows[0].step, raw=raw, namespace=namespace))

    def publish(self) -> BootstrapRun:
        """Have them applied by the loop. Raises Invalid without a credential, Conflicting."""
        cluster = self.asked.cluster
        with transaction.atomic():
            Cluster.locked().get(pk=cluster.pk)
            runs = BootstrapRun.objects.filter(cluster=cluster, step_name=self.asked.step)
            self._refuse_meeting(runs.first())
            run = apply_bundle(self.asked)
            for row in self.rows:
                values: JSON = {"version": row.version, "run_generation": run.generation}
                values |= {"there": False, "mark": "", "asked_by": self.asked.by}
                row.publications.update_or_create(cluster=cluster, defaults=values)
        return run

    def _refuse_meeting(self, before: BootstrapRun | None) -> None:
        """Raise Conflicting while the last run is bringing others."""
        if before is None or before.finished_at or before.phase == Phase.ERROR:
            return
        if self._others(_carried_by(before, self.rows[0].publications.model)):
            raise Conflicting(
                f"Other {self.rows[0].noun} are on their way to {before.cluster}. "
                "Wait until they are there, or name those as well."
            )

    def _others(self, mine: "models.QuerySet[Sent]") -> bool:
        return not {row.published.pk for row in mine} <= {row.pk for row in self.rows}


def _carried_by(run: BootstrapRun, model: type[Sent]) -> "models.QuerySet[Sent]":
    wanted = {"cluster": run.cluster_id, "run_generation": run.generation}  # columns of heirs
    return model._default_manager.filter(**wanted)


def arrived(model: type[Sent]) -> Callable[[BootstrapRun, Sequence[Live]], None]:
    """Return what notes what a run has brought and taken away, in the transaction that ends it.

    What is gone everywhere is forgotten.
    """

    def note(run: BootstrapRun, seen: Sequence[Live]) -> None:
        for row in _carried_by(run, model):
            published, mark = row.published, row.published.mark_in(seen)
            if mark or not published.deleting:
                model._default_manager.filter(pk=row.pk).update(there=True, mark=mark)
            else:
                row.delete()
                published.finish()

    return note
