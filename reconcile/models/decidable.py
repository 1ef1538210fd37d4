"""What people can do about what differs: repair, accept or ignore it, one or many at once."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, cast

from reconcile.drift import CUT, MASK
from reconcile.fields import ABSENT, get, parse, pointer
from reconcile.models.decisions import Decision
from reconcile.models.events import Event
from reconcile.models.rows import row_of
from reconcile.models.work import Work, marking
from reconcile.refusals import Conflicting, NotAllowed
from reconcile.values import JSON, MANAGED_BY, OWNER

if TYPE_CHECKING:
    from reconcile.models.convergent import Convergent
    from reconcile.models.declared import Declared
    from reconcile.models.drift import Drift

_OURS = frozenset({f".metadata.labels['{MANAGED_BY}']", f".metadata.labels['{OWNER}']"})
_TOLD = 5


@dataclass(frozen=True)
class _Case:
    """A record with the row that it is about."""

    drift: "Drift"
    row: "Convergent"

    @property
    def parent(self) -> "Declared":
        return self.row.parent


class Decidable:
    """The verbs of drift. Each takes records, overlooks those that are closed and counts the rest.

    What is decided about a cluster's own baseline is for operators: without `operator` it is
    refused with NotAllowed. All of it happens or nothing does.
    """

    @classmethod
    def request_repair(cls, rows: "Iterable[Drift]", by: str, *, operator: bool = False) -> int:
        """Approve the repair of records; an extra object will be deleted. Return how many."""
        with marking() as marks:
            cases = _cases(cast("type[Drift]", cls), rows, operator=operator)
            for case in cases:
                case.drift.repair_requested_by = by[:150]
                case.drift.save(update_fields=["repair_requested_by"])
            marks.revive(Work.objects.filter(pk__in={case.drift.work_id for case in cases}))
            _tell(cases, "RepairRequested", f"{by} asked to repair", by)
        return len(cases)

    @classmethod
    def accept(
        cls, rows: "Iterable[Drift]", by: str, reason: str = "", *, operator: bool = False
    ) -> int:
        """Make what was found part of the intent, for as long as the spec does not move there.

        Raises Conflicting for objects that are missing or extra, and for values that are not known.
        """
        with marking():
            cases = _cases(cast("type[Drift]", cls), rows, operator=operator)
            manifests: dict[int, dict[object, JSON]] = {}
            for case in cases:
                _check_acceptable(case.drift)
                work = case.drift.work_id
                if work not in manifests:
                    manifests[work] = {item.ref: item.manifest for item in case.row.rendered()}
                _accept(case, manifests[work].get(case.drift.ref), by, reason)
            _tell(cases, "DriftAccepted", f"{by} accepted", by, reason)
            return _closed(cast("type[Drift]", cls), cases, "accepted", by)

    @classmethod
    def ignore(
        cls,
        rows: "Iterable[Drift]",
        by: str,
        reason: str,
        expires_at: datetime | None = None,
        *,
        operator: bool = False,
    ) -> int:
        """Leave what differs to whoever set it, until `expires_at` or for good.

        Raises Invalid without a reason or for an end that is past.
        """
        with marking():
            cases = _cases(cast("type[Drift]", cls), rows, operator=operator)
            for case in cases:
                _check_ours(case.drift)
                Decision.ignore(
                    case.parent,
                    by,
                    reason=reason,
                    pointer=pointer(parse(case.drift.path)),
                    object_kind=case.drift.object_kind,
                    object_name=case.drift.object_name,
                    cluster=case.drift.cluster,
                    expires_at=expires_at,
                    tell=False,
                )
            _tell(cases, "DriftIgnored", f"{by} chose to ignore", by, reason)
            return _closed(cast("type[Drift]", cls), cases, "ignored", by)


def _cases(drifts: "type[Drift]", rows: "Iterable[Drift]", *, operator: bool) -> list[_Case]:
    """The records that are open, locked and read anew, with their rows."""
    keys = [row.pk for row in rows]
    found = drifts.objects.open().filter(pk__in=keys).select_for_update(of=("self",), no_key=True)
    cases, known = [], {}
    for drift in found.select_related("work").order_by("pk"):
        if not drift.tenant and not operator:
            raise NotAllowed(f"{drift} belongs to a cluster: only an operator decides about it.")
        if drift.work_id not in known:
            known[drift.work_id] = cast("Convergent | None", row_of(drift.work))
        if row := known[drift.work_id]:
            cases.append(_Case(drift, row))
    return cases


def _check_acceptable(drift: "Drift") -> None:
    _check_ours(drift)
    if drift.whole:
        state = "is missing" if drift.drift_class == "missing" else "is not part of any intent"
        raise Conflicting(f"{drift.ref} {state}: that can be repaired or ignored, not accepted.")
    if MASK in (drift.found, drift.wanted):
        raise Conflicting(f"{drift} is secret: its value is not known here. Declare it instead.")
    if isinstance(drift.found, dict) and CUT in drift.found:
        raise Conflicting(f"{drift} is too long to be kept. Declare it instead.")


def _check_ours(drift: "Drift") -> None:
    if drift.path in _OURS:
        raise Conflicting(f"{drift} tells KubeNova's objects apart: it can only be repaired.")


def _accept(case: _Case, manifest: JSON | None, by: str, reason: str) -> None:
    drift = case.drift
    if manifest is None:
        raise Conflicting(f"{drift.ref} is no longer wanted.")
    base = get(manifest, parse(drift.path))
    Decision.accept(
        case.parent,
        by,
        path=drift.path,
        base=None if base is ABSENT else base,
        value=drift.found,
        object_kind=drift.object_kind,
        object_name=drift.object_name,
        cluster=drift.cluster,
        reason=reason[:300],
        tell=False,
    )


def _closed(drifts: "type[Drift]", cases: Sequence[_Case], resolution: str, by: str) -> int:
    from reconcile.models.drift import Drift

    return Drift.close(
        Drift.objects.filter(pk__in=[case.drift.pk for case in cases]), resolution, by
    )


def _tell(cases: Sequence[_Case], event: str, verb: str, by: str, why: str = "") -> None:
    """One event for each parent, whose name stands for all of its records."""
    about: dict[object, list[_Case]] = defaultdict(list)
    for case in cases:
        about[case.parent.key].append(case)
    for found in about.values():
        named = ", ".join(f"{case.drift} on {case.drift.cluster}" for case in found[:_TOLD])
        more = f" and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
        because = f": {why}" if why else "."
        data = {"drift": [str(case.drift.uid) for case in found[:1000]], "reason": why}
        Event.record(found[0].parent, event, f"{verb} {named}{more}{because}", actor=by, data=data)
