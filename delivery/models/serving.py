"""Whether the clusters of an app can serve it, each through what rolls it out there."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clusters.models import Cluster
from tenancy.models.serving import refuse, unmet_on

if TYPE_CHECKING:
    from delivery.models.app import App


def refuse_unserved(app: "App", clusters: Sequence[Cluster]) -> None:
    """Raise Unserved with all that a cluster is known to lack for what is declared.

    Each is asked about what its placement needs there, once it has the current revision.
    """
    rows = {row.cluster_id: row for row in app.placements.filter(cluster__in=clusters)}
    unmet = []
    for cluster in clusters:
        if row := rows.get(cluster.pk):
            row.app, row.cluster = app, cluster
            unmet += unmet_on([cluster], row.needed(row.intent_at(app.revised())))
    refuse(unmet)
