"""What policies count, for every role's `/metrics`."""

from prometheus_client import Gauge

FINDINGS = Gauge(
    "kubenova_policy_findings",
    "Objects that break a rule of a policy set which lets them pass, by set and mode.",
    ["policyset", "mode"],
    multiprocess_mode="mostrecent",
)
