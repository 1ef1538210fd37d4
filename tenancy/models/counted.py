"""How many clusters a placement comes to: at most `max`, and at least `min`."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet

from clusters.models import Cluster
from reconcile.models import Lease, marking
from reconcile.models.declared import Declared
from reconcile.refusals import Fault, Refusal
from reconcile.values import Condition, Phase, Status, worst

if TYPE_CHECKING:
    from reconcile.values import JSON


class TooFewClusters(Refusal):
    """Fewer clusters match a placement than it asks for."""

    code = "KN-TOO-FEW-CLUSTERS"
    status = 422
    title = "Too few clusters match"


class Counted(Declared):
    """What has a `placement` with bounds: {clusters, selector, min, max}."""

    if TYPE_CHECKING:
        placement: JSON

    class Meta:
        abstract = True

    def staying(self) -> Collection[int]:
        """The primary keys of the clusters that it is on, and is not leaving."""
        if self.pk is None:
            return ()
        rows: QuerySet[Any] = self.placements_of().filter(deletion_requested_at=None)
        return set(rows.values_list("cluster_id", flat=True))

    def at_most(self, found: Sequence[Cluster]) -> list[Cluster]:
        """Keep `max` of the clusters that match, by name.

        Those named come first, then those where it is already, so that nothing moves needlessly,
        then the others by name.
        """
        most = self.placement.get("max", len(found))
        if len(found) <= most:
            return list(found)
        named, here = self.placement.get("clusters", []), self.staying()

        def rank(cluster: Cluster) -> tuple[bool, bool, str]:
            return cluster.name not in named, cluster.pk not in here, cluster.name

        return sorted(sorted(found, key=rank)[:most], key=lambda cluster: cluster.name)

    def declare(self, by: str) -> bool:
        """As every declaration. Raises TooFewClusters when fewer than a new `min` match now."""
        rows: QuerySet[Any] = type(self)._default_manager.filter(pk=self.pk)
        before = rows.values_list("placement", flat=True).first()
        with marking():
            changed = super().declare(by)
            if changed and before != self.placement:
                self._refuse_too_few()
        return changed

    def _refuse_too_few(self) -> None:
        least, found = self.placement.get("min", 0), len(list(self.targets()))
        if found < least:
            text = f"The placement asks for at least {least} clusters, and {found} match now."
            fault = Fault("min", "Ask for fewer, or choose more.", "/placement/min")
            raise TooFewClusters(text, errors=[fault], found=found, needed=least)

    def record(
        self, lease: Lease | None, synced: Condition, ready: Condition, **status: Any
    ) -> bool:
        """As for any row; it is not all that is wanted while it is on too few clusters."""
        if not self.deleting and (lack := self._lack()):
            phase: Phase | None = status.get("phase")
            synced, status["phase"] = lack, worst([phase or Phase.PENDING, Phase.PENDING])
        return super().record(lease, synced, ready, **status)

    def _lack(self) -> Condition | None:
        least = self.placement.get("min", 0)
        if not least or (found := len(list(self.targets()))) >= least:
            return None
        message = f"{found} clusters match, and at least {least} are asked for. Choose more."
        return Condition("Synced", Status.UNKNOWN, "NotEnoughClusters", message)
