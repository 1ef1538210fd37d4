"""Which traffic a project's namespace lets through: the preset, and the rules beside it.

A NetworkPolicy only ever adds to what passes, and the first one that names a direction closes it
for all else. So rules are rendered in the directions that the preset has closed, and nowhere
else: where everything passes a rule has nothing to let through, and must not close anything.
"""

from collections.abc import Mapping

from reconcile.values import JSON, TENANT
from tenancy.adapters.objects import NETWORK_POLICY, in_project
from tenancy.intents import Isolation, ProjectIntent

_DNS: JSON = {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
_TYPES = {"ingress": "Ingress", "egress": "Egress"}
_SIDES = {"ingress": "from", "egress": "to"}
_CLOSED: Mapping[str, tuple[str, ...]] = {
    Isolation.ISOLATED: ("ingress", "egress"),
    Isolation.EGRESS_OPEN: ("ingress",),
    Isolation.NONE: (),
}


def policies(intent: ProjectIntent) -> list[JSON]:
    """The policy of the preset and, where rules open what it closes, the one of the rules."""
    closed = _CLOSED[intent.isolation]
    if not closed:
        return []
    found = [_policy(intent, "kubenova-isolation", _preset(intent, closed))]
    if opened := _opened(intent, closed):
        found.append(_policy(intent, "kubenova-network", opened))
    return found


def _preset(intent: ProjectIntent, closed: tuple[str, ...]) -> dict[str, list[JSON]]:
    """Whatever belongs to the same tenant passes, and names can be looked up."""
    same_tenant = {"namespaceSelector": {"matchLabels": {TENANT: intent.tenant}}}
    found: dict[str, list[JSON]] = {
        direction: [{_SIDES[direction]: [same_tenant]}] for direction in closed
    }
    if "egress" in found:
        found["egress"].append(_DNS)
    return found


def _opened(intent: ProjectIntent, closed: tuple[str, ...]) -> dict[str, list[JSON]]:
    rules = {
        direction: [_rule(rule) for rule in intent.network if rule["direction"] == direction]
        for direction in closed
    }
    return {direction: found for direction, found in rules.items() if found}


def _policy(intent: ProjectIntent, name: str, rules: Mapping[str, list[JSON]]) -> JSON:
    types = [_TYPES[direction] for direction in rules]
    spec = {"podSelector": {}, "policyTypes": types, **rules}
    return in_project(intent, NETWORK_POLICY, name, spec=spec)


def _rule(rule: JSON) -> JSON:
    found: JSON = {_SIDES[rule["direction"]]: [_peer(peer) for peer in rule["peers"]]}
    if ports := rule.get("ports"):
        found["ports"] = [_port(port) for port in ports]
    return found


def _peer(peer: JSON) -> JSON:
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


def _port(port: JSON) -> JSON:
    """The protocol is written out: the API server would, and what it adds is not ours."""
    end = {"endPort": port["end_port"]} if "end_port" in port else {}
    return {"protocol": port.get("protocol", "TCP"), "port": port["port"], **end}
