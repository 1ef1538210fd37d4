"""What a field of a tenant or project needs of a cluster: capabilities by field. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clusters.rule_names import ability_of
from reconcile.values import JSON
from tenancy.rules.freezing import without
from tenancy.rules.modes import Mode
from tenancy.rules.named import NAMED, named_in

_POLICIES = "admission.policies"
_RULES = "baseline.3"  # the first one that carries the policies of rules
_MODES = "baseline.5"  # the first one in which they also warn and audit
_NETWORK = "baseline.6"  # the first one that bounds NetworkPolicies
# A tenant or project itself needs what keeps them apart; these fields need more than that.
NEEDS: Mapping[str, tuple[str, ...]] = {
    "restrictions": (_POLICIES, _RULES),
    "cordoned": (_POLICIES, _RULES),
    "deletion_protection": (_POLICIES, _RULES),
}
# Kinds of restrictions whose policies came later than those of the first ones.
KINDS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *("image_references", "host_access", "capabilities", "container_resources"),
            *("workload_metadata", "replicas", "load_balancers", "api_kinds"),
        ),
        _MODES,
    ),
    "network": _NETWORK,
}
# What is imposed on it needs, by its mode.
IMPOSED: Mapping[str, tuple[str, ...]] = {
    Mode.ENFORCE: (_POLICIES, _RULES),
    Mode.WARN: (_POLICIES, _MODES),
    Mode.AUDIT: (_POLICIES, _MODES),
}


@dataclass(frozen=True, order=True)
class Need:
    """A capability, and the field that needs it; empty for the object itself."""

    capability: str
    field: str = ""


def needs(spec: object, imposed: Mapping[str, JSON] | None = None) -> list[Need]:
    """Return what the fields of an intent or a declared object need beside its adapter.

    `imposed` is what is imposed on it, by default what the intent says.
    """
    if imposed is None:
        imposed = getattr(spec, "imposed", None) or {}
    restrictions = without(getattr(spec, "restrictions", None) or {})
    asked = {field: getattr(spec, field, None) for field in NEEDS} | {"restrictions": restrictions}
    own = [
        Need(capability, field)
        for field, capabilities in NEEDS.items()
        if asked[field]
        for capability in capabilities
    ]
    own += kind_needs(restrictions, imposed.get(Mode.ENFORCE))
    own += rule_needs(imposed.get(Mode.WARN), imposed.get(Mode.AUDIT))
    return own + imposed_needs(mode for mode in IMPOSED if without(imposed.get(mode, {})))


def kind_needs(*rules: object) -> list[Need]:
    """Return what kinds of restrictions need beyond what all of them do."""
    named = {kind for each in rules if isinstance(each, Mapping) for kind in each}
    found = [
        Need(capability, f"restrictions.{kind}")
        for kind, capability in KINDS.items()
        if kind in named
    ]
    return found + rule_needs(*rules)


def rule_needs(*rules: object) -> list[Need]:
    """Return what is needed for the rules of operators that restrictions name."""
    return [Need(ability_of(name), f"restrictions.{NAMED}") for name in named_in(*rules)]


def imposed_needs(modes: Iterable[str]) -> list[Need]:
    """Return what rules need that hold in these modes, whoever imposes them."""
    return [Need(capability, f"policies.{mode}") for mode in modes for capability in IMPOSED[mode]]
