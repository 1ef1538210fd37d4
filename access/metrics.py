"""What access counts, for every role's `/metrics`."""

from prometheus_client import Counter, Gauge, Histogram

GRANTS = Gauge(
    "kubenova_grants",
    "Grants that open a cluster now.",
    multiprocess_mode="mostrecent",
)
OPEN_CALLS = Gauge(
    "kubenova_proxy_open_calls",
    "Calls that are under way through the access proxy, streams included.",
    ["cluster"],
    multiprocess_mode="livesum",
)
CALLS = Counter(
    "kubenova_proxy_calls_total",
    "Calls through the access proxy.",
    ["cluster", "verb", "status"],
)
SECONDS = Histogram(
    "kubenova_proxy_seconds",
    "From a call's arrival to the first byte of its answer.",
    ["cluster"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
UNRECORDED = Counter(
    "kubenova_proxy_unrecorded_total",
    "Calls that are in the log but could not be kept in the audit table.",
)
