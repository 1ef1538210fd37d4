"""Small workflows for the tests of delivery, and what is asked of their runs."""

from delivery.models import Workflow, WorkflowRun
from reconcile.values import JSON
from tenancy.models import Project
from tests.clusters.steps import settle


def step(name: str, type_: str = "notification", **rest: object) -> JSON:
    """A step as people declare it; by default one that is over at once."""
    found: JSON = {"name": name, "type": type_}
    if type_ == "notification":
        found["properties"] = {"message": f"This is {name}."}
    if type_ == "depends-on-app":
        found["properties"] = {"name": "site"}
    return {**found, **rest}


def deploy(name: str, image: str = "", app: str = "site", **rest: object) -> JSON:
    """A step that deploys an app, with another image of its component `web`."""
    components = [{"name": "web", "properties": {"image": image}}] if image else []
    changes = {"components": components} if components else {}
    return {"name": name, "type": "deploy", "properties": {"app": app, **changes, **rest}}


def declare(project: Project, *steps: JSON, mode: str = "StepByStep", name: str = "release"):
    """Bob declares a workflow of these steps."""
    workflow = Workflow(project=project, name=name, mode=mode, steps=list(steps))
    workflow.declare(by="bob")
    settle()
    return workflow


def run(workflow: Workflow, **parameters: object) -> WorkflowRun:
    """Bob runs it; it goes as far as it does by itself."""
    found = workflow.run("bob", parameters=parameters)
    settle()
    found.refresh_from_db()
    return found


def phases(found: WorkflowRun) -> dict[str, str]:
    """How its steps fare by now, by their names."""
    found.refresh_from_db()
    return {name: found.progress[name]["phase"] for name in found.steps}


def told(found: WorkflowRun, name: str) -> str:
    """What is told of a step by now."""
    found.refresh_from_db()
    message: str = found.progress[name]["message"]
    return message
