"""What breaks the restrictions of workloads, load balancers and API kinds. Pure."""

from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_network
from itertools import chain
from typing import Any

from reconcile.values import JSON
from tenancy.rules.encoding import encoded
from tenancy.rules.enforced_objects import LONGEST_LIST
from tenancy.rules.trying import MARK, Made, service, unlisted, v4_ranges, workload
from tenancy.rules.values_workloads import CAPABILITIES, HOST_ACCESS

_OF_THE_POD = ("hostIPC", "hostNetwork", "hostPID")


def _host_access(value: Sequence[str]) -> Made | None:
    way = unlisted(value, HOST_ACCESS)
    if way in _OF_THE_POD:
        return way, workload(pod={way: True})
    ways: Mapping[str, JSON] = {
        "hostPath": {"volumes": [{"name": "proof", "hostPath": {"path": "/"}}]},
        "hostPorts": _containers(ports=[{"containerPort": 1, "hostPort": 1}]),
        "privileged": _containers(securityContext={"privileged": True}),
    }
    return (way, workload(pod=ways[way])) if way else None


def _capability(value: Sequence[str]) -> Made:
    name = unlisted(value, CAPABILITIES) or "ALL"
    added = {"capabilities": {"add": [name]}}
    return name, workload(pod=_containers(securityContext=added))


def _containers(**fields: object) -> JSON:
    manifest = workload()
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    return {"containers": [{**container, **fields}]}


def _resources(value: Mapping[str, Any]) -> Made | None:
    needed = [
        *value.get("required", ()),
        *(f"limits.{name}" for name in sorted(value.get("max", ()))),
    ]
    return (f"proof: {needed[0]} is missing", workload()) if needed else None


def _metadata(value: Mapping[str, Any]) -> Made | None:
    """What is required is missing; else what is forbidden is there."""
    for sort in ("labels", "annotations"):
        required, forbidden = f"required_{sort}", f"forbidden_{sort}"
        lines = encoded({"workload_metadata": {required: value.get(required, {})}})
        if first := lines[f"workload_metadata.{required}"].split("\n")[0]:
            return f"the {sort[:-1]} {first} is missing", _marked(value, sort, {})
        if keys := value.get(forbidden, ()):
            told = f"the {sort[:-1]} {keys[0]} is forbidden"
            return told, _marked(value, sort, {keys[0]: ""})
    return None


def _marked(value: Mapping[str, Any], sort: str, marks: Mapping[str, str]) -> JSON:
    """A workload whose pods have these marks, and a label to be found by that no rule names."""
    label = unlisted([*value.get("required_labels", ()), *value.get("forbidden_labels", ())])
    manifest = workload()
    spec = manifest["spec"]
    spec["selector"] = {"matchLabels": {label: ""}}
    meta: JSON = {"labels": {label: ""}}
    meta[sort] = {**meta.get(sort, {}), **marks}
    spec["template"]["metadata"] = meta
    return manifest


def _replicas(value: Mapping[str, int]) -> Made | None:
    if (least := value.get("min", 0)) > 0:
        return f"{least - 1}, fewer than {least}", _replicated(least - 1)
    if most := value.get("max"):
        return f"{most + 1}, more than {most}", _replicated(most + 1)
    return None


def _replicated(number: int) -> JSON:
    manifest = workload()
    manifest["spec"]["replicas"] = number
    return manifest


def _load_balancer(value: Mapping[str, Sequence[str]]) -> Made | None:
    """A part is broken as the first of those that are bounded, in the order of the policy."""
    if (ranges := value.get("source_ranges")) is not None and (found := _outside(ranges)):
        return f"source range {found}", _balancing(loadBalancerSourceRanges=[found])
    allowed = _balancing(**({"loadBalancerSourceRanges": [*ranges[:1]]} if ranges else {}))
    if (addresses := value.get("addresses")) is not None and (found := _outside(addresses)):
        address = found.partition("/")[0]
        allowed["spec"]["loadBalancerIP"] = address
        return f"address {address}", allowed
    if (classes := value.get("classes")) is not None:
        name = unlisted(classes)
        allowed["spec"]["loadBalancerClass"] = name
        return f"load balancer class {name}", allowed
    return None


# Within what documents use, then all over what is given out, then anywhere.
_OF_V6 = [
    *(f"2001:db8::{number:x}" for number in range(1, 512)),
    *(f"{first:x}:db8::77" for first in range(0x2000, 0x4000, 16)),
    *(f"{first:x}:db8::77" for first in range(0, 0x10000, 256)),
]


def _network(text: str) -> Any:
    return ip_network(text)


def _outside(ranges: Sequence[str]) -> str:
    """An address, as a range, that no range covers; empty where there is none to be found."""
    known = [ip_network(text) for text in ranges]
    for each in map(_network, chain(map(str, v4_ranges()), _OF_V6)):
        if not any(one.version == each.version and each.subnet_of(one) for one in known):
            return str(each)
    return ""


def _balancing(**spec: object) -> JSON:
    return service(type="LoadBalancer", selector=MARK, ports=[{"port": 80}], **spec)


def _api_kind(value: Mapping[str, Sequence[str]]) -> Made | None:
    """The policy refuses this proof whatever it is, and tells of all that is denied."""
    manifest: JSON = {"apiVersion": "v1", "kind": "ConfigMap"}
    return (", ".join(value["deny"])[:LONGEST_LIST], manifest) if value["deny"] else None


MADE: Mapping[str, Callable[[Any], Made | None]] = {
    "host_access": _host_access,
    "capabilities": _capability,
    "container_resources": _resources,
    "workload_metadata": _metadata,
    "replicas": _replicas,
    "load_balancers": _load_balancer,
    "api_kinds": _api_kind,
}
