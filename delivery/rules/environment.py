"""Variables that an app gives to the container of every component. Pure."""

from collections.abc import Sequence

from delivery.rules.meaning import twice
from delivery.rules.schema import Problem, schema_problems
from delivery.rules.storable import unsafe
from delivery.rules.types_containers import ENV
from reconcile.values import JSON


def environment_problems(environment: object) -> list[Problem]:
    """Return what is wrong with an app's `environment`, which is a list like a component's `env`.

    What cannot be stored or read safely is reported alone.
    """
    if isinstance(environment, list) and (danger := unsafe(environment)):
        return [danger]
    found = list(schema_problems(environment, ENV))
    if found or not isinstance(environment, list):
        return found
    return list(twice([item["name"] for item in environment], "name"))


def merged_variables(before: Sequence[JSON], after: Sequence[JSON]) -> list[JSON]:
    """Return both by name: those of `after` take the place of earlier ones, others come last."""
    named = {item["name"]: item for item in before}
    return list((named | {item["name"]: item for item in after}).values())


def with_environment(component: JSON, environment: Sequence[JSON]) -> JSON:
    """Return a component with these variables before its own, which win."""
    properties = component.get("properties", {})
    own = properties.get("env", [])
    names = {item["name"] for item in own}
    given = [item for item in environment if item["name"] not in names]
    if not given:
        return component
    return {**component, "properties": {**properties, "env": [*given, *own]}}
