"""The sum over the placements of a row: what people see of it on all clusters together."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connection
from django.db.models import QuerySet

from reconcile.models.rows import Row
from reconcile.models.work import Lease, marking
from reconcile.prepared import Built, Prepared
from reconcile.values import Condition, Phase, Status, worst

if TYPE_CHECKING:
    from reconcile.models.convergent import Convergent

AT_REST = frozenset({Phase.DEPLOYED, Phase.DRIFTED})
_FEW = 8  # placements that are summed up whenever one of them moves


class Summing(Row):
    """The part of a declared row that is what its placements are."""

    generation: int

    class Meta:
        abstract = True

    def placements_of(self) -> "QuerySet[Convergent]":
        """Its rows per cluster; concrete classes call the reverse relation `placements`."""
        related: QuerySet[Convergent] = self.placements.all()  # type: ignore[attr-defined]
        return related

    def _placed(self) -> "Iterable[Convergent]":
        """Its rows per cluster, each with its cluster: their names need it."""
        related: QuerySet[Any] = self.placements_of()
        return related.select_related("cluster")

    def on_cluster(self, cluster_pk: int | None) -> "QuerySet[Convergent]":
        """Its placement on one cluster, or none."""
        return self.placements_of().filter(**{"cluster_id": cluster_pk})

    def placed_on(self, cluster_pk: int | None) -> "Convergent | None":
        """Its placement on one cluster, without what it hangs on."""
        found = _placed_on(*self._placing).rows(parent=self.pk, cluster=cluster_pk or 0)
        return found[0] if found else None

    @property
    def _placing(self) -> tuple[str, str]:
        """The label of the model that places it, and the name of its key to this one."""
        model = self.placements_of().model
        return model._meta.label_lower, model.parent_field

    def mark_to_sum_up(self) -> None:
        """Make the row due because a placement moved; what is wanted has not changed."""
        with marking() as marks:
            marks.mark_one(self.label, self.pk)

    @property
    def sums_up_at_once(self) -> bool:
        """Whether its placements sum it up: where one writer at a time makes each see the last.

        Not where more than a sum depends on them.
        """
        return not connection.features.has_select_for_update and self.only_sums

    @property
    def only_sums(self) -> bool:
        """Whether nothing but its sum depends on how its placements fare."""
        return type(self).sum_up is Summing.sum_up

    def placement_moved(self) -> None:
        """Sum up right now, in the transaction of the placement that moved, or have a step do it.

        Whoever writes the sum is the only writer, so no lease is needed to have the newest last.
        """
        few = _few_of(*self._placing).rows(parent=self.pk) if self.sums_up_at_once else []
        if not 0 < len(few) <= _FEW:
            self.mark_to_sum_up()
            return
        self.read_anew(locked=True)
        if self.deleting or not self.only_sums:
            self.mark_to_sum_up()
            return
        for row in few:
            setattr(row, row.parent_field, self)
        self.sum_up(None, few)

    def sum_up(self, lease: Lease | None, rows: "Sequence[Convergent] | None" = None) -> None:
        """Sum the placements up: Error > Drifted > Applying > Pending > Deployed.

        Without a lease whoever calls it holds the row.
        """
        rows = sorted(self._placed() if rows is None else rows, key=str)
        if not rows:
            message = "No cluster is selected. Change the placement or register a cluster."
            pending = Condition("Synced", Status.UNKNOWN, "NoClusterSelected", message)
            ready = Condition("Ready", Status.UNKNOWN, "NoClusterSelected", message)
            self.record(lease, pending, ready, observed=self.generation)
            return
        phase = worst([Phase(row.phase) for row in rows])
        settled = min(row.observed_generation for row in rows)
        if phase == Phase.DEPLOYED and settled < self.generation:
            phase = Phase.APPLYING
        synced, ready = (_summed(kind, rows) for kind in ("Synced", "Ready"))  # type: ignore[arg-type]
        observed = min(settled, self.generation)
        self.record(lease, synced, ready, observed=observed, phase=phase)


@cache
def _placed_on(label: str, field: str) -> Prepared:
    rows = apps.get_model(label)._default_manager.order_by()

    def build(parent: int, cluster: int) -> Built:
        return rows.filter(**{field: parent, "cluster_id": cluster}), {}

    return Prepared(build, parent=int, cluster=int)


@cache
def _few_of(label: str, field: str) -> Prepared:
    rows = apps.get_model(label)._default_manager.select_related("cluster").order_by()
    return Prepared(lambda parent: (rows.filter(**{field: parent})[: _FEW + 1], {}), parent=int)


def _summed(kind: str, rows: "list[Row]") -> Condition:
    """Join the conditions of that kind: the worst status with the messages that belong to it."""
    found = [(str(row), c) for row in rows for c in row.conditions if c["type"] == kind]
    for status in (Status.FALSE, Status.UNKNOWN):
        bad = [(name, c) for name, c in found if c["status"] == status]
        if bad:
            message = "; ".join(f"{name}: {c['message'] or c['reason']}" for name, c in bad[:5])
            return Condition(kind, status, bad[0][1]["reason"], message)
    if len(found) < len(rows):
        return Condition(kind, Status.UNKNOWN, "Pending", "Not observed yet.")
    return Condition(kind, Status.TRUE, found[0][1]["reason"], "")
