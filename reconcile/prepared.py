"""Statements of the hot path: the ORM writes each one once; running it again costs the database.

Building a statement takes the ORM ten times as long as SQLite takes to run it, and a step at rest
does little else. A statement stays what the ORM made of it, so that every database understands it.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from django.core.serializers.json import DjangoJSONEncoder
from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model, QuerySet
from django.db.models.query import ModelIterable, get_related_populators
from django.db.models.sql import UpdateQuery
from django.db.models.sql.compiler import SQLCompiler


@dataclass(frozen=True)
class Document:
    """What a JSON column holds."""

    value: object


Value = int | str | uuid.UUID | timedelta | Document
Built = tuple[QuerySet[Any], Mapping[str, object]]
_UUID = models.UUIDField()
_DURATION = models.DurationField()
_FIRST = 1_918_273_645  # no number of ours looks like the stand-ins, and every column holds them
_STAND_INS: dict[type[Value], Callable[[int], Value]] = {
    int: int,
    str: "stand-in {}".format,
    uuid.UUID: lambda number: uuid.UUID(int=number),
    timedelta: lambda number: timedelta(microseconds=number),
    Document: lambda number: Document(f"stand-in {number}"),
}


class _Reader:
    """Makes of the rows of one SELECT what the ORM makes of them: models, or tuples of values."""

    def __init__(self, compiler: SQLCompiler, *, models: bool) -> None:
        """Take over what the compiler knows once it has written the statement."""
        select = compiler.select
        self._db = compiler.using or DEFAULT_DB_ALIAS
        self._converters = list(compiler.get_converters([each[0] for each in select]).items())
        self._model: type[Model] | None = None
        if models and (info := compiler.klass_info):
            fields = info["select_fields"]
            self._first, self._last = fields[0], fields[-1] + 1
            self._model = info["model"]
            self._names = [each[0].target.attname for each in select[self._first : self._last]]
            self._related = get_related_populators(info, select, self._db)  # type: ignore[call-arg]

    def read(self, raw: Iterable[Sequence[Any]], connection: BaseDatabaseWrapper) -> list[Any]:
        """Return them, in order."""
        return [self._made(self._converted(row, connection)) for row in raw]

    def _converted(self, raw: Sequence[Any], connection: BaseDatabaseWrapper) -> Sequence[Any]:
        row = list(raw)
        for place, (converters, expression) in self._converters:
            value = row[place]
            for convert in converters:
                value = convert(value, expression, connection)
            row[place] = value
        return row

    def _made(self, row: Sequence[Any]) -> Any:
        if self._model is None:
            return tuple(row)
        made = self._model.from_db(self._db, self._names, row[self._first : self._last])
        for related in self._related:
            related.populate(row, made)
        return made


def kind_of(value: Value) -> type[Value]:
    """The kind of parameter that a value is: an enum of texts is a text."""
    return next(kind for kind in _STAND_INS if isinstance(value, kind))


@dataclass(frozen=True)
class Statement:
    """The text, with parameters as the driver of the database takes them."""

    sql: str
    parameters: tuple[Any, ...]
    reader: _Reader | None = None  # of a SELECT


class Prepared:
    """An UPDATE, or a SELECT, with integers, texts, UUIDs, durations and documents as parameters.

    `build` gets a stand-in for each of `kinds` and returns the rows, with what is to be written to
    them (nothing: a SELECT). Whatever else it puts in stays as it was the first time. What rows are
    annotated with is not read.
    """

    def __init__(self, build: Callable[..., Built], **kinds: type[Value]) -> None:
        self._build = build
        numbered = enumerate(kinds.items(), _FIRST)
        self._stand_ins = {name: _STAND_INS[kind](number) for number, (name, kind) in numbered}
        self._made: dict[str, Statement] = {}

    def update(self, **values: Value) -> int:
        """Run it; return how many rows were written."""
        connection = connections[DEFAULT_DB_ALIAS]
        statement = self._statement(connection)
        with connection.cursor() as cursor:
            cursor.execute(statement.sql, self._filled(statement, connection, values))
            return int(cursor.rowcount)

    def exists(self, **values: Value) -> bool:
        """Run it; return whether there was a row."""
        connection = connections[DEFAULT_DB_ALIAS]
        statement = self._statement(connection)
        with connection.cursor() as cursor:
            cursor.execute(statement.sql, self._filled(statement, connection, values))
            return cursor.fetchone() is not None

    def rows(self, **values: Value) -> list[Any]:
        """Run it; return the models, with what is selected along, or tuples of a values_list."""
        connection = connections[DEFAULT_DB_ALIAS]
        statement = self._statement(connection)
        with connection.cursor() as cursor:
            cursor.execute(statement.sql, self._filled(statement, connection, values))
            raw = cursor.fetchall()
        return statement.reader.read(raw, connection) if statement.reader else raw

    def _filled(
        self, statement: Statement, connection: BaseDatabaseWrapper, values: Mapping[str, Value]
    ) -> list[Any]:
        given = {
            _key(_sent(stand_in, connection)): _sent(values[name], connection)
            for name, stand_in in self._stand_ins.items()
        }
        return [given.get(_key(each), each) for each in statement.parameters]

    def _statement(self, connection: BaseDatabaseWrapper) -> Statement:
        found = self._made.get(connection.vendor)
        if found is None:
            found = self._made[connection.vendor] = self._make(connection)
        return found

    def _make(self, connection: BaseDatabaseWrapper) -> Statement:
        rows, changes = self._build(
            **{
                name: each.value if isinstance(each, Document) else each
                for name, each in self._stand_ins.items()
            }
        )
        query = rows.query
        if changes:
            query = query.chain(UpdateQuery)
            cast(UpdateQuery, query).add_update_values(dict(changes))
        compiler = query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        whole = rows._iterable_class is ModelIterable
        reader = None if changes else _Reader(compiler, models=whole)
        return Statement(str(sql), tuple(parameters), reader)


def _sent(value: Value, connection: BaseDatabaseWrapper) -> object:
    """The value as the database takes it."""
    if isinstance(value, uuid.UUID):
        return _UUID.get_db_prep_value(value, connection)
    if isinstance(value, timedelta):
        return _DURATION.get_db_prep_value(value, connection)
    if isinstance(value, Document):
        return connection.ops.adapt_json_value(value.value, DjangoJSONEncoder)
    return value


def _key(sent: object) -> object:
    """What a parameter is told from others by: psycopg wraps documents."""
    return getattr(sent, "obj", sent)
