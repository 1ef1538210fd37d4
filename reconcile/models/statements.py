"""The statements of every step, made once: what is due, its claim, the status of a row."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from django.apps import apps
from django.db.models import Case, Exists, F, Q, When, Window
from django.db.models import Value as V
from django.db.models.functions import Now, RowNumber

from reconcile.inserting import Inserting
from reconcile.models.leases import Lease, held
from reconcile.prepared import Built, Document, Prepared, Value, kind_of
from reconcile.values import JSON

_KEYS = 16  # in one statement


@cache
def fair(limit: int, skipped: int) -> Prepared:
    """What is due, tenants taking turns, less that of so many clusters: `cluster0` and so on."""
    turn = Window(RowNumber(), partition_by=[F("tenant")], order_by=F("due_at").asc())

    def build(attempts: int, **clusters: int) -> Built:
        rows = _due().filter(attempts__lt=attempts)
        for key in clusters.values():
            rows = rows.exclude(cluster_id=key)
        return rows.annotate(turn=turn).order_by("turn", "due_at")[:limit], {}

    keys: dict[str, type[Value]] = {f"cluster{number}": int for number in range(skipped)}
    return Prepared(build, attempts=int, **keys)


def claimed(token: uuid.UUID, seconds: int) -> dict[str, Any]:
    """What a claim writes."""
    until = Now() + timedelta(seconds=seconds)
    return {"lease_token": token, "lease_until": until, "attempts": F("attempts") + 1}


@cache
def taking(seconds: int) -> Prepared:
    """Claim a row for so long that is as it was found."""

    def build(token: uuid.UUID, **same: int) -> Built:
        return _due().filter(**same), claimed(token, seconds)

    return Prepared(build, pk=int, token=uuid.UUID, marks=int, attempts=int, failures=int)


@cache
def keys_of() -> Prepared:
    """The keys that a row of the dirty set reads."""
    rows = apps.get_model("reconcile.read")._default_manager.order_by().values_list("key")
    return Prepared(lambda work: (rows.filter(work_id=work), {}), work=int)


def readers(keys: Collection[str]) -> set[int]:
    """The primary keys of the work that reads one of these keys."""
    ordered, found = sorted(keys), set[int]()
    for start in range(0, len(ordered), _KEYS):
        some = {f"key{number}": key for number, key in enumerate(ordered[start : start + _KEYS])}
        found |= {pk for (pk,) in _reading(len(some)).rows(**some)}
    return found


@cache
def _reading(count: int) -> Prepared:
    rows = apps.get_model("reconcile.read")._default_manager.order_by().values_list("work_id")

    def build(**keys: str) -> Built:
        return rows.filter(key__in=list(keys.values())), {}

    kinds: dict[str, type[Value]] = {f"key{number}": str for number in range(count)}
    return Prepared(build, **kinds)


@cache
def watching_for() -> Inserting:
    """Note that a row reads a key."""
    return Inserting(apps.get_model("reconcile.read"), unique=("work", "key"))


def written(
    label: str,
    pk: int,
    lease: Lease | None,
    *,
    conditions: Sequence[JSON],
    phase: str,
    observed_generation: int,
) -> bool:
    """Write the status of a row; False when it is gone, or the lease, if any, is no longer ours."""
    status: dict[str, Value] = {
        "conditions": Document(conditions),
        "phase": phase,
        "observed_generation": observed_generation,
    }
    return put(label, pk, lease, **status)


def put(label: str, pk: int, lease: Lease | None, **values: Value) -> bool:
    """Write columns of a row; False when it is gone, or the lease, if any, is no longer ours."""
    kinds = {name: kind_of(value) for name, value in values.items()}
    statement = _putting(label, lease is not None, tuple(kinds.items()))
    mine: dict[str, Value] = {"work": lease.work.pk, "token": lease.token} if lease else {}
    return bool(statement.update(pk=pk, **mine, **values))


@cache
def _putting(label: str, leased: bool, columns: tuple[tuple[str, type[Value]], ...]) -> Prepared:
    rows = apps.get_model(label)._default_manager.order_by()

    def build(pk: int, work: int = 0, token: uuid.UUID | None = None, **values: object) -> Built:
        mine = rows.filter(Exists(held(work, token))) if token else rows
        return mine.filter(pk=pk), values

    lease: dict[str, type[Value]] = {"work": int, "token": uuid.UUID} if leased else {}
    return Prepared(build, pk=int, **lease, **dict(columns))


@cache
def work_of() -> Prepared:
    """The key of the work on a row."""
    rows = apps.get_model("reconcile.work")._default_manager.order_by().values_list("pk")
    return Prepared(
        lambda kind, object_id: (rows.filter(kind=kind, object_id=object_id), {}),
        kind=str,
        object_id=int,
    )


def mark_each(pks: Collection[int], cause: Mapping[str, str], *, by_the_way: bool) -> int:
    """Make work due now and count the mark; return how many were there.

    It runs under `cause` from then on, what sets it off by column; marked `by_the_way`, only what
    has settled does.
    """
    ordered, found = sorted(pks), 0
    for start in range(0, len(ordered), _KEYS):
        some = {f"pk{number}": pk for number, pk in enumerate(ordered[start : start + _KEYS])}
        found += _marking(len(some), tuple(cause), by_the_way).update(**some, **cause)
    return found


@cache
def _marking(count: int, columns: tuple[str, ...], by_the_way: bool, /) -> Prepared:
    rows = apps.get_model("reconcile.work")._default_manager.order_by()
    settled = Q(due_at=None, lease_token=None)
    due = Case(When(due_at__lte=Now(), then=F("due_at")), default=Now())

    def build(**values: Any) -> Built:
        cause = {name: values.pop(name) for name in columns}
        if by_the_way:
            cause = {
                name: Case(When(settled, then=V(text)), default=F(name))
                for name, text in cause.items()
            }
        return rows.filter(pk__in=[*values.values()]), {
            "marks": F("marks") + 1,
            "due_at": due,
            **cause,
        }

    kinds: dict[str, type[Value]] = {f"pk{number}": int for number in range(count)}
    return Prepared(build, **kinds, **dict.fromkeys(columns, str))


def _due() -> Any:
    return apps.get_model("reconcile.work")._default_manager.due()
