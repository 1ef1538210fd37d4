"""The field of an app's strategy: a row for each wave."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError

from delivery.rules.strategy import waves_of
from reconcile.pages.fields import Column, RowsField
from reconcile.values import JSON

_COLUMNS = (
    Column("clusters", "Clusters", "e.g. prod-a prod-b"),
    Column("selector", "Labels of more clusters", "e.g. region=eu"),
    Column("soak", "Seconds to stay healthy", "Soak (s)"),
    Column("max_unavailable", "Clusters at once", "At once"),
    Column("approval", "How it begins", choices=(("no", "By itself"), ("yes", "When approved"))),
)


class StrategyField(RowsField):
    """A strategy as rows; no row is none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            _COLUMNS,
            noun="wave",
            label="Rollout in waves",
            help_text="Which clusters get a new revision first: by name, by labels (key=value), "
            "or both, several separated by spaces. The next wave begins when all of one are "
            "healthy, and have stayed so for the seconds given. Clusters of no wave come last. "
            "Without waves all of them get it at once.",
            **kwargs,
        )

    def prepare_value(self, value: Any) -> Any:
        """Return the rows of a strategy."""
        return [_row(wave) for wave in waves_of(value)] if isinstance(value, Mapping) else value

    def clean(self, value: Any) -> JSON:
        """Return the strategy. Raises ValidationError for labels that are not key=value."""
        waves = [_wave(row) for row in super().clean(value)]
        return {"waves": waves} if waves else {}


def _row(wave: JSON) -> dict[str, str]:
    selector = wave.get("selector", {})
    return {
        "clusters": " ".join(wave.get("clusters", [])),
        "selector": " ".join(f"{key}={value}" for key, value in sorted(selector.items())),
        "soak": str(wave.get("soak", "") or ""),
        "max_unavailable": str(wave.get("max_unavailable", "")),
        "approval": "yes" if wave.get("approval") else "no",
    }


def _wave(row: Mapping[str, str]) -> JSON:
    found: JSON = {
        "clusters": _words(row["clusters"]),
        "selector": dict(_pairs(_words(row["selector"]))),
        "approval": row["approval"] == "yes",
        "soak": _number(row["soak"]),
        "max_unavailable": _number(row["max_unavailable"]),
    }
    return {name: value for name, value in found.items() if value not in ("", False, [], {})}


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals):
            # As a parameter: it may hold a '%', which Django would try to format.
            text, params = "%(word)s is no label: write key=value.", {"word": word[:100]}
            raise ValidationError(text, code="labels", params=params)
        yield key, value


def _number(text: str) -> int | str:
    """What is no number stays a text, which the model refuses where it is."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else text
