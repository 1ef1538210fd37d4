"""Policy sets to begin with. Pure data: an operator creates one's own from them.

Names under example.org stand for what only an operator knows, such as the registry of a company.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Starter:
    """A set to begin with. `adapt` says what has to be put in place before it is of use."""

    name: str
    title: str
    description: str
    rules: Mapping[str, Any]
    adapt: str = ""


CATALOGUE = (
    Starter(
        "baseline",
        "Baseline",
        "What nobody misses: no Service that leads out of the cluster by a name or opens nodes, "
        "no workload that reaches into its node.",
        {
            "host_access": [],
            "service_types": ["ClusterIP", "LoadBalancer"],
            "image_pull_policies": ["Always", "IfNotPresent"],
        },
    ),
    Starter(
        "restricted",
        "Restricted",
        "For what faces customers: inside of the cluster alone, images pulled anew and from no "
        "public hub, the strictest profile of pod security, resources that are told, and no way to "
        "what clouds tell their machines.",
        {
            "network": {"isolation": "isolated", "denied_cidrs": ["169.254.0.0/16"]},
            "pod_security": "restricted",
            "host_access": [],
            "capabilities": ["NET_BIND_SERVICE"],
            "container_resources": {"required": ["requests.cpu", "requests.memory"]},
            "service_types": ["ClusterIP"],
            "image_pull_policies": ["Always"],
            "image_registries": {"deny": ["docker.io"]},
            "ingress_classes": ["public"],
        },
        "ingress_classes: the class of your ingress controller.",
    ),
    Starter(
        "pci-like",
        "PCI-like",
        "For what handles card data: one registry, internal names, nodes and labels of its own, no "
        "way into a node, a network that is closed but for what is named.",
        {
            "network": {
                "egress_cidrs": ["10.20.0.0/16"],
                "ingress_cidrs": [],
                "namespaces": ["kubernetes.io/metadata.name=ingress"],
                "ports": ["443", "5432"],
                "dns": "cluster",
            },
            "pod_security": "restricted",
            "host_access": [],
            "capabilities": [],
            "container_resources": {"required": ["requests.cpu", "limits.memory"]},
            "workload_metadata": {"required_labels": {"app.kubernetes.io/name": ""}},
            "service_types": ["ClusterIP"],
            "image_pull_policies": ["Always"],
            "image_registries": {"allow": ["registry.example.org/pci"]},
            "image_references": ["digest"],
            "ingress_classes": ["internal"],
            "ingress_hosts": ["*.pci.example.org"],
            "node_selector": {"zone": "pci"},
            "namespaces": {"required_labels": {"data-class": "", "owner": ""}},
        },
        "image_registries, ingress_classes, ingress_hosts and node_selector: your own; network: "
        "where your databases and your ingress controller are.",
    ),
    Starter(
        "sandbox",
        "Sandbox",
        "For trying things out: few projects, small and few replicas, nothing that is seen from "
        "outside or comes first.",
        {
            "container_resources": {"max": {"cpu": "1", "memory": "1Gi"}},
            "replicas": {"max": 3},
            "namespaces": {"count": 3},
            "service_types": ["ClusterIP"],
            "ingress_hosts": ["*.sandbox.example.org"],
            "priority_classes": [],
        },
        "ingress_hosts: a domain for what is tried out.",
    ),
)


def starter(name: str) -> Starter | None:
    """Return the one of that name."""
    return next((each for each in CATALOGUE if each.name == name), None)
