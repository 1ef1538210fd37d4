"""Writes quantities as a Kubernetes API server returns them (resource.Quantity, canonical form)."""

from fractions import Fraction
from typing import Any

from tenancy.rules.quantities import parse

_WITH_QUANTITIES = {"ResourceQuota", "LimitRange", "Pod", "Deployment", "StatefulSet", "DaemonSet"}
_WITH_QUANTITIES |= {"Job", "CronJob", "ReplicaSet"}
_MAPS = {"hard", "limits", "requests", "default", "defaultRequest", "max", "min"}
_DECIMAL = ["E", "P", "T", "G", "M", "k", ""]
_BINARY = ["Ei", "Pi", "Ti", "Gi", "Mi", "Ki"]


def canonical(text: object) -> object:
    """Return the canonical form of a quantity; what is none is returned as it is.

    `1000m` → `1`, `1000` → `1k`, `0.5` → `500m`, `1024Mi` → `1Gi`, `1.5Gi` → `1536Mi`.
    """
    try:
        value = parse(str(text))
    except ValueError:
        return text
    if str(text).endswith("i") and value >= 1024:
        return _largest(value, _BINARY, 1024) or str(value)
    return _largest(value, _DECIMAL, 1000) or f"{-(-value * 1000 // 1)}m"


def _largest(value: Fraction, suffixes: list[str], base: int) -> str:
    """Write it with the largest suffix that leaves a whole number; empty when there is none."""
    top = len(suffixes) if "" not in suffixes else len(suffixes) - 1
    for power, suffix in zip(range(top, -1, -1), suffixes, strict=False):
        amount = value / Fraction(base) ** power
        if amount.denominator == 1 and (amount or not suffix):
            return f"{amount}{suffix}"
    return ""


def normalised(kind: str, body: Any) -> Any:
    """Return a copy of a manifest of that kind with every quantity in canonical form."""
    return _walk(body, "") if kind in _WITH_QUANTITIES else body


def _walk(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        plain = not any(isinstance(item, dict | list) for item in value.values())
        if name in _MAPS and plain:
            return {key: canonical(item) for key, item in value.items()}
        return {key: _walk(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_walk(item, "") for item in value]
    return value
