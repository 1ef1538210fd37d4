"""What breaks the bounds of a network. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv6Network
from typing import Any

from reconcile.values import JSON
from tenancy.rules.network_bounds import NETWORK, PORTS
from tenancy.rules.network_judging import Home, outside
from tenancy.rules.trying import Made, unlisted, v4_ranges

_MAPPED = 2**48  # below it, addresses of IPv6 may be some of IPv4
_NOBODY = Home("")  # what is tried names no namespace of a tenant


def network(value: Mapping[str, Any]) -> Made | None:
    """A NetworkPolicy that opens one thing that is bounded, and what of it is refused."""
    for spec in _tried(value):
        if told := next(outside(spec, {NETWORK: value}, _NOBODY), ""):
            return told, _policy(spec)
    return None


def _policy(spec: JSON) -> JSON:
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": spec}


def _tried(value: Mapping[str, Any]) -> Iterator[JSON]:
    """Specs that may break a value, each by one peer and one port."""
    for direction in ("egress", "ingress"):
        if (ranges := value.get(f"{direction}_cidrs")) is not None:
            blocks = (_block(each) for each in _candidates(ranges))
            yield from (_opening(direction, block) for block in blocks)
    for text in value.get("denied_cidrs", ()):
        yield _opening("egress", _block(text))
    label = unlisted([each.partition("=")[0] for each in value.get("namespaces", ())])
    yield _opening("egress", {"namespaceSelector": {"matchLabels": {label: "x"}}})
    if "ports" in value:
        peer = {"namespaceSelector": {"matchLabels": dict([_label(value)])}}
        for protocol in ("TCP", "UDP", "SCTP"):
            port: JSON = {"protocol": protocol, "port": 1, "endPort": PORTS}
            yield _opening("egress", peer, port)


def _label(value: Mapping[str, Any]) -> tuple[str, str]:
    listed = [*value.get("namespaces", ()), "kubenova-proof=x"]
    key, _, text = listed[0].partition("=")
    return key, text


def _candidates(ranges: Sequence[str]) -> Iterator[str]:
    """Ranges of which one lies outside of the listed ones, unless they are all there is."""
    if "0.0.0.0/0" not in ranges:
        yield from (str(each) for each in v4_ranges())
    if "::/0" not in ranges:
        yield "2001:db8::1/128"
        for whole in (IPv6Network(text) for text in ranges if ":" in text):
            beside = (int(whole[0]) - 1, int(whole[-1]) + 1)
            yield from (str(IPv6Network(each)) for each in beside if _MAPPED < each < 2**128)


def _block(text: str) -> JSON:
    return {"ipBlock": {"cidr": text}}


def _opening(direction: str, peer: JSON, *ports: JSON) -> JSON:
    rule: JSON = {"to" if direction == "egress" else "from": [peer]}
    if ports:
        rule["ports"] = [*ports]
    return {
        "podSelector": {},
        "policyTypes": [direction.capitalize()],
        direction: [rule],
    }
