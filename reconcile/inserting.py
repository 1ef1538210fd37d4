"""INSERTs of the hot path: the ORM writes each once, as it does for `reconcile.prepared`.

To have it do so for every handful of rows costs ten times what the database needs for them.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model
from django.db.models.constants import OnConflict
from django.db.models.sql import InsertQuery


class Inserting:
    """Inserts rows of one model that have no key yet, and tells none of the keys they are given.

    With `over`, a row that is there with the same values of `unique` gets these columns instead;
    without, it is left as it is where `unique` says so and an error else.
    """

    def __init__(self, model: type[Model], *, unique: Sequence[str] = (), over: Sequence[str] = ()):
        self._model, self._unique, self._over = model, unique, over
        self._fields: list[Field[Any, Any]] = [
            field for field in model._meta.concrete_fields if field is not model._meta.pk
        ]
        self._made: dict[str, str] = {}

    def insert(self, rows: Iterable[Model]) -> None:
        """Write them down, each as the ORM would."""
        connection = connections[DEFAULT_DB_ALIAS]
        values = [[self._value(field, row, connection) for field in self._fields] for row in rows]
        if not values:
            return
        with connection.cursor() as cursor:
            cursor.executemany(self._statement(connection), values)

    @staticmethod
    def _value(field: "Field[Any, Any]", row: Model, connection: BaseDatabaseWrapper) -> Any:
        return field.get_db_prep_save(field.pre_save(row, add=True), connection)

    def _statement(self, connection: BaseDatabaseWrapper) -> str:
        found = self._made.get(connection.vendor)
        if found is None:
            found = self._made[connection.vendor] = self._make(connection)
        return found

    def _make(self, connection: BaseDatabaseWrapper) -> str:
        named = self._model._meta.get_field
        conflict = OnConflict.UPDATE if self._over else OnConflict.IGNORE
        query = InsertQuery(
            self._model,
            on_conflict=conflict if self._unique else None,
            update_fields=[named(name) for name in self._over],
            unique_fields=[named(name) for name in self._unique],
        )
        query.insert_values(self._fields, [self._model()])
        ((sql, _),) = query.get_compiler(connection=connection).as_sql()
        return str(sql)
