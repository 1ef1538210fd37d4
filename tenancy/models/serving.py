"""Whether clusters can serve what is asked of them, and are safe to be asked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusters.models import Capability, Cluster
from clusters.models.finding import Finding, refuse_unaccepted
from reconcile.models.convergent import Wait
from reconcile.models.rows import read
from reconcile.refusals import Fault, Unserved
from reconcile.values import JSON
from tenancy.rules.needs import Need

if TYPE_CHECKING:
    from clusters.models import Projected
    from tenancy.models.tenant import Tenant

_LOOK = 300.0


@dataclass(frozen=True)
class Unmet:
    """A need that a cluster is known not to meet; `able` are the clusters that do."""

    cluster: str
    need: Need
    found: str
    reason: str
    able: Sequence[str]

    def __str__(self) -> str:
        field = f" (needed by {self.need.field})" if self.need.field else ""
        return f"Cluster {self.cluster} cannot serve {self.need.capability}{field}: {self.reason}"

    def as_json(self) -> JSON:
        """Return it as the problem document lists it."""
        return {
            "cluster": self.cluster,
            "capability": self.need.capability,
            "field": self.need.field,
            "found": self.found or "none",
            "needed": self.need.capability,
            "reason": self.reason,
            "clusters": list(self.able),
        }


def require(clusters: Iterable[Cluster], capability: str, also: Sequence[Need] = ()) -> None:
    """Raise Unserved with everything that a cluster is known not to serve.

    A cluster that was not observed yet cannot be judged; its placement waits for its baseline.
    """
    refuse(unmet_on(clusters, [Need(capability), *also]))


def refuse(unmet: Sequence[Unmet], errors: Sequence[Fault] = ()) -> None:
    """Raise Unserved when there is anything unmet; the first one is told at the top.

    `errors` say where in the request it is asked for.
    """
    if not unmet:
        return
    told = " ".join(str(each) for each in unmet)
    listed = [each.as_json() for each in unmet]
    raise Unserved(told, errors=errors, **unmet[0].as_json(), unmet=listed)


def unmet_on(clusters: Iterable[Cluster], needs: Sequence[Need]) -> list[Unmet]:
    """Return every need that one of the clusters is known not to meet, cluster by cluster."""
    found: list[Unmet] = []
    for cluster in clusters:
        lacking = {each.name: each for each in cluster.lacking([need.capability for need in needs])}
        for need in needs:
            if ability := lacking.get(need.capability):
                able = Capability.objects.able(need.capability)
                told = (cluster.name, need, ability.version, ability.reason, able)
                found.append(Unmet(*told))
    return found


# --- Findings: what keeps new tenants away.


def refuse_unsafe(tenant: "Tenant") -> None:
    """Refuse a tenant where it is new and a critical finding is not accepted. Raises Unsafe."""
    new = tenant.placements.filter(observed_generation=0, deletion_requested_at=None)
    refuse_unaccepted([row.cluster for row in new.select_related("cluster")])


def unsafe(row: "Projected") -> list[Wait]:
    """What a new placement waits for that a selector has made; what runs goes on."""
    if row.deleting or row.observed_generation:
        return []
    read(row.cluster.findings_key)
    found = Finding.objects.blocking_on(row.cluster.pk)
    accept = f"POST /api/v1/clusters/{row.cluster.name}/findings"
    return [
        Wait(
            "WaitingForAcceptance",
            f"{each.message} Mend it, or have an operator accept it: {accept}/{each.code}:accept.",
            look_in=_LOOK,
        )
        for each in found
    ]
