"""Admission policies that operators have published, by the names of their rules. Only reads.

A rule on a cluster is a policy with its bindings; it is served where all of them are.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

from clusters.discovery import Served
from clusters.kinds import ADMISSION_POLICY, ADMISSION_POLICY_BINDING
from clusters.platforms import Ability
from clusters.reachable import Reachable
from clusters.rule_names import BINDINGS, ability_of, policy_of
from reconcile.errors import Forbidden
from reconcile.values import Kind, Live, digest

WORD = "rule"  # what the rules are asked for by, among the types
_KINDS = (ADMISSION_POLICY, ADMISSION_POLICY_BINDING)
_PAGES = 20  # of 500 objects


def of_rule(name: str, seen: Sequence[Live]) -> list[Live]:
    """Return the objects of a rule among others; none where not all of them are there."""
    policy = policy_of(name)
    wanted = [
        (ADMISSION_POLICY.name, policy),
        *((ADMISSION_POLICY_BINDING.name, policy + end) for end in BINDINGS),
    ]
    known = {(each.ref.kind.name, each.ref.name): each for each in seen}
    return [known[key] for key in wanted] if set(wanted) <= set(known) else []


def mark_of(objects: Sequence[Live]) -> str:
    """Return what changes when somebody changes a rule on a cluster; empty for no objects."""
    return digest([each.body.get("spec") for each in objects]) if objects else ""


def named_rules(cluster: Reachable, served: Served, names: Collection[str]) -> Iterator[Ability]:
    """Yield an ability per rule that is asked for; its version is what it looks like there.

    Raises ClusterError when the cluster does not answer.
    """
    if not names or any((kind.api_version, kind.plural) not in served for kind in _KINDS):
        return
    seen = [each for kind in _KINDS for each in _listed(cluster, kind)]
    for name in sorted(names):
        objects = of_rule(name, seen)
        reason = _doubt(objects[0]) if objects else "The rule is not published there."
        yield Ability(ability_of(name), bool(objects), mark_of(objects), reason)


def _listed(cluster: Reachable, kind: Kind) -> Iterator[Live]:
    """All of a kind; none where they may not be seen, by a baseline that is older."""
    token = ""
    with suppress(Forbidden):
        for _ in range(_PAGES):
            page = cluster.list_page(kind, token=token)
            yield from page.items
            token = page.token
            if not token:
                return


def _doubt(policy: Live) -> str:
    """What the API server's type check doubts: a field that no object has, say."""
    checked = (policy.body.get("status") or {}).get("typeChecking") or {}
    found = [str(each.get("warning", "")) for each in checked.get("expressionWarnings") or ()]
    return f"The cluster doubts it: {found[0]}"[:300] if found else ""
