"""Compares what was seen on clusters with what we applied, and marks the rows that differ.

Level-triggered: a verdict says only that a row should look; what to do is decided by its step.
Our own writes need no recognition, they end with the fingerprint that was applied.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import structlog
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now
from opentelemetry import trace

from clusters import metrics
from clusters.watch.sightings import Key, Sighting
from clusters.watch.strays import Strays
from reconcile.correlation import correlate
from reconcile.models import AppliedObject, Work, marking
from reconcile.models.work import WorkQuerySet
from reconcile.prepared import Built, Prepared, Value
from reconcile.values import Kind

log = structlog.get_logger(__name__)
tracer = trace.get_tracer("kubenova.watch")

PATIENCE = 2.0  # a step under way gets so long to record what it has written
PATIENCE_OF_A_STEP = 60.0  # so long an object may lack its record while its owner is at work
_AGAIN, _SELDOM = 0.03, 0.25  # a step under way is waited for longer and longer
_MANY = 32  # at once: steps that take their time
_STATUS_EVERY = 1.0
_PLACES_A_QUERY = 512
_FEW = 8
_TOLD = 5
_FIELDS = ("live_fp", "status_fp")
_READ = ("pk", "work_id", "namespace", "name", "live_fp", "status_fp", "busy")


@dataclass(frozen=True)
class Pending:
    """A sighting that waits for its verdict; times are monotonic seconds."""

    sighting: Sighting
    since: float
    due: float

    @property
    def age(self) -> float:
        """Seconds since it was seen."""
        return time.monotonic() - self.since

    @property
    def patient(self) -> bool:
        """Whether there is time left to let a step finish first."""
        return self.age < PATIENCE


class Record(NamedTuple):
    """What is remembered of an object, of a row whose step is under way (`busy`) or is not."""

    pk: int
    work_id: int
    namespace: str
    name: str
    live_fp: str
    status_fp: str
    busy: bool


@dataclass
class Round:
    """What one batch comes to: `moved` were changed by others, of `stirred` the status alone."""

    later: dict[Key, float] = field(default_factory=dict)
    moved: list[Record] = field(default_factory=list)
    stirred: list[Record] = field(default_factory=list)
    since: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def write(self) -> None:
        """Keep what was seen and mark the rows."""
        if self.stirred:
            with marking():
                _keep(self.stirred).mark()
        if self.moved:
            self._begin_repair()

    def _begin_repair(self) -> None:
        """A change by others begins a story of its own, unless one is under way."""
        with correlate(""), tracer.start_as_current_span("watch changes"):
            with marking():
                _keep(self.moved).mark(by_the_way=True)
            seconds = [time.monotonic() - since for since in self.since]
            told = sorted(set(self.told))[:_TOLD]
            log.info("Changes seen", objects=told, count=len(self.moved))
        for each in seconds:
            metrics.MARK_SECONDS.observe(each)


def _keep(records: list[Record]) -> WorkQuerySet:
    """Write what was seen; return the work of the rows."""
    if len(records) <= _FEW:
        for record in sorted(records):
            _KEEPING.update(pk=record.pk, live_fp=record.live_fp, status_fp=record.status_fp)
    else:
        rows = [
            AppliedObject(pk=record.pk, live_fp=record.live_fp, status_fp=record.status_fp)
            for record in sorted(records)
        ]
        AppliedObject.objects.bulk_update(rows, _FIELDS, batch_size=_PLACES_A_QUERY)
    return Work.objects.filter(pk__in={record.work_id for record in records})


_KEEPING = Prepared(
    lambda pk, live_fp, status_fp: (
        AppliedObject.objects.filter(pk=pk),
        {"live_fp": live_fp, "status_fp": status_fp},
    ),
    pk=int,
    live_fp=str,
    status_fp=str,
)


class Verdicts:
    """Judges sightings; remembers only which rows it has marked lately, and the strays."""

    def __init__(self) -> None:
        self._status_marked: dict[int, float] = {}
        self._strays = Strays()

    def known(self, cluster_pk: int, kind: Kind) -> set[Key]:
        """Return every object of a kind that is recorded, or noted as a stray, on a cluster."""
        return recorded(cluster_pk, kind) | self._strays.learn(cluster_pk, kind)

    def judge(self, batch: Sequence[Pending]) -> dict[Key, float]:
        """Update the records and mark the rows; return what to judge again, in how many seconds."""
        round = Round()
        for kind_batch in _by_kind(batch):
            records = _records(kind_batch)
            self._judge_kind(kind_batch, records, round)
        round.write()
        return round.later

    def _judge_kind(
        self,
        batch: Sequence[Pending],
        records: Mapping[Key, Sequence[Record]],
        round: Round,
    ) -> None:
        unrecorded = []
        for pending in batch:
            found = records.get(pending.sighting.key, ())
            for record in found:
                self._compare(pending, record, round, crowded=len(batch) > _MANY)
            if found or pending.sighting.gone:
                self._strays.settle(pending.sighting.key)
            elif pending.patient:  # it may be about to be recorded
                round.later[pending.sighting.key] = _AGAIN * 10
            else:
                unrecorded.append(pending)
        if unrecorded:
            self._note_strays(unrecorded, round)

    def _compare(self, pending: Pending, record: Record, round: Round, *, crowded: bool) -> None:
        seen = pending.sighting
        moved = seen.fp != record.live_fp
        if not moved and (seen.gone or seen.status_fp == record.status_fp):
            return
        if pending.patient and record.busy:
            again = _SELDOM if crowded else min(max(_AGAIN, pending.age), _SELDOM)
            round.later[seen.key] = again
            return
        if not moved and (wait := self._status_wait(record.work_id)) > 0:
            round.later[seen.key] = wait
            return
        status_fp = record.status_fp if seen.gone else seen.status_fp
        record = record._replace(live_fp=seen.fp, status_fp=status_fp)
        (round.moved if moved else round.stirred).append(record)
        if moved:
            round.since.append(pending.since)
            round.told.append(str(seen))

    def _status_wait(self, work_id: int) -> float:
        """Seconds until the row may be marked for its status again; 0 takes the turn."""
        now = time.monotonic()
        wait = self._status_marked.get(work_id, 0.0) + _STATUS_EVERY - now
        if wait > 0:
            return wait
        recent = {key: at for key, at in self._status_marked.items() if now - at < _STATUS_EVERY}
        self._status_marked = recent | {work_id: now}
        return 0.0

    def _note_strays(self, batch: Sequence[Pending], round: Round) -> None:
        """Objects without a record for longer than it takes to write one."""
        owners = _owners({pending.sighting.owner for pending in batch})
        works = _busy_works().filter(pk__in=[work.pk for work in owners.values()])
        busy = set(works.values_list("pk", flat=True))
        for pending in batch:
            work, key = owners.get(pending.sighting.owner), pending.sighting.key
            if work and work.pk in busy and pending.age < PATIENCE_OF_A_STEP:
                round.later[key] = _STATUS_EVERY
            else:
                self._strays.note(pending.sighting, work)


def recorded(cluster_pk: int, kind: Kind) -> set[Key]:
    """Return every object of a kind that we have a record of on a cluster."""
    rows = _of_kind(cluster_pk, kind).values_list("namespace", "name")
    return {Key(cluster_pk, kind, namespace, name) for namespace, name in rows}


def _of_kind(cluster_pk: int, kind: Kind) -> QuerySet[AppliedObject]:
    return AppliedObject.objects.filter(
        work__cluster_id=cluster_pk, api_version=kind.api_version, kind=kind.name
    )


def _by_kind(batch: Iterable[Pending]) -> Iterator[list[Pending]]:
    groups: dict[tuple[int, Kind], list[Pending]] = defaultdict(list)
    for pending in batch:
        key = pending.sighting.key
        groups[key.cluster_pk, key.kind].append(pending)
    yield from groups.values()


def _records(batch: Sequence[Pending]) -> dict[Key, list[Record]]:
    """The records of these objects, which are of one kind on one cluster, and maybe of others.

    What is in namespaces is found by those: the same names are in all of them.
    """
    first = batch[0].sighting.key
    namespaced = first.kind.namespaced
    keys = (pending.sighting.key for pending in batch)
    places = sorted({key.namespace if namespaced else key.name for key in keys})
    found: dict[Key, list[Record]] = defaultdict(list)
    kind = {"api_version": first.kind.api_version, "kind": first.kind.name}
    for start in range(0, len(places), _PLACES_A_QUERY):
        some = places[start : start + _PLACES_A_QUERY]
        count = 1 << (len(some) - 1).bit_length()  # few statements, for any number of places
        padded = some + some[-1:] * (count - len(some))
        given = {f"place{number}": place for number, place in enumerate(padded)}
        for values in _at(count, namespaced).rows(cluster=first.cluster_pk, **kind, **given):
            record = Record(*values)
            found[first._replace(namespace=record.namespace, name=record.name)].append(record)
    return found


@cache
def _at(count: int, namespaced: bool) -> Prepared:
    """The records of a kind on a cluster in so many namespaces, or with so many names."""
    busy = Exists(_busy_works().filter(pk=OuterRef("work_id")))

    def build(cluster: int, api_version: str, kind: str, **places: str) -> Built:
        rows = _of_kind(cluster, Kind(api_version, kind, "")).annotate(busy=busy).order_by()
        given = list(places.values())
        narrow = {"namespace__in": given} if namespaced else {"namespace": "", "name__in": given}
        return rows.filter(**narrow).values_list(*_READ), {}

    keys: dict[str, type[Value]] = {f"place{number}": str for number in range(count)}
    return Prepared(build, cluster=int, api_version=str, kind=str, **keys)


def _owners(owners: set[str]) -> dict[str, Work]:
    found: dict[str, Work] = {}
    for start in range(0, len(owners), _PLACES_A_QUERY):
        some = sorted(owners)[start : start + _PLACES_A_QUERY]
        found |= {work.owner: work for work in Work.objects.filter(owner__in=some)}
    return found


def _busy_works() -> QuerySet[Work]:
    """Where a step is under way: what was seen may be what it has just written."""
    return Work.objects.filter(lease_until__gt=Now())
