"""What an app has on its clusters, from what was recorded of them: no cluster is asked."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from delivery.adapters.native_pods import COMPONENT
from delivery.models import App, AppPlacement
from delivery.rules.topology import Piece, pieces
from reconcile.models import AppliedObject
from reconcile.values import JSON, Ref


@dataclass(frozen=True)
class Branch:
    """A component on a cluster: how it fares, as the rollout tells it, and its objects."""

    state: JSON
    objects: Sequence[Piece]


@dataclass(frozen=True)
class ClusterTree:
    """An app on a cluster. `others` are its objects that belong to no component that it has now."""

    placement: AppPlacement
    components: Sequence[Branch]
    others: Sequence[Piece] = field(default=())


def topology(app: App) -> list[ClusterTree]:
    """Return what the app has on each of its clusters; its placements are as prefetched."""
    placements = list(app.placements.all())
    recorded = _recorded(placements)
    return [_tree(placement, recorded[placement.pk]) for placement in placements]


def tree_on(placement: AppPlacement) -> ClusterTree:
    """Return what the app has on one of its clusters."""
    return _tree(placement, _recorded([placement])[placement.pk])


def _recorded(placements: Sequence[AppPlacement]) -> dict[int, dict[Ref, bool]]:
    """Map each placement to its objects, and those to whether they are as they were applied."""
    found: dict[int, dict[Ref, bool]] = defaultdict(dict)
    rows = AppliedObject.objects.filter(
        work__kind=AppPlacement._meta.label_lower,
        work__object_id__in=[placement.pk for placement in placements],
    )
    for row in rows.select_related("work"):
        found[row.work.object_id][row.ref] = row.live_fp == row.applied_fp
    return found


def _tree(placement: AppPlacement, recorded: dict[Ref, bool]) -> ClusterTree:
    adapter = placement.adapter()
    wanted = [] if placement.deleting else adapter.render(placement.intent())
    found = pieces(wanted, adapter.kinds, recorded, COMPONENT)
    branches = [Branch(row, found.pop(row["name"], [])) for row in placement.rollout()]
    return ClusterTree(placement, branches, [each for rest in found.values() for each in rest])
