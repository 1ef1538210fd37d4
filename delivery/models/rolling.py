"""The step that brings the revision of its app to clusters; whoever takes it holds the app."""

from datetime import datetime
from typing import TYPE_CHECKING

from delivery.models.app import App
from delivery.models.deploying import Fares, fares, placed, refused_for_long
from delivery.rules.running import FAILED, Step, StepPhase
from reconcile.values import JSON

if TYPE_CHECKING:
    from delivery.models.stepping import Stepping


def begin(run: "Stepping", step: Step, properties: JSON, now: datetime) -> None:
    """Let clusters run the revision, and remember it; while that is held back, wait."""
    record, app = run.progress[step.name], _app(run)
    record["data"] = {"app": app.name, "clusters": properties.get("clusters", [])}
    if found := app.held():
        record["message"] = found.message
        return
    names = properties.get("clusters") or None
    aimed = placed(app, names or ()).exclude(target=app.revision).exists()
    app.aim(app.revision, on=names)
    record["data"] |= {"revision": app.revision, "generation": app.generation, "new": aimed}
    record["message"] = f"Waiting for revision {app.revision} of {app}."


def look(run: "Stepping", step: Step, now: datetime) -> bool:
    """Whether it is there by now, or has failed."""
    record, app = run.progress[step.name], _app(run)
    data = record["data"]
    if app.deleting:
        run.finish(step, StepPhase.FAILED, now, f"{app} is being deleted.", reason=FAILED)
        return True
    if "revision" not in data:
        if held := app.held():
            return run.note(step, Fares(message=held.message), now)
        run.begin_step(step, now)
        return True
    names = data["clusters"] or [row.cluster.name for row in placed(app, ())]
    if not data["clusters"]:
        app.aim(data["revision"])  # one that has joined since is one of all
    found = fares(app, data["revision"], data["generation"], names)
    began = datetime.fromisoformat(record["started"])
    told = "" if found.deployed else refused_for_long(app, names, began, now)
    if told or (found.failed and not data["new"]):  # what failed before may yet come up
        found = Fares(failed=bool(told), message=told or found.message)
    return run.note(step, found, now)


def _app(run: "Stepping") -> App:
    """The app, as it is now."""
    return App.objects.select_related("project__tenant").get(flows=run.workflow)
