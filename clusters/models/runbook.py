"""The runbook of a cluster, from what is stored of it."""

from typing import TYPE_CHECKING

from clusters.models.bootstrap import BootstrapRun
from clusters.runbook import Known, RunbookStep, steps

if TYPE_CHECKING:
    from clusters.models.cluster import Cluster


def runbook(cluster: "Cluster") -> list[tuple[RunbookStep, BootstrapRun | None]]:
    """Return the steps of `cluster` in order, each with the bundle that was last applied for it."""
    runs = {run.step_name: run for run in cluster.bootstrap_runs.all()}
    baseline = cluster.placements.first()
    known = Known(
        cluster=cluster.name,
        phase=baseline.phase if baseline else "",
        platforms=cluster.platforms,
        abilities=[row.ability for row in cluster.capabilities.all()],
        findings=[row.value for row in cluster.findings.all()],
        runs={name: run.phase for name, run in runs.items()},
    )
    return [(step, runs.get(step.name)) for step in steps(known)]
