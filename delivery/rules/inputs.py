"""What steps take from each other and from the parameters of a run. Pure.

An input puts a value that an earlier step has told, or a parameter, into the properties: as it is,
at the place that `parameterKey` names (`app`, `components[0].properties.image`).
"""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from delivery.rules.running import Step
from delivery.rules.schema import Problem
from reconcile.values import JSON

PARAMETERS = "parameters."
MAX_VALUE = 4096
PLACE = r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}|\[[0-9]{1,3}\]){0,15}"
_PART = re.compile(r"([A-Za-z0-9_-]+)|\[([0-9]+)\]")


class Missing(ValueError):
    """A value cannot be put where it belongs; the text says why."""


def keys_of(place: str) -> list[str | int]:
    """Return the keys and indexes that a place leads through."""
    return [word or int(index) for word, index in _PART.findall(place)]


def parameters_of(steps: Mapping[str, Step]) -> set[str]:
    """Name the parameters that a run has to be given."""
    sources = (source for step in steps.values() for source, _ in step.inputs)
    return {each.removeprefix(PARAMETERS) for each in sources if each.startswith(PARAMETERS)}


def parameter_faults(given: Mapping[str, object], wanted: set[str]) -> list[Problem]:
    """Say which parameters are lacking, taken by no step, or no plain values."""
    lacking = sorted(wanted - set(given))
    found = [Problem((name,), "required", "A step takes this parameter.") for name in lacking]
    for name, value in sorted(given.items()):
        if name not in wanted:
            found.append(Problem((name,), "unknown", "No step takes this parameter."))
        elif not isinstance(value, str | int):
            found.append(Problem((name,), "type", "Use a text, a whole number, true or false."))
        elif isinstance(value, str) and len(value) > MAX_VALUE:
            told = f"It may hold at most {MAX_VALUE} characters."
            found.append(Problem((name,), "too_large", told))
    return found


def told_by(steps: Mapping[str, Step]) -> Iterator[tuple[str, str]]:
    """Yield the names of all outputs, each with its step."""
    for step in steps.values():
        for name, _ in step.outputs:
            yield name, step.name


def filled(step: Step, values: Mapping[str, Any]) -> JSON:
    """Return the properties of a step with its inputs in their places. Raises Missing.

    `values` holds outputs by name and parameters as `parameters.<name>`.
    """
    found = deepcopy(step.properties)
    for source, place in step.inputs:
        if source not in values:
            raise Missing(f"There is no {source}: the step that tells it did not get that far.")
        _put(found, place, values[source])
    return found


def _put(properties: JSON, place: str, value: object) -> None:
    *way, last = keys_of(place)
    here: Any = properties
    for key in way:
        if isinstance(here, dict) and isinstance(key, str):
            here = here.setdefault(key, {})
        else:
            here = _item(here, key, place)
    if isinstance(here, dict) and isinstance(last, str):
        here[last] = value
        return
    _item(here, last, place)
    here[last] = value


def _item(here: object, key: str | int, place: str) -> Any:
    if isinstance(here, list) and isinstance(key, int) and key < len(here):
        return here[key]
    raise Missing(f"There is no place {place} in the properties.")
