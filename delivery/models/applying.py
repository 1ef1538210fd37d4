"""The step that applies an object: it is declared once, then it is waited for on its clusters."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import transaction

from delivery.intents import HEALTH_DEADLINE
from delivery.models.deploying import Fares, cordon_of, lasting
from delivery.models.object_placement import ObjectPlacement
from delivery.models.project_object import ProjectObject
from delivery.rules.objects import object_name
from delivery.rules.running import FAILED, Step, StepPhase
from reconcile.refusals import Refusal
from reconcile.values import JSON, Phase

if TYPE_CHECKING:
    from delivery.models.stepping import Stepping


def begin(run: "Stepping", step: Step, properties: JSON, now: datetime) -> None:
    """Declare it, and remember which generation is waited for, in one transaction.

    While the tenant is cordoned nothing can be declared: the step waits for that.
    """
    record = run.progress[step.name]
    name, clusters = object_name(properties["value"]), properties.get("clusters", [])
    record["data"] = {"object": name}
    if text := cordon_of(run.workflow):
        record["message"] = text
        return
    found = declared(run, step, name, properties["value"], clusters, now)
    if found:
        record["data"] |= {"wanted": found.generation, "clusters": clusters}
        record["message"] = f"Waiting for {found}."


def declared(
    run: "Stepping", step: Step, name: str, body: JSON, clusters: Collection[str], now: datetime
) -> ProjectObject | None:
    """Declare an object as the step wants it; None where that is refused: the step has failed."""
    try:
        with transaction.atomic():
            found = ProjectObject.apply(run.workflow, name, body, clusters)
            found.declare(run.asked_by)
            return found
    except Refusal as refusal:
        told = " ".join([refusal.detail, *(fault.detail for fault in refusal.errors)])
    except ValidationError as error:
        told = " ".join(error.messages)
    run.finish(step, StepPhase.FAILED, now, told, reason=FAILED)
    return None


def look(run: "Stepping", step: Step, now: datetime) -> bool:
    """Whether it is there by now, or never will be."""
    if "wanted" not in run.progress[step.name]["data"]:
        if cordon_of(run.workflow):
            return False
        run.begin_step(step, now)
        return True
    return follow(run, step, now, _fares)


def follow(
    run: "Stepping",
    step: Step,
    now: datetime,
    fares: Callable[[ProjectObject, JSON, datetime, datetime], Fares],
) -> bool:
    """Note how what the step has declared fares, since when it began; whether that is news."""
    record = run.progress[step.name]
    data = record["data"]
    found = find(run, data["object"])
    if found is None or found.generation < data["wanted"]:
        gone = f"Object {data['object']} is being deleted."
        run.finish(step, StepPhase.FAILED, now, gone, reason=FAILED)
        return True
    since = datetime.fromisoformat(record["started"])
    return run.note(step, fares(found, data, since, now), now)


def find(run: "Stepping", name: str) -> ProjectObject | None:
    """Return the object of that name, unless it goes."""
    rows = run.workflow.objects_applied.filter(name=name, deletion_requested_at=None)
    return rows.select_related("project__tenant").first()


def placed(found: ProjectObject, data: JSON) -> list[ObjectPlacement]:
    """Where it is, of the clusters that the step names; everywhere without any."""
    rows = found.placements.filter(unselected=False, deletion_requested_at=None)
    if names := data.get("clusters"):
        rows = rows.filter(cluster__name__in=names)
    return list(rows.select_related("cluster"))


def _fares(found: ProjectObject, data: JSON, since: datetime, now: datetime) -> Fares:
    rows = placed(found, data)
    names = data.get("clusters") or []
    if lacking := sorted({*names} - {row.cluster.name for row in rows}):
        return Fares(message=f"The project is not on {', '.join(lacking)}.")
    if not rows:
        return Fares(message="The project is on no cluster.")
    behind = [row for row in rows if not _is_there(row, data["wanted"])]
    if not behind:
        where = f"{len(rows)} cluster{'' if len(rows) == 1 else 's'}"
        return Fares(deployed=True, message=f"{found} is on {where}.")
    told = "; ".join(_told(row) for row in behind[:5])[:1000]
    limit = timedelta(seconds=HEALTH_DEADLINE)
    late = now >= since + limit and lasting(
        [row for row in behind if row.phase == Phase.ERROR], limit, now
    )
    failed = any(_has_failed(row, data["wanted"]) for row in behind)
    return Fares(failed=bool(failed or late), message=told)


def _is_there(row: ObjectPlacement, wanted: int) -> bool:
    return row.observed_generation >= wanted and row.phase == Phase.DEPLOYED


def _has_failed(row: ObjectPlacement, wanted: int) -> bool:
    """Whether it says so by itself: a Job that has run and failed."""
    ready: JSON = next((each for each in row.conditions if each["type"] == "Ready"), {})
    seen = row.observed_generation >= wanted and row.phase == Phase.ERROR
    return seen and ready.get("reason") == "JobFailed"


def _told(row: ObjectPlacement) -> str:
    bad: JSON = next((each for each in row.conditions if each["status"] != "True"), {})
    why = bad.get("message") or bad.get("reason", "")
    return f"{row.cluster.name} is {row.phase}{f': {why}' if why else ''}"
