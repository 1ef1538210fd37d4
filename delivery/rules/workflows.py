"""What is wrong with the steps of a workflow, step by step. Pure.

Properties are data: nothing in them is ever evaluated, whatever template language it looks like.
"""

from collections.abc import Iterator, Mapping, Sequence

from delivery.rules.conditions import BadCondition, names_in, parse
from delivery.rules.depending import dependency_problems
from delivery.rules.engine_steps import by_engine, engine_problems
from delivery.rules.engine_steps import property_problems as engine_property_problems
from delivery.rules.inputs import PARAMETERS, PLACE, keys_of, told_by
from delivery.rules.objects import object_problems
from delivery.rules.problems import first_of_each_place, names_of
from delivery.rules.published_types import NOTHING, Published
from delivery.rules.requests import request_problems
from delivery.rules.running import Mode, Step, before, steps_of
from delivery.rules.schema import Path, Problem, schema_problems, within
from delivery.rules.shapes import LABEL, listed, obj, text
from delivery.rules.storable import reserved_keys, unsafe
from delivery.rules.workflow_types import (
    APPLY,
    DEPLOY,
    DURATION,
    GROUP,
    OUTPUTS,
    REQUEST,
    TYPES,
    UNSERVED,
    duration_fault,
)
from reconcile.spelling import name_fault
from reconcile.values import JSON

MAX_STEPS = 50  # sub-steps included
_TEXT: JSON = {"type": "string"}
_SOURCE = text(
    rf"(?:{PARAMETERS[:-1]}\.)?[A-Za-z0-9_-]{{1,63}}",
    "the name of an output, or parameters.<name>",
)
_OUTPUT = text(r"[A-Za-z0-9_-]{1,63}", "a name of letters, digits, '_' and '-'", 63)
_INPUT = obj(
    ("from", "parameterKey"),
    **{"from": _SOURCE},
    parameterKey=text(PLACE, "a place in the properties such as app or components[0].name", 300),
)
_FRAME: JSON = {
    "name": _TEXT,
    "type": _TEXT,
    "properties": {"type": "object"},
    "if": _TEXT,
    "timeout": DURATION,
    "dependsOn": listed(_TEXT, MAX_STEPS),
    "clusters": listed(LABEL, 200, 1),
    "inputs": listed(_INPUT, 20),
    "outputs": listed(obj(("name", "valueFrom"), name=_OUTPUT, valueFrom=_TEXT), 5),
}
_NO_CLUSTERS = "Only steps of published types have it. Others say in their properties where to."
_SUB_STEP = obj(("name", "type"), **_FRAME)
_STEP = obj(("name", "type"), **_FRAME, subSteps={"type": "array"})


def step_problems(steps: object, mode: str, published: Published = NOTHING) -> list[Problem]:
    """Return everything that is wrong with a workflow's `steps`; empty when nothing is.

    Types are ours, or `published`. What cannot be stored or read safely is reported alone, since it
    cannot be looked into; so is what is wrong with the steps by themselves, before they are judged
    together.
    """
    if not isinstance(steps, list) or not steps:
        return [Problem((), "required", "Give at least one step.")]
    if _count(steps) > MAX_STEPS:
        told = f"A workflow may have at most {MAX_STEPS} steps, sub-steps included."
        return [Problem((), "too_many", told)]
    if danger := unsafe(steps, "Steps"):
        return [danger]
    found = [*reserved_keys(steps)]
    for index, step in enumerate(steps):
        found += within((index,), _step(step, published))
    wrong = list(first_of_each_place(found))
    return wrong or list(_repeated(steps)) or list(_together(steps, mode))


def property_problems(
    type_: str, properties: JSON, published: Published = NOTHING
) -> list[Problem]:
    """Return what is wrong with the properties of a step, once everything is in its place."""
    if by_engine(type_):
        return list(engine_property_problems(properties, published.steps.get(type_)))
    return list(_properties(type_, properties, ()))


def _count(steps: Sequence[object]) -> int:
    inside = (step.get("subSteps") for step in steps if isinstance(step, dict))
    return len(steps) + sum(len(each) for each in inside if isinstance(each, list))


# --- Each step by itself.


def _step(step: object, published: Published) -> Iterator[Problem]:
    frame = list(schema_problems(step, _STEP))
    yield from frame
    if frame or not isinstance(step, dict):
        return
    yield from _judged(step, TYPES, published)
    subs = step.get("subSteps", [])
    if step["type"] == GROUP and not subs:
        yield Problem(("subSteps",), "required", "A group has at least one sub-step.")
    if step["type"] != GROUP and "subSteps" in step:
        yield Problem(("subSteps",), "unknown", f"Only a {GROUP} has sub-steps.")
        return
    for index, sub in enumerate(subs):
        yield from within(("subSteps", index), _sub_step(sub, published))


def _sub_step(sub: object, published: Published) -> Iterator[Problem]:
    frame = list(schema_problems(sub, _SUB_STEP))
    yield from frame
    if not frame and isinstance(sub, dict):
        types = {name: TYPES[name] for name in TYPES if name != GROUP}
        yield from _judged(sub, types, published)


