"""Restrictions of workloads, load balancers and kinds: what passes, what is refused and how.

Rows are those of `tests.live.test_rules`: kind, value, what passes, what is refused with its text.
"""

from typing import Any

from reconcile.values import JSON
from tests.live.ruled import cron, ingress, job, pod, service, stateful, workload

LIMITS = {"cpu": "500m", "memory": "64Mi"}
TEAM = {"team": "blue"}


def sized(limits: JSON | None = None, **requests: str) -> JSON:
    """A container with limits and requests."""
    return {"resources": {"limits": limits or {}, "requests": requests}}


def allowed(**context: Any) -> JSON:
    """A container with a security context."""
    return {"securityContext": context}


def adding(*names: str) -> JSON:
    """A container that adds capabilities."""
    return allowed(capabilities={"add": [*names]})


def marked(body: JSON, labels: JSON | None = None, annotations: JSON | None = None) -> JSON:
    """The same with labels and annotations: of the pod, or of what its template makes."""
    spec = body["spec"].get("jobTemplate", body)["spec"]
    meta = spec["template"].setdefault("metadata", {}) if "template" in spec else body["metadata"]
    meta["labels"] = {**meta.get("labels", {}), **(labels or {})}
    meta["annotations"] = annotations or {}
    return body


def balancing(*ranges: str, annotations: JSON | None = None, **spec: Any) -> JSON:
    """A load balancer that lets ranges of addresses in."""
    body = service("LoadBalancer")
    if ranges:
        body["spec"]["loadBalancerSourceRanges"] = [*ranges]
    body["spec"] |= spec
    body["metadata"]["annotations"] = annotations or {}
    return body


def inner(**spec: Any) -> JSON:
    """A Service inside of the cluster."""
    body = service()
    body["spec"] |= spec
    return body


HOST_PATH = {"volumes": [{"name": "node", "hostPath": {"path": "/"}}]}
HOST_PORT = {"ports": [{"containerPort": 80, "hostPort": 80}]}
PORT = {"ports": [{"containerPort": 80}]}
OLD_RANGES = {"service.beta.kubernetes.io/load-balancer-source-ranges": "10.0.0.0/9, 8.0.0.0/8"}
ASKED = {"metallb.io/loadBalancerIPs": "192.0.2.7,203.0.113.9"}

