"""What the engine counts, for every role's `/metrics`."""

from prometheus_client import Counter, Gauge, Histogram

RECONCILE_SECONDS = Histogram(
    "kubenova_reconcile_seconds",
    "Seconds that one step of the loop took, by kind, resulting phase and outcome.",
    ["kind", "phase", "outcome"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
EVENTS = Counter(
    "kubenova_events", "Events recorded, by kind of object and reason.", ["kind", "reason"]
)
ADAPTER_ERRORS = Counter(
    "kubenova_adapter_errors",
    "Errors met while carrying out an adapter's plan, by what to do next.",
    ["adapter", "error"],
)
DRIFT = Counter(
    "kubenova_drift_found",
    "Fields and objects found to differ, by kind of object and by what kind of hand.",
    ["kind", "class"],
)
WORK_DEPTH = Gauge(
    "kubenova_work_due", "Rows that are due and not leased.", multiprocess_mode="mostrecent"
)
WORK_AGE = Gauge(
    "kubenova_work_oldest_seconds",
    "Seconds that the oldest due row has waited.",
    multiprocess_mode="mostrecent",
)
WORK_QUARANTINED = Gauge(
    "kubenova_work_quarantined",
    "Rows set aside after repeated crashes.",
    multiprocess_mode="mostrecent",
)
