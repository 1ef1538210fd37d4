"""Steps that KubeVela's workflow engine carries out on clusters: one WorkflowRun each. Pure.

Their types are those that operators have published. Of such a step the engine gets the type and the
properties, which are data; when it begins, and what becomes of it, is KubeNova's to say.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from clusters.adapters.kubevela import WORKFLOW_RUN
from delivery.rules.schema import Problem, schema_problems, within
from delivery.rules.workflow_types import TYPES, UNSERVED
from reconcile.values import JSON

LONGEST_NAME = 63  # of the object: what the engine makes of it bears the name as a label
LONGEST_ROW = 100
ROWS = f"{WORKFLOW_RUN.name.lower()}-"  # what the names of all such rows begin with
_ANYTHING: JSON = {"type": "object"}
_NOTHING_TOLD = "A step of this type tells nothing."


def by_engine(type_: str) -> bool:
    """Whether steps of a type are the engine's, be it a published one."""
    return type_ not in TYPES and type_ not in UNSERVED


def uses_engine(steps: object) -> bool:
    """Whether one of the steps, which nobody has judged yet, is of a type that is not ours."""
    return any(by_engine(str(each.get("type"))) for each in _all(steps))


def _all(steps: object) -> Iterator[JSON]:
    for step in steps if isinstance(steps, list) else ():
        if isinstance(step, dict):
            yield step
            subs = step.get("subSteps")
            yield from (sub for sub in subs if isinstance(sub, dict)) if subs else ()


def engine_problems(
    step: JSON, schema: JSON | None, given: Sequence[object] = ()
) -> Iterator[Problem]:
    """Yield what is wrong with a step; `given` are the properties that come from inputs."""
    found = property_problems(step.get("properties", {}), schema, given)
    yield from within(("properties",), found)
    for index, _ in enumerate(step.get("outputs", ())):
        yield Problem(("outputs", index, "valueFrom"), "output", _NOTHING_TOLD)


def property_problems(
    properties: JSON, schema: JSON | None, given: Sequence[object] = ()
) -> Iterator[Problem]:
    """Yield what is wrong with the properties, by the schema that the type was published with."""
    for problem in schema_problems(properties, schema or _ANYTHING):
        if not (problem.code == "required" and problem.path[:1] and problem.path[0] in given):
            yield problem


# --- What the engine gets.


def row_name(workflow: str, step: str) -> str:
    """Name what a step has on clusters among the objects of its project.

    No name of a step holds two dashes: no other workflow's step comes to the same.
    """
    return _fitting(f"{ROWS}{workflow}--{step}", LONGEST_ROW)


def object_name(workflow: str, step: str, number: int, attempt: int) -> str:
    """Name the WorkflowRun of a step: no other run and no other attempt has this name."""
    tail = f"-{number}-{attempt}"
    return _fitting(f"{workflow}--{step}", LONGEST_NAME - len(tail)) + tail


def _fitting(name: str, longest: int) -> str:
    if len(name) <= longest:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: longest - 9].rstrip('-')}-{mark}"


def engine_body(name: str, step: str, type_: str, properties: Mapping[str, object]) -> JSON:
    """Return the WorkflowRun of exactly one step; conditions and timeouts stay here."""
    only = {"name": step, "type": type_, "properties": dict(properties)}
    return {
        "apiVersion": WORKFLOW_RUN.api_version,
        "kind": WORKFLOW_RUN.name,
        "metadata": {"name": name},
        "spec": {"workflowSpec": {"steps": [only]}},
    }
