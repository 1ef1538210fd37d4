"""Rehearses a declaration: what would follow from it on each cluster is drafted, then undone.

Nothing of it remains: rows, events, marks and the wake of the drains go with the transaction.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from django.apps import apps
from django.db import transaction

from reconcile.loop import Adapter
from reconcile.models.convergent import Convergent
from reconcile.models.rows import Row
from reconcile.models.work import Work, marking, watching
from reconcile.omission import same_base
from reconcile.plan import Task
from reconcile.planning.footing import Footing
from reconcile.refusals import TooMuch
from reconcile.values import Live, Ref

MOST_ROWS = 1000

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Draft:
    """One row on a cluster and the task of its next step: no database is needed any more.

    `row` is as it was inside of the rehearsal and may have vanished since. `idle` says why its
    cluster is not asked; `note` is for people.
    """

    row: Convergent
    name: str
    cluster: str
    basis: str
    adapter: Adapter[Any]
    task: Task
    idle: str = ""
    note: str = ""
    standing: bool = False

    @classmethod
    def of(cls, row: Convergent, *, standing: bool = False) -> "Draft":
        """Draft what the row's next step would do.

        A `standing` one concerns drift as well: its cluster is asked though nothing is declared.
        """
        idle = f"Cluster {row.cluster_name} is paused: nothing is written there." * row.paused
        note = f"Nothing is written for now: {row.held}" if row.held else ""
        if row.unselected and not row.deleting:
            note = f"{row} is no longer selected. Nothing is removed until it is declared anew."
        where, basis, adapter, task = row.cluster_name, row.basis(), row.adapter(), row.task()
        return cls(row, str(row), where, basis, adapter, task, idle, note, standing)

    @property
    def news(self) -> bool:
        """Whether the intent is another than when the row was last applied."""
        return self.standing or self.task.deleting or any(True for _ in changed(self.task))

    def footing(self, seen: Mapping[Ref, Live] | None) -> Footing:
        """Return what the plan of this row stands on; None where nobody could look."""
        return Footing.of(self.name, self.cluster, self.basis, self.task, seen)


def changed(task: Task) -> Iterator[Ref]:
    """Name the objects that are wanted otherwise than recorded, or no more."""
    wanted = {item.ref: item.hash for item in task.wanted}
    recorded = {ref: record.wanted_hash for ref, record in task.recorded.items()}
    for ref in {**wanted, **recorded}:
        if not same_base(wanted.get(ref, ""), recorded.get(ref, "")):
            yield ref


def rehearse(declaration: Callable[[], Answer]) -> tuple[Answer, list[Draft]]:
    """Run a declaration, draft what follows, undo it all. Raises what it raises, and TooMuch."""
    with transaction.atomic():
        answer, drafts = drafted(declaration)
        transaction.set_rollback(True)
    return answer, drafts


def drafted(declaration: Callable[[], Answer]) -> tuple[Answer, list[Draft]]:
    """Run a declaration and draft what follows from it; the caller's transaction decides.

    Rows whose intent stays as it is are left out, unless people have to know something.
    """
    with watching() as marked:
        answer = declaration()
        _carry_on(marked)
    if len(marked) > MOST_ROWS:
        raise too_much()
    drafts = (Draft.of(row) for row in _rows(marked) if isinstance(row, Convergent))
    return answer, [draft for draft in drafts if draft.news or draft.row.unselected]


def too_much() -> TooMuch:
    """Return the refusal of a plan that nobody could wait for."""
    return TooMuch(f"It concerns more than {MOST_ROWS} objects. Plan a smaller part of it.")


def _carry_on(marked: set[int]) -> None:
    """Let rows that are on no cluster do to others what their next steps would do."""
    carried: set[int] = set()
    while waiting := marked - carried:
        carried |= waiting
        for row in _rows(waiting):
            if not (isinstance(row, Convergent) or row.deleting):
                with marking():
                    row.carry_on()


def _rows(works: Iterable[int]) -> Iterator[Row]:
    """Return the rows of pieces of work, read anew, in the order in which they came to be."""
    found = Work.objects.filter(pk__in=works).order_by("pk")
    for kind, object_id in list(found.values_list("kind", "object_id")):
        model = apps.get_model(kind)
        rows = model._default_manager.filter(pk=object_id)
        if issubclass(model, Convergent):
            rows = rows.select_related(*{model.parent_field, "cluster"})
        yield from rows
