"""What of a NetworkPolicy lies outside of the bounds of a network. Pure.

It tells what the policy of the cluster does (`tenancy.rules.enforced_network`), in the same order,
for declarations before they reach a cluster, and for simulations: their copies lie in a namespace
of no tenant.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from reconcile.values import JSON, TENANT
from tenancy.rules.network_bounds import NETWORK, PORTS, port_range

CAPSULE_TENANT = "capsule.clastix.io/tenant"
NAME_SERVER_LABELS: Mapping[str, Mapping[str, str]] = {
    "namespaceSelector": {"kubernetes.io/metadata.name": "kube-system"},
    "podSelector": {"k8s-app": "kube-dns"},
}
NAMES = 53
_SIDES = {"egress": ("to", "egress to"), "ingress": ("from", "ingress from")}
# A rule without peers is about all of these.
_EVERYTHING: Sequence[JSON] = (
    {"ipBlock": {"cidr": "0.0.0.0/0"}},
    {"ipBlock": {"cidr": "::/0"}},
    {"namespaceSelector": {}},
)


@dataclass(frozen=True)
class Home:
    """Whose namespace a NetworkPolicy lies in; `capsule` is the tenant that Capsule knows it by."""

    tenant: str
    capsule: str = ""

    def holds(self, peer: JSON) -> bool:
        """Whether a peer is of the same tenant."""
        if "ipBlock" in peer:
            return False
        if "namespaceSelector" not in peer:
            return True
        labels = peer["namespaceSelector"].get("matchLabels") or {}
        of_capsule = bool(self.capsule) and labels.get(CAPSULE_TENANT) == self.capsule
        return of_capsule or labels.get(TENANT) == self.tenant


def name_servers() -> JSON:
    """The peer that a cluster's own name servers are."""
    return {side: {"matchLabels": dict(labels)} for side, labels in NAME_SERVER_LABELS.items()}


def outside(spec: JSON, restrictions: Mapping[str, Any], home: Home) -> Iterator[str]:
    """Yield what the spec of a NetworkPolicy opens beyond the bounds, such as `egress to ::/0`."""
    bounds: JSON = restrictions.get(NETWORK) or {}
    if not any(part in bounds for part in BOUNDING):
        return
    for direction in _SIDES:
        for rule in spec.get(direction) or ():
            if not (direction == "egress" and _looks_up(rule, str(bounds.get("dns", "any")))):
                yield from _of_rule(rule, direction, bounds, home)


BOUNDING = ("egress_cidrs", "ingress_cidrs", "denied_cidrs", "namespaces", "ports")


def _looks_up(rule: JSON, dns: str) -> bool:
    """Whether it lets names be looked up where they may be, and nothing else."""
    ports, peers = rule.get("ports") or (), rule.get("to") or ()
    if not ports or not all(_is_names(port) for port in ports):
        return False
    if not peers:
        return dns == "any"
    return dns != "none" and all(_is_name_server(peer) for peer in peers)


def _is_names(port: JSON) -> bool:
    udp_or_tcp = port.get("protocol", "TCP") in ("TCP", "UDP")
    return port.get("port") == NAMES and "endPort" not in port and udp_or_tcp


def _is_name_server(peer: JSON) -> bool:
    return all(
        ((peer.get(side) or {}).get("matchLabels") or {}).get(key) == value
        for side, labels in NAME_SERVER_LABELS.items()
        for key, value in labels.items()
    )


def _of_rule(rule: JSON, direction: str, bounds: JSON, home: Home) -> Iterator[str]:
    side, word = _SIDES[direction]
    named = rule.get(side) or ()
    peers = [each for each in named if not home.holds(each)] if named else _EVERYTHING
    for peer in peers:
        if block := peer.get("ipBlock"):
            if not _range_within(block, bounds.get(f"{direction}_cidrs"), bounds):
                yield f"{word} {block['cidr']}"
        elif not _labels_within(peer, bounds.get("namespaces")):
            yield f"{word} {_selected(peer)}"
    if peers and "ports" in bounds:
        for text in _ports_outside(rule.get("ports") or (), bounds["ports"]):
            yield f"{direction} on {text}"


def _selected(peer: JSON) -> str:
    labels = (peer.get("namespaceSelector") or {}).get("matchLabels") or {}
    first = min((f"{key}={value}" for key, value in labels.items()), default="")
    return f"namespaces {first}" if first else "other namespaces"


def _labels_within(peer: JSON, allowed: Sequence[str] | None) -> bool:
    labels = (peer.get("namespaceSelector") or {}).get("matchLabels") or {}
    return allowed is None or any(f"{key}={value}" in allowed for key, value in labels.items())


def _ports_outside(ports: Sequence[JSON], allowed: Sequence[str]) -> Iterator[str]:
    if not ports:
        yield "every port"
    for port in ports:
        protocol, number = port.get("protocol", "TCP"), port.get("port", 1)
        first = number if isinstance(number, int) else 0  # a name, which each pod reads its own way
        last = port.get("endPort", first if "port" in port else PORTS)
        spoken = (found[:2] for found in map(port_range, allowed) if found[2] == protocol)
        if not any(start <= first and last <= end for start, end in spoken):
            told = f"port {number}" if "port" in port else "every port"
            end = f"-{port['endPort']}" if "endPort" in port else ""
            yield f"{told}{end}/{protocol}"


# --- Ranges, as the cluster's policy compares them.


def _range_within(block: JSON, allowed: Sequence[str] | None, bounds: JSON) -> bool:
    text, without = block["cidr"], block.get("except") or ()
    if allowed is not None and not _covered(text, allowed):
        return False
    denied = bounds.get("denied_cidrs") or ()
    if _mapped(text):
        return not denied
    return all(_apart(text, each) or _cut_out(each, without) for each in denied)


def _covered(text: str, allowed: Sequence[str]) -> bool:
    if text in allowed:
        return True
    return not _mapped(text) and any(_lies_within(text, each) for each in allowed)


def _apart(text: str, denied: str) -> bool:
    """Whether two ranges have nothing in common."""
    one, other = _network(text), _network(denied)
    return one.version != other.version or not one.overlaps(other)


def _cut_out(denied: str, without: Sequence[str]) -> bool:
    return any(_lies_within(denied, each) for each in without if not _mixed(each))


def _lies_within(text: str, whole: str) -> bool:
    one, other = _network(text), _network(whole)
    return one.version == other.version and one.subnet_of(other)  # type: ignore[arg-type]


def _network(text: str) -> IPv4Network | IPv6Network:
    """A range as API servers read it, who take host bits and, the older ones, leading zeros."""
    if ":" not in text:
        text = re.sub(r"\b0+(?=\d)", "", text)
    return ip_network(text, strict=False)


def _mapped(text: str) -> bool:
    """Whether it may be a range of IPv4 in the clothes of IPv6 (RFC 4291, 2.5.5)."""
    if ":" not in text or text.endswith("/0"):
        return _mixed(text)
    return _mixed(text) or int(_network(text).network_address) >> 48 == 0


def _mixed(text: str) -> bool:
    return ":" in text and "." in text
