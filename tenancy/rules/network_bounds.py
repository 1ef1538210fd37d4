"""How far tenants and projects may open their network at most: the kind `network`. Pure.

NetworkPolicies only ever add to what passes (Kubernetes, network policies). So what is bounded is
closed first, by the preset, and whatever opens it again has to lie within the bounds.
"""

import re
from collections.abc import Mapping, Sequence
from functools import reduce
from ipaddress import ip_network
from typing import Any

from reconcile.spelling import label_key_fault, label_value_fault
from reconcile.values import JSON
from tenancy.rules import merging, values
from tenancy.rules.kind import RuleKind, list_of, parts_of
from tenancy.rules.values import Problems

NETWORK = "network"
PRESETS = ("none", "egress-open", "isolated")  # from the loosest to the strictest
DNS = ("any", "cluster", "none")
RANGES = ("egress_cidrs", "ingress_cidrs", "denied_cidrs")
PORTS = 65535
_WORDS: Mapping[str, Sequence[str]] = {"isolation": PRESETS, "dns": DNS}
_PARTS = ("isolation", *RANGES, "namespaces", "ports", "dns")
# What bounds a direction needs it closed.
_CLOSING = {"ingress_cidrs": "egress-open"}
_TEXT = re.compile(r"[^\s]{1,400}")
_PORT = re.compile(r"([1-9][0-9]{0,4})(?:-([1-9][0-9]{0,4}))?(?:/(UDP|SCTP))?", re.ASCII)
_PORT_FAULT = "Write ports as 443, 8000-8100 or 53/UDP, from 1 to 65535."


def problems(value: object) -> Problems:
    """Yield (path, what is wrong) for bounds of a network."""
    if not isinstance(value, Mapping) or not value or set(value) - set(_PARTS):
        yield "", f'Use {", ".join(_PARTS)}, such as {{"egress_cidrs": ["10.0.0.0/8"]}}.'
        return
    for part, each in value.items():
        if part in _WORDS:
            if each not in _WORDS[part]:
                yield part, f"Use {', '.join(_WORDS[part])}."
            continue
        for path, text in _listed(part, each):
            yield f"{part}/{path}" if path else part, text


def _listed(part: str, listed: object) -> Problems:
    found = list(values.texts(listed, _TEXT, "texts"))
    yield from found
    if found or not isinstance(listed, Sequence):
        return
    judge = {"namespaces": _label_fault, "ports": _port_fault}.get(part, _range_fault)
    for index, text in enumerate(listed):
        if fault := judge(text):
            yield str(index), fault


def _range_fault(text: str) -> str:
    try:
        network = ip_network(text)
    except ValueError:
        return "This is no range of addresses, such as 192.0.2.0/24 or 2001:db8::/32."
    return "" if str(network) == text else f"Write it as {network}."


def _label_fault(text: str) -> str:
    key, equals, value = text.partition("=")
    if not equals:
        return "Write a label with its value, as in team=web."
    fault = label_key_fault(key) or label_value_fault(value)
    return f"This {fault}." if fault else ""


def _port_fault(text: str) -> str:
    if not _PORT.fullmatch(text):
        return _PORT_FAULT
    first, last, _ = port_range(text)
    if not 0 < first <= last <= PORTS:
        return _PORT_FAULT
    return "" if _port_text(first, last, _protocol(text)) == text else "Name one port once."


def port_range(text: str) -> tuple[int, int, str]:
    """Return the first and last number and the protocol of a port as it is written here."""
    hit = _PORT.fullmatch(text)
    if hit is None:
        raise ValueError(_PORT_FAULT)
    first, last, protocol = hit.groups()
    return int(first), int(last or first), protocol or "TCP"


def _protocol(text: str) -> str:
    return text.partition("/")[2] or "TCP"


def _port_text(first: int, last: int, protocol: str) -> str:
    numbers = str(first) if first == last else f"{first}-{last}"
    return numbers if protocol == "TCP" else f"{numbers}/{protocol}"


# --- The stricter of two.


def stricter(one: JSON, other: JSON) -> JSON:
    """What both allow and what either denies, part by part."""
    merged: JSON = {}
    for part in _PARTS:
        given = [value[part] for value in (one, other) if part in value]
        if given:
            merged[part] = reduce(_MERGED.get(part, merging.within), given)
    return merged


def _ports(one: Sequence[str], other: Sequence[str]) -> list[str]:
    """What lies in a range of either, protocol by protocol."""
    found = []
    for first, last, protocol in map(port_range, one):
        for start, end, spoken in map(port_range, other):
            low, high = max(first, start), min(last, end)
            if protocol == spoken and low <= high:
                found.append(_port_text(low, high, protocol))
    return list(dict.fromkeys(found))


_MERGED: Mapping[str, Any] = {
    "isolation": merging.levels(PRESETS),
    "denied_cidrs": merging.either,
    "namespaces": merging.lists,
    "ports": _ports,
    "dns": merging.levels(DNS),
}


# --- What they come to.


def isolation_of(preset: str, restrictions: Mapping[str, Any]) -> str:
    """Return the preset that holds: the tenant's own, or what its bounds need at least."""
    bounds = restrictions.get(NETWORK) or {}
    needed = [
        bounds.get(part, PRESETS[0]) if part == "isolation" else _CLOSING.get(part, PRESETS[-1])
        for part in bounds
    ]
    return max((str(preset), *needed), key=PRESETS.index)


def dns_of(restrictions: Mapping[str, Any]) -> str:
    """Return where names may be looked up: `any`, at the `cluster`'s own, or `none`."""
    found = (restrictions.get(NETWORK) or {}).get("dns", DNS[0])
    return str(found)


KIND = RuleKind(
    NETWORK,
    "Network",
    "How far the network may be opened at most, by network rules and by NetworkPolicies of "
    "anybody: ranges of addresses (denied_cidrs win), namespaces of others by one of the labels, "
    "ports; and where names may be looked up (cluster: the pods k8s-app=kube-dns of kube-system). "
    "The same tenant is always within. isolation is the least preset; what is bounded is closed in "
    "any case. What may be an IPv4 address written as IPv6 is never within.",
    parts_of(
        isolation={"type": "string", "enum": list(PRESETS)},
        egress_cidrs=list_of(maxLength=43),
        ingress_cidrs=list_of(maxLength=43),
        denied_cidrs=list_of(maxLength=43),
        namespaces=list_of(maxLength=381),
        ports=list_of(maxLength=16),
        dns={"type": "string", "enum": list(DNS)},
    ),
    {"egress_cidrs": ["10.0.0.0/8"], "denied_cidrs": ["169.254.0.0/16"]},
    problems,
    stricter,
)
