"""Network rules of tenants and projects, beyond the named presets. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_network

from reconcile.spelling import label_key_fault, label_value_fault
from reconcile.values import JSON

DIRECTIONS = ("ingress", "egress")
SIDES = {"ingress": "from", "egress": "to"}
PROTOCOLS = ("TCP", "UDP", "SCTP")
_MOST = 50
_PEERS = ("cidr", "except", "namespace_labels", "pod_labels")


def network_problems(value: object) -> Iterator[tuple[str, str]]:
    """Yield (path, what is wrong) for rules: a list of {direction, peers, ports?}.

    A rule lets through, beside the preset, what goes between the namespace and any of its `peers`
    ({cidr, except?} or {namespace_labels?, pod_labels?}) on its `ports` ({port, end_port?,
    protocol?}), on every port where there are none. The shape follows NetworkPolicy (Kubernetes).
    """
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > _MOST:
        yield "", f"This is a list of at most {_MOST} network rules."
        return
    for index, rule in enumerate(value):
        for path, text in _rule_problems(rule):
            yield f"{index}/{path}".rstrip("/"), text


def _rule_problems(rule: object) -> Iterator[tuple[str, str]]:
    if not isinstance(rule, Mapping) or set(rule) - {"direction", "peers", "ports"}:
        yield "", "A network rule has direction, peers and, where they matter, ports."
        return
    if rule.get("direction") not in DIRECTIONS:
        yield "direction", f"Use {' or '.join(DIRECTIONS)}."
    for name, least, problem in (("peers", 1, _peer_problem), ("ports", 0, _port_problem)):
        items = rule.get(name, [])
        if not isinstance(items, Sequence) or isinstance(items, str) or len(items) > _MOST:
            yield name, f"This is a list of at most {_MOST}."
        elif len(items) < least:
            yield name, "Name at least one peer."
        else:
            found = ((index, problem(item)) for index, item in enumerate(items))
            yield from ((f"{name}/{index}", text) for index, text in found if text)


def _peer_problem(peer: object) -> str:
    if not isinstance(peer, Mapping) or not peer or set(peer) - set(_PEERS):
        return f"A peer has {', '.join(_PEERS)}."
    if "cidr" in peer:
        if set(peer) - {"cidr", "except"}:
            return "A peer has either a cidr or labels."
        return _cidr_problem(peer["cidr"], peer.get("except", []))
    if "except" in peer:
        return "except belongs to a cidr."
    return next((text for labels in peer.values() if (text := _labels_problem(labels))), "")


def _cidr_problem(cidr: object, without: object) -> str:
    if not isinstance(without, Sequence) or isinstance(without, str) or len(without) > _MOST:
        return "except is a list of address ranges."
    try:
        whole, *parts = (ip_network(str(text)) for text in (cidr, *without))
    except ValueError as error:
        return f"{error}."[:200]
    for part in parts:
        if part.version != whole.version or not part.subnet_of(whole):  # type: ignore[arg-type]
            return f"{part} does not lie in {whole}."
    return ""


def _labels_problem(labels: object) -> str:
    if not isinstance(labels, Mapping):
        return "Labels are a map of labels."
    faults = (label_key_fault(key) or label_value_fault(value) for key, value in labels.items())
    return next((f"A label {fault}." for fault in faults if fault), "")


def _port_problem(port: object) -> str:
    if not isinstance(port, Mapping) or set(port) - {"port", "end_port", "protocol"}:
        return "A port has port, end_port and protocol."
    if port.get("protocol", "TCP") not in PROTOCOLS:
        return f"protocol is one of {', '.join(PROTOCOLS)}."
    numbers = [port.get("port"), port.get("end_port", port.get("port"))]
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 65536:
            return "port and end_port are numbers from 1 to 65535."
    return "" if numbers == sorted(numbers) else "end_port is less than port."


def opened(rule: JSON) -> JSON:
    """Return a rule without problems as a rule of a NetworkPolicy has it."""
    found: JSON = {SIDES[rule["direction"]]: [_as_peer(peer) for peer in rule["peers"]]}
    if ports := rule.get("ports"):
        found["ports"] = [_as_port(port) for port in ports]
    return found


def _as_peer(peer: JSON) -> JSON:
    """Pods alone are those of the same namespace, as in a NetworkPolicy; {} is all of them."""
    if "cidr" in peer:
        without = {"except": [*peer["except"]]} if peer.get("except") else {}
        return {"ipBlock": {"cidr": peer["cidr"], **without}}
    fields = {"namespace_labels": "namespaceSelector", "pod_labels": "podSelector"}
    return {
        field: {"matchLabels": dict(peer[key])} if peer[key] else {}
        for key, field in fields.items()
        if key in peer
    }


def _as_port(port: JSON) -> JSON:
    """The protocol is written out: the API server would, and what it adds is not ours."""
    end = {"endPort": port["end_port"]} if "end_port" in port else {}
    return {"protocol": port.get("protocol", "TCP"), "port": port["port"], **end}
