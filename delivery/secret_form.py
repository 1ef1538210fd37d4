"""The form of a secret: values go in, key by key, and are never shown again."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.forms import BoundField

from delivery.models import ProjectSecret
from delivery.rules.secrets import MAX_KEYS
from reconcile.pages.forms import DeclaredForm

_NEW_ROWS = 3  # more keys are added by saving: no script is needed
_QUIET = {"spellcheck": "false", "autocomplete": "off", "autocapitalize": "off"}


class Blind(forms.Textarea):
    """A field for a value, which is empty each time that it is shown."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Leave the value out."""
        return super().get_context(name, None, attrs)


@dataclass(frozen=True)
class KeyRow:
    """The fields of one key: of a known one its name and `remove`, else a field for its name."""

    value: BoundField
    key: str = ""
    named: BoundField | None = None
    remove: BoundField | None = None


class SecretForm(DeclaredForm):
    """A secret. A blank field keeps the value that is there."""

    instance: ProjectSecret

    class Meta:
        model = ProjectSecret
        fields = ("name", "description")
        help_texts: ClassVar[dict[str, str]] = {
            "name": "Lower-case letters, digits and single dashes. It never changes.",
        }
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "name": forms.TextInput(attrs=_QUIET),
            "description": forms.TextInput(attrs={"placeholder": "What it is for, in a sentence"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.known = sorted(self.instance.digests)
        for index, key in enumerate(self.known):
            self.fields[f"value-{index}"] = _value(f"New value of {key}")
            self.fields[f"remove-{index}"] = forms.BooleanField(
                required=False, label=f"Remove {key}"
            )
        for index in range(_NEW_ROWS):
            named = {**_QUIET, "placeholder": "e.g. password"}
            self.fields[f"key-new-{index}"] = forms.CharField(
                required=False, max_length=253, label="Key", widget=forms.TextInput(attrs=named)
            )
            self.fields[f"value-new-{index}"] = _value("Value")

    @property
    def rows(self) -> Iterator[KeyRow]:
        """The fields of the known keys, then those of new ones."""
        for index, key in enumerate(self.known):
            yield KeyRow(self[f"value-{index}"], key, remove=self[f"remove-{index}"])
        for index in range(_NEW_ROWS):
            yield KeyRow(self[f"value-new-{index}"], named=self[f"key-new-{index}"])

    def clean(self) -> dict[str, Any]:
        """Lay what was typed over the values that are there. Raises ValidationError."""
        found: dict[str, Any] = super().clean() or {}
        values = self._kept(found)
        for index in range(_NEW_ROWS):
            self._add(values, index, found)
        if not values:
            raise ValidationError("Give at least one key.", code="required")
        if len(values) > MAX_KEYS:
            raise ValidationError(f"A secret may have at most {MAX_KEYS} keys.", code="too_many")
        self.instance.assign(values)
        return found

    def _kept(self, found: dict[str, Any]) -> dict[str, str]:
        """The values of the known keys: as they are, as typed, or gone."""
        values = self.instance.reveal()
        for index, key in enumerate(self.known):
            if found.get(f"remove-{index}"):
                values.pop(key, None)
            elif typed := found.get(f"value-{index}"):
                values[key] = _lines(typed)
        return values

    def _add(self, values: dict[str, str], index: int, found: dict[str, Any]) -> None:
        key, typed = found.get(f"key-new-{index}", ""), found.get(f"value-new-{index}", "")
        if typed and not key:
            self.add_error(f"key-new-{index}", "Give the value a key.")
        elif key and key in values:
            self.add_error(f"key-new-{index}", "There is a value of this key already.")
        elif key:
            values[key] = _lines(typed)


def _value(label: str) -> forms.CharField:
    widget = Blind(attrs={**_QUIET, "rows": 2, "class": "form-control mono"})
    return forms.CharField(required=False, strip=False, label=label, widget=widget)


def _lines(typed: str) -> str:
    """Browsers end each line of a field with CR and LF."""
    return typed.replace("\r\n", "\n")
