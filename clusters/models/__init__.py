"""Clusters, what they can do, and the abstract row of everything that is projected onto them."""

from clusters.models.baseline import ClusterBaseline
from clusters.models.bootstrap import BootstrapRun
from clusters.models.capability import Capability
from clusters.models.cluster import Cluster
from clusters.models.finding import Finding
from clusters.models.projected import Projected
from clusters.models.watching import Orphan, Watcher, WatchLease

__all__ = [
    "BootstrapRun",
    "Capability",
    "Cluster",
    "ClusterBaseline",
    "Finding",
    "Orphan",
    "Projected",
    "WatchLease",
    "Watcher",
]
