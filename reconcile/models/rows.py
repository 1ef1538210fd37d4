"""What everything that converges has in common: identity, status, a place in the dirty set."""

import uuid
from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, ClassVar, Self

from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction
from django.db.models import QuerySet
from django.utils import timezone

from reconcile.locks import lock_to_read, one_writer
from reconcile.loop import Outcome
from reconcile.models.applied import AppliedObject
from reconcile.models.events import Event
from reconcile.models.statements import keys_of, watching_for, written
from reconcile.models.telling import since_request
from reconcile.models.work import Lease, Read, Work, marking, touch
from reconcile.prepared import Prepared
from reconcile.values import JSON, Condition, Phase, Status, phase_of

_reading: ContextVar[set[str] | None] = ContextVar("reading", default=None)


def read(key: str) -> None:
    """Note that the intent being computed depends on `key`; `touch(key)` will mark its row."""
    keys = _reading.get()
    if keys is not None:
        keys.add(key)


@contextmanager
def reading() -> Iterator[set[str]]:
    """Collect the keys that are read inside the block."""
    keys: set[str] = set()
    token = _reading.set(keys)
    try:
        yield keys
    finally:
        _reading.reset(token)


def row_of(work: Work) -> "Row | None":
    """Return the row that a piece of work is about, with all it hangs on; None when it is gone."""
    found: list[Row] = _reading_one(work.kind).rows(pk=work.object_id)
    return found[0] if found else None


@cache
def _reading_one(label: str, *, locked: bool = False) -> Prepared:
    """The row of a key with all it hangs on; `locked` as by `Row.locked`."""
    model: type[Row] = apps.get_model(label)
    rows = model.locked() if locked else model._default_manager.all()
    wanted = rows.select_related(*hangs_on(label)).order_by()
    return Prepared(lambda pk: (wanted.filter(pk=pk), {}), pk=int)


@cache
def hangs_on(label: str) -> tuple[str, ...]:
    """The foreign keys of a model, and those of the rows that they lead to: a step reads them."""
    found: list[str] = []
    for field in apps.get_model(label)._meta.concrete_fields:
        other = field.related_model
        if isinstance(other, type) and issubclass(other, models.Model):
            found.append(field.name)
            below = hangs_on(other._meta.label_lower) if issubclass(other, Row) else ()
            found += [f"{field.name}__{name}" for name in below]
    return tuple(found)


