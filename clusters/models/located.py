"""What every row on one cluster says of where it is."""

from typing import TYPE_CHECKING

from reconcile.models.rows import Row

if TYPE_CHECKING:
    from clusters.models.cluster import Cluster


class Located(Row):
    """A row that has a foreign key `cluster`."""

    cluster: "Cluster"

    class Meta:
        abstract = True

    @property
    def cluster_name(self) -> str:
        """Where."""
        return self.cluster.name

    @property
    def cluster_pk(self) -> int:  # type: ignore[override]
        """Where, for the slots of the drain."""
        return self.cluster.pk

    @property
    def paused(self) -> bool:
        """A paused cluster is left as it is."""
        return self.cluster.paused
