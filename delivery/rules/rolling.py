"""The workflow of an app, which brings each new revision to its clusters. Pure.

It is inline, `{"steps": […], "mode": …}`, or a workflow of the project by its name. Its `deploy`
steps bring the revision that the run is of to some clusters, or to all; they change no app.
"""

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy

from delivery.rules.inputs import PARAMETERS
from delivery.rules.published_types import NOTHING, Published
from delivery.rules.running import Mode
from delivery.rules.schema import Problem, schema_problems, within
from delivery.rules.shapes import LABEL, choice, obj
from delivery.rules.workflow_types import DEPLOY
from delivery.rules.workflows import each_step, step_problems
from reconcile.values import JSON

SUFFIX = "--rollout"  # of the name of an app's own workflow: nobody else's name may hold `--`
_SPEC = obj(name=LABEL, mode=choice(*(mode.value for mode in Mode)), steps={"type": "array"})
_FIXED = ("components", "revision")


def workflow_problems(workflow: object, published: Published = NOTHING) -> list[Problem]:
    """Return what is wrong with an app's `workflow`; empty when nothing is. {} is none."""
    if not workflow:
        return []
    found = list(schema_problems(workflow, _SPEC))
    if found or not isinstance(workflow, dict):
        return found
    if "name" in workflow and len(workflow) > 1:
        text = "Give either the name of a workflow, or steps."
        return [Problem(("name",), "conflict", text)]
    if "name" in workflow:
        return []
    steps = workflow.get("steps", [])
    wrong = step_problems(steps, workflow.get("mode", Mode.STEP_BY_STEP), published)
    return list(within(("steps",), wrong or rolling_problems(steps)))


def rolling_problems(steps: Sequence[JSON], app: str = "") -> list[Problem]:
    """Return why valid steps are none that could roll an app out; `app` is its name if known."""
    return [
        problem for path, step in each_step(steps) for problem in within(path, _step(step, app))
    ]


def _step(step: JSON, app: str) -> Iterator[Problem]:
    for index, item in enumerate(step.get("inputs", ())):
        if item["from"].startswith(PARAMETERS):
            text = "Nobody gives parameters to the rollout of an app."
            yield Problem(("inputs", index, "from"), "unknown", text)
    if step["type"] != DEPLOY:
        return
    properties = step.get("properties", {})
    for key in _FIXED:
        if key in properties:
            text = "A rollout deploys the revision that it is of. Name clusters alone."
            yield Problem(("properties", key), "conflict", text)
    if app and properties.get("app", app) != app:
        text = "A rollout deploys its own app alone. Wait for others: depends-on-app."
        yield Problem(("properties", "app"), "conflict", text)
    if step.get("inputs"):
        yield Problem(("inputs",), "conflict", "Deployments of a rollout take no inputs.")


def own_steps(steps: Iterable[JSON], app: str) -> list[JSON]:
    """Return the steps with the name of the app in each deployment."""
    found = deepcopy(list(steps))
    for _, step in each_step(found):
        if step["type"] == DEPLOY:
            step["properties"] = {**step.get("properties", {}), "app": app}
    return found


def nameless(steps: Iterable[JSON]) -> list[str]:
    """Name the deployments that say no app: they roll out the app that refers to them."""
    return [
        step["name"]
        for _, step in each_step(list(steps))
        if step["type"] == DEPLOY
        and "app" not in step.get("properties", {})
        and not any(item["parameterKey"] == "app" for item in step.get("inputs", ()))
    ]