class Row(models.Model):
    """A row that a drain can take a step with. Status columns are written by the loop alone."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    phase = models.CharField(
        max_length=8,
        choices=[(phase, phase) for phase in Phase],
        default=Phase.PENDING,
        editable=False,
        db_index=True,
    )
    conditions = models.JSONField(
        default=list, blank=True, editable=False, encoder=DjangoJSONEncoder
    )
    observed_generation = models.PositiveIntegerField(default=0, editable=False)
    deletion_requested_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    cluster_pk: ClassVar[int | None] = None
    status_fields: ClassVar[tuple[str, ...]] = ("phase", "conditions", "observed_generation")

    class Meta:
        abstract = True

    @classmethod
    def locked(cls) -> "QuerySet[Self]":
        """The rows, kept from change until the transaction ends; others may refer to them."""
        rows: QuerySet[Self] = cls._default_manager.all()
        return rows.select_for_update(of=("self",), no_key=True)

    def refresh_from_db(
        self,
        using: str | None = None,
        fields: Iterable[str] | None = None,
        from_queryset: "QuerySet[Any] | None" = None,
    ) -> None:
        """As for any model; what the row hangs on is read anew with it, in the same query."""
        if fields is None and from_queryset is None and using is None:
            self.read_anew()
        else:
            super().refresh_from_db(using, fields, from_queryset)

    def read_anew(self, *, locked: bool = False) -> None:
        """Be as the database has it now; `locked`: until the transaction ends.

        Raises DoesNotExist when the row is gone.
        """
        found = _reading_one(self.label, locked=locked).rows(pk=self.pk)
        if not found:
            raise type(self).DoesNotExist(f"{self.label} {self.pk} is gone.")
        names = [field.attname for field in self._meta.concrete_fields]
        self.__dict__.update({name: found[0].__dict__[name] for name in names})
        self._state.fields_cache = found[0]._state.fields_cache
        self._prefetched_objects_cache: dict[str, object] = {}

    @property
    def label(self) -> str:
        """The model label, for example `tenancy.tenant`."""
        return self._meta.label_lower

    @property
    def key(self) -> str:
        """The key that others read to depend on this row."""
        return f"{self.label}/{self.uid}"

    @property
    def owner(self) -> str:
        """The value of the owner label on clusters; unique, at most 63 characters."""
        return f"{self.label}.{self.uid.hex}"

    @property
    def deleting(self) -> bool:
        """Whether its deletion was requested."""
        return self.deletion_requested_at is not None

    @property
    def tenant_name(self) -> str:
        """The tenant it belongs to; empty when it belongs to none."""
        return ""

    @property
    def cluster_name(self) -> str:
        """The cluster it lives on; empty when it spans clusters."""
        return ""

    @property
    def adapter_name(self) -> str:
        """The adapter that serves it, for logs; empty for steps in the database alone."""
        return ""

    @property
    def work(self) -> QuerySet[Work]:
        """Its row of the dirty set."""
        return Work.objects.filter(kind=self.label, object_id=self.pk)

    def step(self, lease: Lease) -> Outcome:
        """Take one step towards the intent."""
        raise NotImplementedError(f"{self.label} has no step")

    def carry_on(self) -> None:
        """Do to other rows what the next step would do, for whoever plans ahead."""

    def enrol(self) -> None:
        """Give the row its place in the dirty set, due now."""
        self.enlist()
        self.mark()

    def enlist(self) -> Work:
        """Give the row its place in the dirty set, if it has none."""
        work, _ = Work.objects.get_or_create(
            kind=self.label,
            object_id=self.pk,
            defaults={
                "owner": self.owner,
                "cluster_id": self.cluster_pk,
                "tenant": self.tenant_name,
            },
        )
        return work

    def mark(self) -> None:
        """Make the row due; what is wanted of it may have changed."""
        Work.objects.filter(kind=self.label, object_id=self.pk).revive()

    def forget(self) -> None:
        """Remove the row, the last act of a deletion, and wake those who waited for it."""
        with marking() as marks:
            Event.record(self, "Deleted", f"{self} is gone.")
            marks.drop(self.work)
            AppliedObject.objects.filter(work__in=self.work).delete()
            touch(self.key)
            type(self)._default_manager.filter(pk=self.pk).delete()

    def watch_reads(self, keys: Set[str], lease: Lease) -> bool:
        """Store the keys that the intent read; True when new ones were added.

        The caller computes the intent anew then: a touch may have come before the key was stored.
        """
        known = {key for (key,) in keys_of().rows(work=lease.work.pk)}
        if known - keys:
            lease.work.reads.filter(key__in=known - keys).delete()
        self.watch(keys - known, lease.work)
        return bool(keys - known)

    def watch(self, keys: Set[str], work: Work) -> None:
        """Be marked when one of the keys is touched from now on."""
        if not keys:
            return
        with one_writer(), transaction.atomic():
            lock_to_read(keys)
            watching_for().insert(Read(work=work, key=key) for key in sorted(keys))

    def record(
        self,
        lease: Lease | None,
        synced: Condition,
        ready: Condition,
        *,
        observed: int | None = None,
        phase: Phase | None = None,
    ) -> bool:
        """Write conditions and phase, when they changed and the lease, if any, is still ours.

        `phase` overrides the one that follows from the conditions, for sums over placements.
        Returns whether anything changed.
        """
        conditions = [self._dated(condition, observed) for condition in (synced, ready)]
        status: JSON = {
            "conditions": conditions,
            "phase": phase or phase_of(synced, ready, deleting=self.deleting),
            "observed_generation": self.observed_generation if observed is None else observed,
        }
        if all(getattr(self, name) == value for name, value in status.items()):
            return False
        if not written(self.label, self.pk, lease, **status):
            return False
        moved = self.phase != status["phase"]
        for name, value in status.items():
            setattr(self, name, value)
        if moved:
            self._tell(synced, ready)
        return True

    def record_quarantine(self) -> None:
        """Show people that the row was set aside because its step keeps crashing."""
        message = (
            "This step failed repeatedly by a defect and was set aside. An operator can requeue it."
        )
        crashed = Condition("Synced", Status.FALSE, "Quarantined", message)
        conditions = [self._dated(crashed, None)]
        rows = type(self)._default_manager.filter(pk=self.pk)
        rows.update(conditions=conditions, phase=Phase.ERROR)
        self.phase = Phase.ERROR
        Event.record(self, "Quarantined", f"{self}: {message}", warning=True)

    def _dated(self, condition: Condition, observed: int | None) -> JSON:
        old = next((c for c in self.conditions if c["type"] == condition.type), None)
        since = timezone.now().isoformat(timespec="seconds").replace("+00:00", "Z")
        return {
            "type": condition.type,
            "status": condition.status.value,
            "reason": condition.reason,
            "message": condition.message,
            "observed_generation": self.observed_generation if observed is None else observed,
            "last_transition": old["last_transition"]
            if old and old["status"] == condition.status
            else since,
        }

    def _tell(self, synced: Condition, ready: Condition) -> None:
        bad = self.phase in {Phase.ERROR, Phase.DRIFTED}
        cause = next((c for c in (synced, ready) if c.status == "False"), ready)
        message = f"{self} is {self.phase}: {cause.message or cause.reason}"
        data = since_request(self)
        self.tell_phase(Event.about(self, self.phase, message, warning=bad, data=data))

    def tell_phase(self, event: Event) -> None:
        """Write down that the phase has changed."""
        Event.keep([event])
