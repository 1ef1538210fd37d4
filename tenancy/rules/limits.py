"""Quotas and limits as people declare them: which keys and values are allowed. Pure."""

import re
from collections.abc import Iterator, Mapping

from reconcile.spelling import escaped
from tenancy.rules.quantities import parse, unit_of

COMPUTE = ("cpu", "memory", "ephemeral-storage")
QUOTA_KEYS = frozenset(
    {
        *("cpu", "memory", "requests.storage", "persistentvolumeclaims", "pods", "configmaps"),
        *("secrets", "services", "services.loadbalancers", "services.nodeports"),
        *(f"{side}.{resource}" for side in ("requests", "limits") for resource in COMPUTE),
    }
)
_COUNT_KEY = re.compile(r"count/[a-z0-9]+(\.[a-z0-9.-]+)?")
LIMIT_KINDS = ("default", "default_request", "max", "min")
# Pairs of which the first may not exceed the second (Kubernetes API, validation of LimitRange).
_ORDER = (
    ("min", "default_request"),
    ("min", "default"),
    ("min", "max"),
    ("default_request", "default"),
    ("default_request", "max"),
    ("default", "max"),
)

DEFAULT_LIMITS: Mapping[str, Mapping[str, str]] = {
    "default": {"cpu": "500m", "memory": "512Mi"},
    "default_request": {"cpu": "100m", "memory": "128Mi"},
}


def default_limits() -> dict[str, dict[str, str]]:
    """What a container gets that says nothing; the only place where this default is made."""
    return {kind: dict(values) for kind, values in DEFAULT_LIMITS.items()}


def quota_problems(quota: object) -> Iterator[tuple[str, str]]:
    """Yield (escaped key, what is wrong) for a quota: a map of ResourceQuota keys to quantities."""
    if not isinstance(quota, Mapping):
        yield "", 'A quota is a map such as {"requests.cpu": "4", "pods": "20"}.'
        return
    for key, value in quota.items():
        if not isinstance(key, str) or not (key in QUOTA_KEYS or _COUNT_KEY.fullmatch(key)):
            yield escaped(str(key)), "This is not a resource that a quota can limit."
        elif problem := quantity_problem(value) or _unit_problem(key, value):
            yield escaped(key), problem


def floor_problems(floors: object) -> Iterator[tuple[str, str]]:
    """Yield (path, what is wrong) for floors: a map of cluster names to quotas."""
    if not isinstance(floors, Mapping) or not all(isinstance(name, str) for name in floors):
        yield "", 'Floors are a map such as {"prod-a": {"requests.cpu": "2"}}.'
        return
    for name, quota in floors.items():
        for key, text in quota_problems(quota):
            yield f"{name}/{key}" if key else name, text


def limit_problems(limits: object) -> Iterator[tuple[str, str]]:
    """Yield (path, what is wrong) for limits: default, default_request, max, min per resource."""
    if not isinstance(limits, Mapping):
        yield "", f"Limits are a map of {', '.join(LIMIT_KINDS)}."
        return
    for kind, values in limits.items():
        if kind not in LIMIT_KINDS or not isinstance(values, Mapping):
            yield str(kind), f"Use {', '.join(LIMIT_KINDS)}, each a map of resources."
            continue
        for resource, value in values.items():
            if resource not in COMPUTE:
                yield f"{kind}/{resource}", f"Limits are for {', '.join(COMPUTE)}."
            elif problem := quantity_problem(value):
                yield f"{kind}/{resource}", problem
    yield from _order_problems(limits)


def _order_problems(limits: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for small, large in _ORDER:
        low, high = limits.get(small), limits.get(large)
        if not isinstance(low, Mapping) or not isinstance(high, Mapping):
            continue
        for resource in sorted(set(low) & set(high), key=str):
            pair = low[resource], high[resource]
            if any(quantity_problem(value) for value in pair):
                continue
            if parse(pair[0]) > parse(pair[1]):
                yield f"{small}/{resource}", f"{pair[0]} is more than {large} allows ({pair[1]})."


def _unit_problem(key: str, value: str) -> str:
    """Finer parts would be refused by the cluster, or lost when the quota is shared."""
    unit = unit_of(key)
    if parse(value) % unit:
        return f"{value} is no multiple of {'1m' if unit < 1 else '1'}."
    return ""


def quantity_problem(value: object) -> str:
    """Say why a value is no quantity; empty when it is one."""
    if not isinstance(value, str):
        return 'Quantities are texts such as "500m", "2" or "4Gi".'
    try:
        parse(value)
    except ValueError as error:
        return str(error)
    return ""
