"""Validators of the tenant's columns: the pure rules, spoken in Django's errors."""

from collections.abc import Iterable

from django.core.exceptions import ValidationError

from reconcile.grammar import validate_labels, validate_name
from reconcile.spelling import unescaped
from tenancy.rules.kinds import restriction_problems
from tenancy.rules.limits import floor_problems, limit_problems, quota_problems
from tenancy.rules.network import network_problems
from tenancy.rules.subjects import binding_problems, subject_problems


def validate_quota(value: object) -> None:
    """Refuse what is not a map of quota keys to quantities."""
    _raise(quota_problems(value))


def validate_limits(value: object) -> None:
    """Refuse limits that contradict each other or name unknown resources."""
    _raise(limit_problems(value))


def validate_floors(value: object) -> None:
    """Refuse what is not a map of cluster names to quotas."""
    _raise(floor_problems(value))


def validate_restrictions(value: object) -> None:
    """Refuse what is not a map of kinds of restrictions to their values."""
    _raise(restriction_problems(value))


def validate_network(value: object) -> None:
    """Refuse what is not a list of network rules."""
    _raise(network_problems(value))


def validate_subjects(value: object) -> None:
    """Refuse what is not a list of groups and service accounts."""
    _raise(subject_problems(value))


def validate_bindings(value: object) -> None:
    """Refuse what is not a list of roles of the catalogue with their subjects."""
    _raise(binding_problems(value))


def validate_placement(value: object) -> None:
    """Refuse a placement that is not {clusters: [name…], selector: {label: value}, min, max}.

    `min` and `max` are how many clusters it may come to.
    """
    if not isinstance(value, dict) or set(value) - {"clusters", "selector", "min", "max"}:
        raise ValidationError('Use {"clusters": ["name"]} or {"selector": {"label": "value"}}.')
    names = value.get("clusters", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValidationError("clusters is a list of cluster names.")
    for name in names:
        validate_name(name)
    validate_labels(value.get("selector", {}))
    bounds = [value[name] for name in ("min", "max") if name in value]
    if any(isinstance(bound, bool) or not isinstance(bound, int) for bound in bounds):
        raise ValidationError("min and max are whole numbers of clusters.")
    if any(bound < 1 for bound in bounds) or bounds != sorted(bounds):
        raise ValidationError("min and max are at least 1, and min is not more than max.")


def _raise(problems: Iterable[tuple[str, str]]) -> None:
    # The text goes in as a parameter: it may hold a '%', which Django would try to format.
    found = [_error(key, f"{unescaped(key)}: {text}" if key else text) for key, text in problems]
    if found:
        raise ValidationError(found)


def _error(key: str, text: str) -> ValidationError:
    """Point at the part of the column; `params.path` as `reconcile.grammar` gives it."""
    path = tuple(unescaped(part) for part in key.split("/")) if key else ()
    return ValidationError("%(fault)s", params={"fault": text, "path": path})
