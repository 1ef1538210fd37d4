"""What the steps of a workflow do to apps: a change is declared once, then it is waited for."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from delivery.models.app import App
from delivery.models.placement import AppPlacement
from delivery.models.workflow import Workflow
from delivery.rules.promoting import laid_over
from reconcile.models.convergent import Convergent
from reconcile.refusals import Conflicting, Refusal
from reconcile.values import JSON, Phase
from tenancy.models import Project

R = TypeVar("R", bound=Convergent)


class Undeployable(Exception):
    """The change of an app was refused; the text says why."""


@dataclass(frozen=True)
class Fares:
    """How an app fares: deployed, failed for good, or on its way; `message` tells it.

    `soon`: it is where it should be, and is being summed up.
    """

    deployed: bool = False
    failed: bool = False
    message: str = ""
    soon: bool = False


def find_app(project: Project, name: str, *, locked: bool = False) -> App | None:
    """Return the app of that name; `locked`: until the transaction ends."""
    rows = App.locked() if locked else App.objects.all()
    rows = rows.filter(project=project, name=name, deletion_requested_at=None)
    return rows.select_related("project__tenant").first()


def cordon_of(workflow: Workflow) -> str:
    """Say why nothing of a workflow's project can be declared now; empty where it can."""
    try:
        workflow.refuse_cordoned()
    except Conflicting as refusal:
        return f"It waits. {refusal.detail}"
    return ""


def change(project: Project, properties: JSON, *, by: str, why: str) -> tuple[App, bool]:
    """Declare what a step says of an app; return it, and whether that changed anything.

    Raises Undeployable for what is refused: nothing of it is left then.
    """
    if "app" not in properties:
        raise Undeployable("It names no app.")
    app = find_app(project, properties["app"], locked=True)
    if app is None:
        raise Undeployable(f"There is no app {properties['app']} in {project}.")
    changed = False
    try:
        with transaction.atomic():
            if revision := properties.get("revision"):
                changed = app.rollback(revision, by=by, message=why)
            elif changes := properties.get("components"):
                _lay_over(app, changes, properties.get("clusters", ()))
                changed = app.declare(by)
    except Refusal as refusal:
        told = " ".join([refusal.detail, *(fault.detail for fault in refusal.errors)])
        raise Undeployable(told) from None
    except ValidationError as error:
        raise Undeployable(" ".join(error.messages)) from None
    return app, changed


def _lay_over(app: App, changes: list[JSON], clusters: Collection[str]) -> None:
    """Change components, everywhere or on these clusters alone. Raises Undeployable."""
    names = {each["name"] for each in app.components}
    if unknown := sorted({each["name"] for each in changes} - names):
        raise Undeployable(f"{app} has no component {', '.join(unknown)}.")
    app.components, app.overrides = laid_over(app.components, app.overrides, changes, clusters)


# --- How it fares.


def placed(app: App, clusters: Collection[str]) -> "QuerySet[AppPlacement]":
    """Return where the app is, of these clusters; of all of them without any."""
    rows = app.placements.filter(unselected=False, deletion_requested_at=None)
    found: QuerySet[AppPlacement] = rows.select_related("cluster")
    return found.filter(cluster__name__in=clusters) if clusters else found


def fares(app: App, revision: int, generation: int, clusters: Collection[str] = ()) -> Fares:
    """Tell how a revision of an app fares on its clusters, as of that generation at least."""
    rows = list(placed(app, clusters))
    if lacking := sorted({*clusters} - {row.cluster.name for row in rows}):
        return Fares(message=f"{app} is not on {', '.join(lacking)}.")
    if not rows:
        return Fares(message=f"{app} is on no cluster.")
    behind = [row for row in rows if not _is_there(row, revision, generation)]
    if failures := list(_failures(rows, revision)):
        return Fares(failed=True, message="; ".join(failures)[:1000])
    if behind:
        waits = _waits(app) if app.revision == revision else []
        return Fares(message=" ".join([*waits, "; ".join(map(_told, behind[:5]))])[:1000])
    if not clusters and app.phase != Phase.DEPLOYED:
        return Fares(message=f"{app} is {app.phase}.", soon=app.phase == Phase.APPLYING)
    return Fares(deployed=True, message=f"{app} is deployed at revision {revision}.")


def _waits(app: App) -> list[str]:
    """What its rollout waits for."""
    if staged := app.staged():
        return [staged.told] if staged.told else []
    held = app.held()
    return [held.message] if held else []


def _is_there(row: AppPlacement, revision: int, generation: int) -> bool:
    settled = row.observed_generation >= generation and row.revision == revision
    return settled and row.phase == Phase.DEPLOYED


def _failures(rows: Collection[AppPlacement], revision: int) -> Iterator[str]:
    """What has not come up within the health deadline, by cluster and component."""
    for row in rows:
        if not (row.target == row.revision == revision and row.phase == Phase.ERROR):
            continue
        for part in row.components:
            if part["phase"] == Phase.ERROR and part["revision"] == revision:
                yield f"{row.cluster.name}: {part['name']}: {part['message']}"


def _told(row: AppPlacement) -> str:
    """Why a placement is not there yet."""
    bad: JSON = next((each for each in row.conditions if each["status"] != "True"), {})
    why = bad.get("message") or bad.get("reason", "")
    phase = Phase.APPLYING if row.phase == Phase.DEPLOYED else row.phase
    return f"{row.cluster.name} is {phase}{f': {why}' if why else ''}".rstrip(".") + "."


def refused_for_long(app: App, clusters: Collection[str], since: datetime, now: datetime) -> str:
    """Say what its clusters refuse for longer than its health deadline; empty when they do not.

    Those whose wave has yet to come have refused nothing of it.
    """
    limit = timedelta(seconds=app.health_deadline)
    if now < since + limit:
        return ""
    bad = placed(app, clusters).filter(phase=Phase.ERROR, target=app.revision)
    return "; ".join(map(_told, lasting(list(bad), limit, now)[:5]))[:1000]


def lasting(rows: Sequence[R], limit: timedelta, now: datetime) -> list[R]:
    """Return those rows that their clusters have refused for so long, or nobody knows how long."""
    return [row for row in rows if (began := _bad_since(row)) is None or began + limit <= now]


def _bad_since(row: Convergent) -> datetime | None:
    """When its cluster began to refuse; None where that is not told."""
    refused = (each for each in row.conditions if each["type"] == "Synced")
    found: JSON = next((each for each in refused if each["status"] == "False"), {})
    return datetime.fromisoformat(found["last_transition"]) if found else None
