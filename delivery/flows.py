"""What the page of an app shows of its workflow."""

from delivery.models import App
from delivery.rules.running import RunState
from reconcile.values import JSON

_SHOWN = 5


def flow_of(app: App) -> JSON | None:
    """Return its own workflow with the newest runs; None where it has none.

    `run` is that of the current revision, `waits` whether somebody has to resume it.
    """
    found = app.own_flow() if app.workflow else None
    if found is None:
        return None
    runs = list(found.runs.order_by("-number")[:_SHOWN])
    run = next((each for each in runs if each.revision == app.revision), None)
    return {
        "name": found.name,
        "steps": ", ".join(step["name"] for step in found.steps),
        "runs": runs,
        "run": run,
        "waits": bool(run and run.state == RunState.SUSPENDING),
        "states": [[each.number, each.state] for each in runs],
    }
