"""How the rules of operators are called on clusters. Pure."""

PREFIX = "kubenova.cel."  # of the capability to enforce a rule
_POLICY = "kubenova-cel-"
# The bindings of a rule's policy: changes and proofs, what is made, and what refuses nothing.
BINDINGS = ("", "-made", "-warn", "-audit")


def ability_of(name: str) -> str:
    """Name the ability to enforce a rule."""
    return f"{PREFIX}{name}"


def policy_of(name: str) -> str:
    """Name the admission policy of a rule."""
    return f"{_POLICY}{name}"


def rule_of(policy: str) -> str:
    """Name the rule of an admission policy; empty for that of no rule."""
    name = policy.removeprefix(_POLICY)
    return "" if name == policy else name
