"""The step that KubeVela's engine carries out: declared once, then waited for on its clusters.

What the engine has begun and the step waits for no more is taken away, which stops it; what has
come to its end stays to be looked at, until the next run takes its place.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from delivery.adapters.engine import ENDED, SUCCEEDED
from delivery.intents import HEALTH_DEADLINE
from delivery.models.allowing import allowed_for
from delivery.models.applying import declared, follow, placed
from delivery.models.deploying import Fares, cordon_of, lasting
from delivery.models.object_placement import ObjectPlacement
from delivery.models.project_object import ProjectObject
from delivery.models.published_types import published_steps
from delivery.models.serving import clusters_of, unmet_by
from delivery.rules.engine_steps import engine_body, object_name, row_name
from delivery.rules.running import ATTEMPT, FAILED, Step, StepPhase
from reconcile.values import JSON, Phase

if TYPE_CHECKING:
    from delivery.models.run_record import RunRecord
    from delivery.models.stepping import Stepping

_SHOWN = 5


def begin(run: "Stepping", step: Step, properties: JSON, now: datetime) -> None:
    """Declare the WorkflowRun for the clusters that there are now, in one transaction.

    A cluster that joins later gets none: nobody has asked for it to be done there. While the tenant
    is cordoned, or its project on no cluster, the step waits for that.
    """
    record, workflow = run.progress[step.name], run.workflow
    name, attempt = row_name(workflow.name, step.name), record["data"].get(ATTEMPT, 1)
    record["data"] = {"object": name, ATTEMPT: attempt}
    if text := cordon_of(workflow):
        record["message"] = text
        return
    clusters = _clusters(run, step)
    if text := _unusable(run, step):
        run.finish(step, StepPhase.FAILED, now, text, reason=FAILED)
        return
    if not clusters:
        record["message"] = "The project is on no cluster."
        return
    made = object_name(workflow.name, step.name, run.number, attempt)
    body = engine_body(made, step.name, step.type, properties)
    if found := declared(run, step, name, body, clusters, now):
        record["data"] |= {"wanted": found.generation, "clusters": list(step.clusters), "run": made}
        record["message"] = f"Waiting for KubeVela on {_named(clusters)}."


def look(run: "Stepping", step: Step, now: datetime) -> bool:
    """Whether the engine has come to its end everywhere, or has failed somewhere."""
    if "wanted" not in run.progress[step.name]["data"]:
        if cordon_of(run.workflow) or not _clusters(run, step):
            return False
        run.begin_step(step, now)
        return True
    return follow(run, step, now, _fares)


def stop(run: "RunRecord", name: str, by: str) -> None:
    """Take away what the engine is still at for the step of that name, wherever that is."""
    data = run.progress[name]["data"]
    if "run" not in data:
        return
    rows = ProjectObject.locked().select_related("project__tenant", "workflow__project__tenant")
    rows = rows.filter(workflow=run.workflow, name=data["object"], deletion_requested_at=None)
    if found := rows.first():
        ended = {row.cluster.name for row in placed(found, {}) if _ending(row, data["wanted"])}
        found.drop(data["run"], ended, by=by)


def _unusable(run: "Stepping", step: Step) -> str:
    """Say why the type can be used no more. The list is asked again: the engine has its own rights.

    Where its clusters have changed since it was declared, they have to serve it as well.
    """
    tenant, known = run.workflow.project.tenant, clusters_of(run.workflow)
    if step.type not in published_steps([{"type": step.type}]).steps:
        return f"The step type {step.type} is published no more."
    if step.type not in allowed_for(tenant).workflow_steps:
        return f"{tenant} may not use the step type {step.type} any more."
    there = (known[name] for name in _clusters(run, step) if name in known)
    unmet = (str(each) for cluster in there for each in unmet_by(cluster, step.type, step.name))
    return next(unmet, "")


def _clusters(run: "Stepping", step: Step) -> list[str]:
    """Where it is to be carried out: what the step says, else all clusters of the project."""
    return list(step.clusters) or sorted(clusters_of(run.workflow))


def _fares(found: ProjectObject, data: JSON, since: datetime, now: datetime) -> Fares:
    rows = placed(found, data)
    if lacking := sorted({*data["clusters"]} - {row.cluster.name for row in rows}):
        return Fares(message=f"The project is not on {', '.join(lacking)}.")
    if not rows:
        return Fares(message="The project is on no cluster.")
    endings = {row: _ending(row, data["wanted"]) for row in rows}
    behind = [row for row in rows if endings[row] != SUCCEEDED]
    if not behind:
        return Fares(deployed=True, message=f"KubeVela carried it out on {_where(rows)}.")
    done = [row for row in rows if endings[row] == SUCCEEDED]
    told = [*map(_told, behind[:_SHOWN]), *([f"done on {_where(done)}"] if done else [])]
    limit = timedelta(seconds=HEALTH_DEADLINE)
    refused = [row for row in behind if row.phase == Phase.ERROR]
    late = now >= since + limit and lasting(refused, limit, now)
    failed = any(endings[row] for row in behind)
    return Fares(failed=bool(failed or late), message="; ".join(told)[:1000])


def _ending(row: ObjectPlacement, wanted: int) -> str:
    """By which reason the engine has ended there; empty while it has not."""
    ready: JSON = next((each for each in row.conditions if each["type"] == "Ready"), {})
    reason = str(ready.get("reason", ""))
    return reason if row.observed_generation >= wanted and reason in ENDED else ""


def _told(row: ObjectPlacement) -> str:
    """What its cluster says, of the step before anything else."""
    ready: JSON = next((each for each in row.conditions if each["type"] == "Ready"), {})
    bad: JSON = next((each for each in row.conditions if each["status"] != "True"), {})
    if ready.get("reason") in ENDED:
        bad = ready
    why = bad.get("message") or bad.get("reason", "")
    return f"{row.cluster.name} is {row.phase}{f': {why}' if why else ''}".rstrip(".")


def _where(rows: Sequence[ObjectPlacement]) -> str:
    return _named([row.cluster.name for row in rows])


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
