"""Rotation: a new active key, and every sealed value brought under it while others read and write.

Nothing is recorded about a rotation: what is left to do is what the columns say. So it can end at
any point and be started anew, several times at once, and the next one goes on where it ended.
Only the head of a value is read and written, by a conditional UPDATE that leaves a value alone
that someone wrote meanwhile. SQL of SQLite and PostgreSQL.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from django.db import connection, models, transaction
from django.db.models.functions import Substr

from vault import envelope
from vault.envelope import HEAD_LENGTH, KEY_ID_LENGTH, KEY_ID_START, Place
from vault.errors import KeyStillNeeded, RotationIncomplete, SealError
from vault.fields import SealedTextField, sealed_fields
from vault.keys import KeyFile

BATCH = 500
# A transaction may have sealed under the old key just before it was retired: it gets this long.
GRACE = timedelta(minutes=10)
_PASSES = 5

log = structlog.get_logger(__name__)
Report = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class StaleValue:
    """One value under another key than the active one: its row and its head."""

    pk: object
    place: Place
    head: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Values found under old keys, how many of them were rewrapped, and which do not open.

    What was found and not rewrapped was written anew by someone else at the same moment.
    """

    found: int = 0
    rewrapped: int = 0
    failures: tuple[str, ...] = ()

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(
            self.found + other.found,
            self.rewrapped + other.rewrapped,
            self.failures + other.failures,
        )


def references() -> Counter[str]:
    """Return how many values are sealed under each key id, of all columns."""
    total: Counter[str] = Counter()
    for field in sealed_fields():
        found = _heads(field).annotate(key_id=Substr("head", KEY_ID_START + 1, KEY_ID_LENGTH))
        counts = found.order_by().values_list("key_id").annotate(n=models.Count("*"))
        total.update(dict(counts))
    return total


def rotate(keys: KeyFile, report: Report) -> Outcome:
    """Finish the rotation under way; if there is none, make a new active key and rewrap all.

    `report` is called with "<table>.<field>" and the values done in it, after each batch.
    Raises RotationIncomplete when values remain under old keys.
    """
    before = keys.active_id()
    outcome = rewrap_all(keys, report)
    if not outcome.found:
        ring = keys.add_key(after=before)
        log.info("vault key made", key=ring.active_id, keys=len(ring.keys))
        outcome = rewrap_all(keys, report)
    return _complete(outcome)


def finish(keys: KeyFile, report: Report) -> Outcome:
    """Finish the rotation under way, if there is one; raises RotationIncomplete like `rotate`."""
    return _complete(rewrap_all(keys, report))


def rewrap_all(keys: KeyFile, report: Report) -> Outcome:
    """Bring every value under the active key; values that do not open are the failures.

    Passes are repeated while one finds something to do: another process may have sealed under
    the old key until it saw the new one. Raises RotationIncomplete when that goes on.
    """
    found = rewrapped = 0
    for _ in range(_PASSES):
        outcome = sum((_rewrap(field, keys, report) for field in sealed_fields()), Outcome())
        found, rewrapped = found + outcome.found, rewrapped + outcome.rewrapped
        if not outcome.found:
            log.info("vault rewrapped", values=rewrapped, failures=len(outcome.failures))
            return Outcome(found, rewrapped, outcome.failures)
    raise RotationIncomplete("some process still seals under an old key: do all read one key file?")


def prune(keys: KeyFile, grace: timedelta = GRACE) -> list[str]:
    """Drop every old key and return their ids.

    Raises KeyStillNeeded, dropping none, while a value is sealed under one of them, or while the
    active key is younger than `grace`.
    """
    ring = keys.ring()
    old = [key.id for key in ring.keys if key.id != ring.active_id]
    if not old:
        return []
    free_at = ring.active.created_at + grace
    if datetime.now(UTC) < free_at:
        raise KeyStillNeeded(
            "the active key is too new: a write under way may still use an old one "
            f"until {free_at:%H:%M} UTC"
        )
    counts = references()
    needed = [f"{key_id} ({counts[key_id]} values)" for key_id in old if counts[key_id]]
    if needed:
        raise KeyStillNeeded(f"still in use: {', '.join(needed)}: run `manage.py vault rotate`")
    keys.drop_keys(old)
    log.info("vault keys dropped", keys=old)
    return old


def _rewrap(field: SealedTextField, keys: KeyFile, report: Report) -> Outcome:
    total = Outcome()
    for batch in _stale_batches(field, keys.active_id()):
        total += _swap(field, batch, keys)
        report(f"{field.model._meta.db_table}.{field.name}", total.rewrapped)
    return total


def _stale_batches(field: SealedTextField, active_id: str) -> Iterator[list[StaleValue]]:
    """Yield what is not under the active key, by primary key; each batch is one short query."""
    active_head = f"{envelope.FORMAT}:{active_id}:"
    stale = _heads(field).exclude(head__startswith=active_head).order_by("pk")
    after: dict[str, object] = {}
    while rows := list(stale.filter(**after).values_list("pk", "uid", "head")[:BATCH]):
        yield [_stale_value(field, *row) for row in rows]
        after = {"pk__gt": rows[-1][0]}


def _stale_value(field: SealedTextField, pk: object, uid: UUID, head: str) -> StaleValue:
    return StaleValue(pk, Place(field.model._meta.db_table, uid, field.name), head)


def _swap(field: SealedTextField, batch: list[StaleValue], keys: KeyFile) -> Outcome:
    """Write new heads where the old ones still stand, in one short transaction."""
    primary = field.model._meta.pk
    swaps, failures = [], []
    for value in batch:
        try:
            head = envelope.rewrap(value.head, value.place, keys)
        except SealError as error:
            failures.append(str(error))
            continue
        swaps.append((head, primary.get_db_prep_value(value.pk, connection), value.head))
    rewrapped = 0
    if swaps:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(_swap_statement(field), swaps)
            rewrapped = cursor.rowcount
    return Outcome(len(swaps), rewrapped, tuple(failures))


def _swap_statement(field: SealedTextField) -> str:
    quote = connection.ops.quote_name
    table, column = quote(field.model._meta.db_table), quote(str(field.column))
    primary = quote(str(field.model._meta.pk.column))
    return (
        f"UPDATE {table} SET {column} = %s || substr({column}, {HEAD_LENGTH + 1}) "
        f"WHERE {primary} = %s AND substr({column}, 1, {HEAD_LENGTH}) = %s"
    )


def _heads(field: SealedTextField) -> models.QuerySet[models.Model]:
    """Return the rows that hold a value, with its `head` as plain text of the database."""
    rows: models.QuerySet[models.Model] = models.QuerySet(field.model)
    text = models.ExpressionWrapper(models.F(field.name), output_field=models.TextField())
    held = rows.exclude(**{field.name: None})
    heads: models.QuerySet[models.Model] = held.annotate(head=Substr(text, 1, HEAD_LENGTH))
    return heads


def _complete(outcome: Outcome) -> Outcome:
    if not outcome.failures:
        return outcome
    shown = "\n  ".join(outcome.failures[:10])
    advice = "could not be opened; write them anew or delete their rows"
    raise RotationIncomplete(f"{len(outcome.failures)} values {advice}:\n  {shown}")
