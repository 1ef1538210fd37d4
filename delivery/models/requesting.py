"""The step that sends a request: at most once, and outside of any transaction.

That it is sent is written down before. Whoever finds that note and has not made it itself knows
that another worker died, or lost its lease, in the middle: the step is Interrupted, and nobody but
a person who retries it sends it again.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from django.utils import timezone

from delivery.models.request_target import target_of, unlisted
from delivery.models.secret import ProjectSecret
from delivery.rules.inputs import filled
from delivery.rules.requests import Unexpected, place_of, sent_body, taken
from delivery.rules.running import FAILED, INTERRUPTED, Step, StepPhase
from delivery.rules.workflow_types import REQUEST
from delivery.sending import SECONDS, Message, Unheard, Unsent, send
from reconcile.models import Lease, marking
from reconcile.values import JSON
from tenancy.models import Project

if TYPE_CHECKING:
    from delivery.models.stepping import Stepping

_LOST = (
    "The worker ended while the request was under way: whether it arrived is not known. "
    "Retry the run to send it again."
)
_SENT = "sent"  # the token of whoever has begun to send it


def begin(run: "Stepping", step: Step, properties: JSON, now: datetime) -> None:
    """It is sent once this is written down (`send_due`)."""
    run.progress[step.name]["message"] = f"Asking {place_of(properties['url'])}."


def look(run: "Stepping", step: Step, now: datetime) -> bool:
    """End it if somebody else had begun to send it."""
    token = run.progress[step.name]["data"].get(_SENT)
    if token is None or token in run.sending:
        return False
    run.finish(step, StepPhase.FAILED, now, _LOST, reason=INTERRUPTED)
    return True


def due(run: "Stepping") -> Step | None:
    """The first request that nobody has begun to send."""
    running = (step for step in run.running() if step.type == REQUEST)
    return next((step for step in running if _SENT not in run.progress[step.name]["data"]), None)


def send_due(run: "Stepping", lease: Lease) -> bool:
    """Send the next request that is due; False when there is none. Raises Stale."""
    if due(run) is None:  # as it was a moment ago: most runs send nothing
        return False
    lease.check()
    with marking(lease):
        run.read_anew(locked=True)
        step = None if run.over or run.workflow.deleting else due(run)
        if step is None:
            return False
        token = uuid.uuid4().hex
        run.sending.add(token)
        run.progress[step.name]["data"][_SENT] = token
        run.keep()
    found = _Answer.to(run.workflow.project, filled(step, run.values()), step.timeout)
    with marking(lease):
        run.read_anew(locked=True)
        record = run.progress[step.name]
        if record["phase"] == StepPhase.RUNNING and record["data"].get(_SENT) == token:
            record["data"] |= found.told
            phase = StepPhase.FAILED if found.reason else StepPhase.SUCCEEDED
            run.finish(step, phase, timezone.now(), found.message, reason=found.reason)
            run.keep()
    return True


class _Answer:
    """What came of a request: a message, the reason if it failed, and what later steps may take."""

    def __init__(self, message: str, reason: str = "", told: JSON | None = None) -> None:
        self.message, self.reason, self.told = message, reason, told or {}

    @classmethod
    def to(cls, project: Project, properties: JSON, timeout: float | None) -> "_Answer":
        """Send the request, once."""
        place = place_of(properties["url"])
        target = target_of(project.tenant, place) if place else None
        if place is None or target is None:
            return cls(unlisted(place) if place else "This is no URL that can be asked.", FAILED)
        try:
            secrets = _secrets(project, properties.get("header", {}))
        except LookupError as error:
            return cls(str(error.args[0]), FAILED)
        message = Message(
            place=place,
            method=properties.get("method", "GET"),
            headers=_headers(properties, secrets),
            body=sent_body(properties),
            networks=target.networks,
            ca=target.ca,
        )
        try:
            heard = send(message, min(SECONDS, timeout or SECONDS))
            told = taken(properties, heard, secrets)
        except (Unsent, Unexpected) as error:
            return cls(f"{place}: {error}", FAILED)
        except Unheard as error:
            return cls(f"{error} What it has done is not known.", INTERRUPTED)
        return cls(f"{place} answered {heard.status}.", told=told)


def _headers(properties: JSON, secrets: Mapping[str, str]) -> dict[str, str]:
    given = properties.get("header", {})
    plain = {name: value for name, value in given.items() if isinstance(value, str)}
    typed = isinstance(properties.get("body"), dict | list)
    kind = {"Content-Type": "application/json"} if typed else {}
    if any(name.lower() == "content-type" for name in plain):
        kind = {}
    return {**kind, **plain, **secrets}


def _secrets(project: Project, headers: JSON) -> dict[str, str]:
    """The values of headers that come from secrets of the project. Raises LookupError."""
    found = {}
    for header, value in headers.items():
        if isinstance(value, str):
            continue
        name, key = value["secretKeyRef"]["name"], value["secretKeyRef"]["key"]
        rows = ProjectSecret.objects.filter(project=project, deletion_requested_at=None)
        row = rows.filter(name=name).first()
        values = row.reveal() if row else {}
        if key not in values:
            raise LookupError(f"There is no secret {name} with the key {key}. Nothing was sent.")
        if not values[key].isascii() or not values[key].isprintable():
            raise LookupError(f"The key {key} of secret {name} is no line of plain characters.")
        found[header] = values[key]
    return found
