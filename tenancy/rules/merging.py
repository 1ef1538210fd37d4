"""The stricter of several values of one kind of restriction. Pure.

Allow-lists intersect, deny-lists unite, of numbers the smaller counts. What cannot be had together
raises `Contradiction`: nobody is to guess which side was meant.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from ipaddress import ip_network

from reconcile.values import JSON
from tenancy.rules.images import covers, folded
from tenancy.rules.quantities import parse


class Contradiction(ValueError):
    """Two values that no object can fulfil at once; the text says which."""


def lists(one: Sequence[str], other: Sequence[str]) -> list[str]:
    """What both lists have."""
    return [text for text in one if text in other]


def hosts(one: Sequence[str], other: Sequence[str]) -> list[str]:
    """What both lists cover; of a wildcard and a name below it, the name."""
    narrower = [text for text in one if any(serves(wide, text) for wide in other)]
    wider = [text for text in other if any(serves(wide, text) for wide in one)]
    return list(dict.fromkeys((*narrower, *wider)))


def registries(
    one: Mapping[str, Sequence[str]], other: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """What both allow and either denies; of a registry and a path in it, the path."""
    merged: dict[str, list[str]] = {}
    allowed = [value["allow"] for value in (one, other) if "allow" in value]
    if allowed:
        merged["allow"] = reduce(_common, (list(texts) for texts in allowed))
    denied = [text for value in (one, other) for text in value.get("deny", ())]
    if denied:
        merged["deny"] = list(dict.fromkeys(denied))
    return merged or {"deny": []}


def selectors(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """The labels of both. Raises Contradiction for a label with two values."""
    for key in sorted(set(one) & set(other)):
        if one[key] != other[key]:
            raise Contradiction(f"No node is {key}={one[key]} and {key}={other[key]} at once.")
    return {**one, **other}


def namespaces(one: JSON, other: JSON) -> JSON:
    """The smaller count and the labels of both. Raises Contradiction where they exclude another."""
    counts = [value["count"] for value in (one, other) if "count" in value]
    merged: JSON = {"count": min(counts)} if counts else {}
    forbidden = sorted({key for each in (one, other) for key in each.get("forbidden_labels", ())})
    required = _required(one.get("required_labels", {}), other.get("required_labels", {}))
    if both := sorted(set(required) & set(forbidden)):
        raise Contradiction(f"The label {both[0]} is required and forbidden.")
    merged |= {"required_labels": required} if required else {}
    return merged | ({"forbidden_labels": forbidden} if forbidden else {})


def resources(one: JSON, other: JSON) -> JSON:
    """What either requires, and of each resource the smaller amount."""
    merged: JSON = {}
    if any("required" in value for value in (one, other)):
        merged["required"] = either(one.get("required", ()), other.get("required", ()))
    if any("max" in value for value in (one, other)):
        most = {**one.get("max", {})}
        for name, text in other.get("max", {}).items():
            most[name] = min(most.get(name, text), text, key=parse)
        merged["max"] = most
    return merged


def metadata(one: JSON, other: JSON) -> JSON:
    """What either requires or forbids. Raises Contradiction where they exclude one another."""
    merged: JSON = {}
    for sort in ("labels", "annotations"):
        required, forbidden = f"required_{sort}", f"forbidden_{sort}"
        wanted = _required(one.get(required, {}), other.get(required, {}), sort[:-1])
        denied = either(one.get(forbidden, ()), other.get(forbidden, ()))
        if both := sorted(set(wanted) & set(denied)):
            raise Contradiction(f"The {sort[:-1]} {both[0]} is required and forbidden.")
        named = {*one, *other}
        merged |= {required: wanted} if required in named else {}
        merged |= {forbidden: denied} if forbidden in named else {}
    return merged


def counts(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """The larger minimum and the smaller maximum. Raises Contradiction where no number is left."""
    least = [value["min"] for value in (one, other) if "min" in value]
    most = [value["max"] for value in (one, other) if "max" in value]
    if least and most and max(least) > min(most):
        raise Contradiction(f"At least {max(least)} and at most {min(most)} cannot be had at once.")
    return ({"min": max(least)} if least else {}) | ({"max": min(most)} if most else {})


def load_balancers(
    one: Mapping[str, Sequence[str]], other: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """What both allow, part by part; of a range and one in it, the one in it."""
    merged: dict[str, list[str]] = {}
    for part in ("source_ranges", "addresses", "classes"):
        given = [list(value[part]) for value in (one, other) if part in value]
        if given:
            merged[part] = reduce(lists if part == "classes" else within, given)
    return merged


def denied(
    one: Mapping[str, Sequence[str]], other: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """What either denies."""
    return {"deny": either(one["deny"], other["deny"])}


def named(
    one: Mapping[str, Sequence[str]], other: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """The rules of both."""
    return {"rules": either(one["rules"], other["rules"])}


def levels(known: Sequence[str]) -> Callable[[str, str], str]:
    """The later of two of the words; they are known from the loosest to the strictest."""
    return lambda one, other: max(one, other, key=known.index)


def either(one: Sequence[str], other: Sequence[str]) -> list[str]:
    """What is in one of the lists."""
    return list(dict.fromkeys((*one, *other)))


def within(one: Sequence[str], other: Sequence[str]) -> list[str]:
    """Of two lists of ranges the narrower ones: what a range of either covers."""
    narrower = [text for text in one if any(_covers(wide, text) for wide in other)]
    wider = [text for text in other if any(_covers(wide, text) for wide in one)]
    return either(narrower, wider)


def _covers(wide: str, text: str) -> bool:
    outer, inner = ip_network(wide), ip_network(text)
    return outer.version == inner.version and outer.supernet_of(inner)  # type: ignore[arg-type]


def _required(
    one: Mapping[str, str], other: Mapping[str, str], sort: str = "label"
) -> dict[str, str]:
    merged = {**one, **other}
    for key in sorted(set(one) & set(other)):
        values = [value for value in dict.fromkeys((one[key], other[key])) if value]
        if len(values) > 1:
            raise Contradiction(f"The {sort} {key} cannot be {values[0]} and {values[1]} at once.")
        merged[key] = values[0] if values else ""
    return merged


def serves(wide: str, host: str) -> bool:
    """Whether an entry of a list of hosts covers a host: itself, or one label by a wildcard."""
    if wide == host:
        return True
    return wide.startswith("*.") and host[:1] != "*" and host.partition(".")[2] == wide[2:]


def _common(one: list[str], other: list[str]) -> list[str]:
    narrower = [text for text in one if any(covers(folded(wide), folded(text)) for wide in other)]
    wider = [text for text in other if any(covers(folded(wide), folded(text)) for wide in one)]
    return list(dict.fromkeys((*narrower, *wider)))
