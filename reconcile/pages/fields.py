"""Form fields for maps and lists: rows of inputs, of which a page can add and remove some."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from reconcile.values import JSON

MAX_ROWS = 500


@dataclass(frozen=True)
class Column:
    """One input of a row: a text, or a choice where there are `choices` (value, label)."""

    name: str
    label: str
    placeholder: str = ""
    choices: Sequence[tuple[str, str]] = ()
    suggestions: Sequence[str] = ()


class RowsWidget(forms.Widget):
    """Rows of inputs named `<field>-<column>`, and a blank one to fill in."""

    template_name = "forms/rows.html"

    def __init__(self, columns: Sequence[Column], noun: str) -> None:
        super().__init__()
        self.columns, self.noun = tuple(columns), noun

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Lay out the rows: for each its cells, a column and its value."""
        context = super().get_context(name, value, attrs)
        rows = [self._cells(row) for row in value or ()]
        context["widget"] |= {"rows": rows, "blank": self._cells({}), "noun": self.noun}
        context["widget"]["columns"] = self.columns
        return context

    def _cells(self, row: Mapping[str, object]) -> list[JSON]:
        return [{"column": column, "value": row.get(column.name, "")} for column in self.columns]

    def value_from_datadict(
        self, data: Mapping[str, Any], files: Any, name: str
    ) -> list[dict[str, str]]:
        """Return the rows of which anything but a choice was filled in."""
        lists = [_listed(data, f"{name}-{column.name}") for column in self.columns]
        rows = [
            {column.name: cell.strip() for column, cell in zip(self.columns, cells, strict=True)}
            for cells in zip(*lists, strict=False)
        ]
        typed = [column.name for column in self.columns if not column.choices]
        return [row for row in rows if any(row[column] for column in typed)]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        """No rows are an empty value, never an omitted one."""
        return False

    def id_for_label(self, id_: str) -> str:
        """There is no single input that a label could be for."""
        return ""


class Checks(forms.CheckboxSelectMultiple):
    """Check boxes, one below the other."""

    template_name = "forms/checks.html"


class RowsField(forms.Field):
    """A list of rows, each a dict of texts by column."""

    def __init__(self, columns: Sequence[Column], *, noun: str, **kwargs: Any) -> None:
        super().__init__(**{"required": False, **kwargs, "widget": RowsWidget(columns, noun)})

    def clean(self, value: Any) -> Any:
        """Return the rows. Raises ValidationError for more of them than anybody types."""
        if len(value) > MAX_ROWS:
            raise ValidationError(f"Give at most {MAX_ROWS}.", code="too_many")
        return super().clean(value)


class PairsField(RowsField):
    """A map of texts, such as labels."""

    def __init__(
        self,
        *,
        noun: str,
        key: str = "Key",
        value: str = "Value",
        examples: tuple[str, str] = ("", ""),
        suggestions: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        columns = (
            Column("key", key, examples[0], suggestions=suggestions),
            Column("value", value, examples[1]),
        )
        super().__init__(columns, noun=noun, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """Return the rows of a map."""
        if isinstance(value, Mapping):
            return [{"key": key, "value": found} for key, found in value.items()]
        return value

    def clean(self, value: Any) -> dict[str, str]:
        """Return the map. Raises ValidationError for a key that was given twice."""
        return pairs(super().clean(value))


def pairs(rows: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the map that rows of `key` and `value` make. Raises ValidationError."""
    keys = [row["key"] for row in rows]
    if "" in keys:
        raise ValidationError("Give every value a key.", code="required")
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        # As a parameter: a key may hold a '%', which Django would try to format.
        message, params = "%(keys)s is given twice.", {"keys": ", ".join(twice)[:200]}
        raise ValidationError(message, code="repeated", params=params)
    return {row["key"]: row["value"] for row in rows}


def _listed(data: Mapping[str, Any], name: str) -> list[str]:
    found = data.getlist(name) if isinstance(data, QueryDict) else data.get(name, [])
    return [str(item) for item in found][: MAX_ROWS + 1]
