"""How the bounds of a network are enforced, on NetworkPolicies of whoever writes them. Pure.

`tenancy.rules.network_judging` says the same in Python. Ranges of IPv4 are compared as numbers and
those of IPv6 as texts: the API servers of Kubernetes 1.30 have no word for ranges.
"""

from collections.abc import Mapping

from reconcile.values import TENANT
from tenancy.rules import cel
from tenancy.rules.enforced import Enforced
from tenancy.rules.network_bounds import NETWORK, PORTS
from tenancy.rules.network_judging import BOUNDING, CAPSULE_TENANT, NAME_SERVER_LABELS, NAMES

_V4 = "matches('^[0-9]{{1,3}}([.][0-9]{{1,3}}){{3}}/[0-9]{{1,2}}$')"
_POWERS = ", ".join(str(2 ** (32 - length)) for length in range(33))


def _number(text: str) -> str:
    """The length and the first address of a range of IPv4, a list of numbers."""
    parts = f"{text}.split('/')[0].split('.').map(part, int(part))"
    value = "part[0] * 16777216 + part[1] * 65536 + part[2] * 256 + part[3]"
    return f"[{parts}].map(part, [int({text}.split('/')[1]), {value}])[0]"


def _group(text: str) -> str:
    """The first 16 bits of a range of IPv6 as a number; the dialect reads no other digits."""
    padded = f"'0000' + {text}.split(':')[0].lowerAscii()"
    digits = "[4, 3, 2, 1].map(n, '0123456789abcdef'.indexOf(group.charAt(group.size() - n)))"
    value = "digit[0] * 4096 + digit[1] * 256 + digit[2] * 16 + digit[3]"
    return f"[{padded}].map(group, {digits}).map(digit, {value})[0]"


_MAPPED = (
    f"(range.contains(':') && (range.contains('.') || ({_group('range')} == 0 && range != '::/0')))"
)
# Lines of ranges are taken apart once: each comparison has to be cheap.
_COVERS_V4 = "line.length <= number[0] && number[1] / line.power == line.prefix"
_MEETS_V4 = (
    "(line.length <= number[0] ? number[1] / line.power == line.prefix : "
    "number[1] / variables.powers[number[0]] == line.first / variables.powers[number[0]])"
)
_CUT_OUT_V4 = (
    f"peer.ipBlock.?except.orValue([]).exists(text, text.{_V4} && [{_number('text')}].exists(cut, "
    "cut[0] <= line.length && cut[1] / variables.powers[cut[0]] == "
    "line.first / variables.powers[cut[0]]))"
)
_MEETS_V6 = (
    "[[int(line.length), number[0]].min()].exists(length, "
    "number[1] / variables.powers[16 + length] == line.first / variables.powers[16 + length])"
)
_DENIED = (
    f"({_MAPPED} ? variables.denied.size() > 0 : range.contains(':') ? "
    f"variables.denied_v6.exists(line, {_MEETS_V6} && "
    "!(line.text in peer.ipBlock.?except.orValue([]))) : "
    f"variables.denied_v4.exists(line, {_MEETS_V4} && !{_CUT_OUT_V4}))"
)


def _uncovered(direction: str) -> str:
    """Whether a range lies outside of those that are allowed, where any are listed."""
    listed = f"variables.{direction}"
    covered = (
        f"(range in {listed} || (range.contains(':') ? '::/0' in {listed} && !{_MAPPED} : "
        f"{listed}_v4.exists(line, {_COVERS_V4})))"
    )
    return f"({cel.restricted(f'{NETWORK}.{direction}_cidrs')} && !{covered})"


_LABELS = "peer.?namespaceSelector.?matchLabels"
_ELSEWHERE = (
    f"({cel.restricted(f'{NETWORK}.namespaces')} && !variables.namespaces.exists(line, "
    f"{_LABELS}[?line.split('=')[0]].orValue(' ') == line.split('=')[1]))"
)


def _broken(direction: str) -> str:
    number = (
        f"range.{_V4} ? {_number('range')} : range.contains(':') ? "
        f"[int(range.split('/')[1]), {_group('range')}] : [0, 0]"
    )
    judged = f"[{number}].exists(number, {_uncovered(direction)} || {_DENIED})"
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
    """The variables of a list of ranges: their texts, then IPv4 and IPv6 as numbers."""
    words = f"{cel.lines(f'{NETWORK}.{part}_cidrs')}.map(line, line.split(' '))"
    of_v4 = (
        "{'length': int(line[1]), 'first': int(line[2]), "
        "'power': variables.powers[int(line[1])], "
        "'prefix': int(line[2]) / variables.powers[int(line[1])]}"
    )
    group = _group("line[0]")
    of_v6 = (
        "{'text': dyn(line[0]), 'length': dyn([16, int(line[0].split('/')[1])].min()), "
        f"'first': dyn({group})}}"
    )
    return (
        (part, f"{words}.map(line, line[0])"),
        (f"{part}_v4", f"{words}.filter(line, line.size() == 4).map(line, {of_v4})"),
        (f"{part}_v6", f"{words}.filter(line, line.size() == 1).map(line, {of_v6})"),
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
            ("powers", f"[{_POWERS}]"),
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
