"""The abstract row that holds a spec: what a person declared, summed up over its placements."""

from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar, Self

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from reconcile.correlation import correlation_id
from reconcile.loop import Outcome
from reconcile.models.decisions import Decision
from reconcile.models.events import Event
from reconcile.models.rows import Row, reading
from reconcile.models.summing import AT_REST, Summing
from reconcile.models.work import Lease, marking, touch
from reconcile.refusals import Conflicting, Deleting
from reconcile.values import JSON, Condition, Status

_SUM_UP_LOOK = 15.0
_DELETION_LOOK = 2.0


class Declared(Summing):
    """A spec with its generation. Concrete classes name `spec_fields` and `targets`."""

    generation = models.PositiveIntegerField(default=0, editable=False)
    declared_by = models.CharField(max_length=150, blank=True, default="", editable=False)
    correlation_id = models.CharField(max_length=64, blank=True, default="", editable=False)

    spec_fields: ClassVar[tuple[str, ...]] = ()
    placement_field: ClassVar[str] = ""
    # Of the declaration under way: what differs from what was declared before.
    changed: Sequence[str] = ()

    class Meta:
        abstract = True

    def targets(self) -> Iterable[int]:
        """Return the primary keys of the clusters it is to be placed on, reading their keys."""
        return ()

    @property
    def kind(self) -> str:
        """The name people know it by, for example `Tenant`."""
        return self._meta.object_name or ""

    def dependents(self) -> "list[Declared]":
        """Return the rows that live inside this one and go before it.

        They are found by their foreign keys, so that no layer has to know the ones above it.
        """
        found: list[Declared] = []
        for relation in self._meta.related_objects:
            model = relation.related_model
            if isinstance(model, type) and issubclass(model, Declared):
                found += model._default_manager.filter(**{relation.field.name: self})
        return found

    def spec(self) -> JSON:
        """What was declared, as plain values."""
        columns = {column.name: column for column in self._meta.fields}
        return {name: columns[name].value_from_object(self) for name in self.spec_fields}

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """As for any model; an empty value of another type, which no validator sees, is refused."""
        super().clean_fields(exclude)
        for column in self._meta.fields:
            if (
                not isinstance(column, models.JSONField)
                or column.null
                or not column.has_default()
                or column.name in {*(exclude or ())}
            ):
                continue
            kind = type(column.get_default())
            if not isinstance(column.value_from_object(self), kind):
                wanted = "an object" if kind is dict else "a list"
                raise ValidationError({column.name: f"This has to be {wanted}."})

    def take_turn(self) -> None:
        """Wait for whoever changes the same family of rows, before the first row is locked.

        Rows that are locked in more than one order need it; most are not.
        """

    def on_declared(self, *, by: str, created: bool) -> None:
        """Write what belongs to the new spec; runs inside of its transaction."""

    def declare(self, by: str) -> bool:
        """Save the spec in one transaction with its event and marks; False when nothing changed.

        Raises ValidationError for a bad spec, Deleting when the row is going away and Conflicting
        when somebody else changed it since it was read.
        """
        self.full_clean()
        with marking():
            self.take_turn()
            created = self.pk is None
            self.changed = changed = [] if created else self._changed()
            if not (created or changed):
                return False
            self.generation += 1
            self.declared_by, self.correlation_id = by, correlation_id()
            self._save_spec(created=created)
            verb = "Created" if created else "Changed"
            data: JSON = {"generation": self.generation, "fields": changed}
            Event.record(self, verb, f"{self} was {verb.lower()} by {by}.", actor=by, data=data)
            new = created and self.settles_when_created
            if new:
                self._watch_targets()
            self.place(declared=True)
            self.on_declared(by=by, created=created)
            if new and self.settles_when_created and self.placements_of().exists():
                self.sum_up(None)
            else:
                self.enrol()
            touch(self.key)
        return True

    @property
    def settles_when_created(self) -> bool:
        """Whether its declaration does all that its first step would, where it comes to any."""
        return False

    def _watch_targets(self) -> None:
        """Store the keys that choose its clusters before they are chosen: no step has to."""
        with reading() as keys:
            self.targets()
        self.watch(keys, self.enlist())

    def _changed(self) -> list[str]:
        """Name the fields that differ from what is stored, which is held until the end."""
        stored = type(self).locked().filter(pk=self.pk).first()
        if stored is None:  # what it lived in may be gone as well: its full name is no more
            raise Deleting(f"{self.kind} {self.pk} was deleted meanwhile. Create it anew.")
        if stored.deleting:
            raise Deleting(f"{self} is being deleted. Wait until it is gone, then create it anew.")
        if stored.generation != self.generation:
            raise Conflicting(
                f"{self} was changed meanwhile. Read it again, then repeat the change."
            )
        before = stored.spec()
        return sorted(name for name, value in self.spec().items() if before[name] != value)

    def _save_spec(self, *, created: bool) -> None:
        if created:
            self.save(force_insert=True)
            return
        kept = ("generation", "declared_by", "correlation_id", "updated_at")
        self.save(update_fields=[*self.spec_fields, *kept])

    def place(self, *, declared: bool) -> None:
        """Give every target a placement. Only a declaration removes those no longer selected."""
        related = self.placements_of()
        wanted, known = set(self.targets()), {row.cluster_id: row for row in self._placed()}  # type: ignore[attr-defined]
        for cluster_pk in sorted(wanted - set(known)):
            row = related.model(**{related.model.parent_field: self, "cluster_id": cluster_pk})
            row.save(force_insert=True)
            row.enrol()
        if wanted != set(known):
            touch(self.key)
        if wanted - set(known) and not declared:
            self.on_joined()
        for cluster_pk, row in known.items():
            self._replace(row, selected=cluster_pk in wanted, declared=declared)

    def on_joined(self) -> None:
        """Write what belongs to clusters that a step has placed it on, in its transaction."""

    def carry_on(self) -> None:
        """Do to the placements what the next step would do, for whoever plans ahead."""
        self.place(declared=False)

    def _replace(self, row: "Row", *, selected: bool, declared: bool) -> None:
        if declared and row.pinned_plan is not None:  # type: ignore[attr-defined]
            type(row)._default_manager.filter(pk=row.pk).update(pinned_plan=None)  # type: ignore[misc]
        if not selected and (declared or row.deleting):
            row.request_deletion(self.declared_by, reason=f"{row} is no longer selected.")  # type: ignore[attr-defined]
        elif row.unselected == selected or row.deleting:  # type: ignore[attr-defined]
            rows = type(row)._default_manager.filter(pk=row.pk)
            rows.update(unselected=not selected, deletion_requested_at=None)  # type: ignore[misc]
            row.mark()
        elif declared:
            row.mark()

    def request_deletion(self, by: str) -> None:
        """Ask for its deletion, and before it that of all that lives inside; idempotent."""
        with marking():
            self.take_turn()
            rows = type(self)._default_manager.filter(pk=self.pk, deletion_requested_at=None)
            now = timezone.now()
            if not rows.update(deletion_requested_at=now, declared_by=by, updated_at=now):
                return
            self.deletion_requested_at, self.declared_by = now, by
            Event.record(self, "DeletionRequested", f"{by} asked to delete {self}.", actor=by)
            self._delete_inside()
            self.mark()
            touch(self.key)

    def _delete_inside(self) -> bool:
        inside = self.dependents()
        for row in inside:
            row.request_deletion(self.declared_by)
        placements = list(self.placements_of())
        for placement in placements:
            placement.request_deletion(self.declared_by)
        return bool(inside or placements)

    def step(self, lease: Lease) -> Outcome:
        """A step in the database alone: place anew, sum up, or finish the deletion."""
        with reading() as keys:
            self.targets()
        self.watch_reads(keys, lease)
        with marking():
            self.take_turn()
            # As it is now: a declaration since the row was read must not be undone.
            self.read_anew(locked=True)
            if self.deleting:
                return self._finish_deletion(lease)
            self.place(declared=False)
            self.sum_up(lease)
        return Outcome(None if self.sums_up_at_once or self.phase in AT_REST else _SUM_UP_LOOK)

    def _finish_deletion(self, lease: Lease) -> Outcome:
        if self._delete_inside():
            message = "Waiting for everything inside to go."
            synced = Condition("Synced", Status.UNKNOWN, "Deleting", message)
            self.record(lease, synced, Condition("Ready", Status.FALSE, "Deleting", message))
            return Outcome(_DELETION_LOOK)
        above = self.above()
        self.forget()
        if above:
            above.mark_to_sum_up()
        return Outcome()

    def forget(self) -> None:
        """As for any row; what people decided about it goes along."""
        with marking():
            Decision.forget(self)
            super().forget()

    def above(self) -> "Declared | None":
        """The row that this one lives inside of, if any."""
        return None

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the row of that name, for commands."""
        return cls._default_manager.get(name=name)
