"""The kinds of restrictions of workloads, load balancers and API kinds, beyond names. Pure."""

from reconcile.values import JSON
from tenancy.rules import merging
from tenancy.rules import values_workloads as values
from tenancy.rules.kind import LABELS, RuleKind, choice, list_of, parts_of
from tenancy.rules.limits import COMPUTE
from tenancy.rules.values_workloads import (
    CAPABILITIES,
    HOST_ACCESS,
    LONGEST_KIND,
    METADATA,
    MOST_KINDS,
    MOST_REPLICAS,
    POD_SECURITY,
    SETTINGS,
)

_COUNT: JSON = {"type": "integer", "minimum": 1, "maximum": MOST_REPLICAS}


WORKLOADS = (
    RuleKind(
        "pod_security",
        "Pod security",
        "The profile of the Pod Security Standards that pods have to meet; never less than "
        "baseline. What breaks restricted is warned of and audited in any case.",
        {"type": "string", "enum": list(POD_SECURITY)},
        "restricted",
        values.pod_security,
        merging.levels(POD_SECURITY),
    ),
    choice(
        "host_access",
        "Access to nodes",
        "By which of these pods may reach the node they run on; an empty list allows none.",
        HOST_ACCESS,
        "hostPorts",
    ),
    choice(
        "capabilities",
        "Capabilities",
        "Which capabilities containers may add to those they have by themselves.",
        CAPABILITIES,
        "NET_BIND_SERVICE",
    ),
    RuleKind(
        "container_resources",
        "Resources of containers",
        "What each container has to ask for or be limited to, and the most that it may be limited "
        "to. A limit counts as a request; what max names has to be limited.",
        parts_of(
            required=list_of(enum=list(SETTINGS)),
            max={
                "type": "object",
                "propertyNames": {"enum": list(COMPUTE)},
                "additionalProperties": {"type": "string", "maxLength": 63},
            },
        ),
        {"required": ["requests.cpu", "limits.memory"], "max": {"memory": "4Gi"}},
        values.resources,
        merging.resources,
    ),
    RuleKind(
        "workload_metadata",
        "Labels and annotations of pods",
        "Which labels and annotations pods must or must not have, by themselves or by the template "
        'that makes them; "" takes any value.',
        parts_of(
            **{
                part: LABELS if part.startswith("required") else list_of(maxLength=317)
                for part in METADATA
            }
        ),
        {"required_labels": {"app.kubernetes.io/name": ""}},
        values.metadata,
        merging.metadata,
    ),
    RuleKind(
        "replicas",
        "Replicas",
        "How many replicas Deployments, StatefulSets and ReplicaSets may have, however they are "
        "scaled.",
        parts_of(min=_COUNT, max=_COUNT),
        {"max": 20},
        values.replicas,
        merging.counts,
    ),
    RuleKind(
        "load_balancers",
        "Load balancers",
        "Within which ranges load balancers let addresses in (one that names none lets in all), "
        "within which Services may ask for addresses, externalIPs included, and which classes they "
        "may name (each has to name one).",
        parts_of(
            source_ranges=list_of(maxLength=43),
            addresses=list_of(maxLength=43),
            classes=list_of(maxLength=317),
        ),
        {"source_ranges": ["192.0.2.0/24"]},
        values.load_balancers,
        merging.load_balancers,
    ),
    RuleKind(
        "api_kinds",
        "Kinds of objects",
        "Which kinds of objects nobody may make, by plural and group; what the cluster's own "
        "controllers make is spared.",
        {
            **parts_of(
                deny={**list_of(maxLength=LONGEST_KIND), "maxItems": MOST_KINDS},
            ),
            "required": ["deny"],
        },
        {"deny": ["secrets", "*.cert-manager.io"]},
        values.api_kinds,
        merging.denied,
    ),
)
