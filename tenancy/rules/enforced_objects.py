"""How restrictions of Services, and of which kinds there may be at all, are enforced. Pure."""

from collections.abc import Mapping

from clusters.intents import USERNAME
from tenancy.rules import cel, ranges
from tenancy.rules.enforced import EVERYTHING, Enforced

# A message of the cluster has 5 KiB at most.
LONGEST_LIST = 4000
_BALANCED = "{spec}.?type.orValue('') == 'LoadBalancer'"
_NOTES = "dyn({name}).metadata.?annotations"
_OLD_RANGES = f"{_NOTES}[?'service.beta.kubernetes.io/load-balancer-source-ranges'].orValue('')"
# Without any range everybody is let in.
_RANGES = (
    f"({_BALANCED} ? "
    f"[({{spec}}.?loadBalancerSourceRanges.orValue([]).size() > 0 ? "
    f"{{spec}}.loadBalancerSourceRanges.join(',') : {_OLD_RANGES})]"
    ".map(text, text.trim() == '' ? '0.0.0.0/0' : text)[0].split(',').map(range, range.trim()) : "
    "[])"
)
_NOTED_ADDRESSES = (
    "kube-vip.io/loadbalancerIPs",
    "metallb.io/loadBalancerIPs",
    "metallb.universe.tf/loadBalancerIPs",
)
_ADDRESSES = (
    "({spec}.?externalIPs.orValue([]) + "
    f"({_BALANCED} ? [{{spec}}.?loadBalancerIP.orValue('')]"
    + "".join(f" + {_NOTES}[?'{note}'].orValue('').split(',')" for note in _NOTED_ADDRESSES)
    + " : [])).map(text, text.trim()).filter(text, text != '')"
)
_CLASSES = f"({_BALANCED} ? [{{spec}}.?loadBalancerClass.orValue('')] : [])"


def _outside(texts: str, part: str, written: str) -> str:
    """Those of `texts` that no line covers; `written` is CEL of `text`, the range it stands for.

    A line is a range, its length, its first and its last address. An address of IPv6 that is
    written with one of IPv4 is covered by nothing.
    """
    covers = "number[0] >= each[0] && number[1] >= each[1] && number[1] <= each[2]"
    # The length last: a policy's budget is spent by how often each of these is asked.
    spans = "digits >= each[2] && digits <= each[3] && int(range.split('/')[1]) >= int(each[1])"
    covered = (
        f"range in variables.{part} || "
        f"(range.matches({ranges.V4}) && [[int(range.split('/')[1]), {ranges.number('range')}]]"
        f".exists(number, variables.{part}_numbers.exists(each, {covers}))) || "
        f"({ranges.V6} && [{ranges.halves('range')}].exists(halves, ({ranges.WHOLE}) && "
        f"[{ranges.DIGITS}]"
        f".exists(digits, variables.{part}_digits.exists(each, {spans}))))"
    )
    return f"{texts}.filter(text, ![{written}].exists(range, {covered}))"


def _lists(part: str) -> tuple[tuple[str, str], ...]:
    """The variables of a list of ranges: their texts, numbers of IPv4, digits of IPv6."""
    lines = cel.lines(f"load_balancers.{part}")
    numbers = "[int(words[1]), int(words[2]), int(words[3])]"
    words = f"{lines}.map(line, line.split(' '))"
    return (
        (part, f"{lines}.map(line, line.split(' ')[0])"),
        (
            f"{part}_numbers",
            f"{words}.filter(words, !words[0].contains(':')).map(words, {numbers})",
        ),
        (f"{part}_digits", f"{words}.filter(words, words[0].contains(':'))"),
    )


def _bounded(part: str, word: str, refused: str) -> str:
    limited = cel.restricted(f"load_balancers.{part}")
    return f"({limited} ? {refused}.map(text, '{word}' + text) : [])"


_BROKEN = " + ".join(
    (
        _bounded(
            "source_ranges",
            "source range ",
            _outside(_RANGES, "source_ranges", "text"),
        ),
        _bounded(
            "addresses",
            "address ",
            _outside(
                _ADDRESSES,
                "addresses",
                "text.contains('/') ? text : text + (text.contains(':') ? '/128' : '/32')",
            ),
        ),
        _bounded(
            "classes",
            "",
            f"{_CLASSES}.filter(text, !(text in variables.classes)).map(text, text == '' ? "
            "'no load balancer class' : 'load balancer class ' + text)",
        ),
    )
)

_OF_THE_CLUSTER = (
    "(request.userInfo.username.startsWith('system:kube-') || "
    "request.userInfo.username == 'system:apiserver' || "
    "request.userInfo.?groups.orValue([]).exists(group, "
    "group in ['system:nodes', 'system:serviceaccounts:kube-system']))"
)
_BINDING_KINDS = (
    *("configmaps", "limitranges", "networkpolicies", "resourcequotas", "rolebindings"),
    "serviceaccounts",
)
_OF_KUBENOVA = (
    f"(request.userInfo.username == '{USERNAME}' && "
    "request.?name.orValue('').startsWith('kubenova') && "
    f"request.resource.resource in [{', '.join(map(repr, _BINDING_KINDS))}])"
)
_DENIED = (
    "variables.now.filter(kind, kind in variables.allowed || "
    "('*.' + request.resource.group) in variables.allowed)"
)

OBJECTS: Mapping[str, Enforced] = {
    "load_balancers": Enforced(
        ("load_balancers.source_ranges", "load_balancers.addresses", "load_balancers.classes"),
        (("", ("services",)),),
        _BROKEN,
        "A Service of such addresses",
        refused="variables.now",
        told=("A Service with ", " is not allowed here."),
        more=(
            *_lists("source_ranges"),
            *_lists("addresses"),
            ("classes", cel.lines("load_balancers.classes")),
        ),
    ),
    # Who proves that it is enforced sees the whole list.
    "api_kinds": Enforced(
        ("api_kinds.deny",),
        EVERYTHING,
        f"{_OF_THE_CLUSTER} || {_OF_KUBENOVA} ? [] : [request.resource.resource + "
        "(request.resource.group == '' ? '' : '.' + request.resource.group)]",
        "Its kind",
        refused=f"{cel.proof_of(cel.policy_name('api_kinds'))} ? "
        f"[variables.allowed.join(', ')].map(text, text.size() <= {LONGEST_LIST} ? text : "
        f"text.substring(0, {LONGEST_LIST})) : {_DENIED}",
        told=("Objects of the kind ", " cannot be made here."),
    ),
}