WORKLOAD_CASES = [
    (
        "host_access",
        [],
        [("pods", pod()), ("deployments", workload(container=PORT)), ("cronjobs", cron())],
        [
            ("pods", pod(hostNetwork=True), "Access to the node by hostNetwork is not allowed"),
            ("pods", pod(hostPID=True), "by hostPID"),
            ("jobs", job(hostIPC=True), "by hostIPC"),
            ("deployments", workload(**HOST_PATH), "by hostPath"),
            ("statefulsets", stateful(container=HOST_PORT), "by hostPorts"),
            ("cronjobs", cron(container=allowed(privileged=True)), "by privileged"),
        ],
    ),
    (
        "host_access",
        ["hostNetwork", "hostPath"],
        [("pods", pod(hostNetwork=True, container=PORT)), ("pods", pod(**HOST_PATH))],
        [("pods", pod(container=HOST_PORT), "by hostPorts is not allowed here. Allowed: hostNet")],
    ),
    (
        "capabilities",
        ["NET_BIND_SERVICE"],
        [
            ("pods", pod()),
            ("pods", pod(container=adding("CAP_NET_BIND_SERVICE"))),
            ("cronjobs", cron(container=adding("net_bind_service"))),
        ],
        [
            ("pods", pod(container=adding("SYS_ADMIN")), "The capability SYS_ADMIN is not allowed"),
            ("jobs", job(container=adding("NET_BIND_SERVICE", "ALL")), "The capability ALL"),
            ("deployments", workload(container=adding("cap_sys_admin")), "cap_sys_admin"),
        ],
    ),
    (
        "container_resources",
        {"required": ["requests.cpu", "limits.cpu"], "max": {"memory": "64Mi"}},
        [
            ("pods", pod(container=sized(LIMITS))),
            ("deployments", workload(container=sized({**LIMITS, "memory": "0.0625Gi"}))),
            ("cronjobs", cron(container=sized(LIMITS, cpu="1m"))),
        ],
        [
            ("pods", pod(), "main: requests.cpu is missing."),
            ("deployments", workload(container=sized(None, cpu="1")), "main: limits.cpu is missi"),
            ("jobs", job(container=sized({"cpu": "1"})), "main: limits.memory is missing."),
            (
                "statefulsets",
                stateful(container=sized({"cpu": "1", "memory": "65Mi"})),
                "What a container is given is not allowed here: main: limits.memory 65Mi is more "
                "than 64Mi.",
            ),
            (
                "pods",
                pod(
                    container=sized(LIMITS),
                    initContainers=[{"name": "init", "image": "r.example.org/a"}],
                ),
                "init: requests.cpu is missing.",
            ),
        ],
    ),
    (
        "workload_metadata",
        {
            "required_labels": {"team": "", "app.kubernetes.io/part-of": "acme"},
            "forbidden_annotations": ["example.org/debug"],
        },
        [
            ("pods", marked(pod(), {**TEAM, "app.kubernetes.io/part-of": "acme"}, {"a": "b=c"})),
            ("cronjobs", marked(cron(), {"team": "", "app.kubernetes.io/part-of": "acme"})),
        ],
        [
            ("pods", pod(), "the label app.kubernetes.io/part-of=acme is missing."),
            ("deployments", workload(), "Pods are not marked as they have to be here: the label"),
            (
                "cronjobs",
                marked(cron(), {"app.kubernetes.io/part-of": "acme"}),
                "the label team is missing.",
            ),
            (
                "deployments",
                marked(workload(), {**TEAM, "app.kubernetes.io/part-of": "other"}),
                "the label app.kubernetes.io/part-of=acme is missing.",
            ),
            (
                "statefulsets",
                marked(
                    stateful(),
                    {**TEAM, "app.kubernetes.io/part-of": "acme"},
                    {"example.org/debug": "on"},
                ),
                "the annotation example.org/debug is forbidden.",
            ),
        ],
    ),
    (
        "replicas",
        {"min": 2, "max": 4},
        [
            ("deployments", workload(2)),
            ("statefulsets", stateful(replicas=4)),
            ("pods", pod()),
        ],
        [
            ("deployments", workload(0), "The number of replicas is not allowed here: 0, fewer th"),
            ("deployments", workload(5), "5, more than 4."),
            ("statefulsets", stateful(replicas=1), "1, fewer than 2."),
        ],
    ),
    (
        "load_balancers",
        {"source_ranges": ["10.0.0.0/8", "2001:db8::/32"]},
        [
            ("services", service()),
            ("services", balancing("10.1.0.0/16", "10.0.0.0/8", "2001:db8::/32")),
            ("services", balancing("10.255.255.255/32")),
            ("services", balancing("2001:db8::/33", "2001:DB8:ffff:ffff::1/128")),
            ("services", balancing("2001:db8:1:2:3:4:5:6/128", "2001:0db8:0:0::/64")),
        ],
        [
            ("services", balancing(), "A Service with source range 0.0.0.0/0 is not allowed here."),
            ("services", balancing("10.0.0.0/7"), "source range 10.0.0.0/7"),
            ("services", balancing("10.0.0.0/8", "11.0.0.0/32"), "source range 11.0.0.0/32"),
            ("services", balancing("2001:db8::/31"), "source range 2001:db8::/31"),
            ("services", balancing("2001:db9::/64"), "source range 2001:db9::/64"),
            ("services", balancing("2001:db7:ffff::/48"), "source range 2001:db7:ffff::/48"),
            ("services", balancing("::/0"), "source range ::/0"),
            ("services", balancing("::10.1.2.3/128"), "source range ::10.1.2.3/128"),
            ("services", balancing(annotations=OLD_RANGES), "source range 8.0.0.0/8"),
        ],
    ),
    (
        "load_balancers",
        {"addresses": ["2001:db8:8::/45", "fd00::/8", "2001:db8::1/128"]},
        [
            ("services", inner(externalIPs=["2001:db8:8::1", "2001:db8:f:ffff::1"])),
            ("services", inner(externalIPs=["fdff:1:2:3:4:5:6:7", "2001:db8::1"])),
        ],
        [
            ("services", inner(externalIPs=["2001:db8:10::1"]), "address 2001:db8:10::1 is not"),
            ("services", inner(externalIPs=["2001:db8:7::1"]), "address 2001:db8:7::1 is not"),
            ("services", inner(externalIPs=["fe00::1"]), "address fe00::1 is not"),
            ("services", inner(externalIPs=["2001:db8::2"]), "address 2001:db8::2 is not"),
            ("services", balancing(loadBalancerIP="fd00::1%eth0"), "address fd00::1%eth0 is not"),
            ("services", balancing(loadBalancerIP="fd00:1:2:3:4:5:6:7:8"), "address fd00:1:2:3:"),
            ("services", balancing(loadBalancerIP="fd00::1::2"), "address fd00::1::2 is not"),
            ("services", balancing(loadBalancerIP="fd000::1"), "address fd000::1 is not"),
        ],
    ),
    (
        "load_balancers",
        {"addresses": ["192.0.2.0/28"], "classes": ["example.org/inner"]},
        [
            (
                "services",
                balancing(loadBalancerIP="192.0.2.15", loadBalancerClass="example.org/inner"),
            ),
            ("services", inner(externalIPs=["192.0.2.1"])),
        ],
        [
            ("services", inner(externalIPs=["192.0.2.16"]), "address 192.0.2.16 is not allowed"),
            ("services", balancing(loadBalancerIP="203.0.113.9"), "address 203.0.113.9"),
            ("services", balancing(annotations=ASKED), "address 203.0.113.9"),
            ("services", balancing(loadBalancerClass="example.org/x"), "class example.org/x"),
            ("services", balancing(), "A Service with no load balancer class is not"),
        ],
    ),
    (
        "api_kinds",
        {"deny": ["configmaps", "*.networking.k8s.io"]},
        [("pods", pod()), ("services", service())],
        [
            (
                "configmaps",
                {"metadata": {"name": "mine"}},
                "Objects of the kind configmaps cannot be made here.",
            ),
            ("ingresses", ingress("a.org"), "the kind ingresses.networking.k8s.io cannot be made"),
        ],
    ),
]
