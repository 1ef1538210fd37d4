"""The stages of a step, told as events: what was planned, applied and observed, and how long.

Request → declaration → plan → each apply → observation → converged. A step that writes nothing
tells nothing, and one that does tells all of it in a single INSERT.
"""

import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.utils import timezone

from reconcile.correlation import correlation_id
from reconcile.loop import Done
from reconcile.models.events import Event
from reconcile.values import JSON, Condition, Phase, Plan, Step, phase_of

if TYPE_CHECKING:
    from reconcile.models.converging import Converging
    from reconcile.models.rows import Row

_LISTED = 20


class Telling:
    """What one step of a row has to tell. Seconds are measured on the monotonic clock."""

    def __init__(self, row: "Converging", plan: Plan) -> None:
        """Begin with the plan: how many objects, how, and its hash."""
        self._row, self._since, self._waves = row, time.perf_counter(), len(plan.waves)
        count = _objects(len(plan.steps))
        data = {"hash": plan.hash, **_listed(plan.steps), "waves": self._waves}
        self._events = [_about(row, "Planned", f"{count} to write: {_verbs(plan.steps)}.", data)]

    def applied(self, done: Sequence[Done]) -> None:
        """Tell of a wave: `milliseconds` of the whole of it and of its slowest object."""
        if not done:
            return
        steps, took = [item.step for item in done], self._lap()
        slowest = max(done, key=lambda item: item.seconds)
        data = {
            **_listed(steps),
            "milliseconds": round(took * 1000, 1),
            "slowest": str(slowest.step.ref),
            "slowest_milliseconds": round(slowest.seconds * 1000, 1),
        }
        message = f"{_objects(len(steps))} written in {took * 1000:.0f} ms: {_verbs(steps)}."
        self._events.append(_about(self._row, "Applied", message, data))

    def failed(self, why: str, *, again: bool = False) -> None:
        """Tell that the step ended before all was written; not `again` if it got nowhere."""
        if again and len(self._events) == 1:
            self._events = []
            return
        data = {"milliseconds": round(self._lap() * 1000, 1)}
        self._events.append(_about(self._row, "Interrupted", f"Not all was written: {why}", data))

    def observed(self, synced: Condition, ready: Condition) -> None:
        """Tell what was seen afterwards, and that this ends it if no change of phase will."""
        row, phase = self._row, phase_of(synced, ready, deleting=self._row.deleting)
        data: JSON = {"milliseconds": round(self._lap() * 1000, 1), "phase": phase}
        seen = ready.message or synced.message or ready.reason
        self._events.append(_about(row, "Observed", f"{row} is {phase}: {seen}", data))
        if phase == row.phase == Phase.DEPLOYED:
            message = f"{row} is as declared."
            self._events.append(_about(row, "Converged", message, since_request(row)))

    def add(self, event: Event) -> None:
        """Tell of something else along with it."""
        self._events.append(event)

    def write(self) -> None:
        """Insert all of it at once."""
        if self._events:
            Event.keep(self._events)
        self._events = []

    def _lap(self) -> float:
        now = time.perf_counter()
        took, self._since = now - self._since, now
        return took


def since_request(row: "Row") -> JSON:
    """Return the `seconds` since the declaration that this step works for; empty for any other."""
    declared = getattr(row, "parent", row)
    if not correlation_id() or getattr(declared, "correlation_id", "") != correlation_id():
        return {}
    return {"seconds": round((timezone.now() - declared.updated_at).total_seconds(), 3)}


def _about(row: "Converging", reason: str, message: str, data: JSON) -> Event:
    return Event.about(row, reason, message, data=data)


def _objects(count: int) -> str:
    return f"{count} object{'' if count == 1 else 's'}"


def _verbs(steps: Sequence[Step]) -> str:
    counted = Counter(f"{step.verb} ({step.why})" for step in steps)
    return ", ".join(f"{count} {verb}" for verb, count in sorted(counted.items()))


def _listed(steps: Sequence[Step]) -> JSON:
    return {"count": len(steps), "objects": [str(step) for step in steps[:_LISTED]]}
