"""How a change of components comes to some clusters first, and to all of them later. Pure."""

from collections.abc import Collection, Iterator, Sequence

from delivery.rules.overrides import overridden
from reconcile.values import JSON

Spec = tuple[list[JSON], list[JSON]]


def laid_over(
    components: Sequence[JSON],
    overrides: Sequence[JSON],
    changes: Sequence[JSON],
    clusters: Collection[str] = (),
) -> Spec:
    """Return components and overrides with changes (as overrides have them) laid over them.

    For some clusters they go into the override for exactly these, in place of what it said of the
    same components. For all they go into the components; properties of which an override then says
    the same are taken out of it, so that later changes reach its clusters again.
    """
    if clusters:
        return list(components), _put(overrides, changes, sorted(set(clusters)))
    changed = overridden(components, [{"components": list(changes)}])
    known = {each["name"]: each.get("properties", {}) for each in changed}
    said = {
        each["name"]: {key: known[each["name"]].get(key) for key in each.get("properties", {})}
        for each in changes
    }
    return changed, list(_without(overrides, said))


def _put(overrides: Sequence[JSON], changes: Sequence[JSON], clusters: Sequence[str]) -> list[JSON]:
    found, names = list(overrides), {each["name"] for each in changes}
    for index, override in enumerate(found):
        if sorted(override.get("clusters", ())) == clusters and not override.get("selector"):
            kept = [each for each in override.get("components", ()) if each["name"] not in names]
            found[index] = {**override, "components": [*kept, *changes]}
            return found
    return [*found, {"clusters": list(clusters), "components": list(changes)}]


def _without(overrides: Sequence[JSON], said: dict[str, JSON]) -> Iterator[JSON]:
    """Leave out of the overrides what is said of components anyway, and what is empty then."""
    for override in overrides:
        if not override.get("components"):
            yield override
            continue
        kept = [
            left
            for each in override["components"]
            if (left := _left(each, said)).keys() != {"name"}
        ]
        found = {**override, "components": kept}
        if not kept:
            del found["components"]
        if kept or override.get("environment"):
            yield found


def _left(change: JSON, said: dict[str, JSON]) -> JSON:
    same = said.get(change["name"], {})
    properties = {
        key: value
        for key, value in change.get("properties", {}).items()
        if not (key in same and same[key] == value)
    }
    found = {key: value for key, value in change.items() if key != "properties"}
    return {**found, "properties": properties} if properties else found
