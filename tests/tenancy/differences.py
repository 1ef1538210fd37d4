"""Differences as the engine notes them, without a cluster that anybody has to change."""

from typing import Any

from clusters.kinds import DEPLOYMENT, RESOURCE_QUOTA
from reconcile.models import Drift
from reconcile.models.convergent import Convergent
from reconcile.values import Kind, Ref


def differing(
    row: Convergent,
    path: str = ".spec.replicas",
    kind: Kind = DEPLOYMENT,
    name: str = "web",
    **columns: Any,
) -> Drift:
    """Note that a field of an object of `row` differs: one replica where three are wanted."""
    drift = Drift.about(row, row.work.get(), Ref(kind, "acme--shop", name))
    values = {
        "path": path,
        "wanted": 3,
        "found": 1,
        "drift_class": Drift.Class.HUMAN,
        "actor": "kubectl-scale",
    }
    for column, value in (values | columns).items():
        setattr(drift, column, value)
    drift.save(force_insert=True)
    return drift


def differing_quota(row: Convergent, **columns: Any) -> Drift:
    """Note that somebody gave a project more than its tenant has."""
    path, found = ".spec.hard.pods", {"wanted": "10", "found": "1000"}
    return differing(row, path, RESOURCE_QUOTA, "kubenova", **(found | columns))
