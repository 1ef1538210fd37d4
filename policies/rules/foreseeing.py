"""What live objects break that no copy of them could tell: computed, and said to be so. Pure.

A NetworkPolicy is judged by whose namespace it lies in, which a copy elsewhere would not be. What
a LimitRange gives to containers meets a rule only when pods are made.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from clusters.kinds import LIMIT_RANGE, NETWORK_POLICY
from policies.rules.values import Broken
from reconcile.values import JSON, Kind, Live
from tenancy.rules.network_bounds import NETWORK
from tenancy.rules.network_judging import Home, outside
from tenancy.rules.quantities import parse

RESOURCES = "container_resources"
# By which rule objects of a kind are judged.
KINDS: Mapping[Kind, str] = {NETWORK_POLICY: NETWORK, LIMIT_RANGE: RESOURCES}
# KubeNova renders these anew by the rule itself (tenancy.adapters, also what Capsule replicates).
_RENDERED = frozenset({"kubenova-isolation", "kubenova-tenant-isolation"})
_GIVEN = {"default": "gives containers that say nothing", "min": "wants containers to have"}


def foreseen(rules: Mapping[str, Any], live: Live, tenant: str) -> Iterator[Broken]:
    """Yield what a NetworkPolicy or a LimitRange of a tenant's namespace breaks."""
    spec: JSON = live.body.get("spec") or {}
    if live.ref.kind == NETWORK_POLICY and live.ref.name not in _RENDERED:
        for text in dict.fromkeys(outside(spec, rules, Home(tenant, tenant))):
            yield Broken(NETWORK, f"A network policy that opens {text} is not allowed here.")
    if live.ref.kind == LIMIT_RANGE:
        most = (rules.get(RESOURCES) or {}).get("max") or {}
        for limit in spec.get("limits") or ():
            if limit.get("type") == "Container":
                yield from _of_containers(limit, most)


def _of_containers(limit: JSON, most: Mapping[str, str]) -> Iterator[Broken]:
    """With such a default a pod that says nothing is refused, with such a minimum every pod."""
    for side, told in _GIVEN.items():
        for name, text in sorted((limit.get(side) or {}).items()):
            if name in most and parse(str(text)) > parse(most[name]):
                yield Broken(RESOURCES, f"It {told} {name} {text}, more than {most[name]}.")
