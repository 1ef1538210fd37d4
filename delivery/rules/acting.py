"""What people do to an app day by day, as changes of what is declared. Pure.

A restart is declared, as `kubectl rollout restart` does it: an annotation of the pods that changes.
So it is a revision like any other, nobody takes it for drift, and waves roll it out.
"""

from collections.abc import Collection, Sequence
from copy import deepcopy

from delivery.rules.schema import Problem
from reconcile.values import JSON

RESTARTED = "restarted-by-revision"
# These hold the annotations of their pods themselves; others have the trait `annotations`.
_WITH_ANNOTATIONS = frozenset({"webservice"})
_RUN_ONCE = frozenset({"task", "cron-task"})


def restarted(components: Sequence[JSON], names: Collection[str], mark: str) -> list[JSON]:
    """Return the components with `mark` on the pods of those named; `mark` has to be a new one."""
    return [_marked(each, mark) if each["name"] in names else each for each in components]


def _marked(component: JSON, mark: str) -> JSON:
    found = deepcopy(component)
    if found["type"] in _WITH_ANNOTATIONS:
        pairs = found.setdefault("properties", {}).setdefault("annotations", {})
    else:
        pairs = _trait(found, "annotations")
    pairs[RESTARTED] = mark
    return found


def scaled(components: Sequence[JSON], name: str, replicas: int) -> list[JSON]:
    """Return the components with so many replicas of the one named."""
    found = deepcopy(list(components))
    for each in found:
        if each["name"] == name:
            _trait(each, "scaler")["replicas"] = replicas
    return found


def _trait(component: JSON, type_: str) -> JSON:
    """Return the properties of a trait of the component, which is given one without it."""
    traits: list[JSON] = component.setdefault("traits", [])
    for trait in traits:
        if trait["type"] == type_:
            properties: JSON = trait.setdefault("properties", {})
            return properties
    traits.append({"type": type_, "properties": {}})
    added: JSON = traits[-1]["properties"]
    return added


def restart_problems(components: Sequence[JSON], names: Sequence[str]) -> list[Problem]:
    """Return which of the names cannot be restarted, by their place in the list."""
    types = {each["name"]: each["type"] for each in components}
    found = []
    for index, name in enumerate(names):
        if name not in types:
            found.append(Problem((index,), "unknown", "The app has no such component."))
        elif types[name] in _RUN_ONCE:
            found.append(Problem((index,), "type", "It runs to its end: there is no restart."))
    return found


def restartable(components: Sequence[JSON]) -> list[str]:
    """Name the components that run until they are stopped."""
    return [each["name"] for each in components if each["type"] not in _RUN_ONCE]


def autoscaled(components: Sequence[JSON], name: str) -> bool:
    """Whether an autoscaler decides about the replicas of a component."""
    traits = (each.get("traits", []) for each in components if each["name"] == name)
    return any(trait["type"] == "hpa" for listed in traits for trait in listed)
