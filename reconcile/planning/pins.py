"""Plans that were accepted: pinned to the rows they bind, checked once more before a write."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from reconcile.correlation import correlation_id
from reconcile.errors import Refused
from reconcile.omission import same_base
from reconcile.plan import Task
from reconcile.planning.footing import Footing, difference, living
from reconcile.values import CORRELATION, JSON, Live, Ref

if TYPE_CHECKING:
    from reconcile.models.converging import Converging

_TOLD = 5


class PlanStale(Refused):
    """What was accepted is not what would be written now: nothing is, until somebody decides."""

    reason = "PlanStale"
    first, ceiling = 300.0, 3600.0


def pin_of(plan_hash: str, generation: int, footing: Footing) -> JSON:
    """Return what a row keeps of a plan that was accepted."""
    return {
        "hash": plan_hash,
        "generation": generation,
        "correlation_id": correlation_id(),
        "footing": footing.as_json(),
    }


def check(row: "Converging", basis: str, task: Task, seen: Mapping[Ref, Live]) -> None:
    """Make sure that what a step would write is what was accepted. Raises PlanStale.

    Once it no longer holds it stays so: a cluster that moves back brings no write about.
    """
    pin: JSON | None = row.pinned_plan
    if pin is None:
        return
    told = pin.get("moved") or _moved(pin, basis, task, seen)
    if not told:
        return
    if "moved" not in pin:
        rows = type(row)._default_manager.filter(pk=row.pk, pinned_plan__hash=pin["hash"])
        rows.update(pinned_plan={**pin, "moved": told})
    raise PlanStale(
        f"The plan that was accepted no longer holds: {' '.join(told[:_TOLD])} "
        "Nothing was applied. Plan and declare it anew."
    )


def _moved(pin: JSON, basis: str, task: Task, seen: Mapping[Ref, Live]) -> list[str]:
    pinned = Footing.read(pin["footing"])
    now = Footing.of(pinned.row, pinned.cluster, basis, task, seen)
    if pinned.live is None or now.live is None:  # nobody could look when it was accepted
        return list(difference(pinned, replace(now, live=pinned.live)))
    # What the plan takes away may be gone already, in a step that did not come to its end.
    live = {name: each for name, each in pinned.live.items() if name not in pinned.wanted}
    live |= now.live
    for found in seen.values():
        name = str(found.ref)
        if _written(pin, pinned, task, found):
            live.pop(name)
            live |= {name: pinned.live[name]} if name in pinned.live else {}
    return list(difference(pinned, replace(now, live=live)))


def _written(pin: JSON, pinned: Footing, task: Task, live: Live) -> bool:
    """Whether the object is as the plan itself has left it, in such a step."""
    annotations = live.body["metadata"].get("annotations") or {}
    if annotations.get(CORRELATION) == pin["correlation_id"]:
        return task.owns(live)
    record = task.recorded.get(live.ref)
    if record is None or (record.uid, record.applied_fp) != living(live):
        return False
    return same_base(record.wanted_hash, pinned.wanted.get(str(live.ref), ""))


def fulfilled(row: "Converging") -> None:
    """Forget the plan that was carried out; one that was accepted meanwhile stays."""
    if row.pinned_plan is not None:
        rows = type(row)._default_manager.filter(pk=row.pk)
        rows.filter(pinned_plan__hash=row.pinned_plan["hash"]).update(pinned_plan=None)
