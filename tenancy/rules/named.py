"""Rules in CEL that operators have published on clusters, as restrictions name them. Pure.

Which rules hold in a namespace is one line each of its parameters. Every such policy refuses one
more thing than its rule says, a name that is only ever tried: so it is seen to hold.
"""

from collections.abc import Iterator, Mapping

from clusters.rule_names import BINDINGS, policy_of
from reconcile.spelling import name_fault
from reconcile.values import JSON
from tenancy.rules import cel
from tenancy.rules.values import MOST_ENTRIES, Problems

NAMED = "cel"  # the kind of restrictions
LONGEST = 40
_KEY = f"{NAMED}.rules"


def problems(value: object) -> Problems:
    """Names of rules; whether there are such is asked where they are declared."""
    listed = value.get("rules") if isinstance(value, Mapping) and len(value) == 1 else None
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_ENTRIES:
        yield "", f'Use {{"rules": ["name"]}}, with 1 to {MOST_ENTRIES} names.'
        return
    for index, name in enumerate(listed):
        if fault := rule_name_fault(name):
            yield f"rules/{index}", f"The name {fault}."
        elif name in listed[:index]:
            yield f"rules/{index}", "This is listed twice."


def rule_name_fault(name: object) -> str:
    """Say why a rule cannot be called so; empty if it can."""
    if fault := name_fault(name):
        return fault
    if len(str(name)) > LONGEST:
        return f"is longer than {LONGEST} characters"
    if end := next((each for each in BINDINGS if each and str(name).endswith(each)), ""):
        return f"may not end in {end}"
    return ""


def named_in(*rules: object) -> list[str]:
    """Name the rules that restrictions name, each once."""
    found = (each[NAMED]["rules"] for each in rules if isinstance(each, Mapping) and NAMED in each)
    return list(dict.fromkeys(name for names in found for name in names))


def holds_here(name: str) -> str:
    """Whether the parameters name the rule, in CEL."""
    return f"{cel.lines(_KEY)}.exists(line, line == '{name}')"


def proof(name: str) -> tuple[str, JSON, str]:
    """Return the policy that has to refuse, what it is tried with, and its message."""
    policy = policy_of(name)
    meta: JSON = {"name": f"{cel.PROOF}{policy}"}
    manifest: JSON = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    return policy, manifest, f"The rule {name} holds here."


def proofs(value: Mapping[str, list[str]]) -> Iterator[tuple[str, JSON, str]]:
    """Yield the proof of each rule that is named."""
    return (proof(name) for name in value["rules"])
