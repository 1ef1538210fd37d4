"""How the bounds of a network are enforced, on NetworkPolicies of whoever writes them. Pure.

`tenancy.rules.network_judging` says the same in Python. Ranges are compared by their first and last
addresses (`tenancy.rules.ranges`).
"""

from collections.abc import Mapping

from reconcile.values import TENANT
from tenancy.rules import cel, ranges
from tenancy.rules.enforced import Enforced
from tenancy.rules.network_bounds import NETWORK, PORTS
from tenancy.rules.network_judging import BOUNDING, CAPSULE_TENANT, NAME_SERVER_LABELS, NAMES

# The first and last address of a range; of what holds an address of IPv4 and is none, nothing.
_MIXED = "text.contains(':') && text.contains('.')"
_ENDS = (
    f"({_MIXED} ? dyn([]) : text.contains(':') ? dyn({ranges.ends_of_v6('text')}) : "
    f"dyn({ranges.ends_of_v4('text')}))"
)
# What may be IPv4 written as IPv6 (RFC 4291, 2.5.5): the whole of IPv6 is not meant.
_MAPPED = (
    "(ends.size() == 0 || (range.contains(':') && !range.endsWith('/0') && "
    f"ends[0].startsWith('{'0' * 20}')))"
)
_COVERS = "line[0] <= ends[0] && ends[1] <= line[1]"
_MEETS = "line[0] <= ends[1] && ends[0] <= line[1]"
_CUTS = (
    "peer.ipBlock.?except.orValue([]).map(text, string(text))"
    f".filter(text, !({_MIXED})).map(text, {_ENDS})"
)
_KEPT = "met.exists(line, !cuts.exists(cut, cut[0] <= line[0] && line[1] <= cut[1]))"


def _of_its_family(lines: str) -> str:
    """Lines of IPv4 are pairs of numbers, those of IPv6 pairs of texts."""
    return f"(range.contains(':') ? dyn({lines}_v6) : dyn({lines}_v4))"


# What is cut out of a range is taken apart only where the range meets one that is denied.
_DENIED = (
    f"({_MAPPED} ? variables.denied.size() > 0 : "
    f"[{_of_its_family('variables.denied')}.filter(line, {_MEETS})]"
    f".exists(met, met.size() > 0 && [{_CUTS}].exists(cuts, {_KEPT})))"
)


def _uncovered(direction: str) -> str:
    """Whether a range lies outside of those that are allowed, where any are listed."""
    listed = f"variables.{direction}"
    covered = (
        f"(range in {listed} || (!{_MAPPED} && {_of_its_family(listed)}.exists(line, {_COVERS})))"
    )
    return f"({cel.restricted(f'{NETWORK}.{direction}_cidrs')} && !{covered})"


_LABELS = "peer.?namespaceSelector.?matchLabels"
_ELSEWHERE = (
    f"({cel.restricted(f'{NETWORK}.namespaces')} && !variables.namespaces.exists(line, "
    f"{_LABELS}[?line.split('=')[0]].orValue(' ') == line.split('=')[1]))"
)


def _broken(direction: str) -> str:
    ends = f"[range].map(text, {_ENDS})"
    judged = f"{ends}.exists(ends, {_uncovered(direction)} || {_DENIED})"
    return (
        f"(has(peer.ipBlock) ? [string(peer.ipBlock.cidr)].exists(range, {judged}) : {_ELSEWHERE})"
    )


_WHERE = (
    "(has(peer.ipBlock) ? string(peer.ipBlock.cidr) : "
    f"[{_LABELS}.orValue(variables.nothing)].map(labels, labels.size() == 0 ? 'other namespaces' : "
    "'namespaces ' + labels.map(key, key + '=' + string(labels[key])).min())[0])"
)
_OWN = (
    f"(!has(peer.ipBlock) && (!has(peer.namespaceSelector) || "
    f"{_LABELS}[?'{TENANT}'].orValue(' ') == variables.tenant || (variables.capsule != '' && "
    f"{_LABELS}[?'{CAPSULE_TENANT}'].orValue(' ') == variables.capsule)))"
)

# --- Ports.