def _judged(step: JSON, types: Mapping[str, JSON], published: Published) -> Iterator[Problem]:
    if fault := name_fault(step["name"]):
        yield Problem(("name",), "name", f"The name {fault}.")
    if "timeout" in step and (fault := duration_fault(step["timeout"])):
        yield Problem(("timeout",), "timeout", fault)
    type_ = step["type"]
    if type_ in UNSERVED:
        return
    given = tuple(keys_of(item["parameterKey"])[0] for item in step.get("inputs", ()))
    if type_ in published.steps:
        yield from engine_problems(step, published.steps[type_], given)
        return
    if type_ not in types:
        allowed = ", ".join(sorted(types))
        yield Problem(("type",), "type", f"Steps of this type are not allowed. Use {allowed}.")
        return
    if "clusters" in step:
        yield Problem(("clusters",), "unknown", _NO_CLUSTERS)
    wrong = _properties(type_, step.get("properties", {}), given)
    yield from within(("properties",), wrong)
    yield from _told(step)


def _properties(type_: str, properties: JSON, given: Sequence[object]) -> Iterator[Problem]:
    """`given` are the properties that come from inputs."""
    found = [
        problem
        for problem in schema_problems(properties, TYPES[type_])
        if not (problem.code == "required" and problem.path[:1] and problem.path[0] in given)
    ]
    yield from found
    if found:
        return
    if fault := duration_fault(properties["duration"]) if "duration" in properties else "":
        yield Problem(("duration",), "duration", fault)
    for problem in _JUDGES[type_](properties, given) if type_ in _JUDGES else ():
        if not (problem.code == "required" and problem.path[0] in given):
            yield problem


def _deploy(properties: JSON, given: Sequence[object]) -> Iterator[Problem]:
    if "revision" not in {*properties, *given}:
        return
    for key in ("components", "clusters"):
        if key in properties:
            told = "An earlier revision comes back as it was, everywhere."
            yield Problem((key,), "conflict", told)


def _object(properties: JSON, given: Sequence[object]) -> Iterator[Problem]:
    if "value" in properties:
        yield from within(("value",), object_problems(properties["value"]))


def _request(properties: JSON, given: Sequence[object]) -> Iterator[Problem]:
    return request_problems(properties)


_JUDGES = {DEPLOY: _deploy, APPLY: _object, REQUEST: _request}


def _told(step: JSON) -> Iterator[Problem]:
    known = OUTPUTS[step["type"]]
    for index, output in enumerate(step.get("outputs", ())):
        if output["valueFrom"] not in known:
            words = ", ".join(known) or "nothing"
            told = f"A step of this type tells {words}."
            yield Problem(("outputs", index, "valueFrom"), "output", told)


# --- All of them together.


def each_step(steps: Sequence[JSON]) -> Iterator[tuple[Path, JSON]]:
    """Yield well-formed steps with their places, sub-steps after their group."""
    for index, step in enumerate(steps):
        yield (index,), step
        for number, sub in enumerate(step.get("subSteps", ())):
            yield (index, "subSteps", number), sub


def _repeated(steps: Sequence[JSON]) -> Iterator[Problem]:
    """Names of steps and of outputs are unique, in groups as well."""
    names: set[str] = set()
    outputs: set[str] = set()
    for path, step in each_step(steps):
        if step["name"] in names:
            yield Problem((*path, "name"), "repeated", "Another step has this name.")
        names.add(step["name"])
        for index, output in enumerate(step.get("outputs", ())):
            if output["name"] in outputs:
                place = (*path, "outputs", index, "name")
                yield Problem(place, "repeated", "Another output has this name.")
            outputs.add(output["name"])


def _together(steps: Sequence[JSON], mode: str) -> Iterator[Problem]:
    waits = list(_waits((), steps))
    for index, step in enumerate(steps):
        waits += _waits((index, "subSteps"), step.get("subSteps", []))
    if mode == Mode.STEP_BY_STEP and not waits:
        waits += _later(steps)
    yield from waits
    if waits:
        return
    known = steps_of(steps, mode)
    outputs = list(told_by(known))
    for path, step in each_step(steps):
        yield from within(path, _looks_back(step, known, outputs))


def _waits(prefix: Path, steps: Sequence[JSON]) -> Iterator[Problem]:
    waits = [step.get("dependsOn") for step in steps]
    found = dependency_problems(names_of(steps), waits, ("The workflow", "step"))
    yield from within(prefix, found)


def _later(steps: Sequence[JSON]) -> Iterator[Problem]:
    """One after the other: none can wait for one that comes after it."""
    names = names_of(steps)
    for index, step in enumerate(steps):
        for place, other in enumerate(step.get("dependsOn", ())):
            if names.index(other) > index:
                told = f"It comes later. Change the order, or the mode to {Mode.DAG.value}."
                yield Problem((index, "dependsOn", place), "depends", told)


def _looks_back(
    declared: JSON, known: Mapping[str, Step], outputs: Sequence[tuple[str, str]]
) -> Iterator[Problem]:
    """Conditions and inputs speak of what is over by then."""
    earlier = before(known[declared["name"]], known)
    told = {name for name, step in outputs if step in earlier}
    for index, item in enumerate(declared.get("inputs", ())):
        if not item["from"].startswith(PARAMETERS) and item["from"] not in told:
            fault = "No step that it waits for has this output."
            yield Problem(("inputs", index, "from"), "unknown", fault)
    if "if" not in declared:
        return
    try:
        named = {*names_in(parse(declared["if"]))}
    except BadCondition as error:
        yield Problem(("if",), "condition", str(error))
        return
    if unknown := sorted(named - earlier):
        fault = f"It does not wait for {', '.join(unknown)}."
        yield Problem(("if",), "unknown", fault)
