"""Fields of what an app gives to its components: variables, and what differs on some clusters."""

from collections.abc import Callable, Sequence
from typing import Any

import yaml
from django import forms

from clusters.plainyaml import Malformed, load
from clusters.uploads import refused
from reconcile.pages.fields import PairsField
from reconcile.values import JSON

OVERRIDES_HELP = (
    "As YAML, a list: where (clusters by name, or the labels of a selector) and what differs there "
    "(environment, and components with the properties and traits that are merged into theirs)."
)


class EnvironmentField(PairsField):
    """Variables with their values; those that come from elsewhere are kept as they are."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            noun="variable",
            key="Variable",
            examples=("e.g. REGION", "e.g. eu-west"),
            help_text="Given to every component, where its own variables win. Everybody who may "
            "read the tenant sees the values.",
            **kwargs,
        )
        self.known: list[JSON] = []

    def prepare_value(self, value: Any) -> Any:
        """Return the rows of those variables that have a value here."""
        rows = [each for each in value or () if "valueFrom" not in each]
        if not all("name" in each for each in rows):
            return value  # rows that were sent
        return [{"key": each["name"], "value": each.get("value", "")} for each in rows]

    def clean(self, value: Any) -> Any:
        """Return the variables in their order, new ones last. Raises ValidationError."""
        values: dict[str, str] = super().clean(value)
        return changed_variables(self.known, values)


def changed_variables(known: Sequence[JSON], values: dict[str, str]) -> list[JSON]:
    """Return the variables `known` with these values instead; those from elsewhere stay."""
    kept = [each for each in known if "valueFrom" in each or each["name"] in values]
    there = {each["name"] for each in known if "valueFrom" not in each}
    found = [
        each
        if "valueFrom" in each or values[each["name"]] == each.get("value", "")
        else {"name": each["name"], "value": values[each["name"]]}
        for each in kept
    ]
    added = [{"name": name, "value": each} for name, each in values.items() if name not in there]
    return [*found, *added]


class YAMLField(forms.CharField):
    """A value that is written as YAML; blank is `nothing()`."""

    nothing: Callable[[], Any] = type(None)

    def __init__(self, *, rows: int, max_length: int, placeholder: str = "", **kwargs: Any) -> None:
        attrs: JSON = {"rows": rows, "spellcheck": "false", "wrap": "off"}
        attrs |= {"placeholder": placeholder} if placeholder else {}
        widget = forms.Textarea(attrs=attrs)
        super().__init__(strip=False, max_length=max_length, widget=widget, **kwargs)

    def clean(self, value: Any) -> Any:
        """Read the value. Raises ValidationError with the line where it breaks."""
        text: str = super().clean(value)
        if not text.strip():
            return self.nothing()
        try:
            return load(text.encode(), numbers=True)
        except (Malformed, UnicodeEncodeError) as error:
            where = getattr(error, "where", "")
            raise refused(" ".join(f"The text {where} {error}.".split())) from None


class YAMLListField(YAMLField):
    """A list that is written as YAML; blank is an empty one."""

    nothing = list

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, rows=8, max_length=200_000, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """Write a list for people."""
        if isinstance(value, list):
            return as_yaml(value) if value else ""
        return value

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare texts as the page shows them."""
        return super().has_changed(self.prepare_value(initial), data)


def as_yaml(value: object) -> str:
    """Write a value for people."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
