"""A plan from its showing to its acceptance: what was seen is what is applied (threat A43)."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from django.db import transaction

from reconcile.models.convergent import Convergent
from reconcile.models.declared import Declared
from reconcile.models.plans import PlanRecord
from reconcile.planning.asking import look
from reconcile.planning.footing import Footing, hash_of, moved
from reconcile.planning.pins import pin_of
from reconcile.planning.rehearsal import MOST_ROWS, Draft, drafted, rehearse, too_much
from reconcile.planning.report import footings_of, report_on
from reconcile.planning.values import Report
from reconcile.refusals import PlanOutdated

Answer = TypeVar("Answer")
_TOLD = 20


def plan(declaration: Callable[[], object], *, by: str) -> Report:
    """Say what a declaration would do, and undo it. Raises what it raises, and TooMuch.

    Clusters are asked after the rehearsal, while no transaction is open.
    """
    _, drafts = rehearse(declaration)
    looks = look(drafts, dry_run=True)
    report = report_on(looks)
    PlanRecord.keep(report.hash, by, footings_of(looks))
    return report


def standing_plan(row: Declared) -> Report:
    """Say what the loop would write now, for a row and all that lives inside of it.

    Raises TooMuch. What is at rest is not part of it.
    """
    rows = list(islice(_placements(row), MOST_ROWS + 1))
    if len(rows) > MOST_ROWS:
        raise too_much()
    return report_on(look([Draft.of(each, standing=True) for each in rows], dry_run=True))


def _placements(row: Declared) -> Iterator[Convergent]:
    yield from row.placements_of()
    for inside in row.dependents():
        yield from _placements(inside)


def accept(declaration: Callable[[], Answer], plan_hash: str, *, by: str) -> Answer:
    """Declare what was planned, if it still is what would happen. Raises PlanOutdated.

    The rows that it concerns are pinned to it in the same transaction: the loop checks once more
    before its first write.
    """
    _, drafts = rehearse(declaration)
    footings = footings_of(look(drafts, dry_run=False))
    if hash_of(footings) != plan_hash:
        raise _outdated(footings, plan_hash, by)
    with transaction.atomic():
        answer, real = drafted(declaration)
        declared = [draft.footing(None) for draft in real if draft.news]
        if told := moved(map(_unseen, footings), declared):
            raise _refusal(told)
        _pin(real, footings, plan_hash)
    return answer


def _unseen(footing: Footing) -> Footing:
    return Footing(footing.row, footing.cluster, footing.basis, footing.deleting, footing.wanted)


def _pin(drafts: Iterable[Draft], footings: Iterable[Footing], plan_hash: str) -> None:
    by_row = {footing.row: footing for footing in footings}
    for draft in drafts:
        if draft.news:
            pin = pin_of(plan_hash, draft.row.generation, by_row[draft.name])
            rows = type(draft.row)._default_manager.filter(pk=draft.row.pk)
            rows.update(pinned_plan=pin)


def _outdated(footings: Iterable[Footing], plan_hash: str, by: str) -> PlanOutdated:
    known = PlanRecord.objects.shown_to(by, plan_hash)
    if known is None:
        return _refusal(["It is no plan that you were shown within the last 24 hours."])
    return _refusal(moved(known.footings, footings))


def _refusal(told: list[str]) -> PlanOutdated:
    words = " ".join(told[:_TOLD]) or "Something has changed."
    return PlanOutdated(f"{words} Nothing was declared. Plan anew.", moved=told)
