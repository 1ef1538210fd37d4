"""How definitions come to a cluster and leave it: by a run of the loop, as an administrator.

KubeNova's own account may neither write nor delete them, so the credential is an operator's. A run
carries both: what is to be there, and what is to go.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.db import models, transaction

from clusters.adapters.kubevela import DEFINITIONS_NAMESPACE
from clusters.definitions import mark_of
from clusters.models import BootstrapRun, Cluster
from clusters.models.bootstrap import DEFINITIONS
from clusters.models.bundling import Asked, apply_bundle
from delivery.models.published import Publication, PublishedDefinition, run_on
from delivery.rules.publishing import bundle
from reconcile.refusals import Conflicting, Fault, Invalid
from reconcile.values import JSON, Live, Phase


@dataclass(frozen=True)
class Carrying:
    """Definitions for a cluster; `asked` says with whose credential, and by whom."""

    definitions: Sequence[PublishedDefinition]
    asked: Asked

    @classmethod
    def of(cls, definitions: Sequence[PublishedDefinition], asked: Asked) -> "Carrying":
        """Put the definitions into the bundle that is asked for; those that go, where they are.

        Raises Invalid where nothing is left.
        """
        there = set(asked.cluster.publications.values_list("definition", flat=True))
        found = [row for row in definitions if not row.deleting or row.pk in there]
        if not found:
            text = "What is being deleted is not on this cluster."
            fault = Fault("unknown", text, "/definitions")
            raise Invalid("Parts of the request are wrong.", errors=[fault])
        raw = bundle(row.manifest for row in found)
        told = replace(asked, step=DEFINITIONS, raw=raw, namespace=DEFINITIONS_NAMESPACE)
        return cls(found, told)

    def publish(self) -> BootstrapRun:
        """Have them applied by the loop. Raises Invalid without a credential, Conflicting."""
        cluster = self.asked.cluster
        with transaction.atomic():
            Cluster.locked().get(pk=cluster.pk)
            self._settle(run_on(cluster))
            run = apply_bundle(self.asked)
            for row in self.definitions:
                values: JSON = {"version": row.version, "run_generation": run.generation}
                values |= {"there": False, "mark": "", "asked_by": self.asked.by}
                Publication.objects.update_or_create(
                    definition=row, cluster=cluster, defaults=values
                )
        return run

    def _settle(self, before: BootstrapRun | None) -> None:
        """Note what the last run brought. Raises Conflicting while others are on their way."""
        if before is None:
            return
        mine = Publication.objects.filter(
            cluster=before.cluster_id, run_generation=before.generation
        )
        if before.finished_at:
            mine.update(there=True)
        elif before.phase != Phase.ERROR and self._others(mine):
            raise Conflicting(
                f"Other definitions are on their way to {before.cluster}. "
                "Wait until they are there, or name those as well."
            )

    def _others(self, mine: "models.QuerySet[Publication]") -> bool:
        return not {*mine.values_list("definition", flat=True)} <= {
            row.pk for row in self.definitions
        }


def arrived(run: BootstrapRun, seen: Sequence[Live]) -> None:
    """Note what a run has brought and taken away; what is gone everywhere is forgotten.

    It is called in the transaction that ends the run.
    """
    marks = {(live.ref.kind.name, live.ref.name): mark_of(live) for live in seen}
    mine = Publication.objects.filter(cluster=run.cluster_id, run_generation=run.generation)
    for row in mine.select_related("definition"):
        definition = row.definition
        if (definition.kind_name, definition.name) in marks:
            mark = marks[definition.kind_name, definition.name]
            Publication.objects.filter(pk=row.pk).update(there=True, mark=mark)
        elif definition.deleting:
            row.delete()
            definition.finish()