_START = "(has(port.port) ? (type(port.port) == int ? int(port.port) : 0) : 1)"
_END = f"(has(port.endPort) ? int(port.endPort) : (has(port.port) ? {_START} : {PORTS}))"
_PROTOCOL = "port.?protocol.orValue('TCP')"
_PORT_WITHIN = (
    f"variables.ports.exists(line, line.protocol == {_PROTOCOL} && line.first <= {_START} && "
    f"{_END} <= line.last)"
)
_PORT = (
    "(has(port.port) ? 'port ' + string(port.port) : 'every port') + "
    f"(has(port.endPort) ? '-' + string(port.endPort) : '') + '/' + {_PROTOCOL}"
)
_PORTS_OUTSIDE = (
    f"(!{cel.restricted(f'{NETWORK}.ports')} ? [] : rule.?ports.orValue([]).size() == 0 ? "
    f"['every port'] : rule.ports.filter(port, !{_PORT_WITHIN}).map(port, {_PORT}))"
)

# --- Looking up names.

_IS_NAMES = (
    f"port.?port.orValue(0) == {NAMES} && !has(port.endPort) && {_PROTOCOL} in ['TCP', 'UDP']"
)
_IS_SERVER = " && ".join(
    f"peer.?{side}.?matchLabels[?'{key}'].orValue(' ') == '{value}'"
    for side, labels in NAME_SERVER_LABELS.items()
    for key, value in labels.items()
)
_LOOKS_UP = (
    f"(rule.?ports.orValue([]).size() > 0 && rule.ports.all(port, {_IS_NAMES}) && "
    "(rule.?to.orValue([]).size() == 0 ? variables.dns == 'any' : "
    f"variables.dns != 'none' && rule.to.all(peer, {_IS_SERVER})))"
)


def _opened(direction: str, side: str, word: str) -> str:
    """What one direction opens beyond the bounds, as texts."""
    rules = f"{{spec}}.?{direction}.orValue([])"
    if direction == "egress":
        rules += f".filter(rule, !{_LOOKS_UP})"
    peers = (
        f"(rule.?{side}.orValue([]).size() == 0 ? variables.everything : "
        f"rule.{side}.filter(peer, !{_OWN}))"
    )
    texts = (
        f"peers.filter(peer, {_broken(direction)}).map(peer, '{word} ' + {_WHERE}) + "
        f"(peers.size() == 0 ? [] : {_PORTS_OUTSIDE}.map(text, '{direction} on ' + text))"
    )
    return (
        f"{rules}.map(rule, [{peers}].map(peers, {texts})[0].join('\\n')).join('\\n').split('\\n')"
        ".filter(text, text != '')"
    )


def _ranges(part: str) -> tuple[tuple[str, str], ...]:
    """The variables of a list of ranges: their texts, then the ends of those of IPv4 and IPv6."""
    words = f"{cel.lines(f'{NETWORK}.{part}_cidrs')}.map(line, line.split(' '))"
    return (
        (part, f"{words}.map(line, line[0])"),
        (
            f"{part}_v4",
            f"{words}.filter(line, !line[0].contains(':')).map(line, [int(line[2]), int(line[3])])",
        ),
        (
            f"{part}_v6",
            f"{words}.filter(line, line[0].contains(':')).map(line, [line[2], line[3]])",
        ),
    )


_PORT_LINES = (
    f"{cel.lines(f'{NETWORK}.ports')}.map(line, line.split(' ')).map(line, "
    "{'first': dyn(int(line[1])), 'last': dyn(int(line[2])), 'protocol': dyn(line[3])})"
)


def _label(key: str) -> str:
    return f"namespaceObject.metadata.?labels[?'{key}'].orValue('')"


_EVERYTHING = (
    "[dyn({'ipBlock': {'cidr': '0.0.0.0/0'}}), dyn({'ipBlock': {'cidr': '::/0'}}), "
    "dyn({'namespaceSelector': {'matchLabels': {}}})]"
)

BOUNDS: Mapping[str, Enforced] = {
    NETWORK: Enforced(
        tuple(f"{NETWORK}.{part}" for part in BOUNDING),
        (("networking.k8s.io", ("networkpolicies",)),),
        f"{_opened('egress', 'to', 'egress to')} + {_opened('ingress', 'from', 'ingress from')}",
        "What a network policy opens",
        refused="variables.now",
        told=("A network policy that opens ", " is not allowed here."),
        more=(
            ("powers", f"[{ranges.POWERS}]"),
            *(each for part in ("egress", "ingress", "denied") for each in _ranges(part)),
            ("ports", _PORT_LINES),
            ("namespaces", cel.lines(f"{NETWORK}.namespaces")),
            ("dns", f"params.?data[?'{NETWORK}.dns'].orValue('any')"),
            ("tenant", _label(TENANT)),
            ("capsule", _label(CAPSULE_TENANT)),
            ("nothing", "dyn({})"),
            ("everything", _EVERYTHING),
        ),
    ),
}
