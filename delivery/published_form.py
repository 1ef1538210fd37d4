"""Forms of the definitions that operators publish."""

from typing import Any, ClassVar

import yaml
from django import forms
from django.core.exceptions import ValidationError

from clusters.plainyaml import Malformed, load
from clusters.uploads import refused
from delivery.environment_form import YAMLField, as_yaml
from delivery.models import PublishedDefinition
from delivery.rules.canonical import BlockDumper
from reconcile.pages.forms import PageForm

_MONO = {"spellcheck": "false", "autocomplete": "off"}
_EXAMPLE = """\
workload:
  definition:
    apiVersion: apps/v1
    kind: Deployment
schematic:
  cue:
    template: |
      output: {…}
      parameter: {…}
"""


class YAMLMapField(YAMLField):
    """An object that is written as YAML."""

    def __init__(self, *, placeholder: str = _EXAMPLE, rows: int = 18, **kwargs: Any) -> None:
        super().__init__(rows=rows, max_length=300_000, placeholder=placeholder, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """Write an object for people, its template as it was typed."""
        return _written(value) if isinstance(value, dict) else value

    def clean(self, value: Any) -> Any:
        """Read the object. Raises ValidationError with the line where it breaks."""
        found = super().clean(value)
        if found is not None and not isinstance(found, dict):
            raise refused("Write an object: keys with values.")
        return found


def _written(value: dict[str, Any]) -> str:
    found: str = yaml.dump(
        value, Dumper=BlockDumper, sort_keys=False, allow_unicode=True, width=100
    )
    return found if _read_back(found) == value else as_yaml(value)


def _read_back(text: str) -> Any:
    """Read what was written; None where that is refused."""
    try:
        return load(text.encode(), numbers=True)
    except Malformed:
        return None


class PublishedForm(forms.ModelForm):  # type: ignore[type-arg]
    """A definition; kind and name are asked for once."""

    default_renderer = PageForm.default_renderer
    instance: PublishedDefinition
    spec = YAMLMapField(
        label="Definition",
        help_text="The spec of the object as YAML, as KubeVela has it. The template (CUE) is text: "
        "nothing in it is evaluated here.",
    )

    parameters = YAMLMapField(
        required=False,
        label="JSON schema of its properties",
        help_text="As YAML. Apps that use the type are checked by it; empty: any properties pass.",
        placeholder="type: object\nproperties:\n  image: {type: string}\nrequired: [image]",
        rows=8,
    )

    class Meta:
        model = PublishedDefinition
        fields = ("kind", "name", "description", "spec", "parameters", "shadows")
        labels: ClassVar[dict[str, str]] = {"shadows": "It stands in for one of KubeVela's own"}
        help_texts: ClassVar[dict[str, str]] = {
            "name": "Lower-case letters, digits and single dashes. It never changes.",
            "shadows": "",
        }
        widgets: ClassVar[dict[str, forms.Widget]] = {"name": forms.TextInput(attrs=_MONO)}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            del self.fields["kind"], self.fields["name"]

    def _update_errors(self, errors: ValidationError) -> None:
        """Tell each beside its field, in the words of the model rather than of the field."""
        for column, found in errors.error_dict.items():
            for each in found:
                text = " ".join(each.messages)
                self.add_error(column if column in self.fields else None, refused(text))
