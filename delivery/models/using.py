"""Who uses a type: apps by what they declare and clusters are still to run; workflows by steps."""

from collections.abc import Iterator

from django.db.models import F

from delivery.models.app import App
from delivery.models.revision import Revision
from delivery.models.workflow import Workflow
from delivery.models.workflow_run import WorkflowRun
from delivery.rules.allowing import step_uses, uses
from delivery.rules.running import LIVE
from reconcile.values import JSON


def apps_using(word: str, type_: str) -> list[str]:
    """Name the apps that use a type of `component` or `trait`, as `tenant/project/app`."""
    found = {
        "/".join(names)
        for names, spec in _specs()
        if any(use.type == type_ and use.kind == word for _, use in uses(spec))
    }
    return sorted(found)


def workflows_using(type_: str) -> list[str]:
    """Name the workflows with a step of a type, as `tenant/project/workflow`.

    What is being run keeps the steps that it began with.
    """
    keys = ("project__tenant__name", "project__name", "name")
    declared = Workflow.objects.order_by().values_list(*keys, "steps")
    live = WorkflowRun.objects.filter(state__in=LIVE).order_by()
    running = live.values_list(*(f"workflow__{key}" for key in keys), "spec__steps")
    found = {
        "/".join(map(str, names))
        for rows in (declared, running)
        for *names, steps in rows.iterator()
        if any(use.type == type_ for _, use in step_uses(steps))
    }
    return sorted(found)


def _specs() -> Iterator[tuple[tuple[str, ...], JSON]]:
    keys = ("project__tenant__name", "project__name", "name")
    for *names, components, overrides in (
        App.objects.order_by().values_list(*keys, "components", "overrides").iterator()
    ):
        yield tuple(map(str, names)), {"components": components, "overrides": overrides}
    earlier = Revision.objects.filter(number=F("app__placements__target")).exclude(
        number=F("app__revision")
    )
    rows = earlier.order_by().values_list(*(f"app__{key}" for key in keys), "spec")
    for *names, spec in rows.iterator():
        yield tuple(map(str, names)), spec
