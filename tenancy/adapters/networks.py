"""Which traffic a project's namespace lets through: the preset, and the rules beside it.

A NetworkPolicy only ever adds to what passes, and the first one that names a direction closes it
for all else. So rules are rendered in the directions that the preset has closed, and nowhere
else: where everything passes a rule has nothing to let through, and must not close anything.
"""

from collections.abc import Mapping

from reconcile.values import JSON, TENANT
from tenancy.adapters.objects import NETWORK_POLICY, in_project
from tenancy.intents import Isolation, ProjectIntent
from tenancy.rules.network import SIDES, opened
from tenancy.rules.network_bounds import dns_of, isolation_of
from tenancy.rules.network_judging import name_servers

_DNS: JSON = {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
_NAMES: Mapping[str, list[JSON]] = {
    "any": [_DNS],
    "cluster": [{"to": [name_servers()], **_DNS}],
    "none": [],
}
_TYPES = {"ingress": "Ingress", "egress": "Egress"}
_CLOSED: Mapping[str, tuple[str, ...]] = {
    Isolation.ISOLATED: ("ingress", "egress"),
    Isolation.EGRESS_OPEN: ("ingress",),
    Isolation.NONE: (),
}


def policies(intent: ProjectIntent) -> list[JSON]:
    """The policy of the preset and, where rules open what it closes, the one of the rules."""
    closed = _CLOSED[isolation_of(intent.isolation, intent.restrictions)]
    if not closed:
        return []
    found = [_policy(intent, "kubenova-isolation", _preset(intent, closed))]
    if beside := _opened(intent, closed):
        found.append(_policy(intent, "kubenova-network", beside))
    return found


def _preset(intent: ProjectIntent, closed: tuple[str, ...]) -> dict[str, list[JSON]]:
    """Whatever belongs to the same tenant passes, and names are looked up where they may be."""
    same_tenant = {"namespaceSelector": {"matchLabels": {TENANT: intent.tenant}}}
    found: dict[str, list[JSON]] = {
        direction: [{SIDES[direction]: [same_tenant]}] for direction in closed
    }
    if "egress" in found:
        found["egress"] += _NAMES[dns_of(intent.restrictions)]
    return found


def _opened(intent: ProjectIntent, closed: tuple[str, ...]) -> dict[str, list[JSON]]:
    rules = {
        direction: [opened(rule) for rule in intent.network if rule["direction"] == direction]
        for direction in closed
    }
    return {direction: found for direction, found in rules.items() if found}


def _policy(intent: ProjectIntent, name: str, rules: Mapping[str, list[JSON]]) -> JSON:
    types = [_TYPES[direction] for direction in rules]
    spec = {"podSelector": {}, "policyTypes": types, **rules}
    return in_project(intent, NETWORK_POLICY, name, spec=spec)
