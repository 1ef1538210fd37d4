"""Whether the clusters of an app can serve it, each through what rolls it out there."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from clusters.definitions import ability_of
from clusters.models import Capability, Cluster
from delivery.intents import AppIntent
from tenancy.models.serving import Unmet, refuse, unmet_on
from tenancy.rules.needs import Need

if TYPE_CHECKING:
    from delivery.models.app import App
    from delivery.models.placement import AppPlacement


def refuse_unserved(app: "App", clusters: Sequence[Cluster]) -> None:
    """Raise Unserved with all that a cluster is known to lack for what is declared.

    Each is asked about what its placement needs there, once it has the current revision.
    """
    rows = {row.cluster_id: row for row in app.placements.filter(cluster__in=clusters)}
    unmet: list[Unmet] = []
    for cluster in clusters:
        if row := rows.get(cluster.pk):
            row.app, row.cluster = app, cluster
            intent = row.intent_at(app.revised())
            found = list(_foreign(row, intent))
            told = {each.need.capability for each in found}
            needed = [need for need in row.needed(intent) if need.capability not in told]
            unmet += [*found, *unmet_on([cluster], needed)]
    refuse(unmet)


def _foreign(row: "AppPlacement", intent: AppIntent) -> Iterator[Unmet]:
    """Yield the published types that the cluster does not serve, as far as was seen by now."""
    for component in intent.components:
        for type_, word in component.foreign.items():
            name = ability_of(word, type_)
            if row.with_kubevela and row.cluster.serves(name):
                continue
            lacks = f"KubeVela has no {word} type {type_} there. Have it published there."
            plain = f"Plain Kubernetes knows no {word} type {type_}: KubeVela alone brings it up."
            need = Need(name, f"components.{component.name}")
            reason = lacks if row.with_kubevela else plain
            able = Capability.objects.able(name)
            yield Unmet(row.cluster.name, need, "none", reason, able)
