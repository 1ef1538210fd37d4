"""What the clusters domain counts, for every role's `/metrics`."""

from prometheus_client import Counter, Gauge, Histogram

CREDENTIAL_EXPIRES = Gauge(
    "kubenova_cluster_credential_expires_timestamp_seconds",
    "When KubeNova's own credential on a cluster ends, as that cluster returned it.",
    ["cluster"],
    multiprocess_mode="mostrecent",
)
BREAKER_OPEN = Gauge(
    "kubenova_cluster_breaker_open",
    "1 while a process of this machine asks a cluster nothing because it did not answer.",
    ["cluster"],
    multiprocess_mode="livemax",
)
REPORT_ONLY = Gauge(
    "kubenova_cluster_report_only",
    "1 while a guard holds a cluster until an operator confirms, by why.",
    ["cluster", "reason"],
    multiprocess_mode="mostrecent",
)
WATCHES_OPEN = Gauge(
    "kubenova_watches_open",
    "Kinds that are followed at this moment, over all clusters of this machine's watchers.",
    multiprocess_mode="livesum",
)
WATCH_EVENTS = Counter(
    "kubenova_watch_events", "Events that watches told of, by type (bookmarks included).", ["type"]
)
RELISTS = Counter(
    "kubenova_watch_lists",
    "Full lists, by why: the first, its time had come, or the watch was in doubt.",
    ["why"],
)
RESTORED = Counter(
    "kubenova_cluster_restored",
    "Times that a cluster was found set back to an earlier state.",
    ["cluster"],
)
MARK_SECONDS = Histogram(
    "kubenova_watch_mark_seconds",
    "Seconds from a change seen on a cluster to the mark on its row.",
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30),
)
WATCH_LEASES = Gauge(
    "kubenova_watch_leases",
    "Clusters that the watchers of this machine hold.",
    multiprocess_mode="livesum",
)
