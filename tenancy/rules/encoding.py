"""Restrictions as the texts of a ConfigMap, and how admission policies take them apart. Pure.

A list is one entry a line: no entry may hold a line break or be empty (`tenancy.rules.kinds`), so
no two lists look alike. An absent key restricts nothing; an empty text allows nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_network

from tenancy.rules.freezing import FREEZE
from tenancy.rules.images import folded
from tenancy.rules.network_bounds import NETWORK, RANGES, port_range

PARAMETERS = "kubenova-rules"  # the ConfigMap, in each namespace of a project
CORDONED = "cordoned"
_TRUE = "true"
# Kinds without a policy: KubeNova makes every namespace with its labels, and rolls out every
# revision.
KEPT_HERE = frozenset({"namespaces", "pod_security", FREEZE})


def encoded(restrictions: Mapping[str, object], *, cordoned: bool = False) -> dict[str, str]:
    """Return the data of a project's ConfigMap for restrictions that have no problems."""
    data = {CORDONED: _TRUE} if cordoned else {}
    for kind, value in sorted(restrictions.items()):
        if kind in KEPT_HERE:
            continue
        if kind == "node_selector" or not isinstance(value, Mapping):
            data[kind] = _text(kind, value)
        else:
            data |= {
                f"{kind}.{part}": _text(f"{kind}.{part}", each)
                for part, each in sorted(value.items())
            }
    return data


def _text(key: str, value: object) -> str:
    """One entry a line; of a map `key=value`, or the key alone where any value will do."""
    if isinstance(value, Mapping):
        joined = "=" if key == "node_selector" else ""
        return _lines(
            f"{name}={text}" if text else f"{name}{joined}" for name, text in sorted(value.items())
        )
    if isinstance(value, list | tuple):
        return _lines(_LINES.get(key, str)(each) for each in value)
    return str(value)


def _range(text: str) -> str:
    """A range, its length, its first and last address: as numbers, of IPv6 as 32 digits."""
    network = ip_network(text)
    ends = (int(network.network_address), int(network.broadcast_address))
    first, last = (f"{each:032x}" if network.version == 6 else f"{each}" for each in ends)
    return f"{text} {network.prefixlen} {first} {last}"


def _port(text: str) -> str:
    """A port with its first and last number and its protocol."""
    first, last, protocol = port_range(text)
    return f"{text} {first} {last} {protocol}"


_LINES: Mapping[str, Callable[[str], str]] = {
    "image_registries.allow": folded,
    "image_registries.deny": folded,
    "load_balancers.source_ranges": _range,
    "load_balancers.addresses": _range,
    **{f"{NETWORK}.{part}": _range for part in RANGES},
    f"{NETWORK}.ports": _port,
}


def _lines(texts: Iterable[str]) -> str:
    return "\n".join(texts)
