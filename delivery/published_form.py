"""Forms of the definitions that operators publish."""

from typing import Any, ClassVar

import yaml
from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile

from clusters.credentials import Given
from clusters.kubeconfig import MAX_BYTES, KubeconfigRefused, parse
from clusters.models import Cluster
from clusters.plainyaml import Malformed, load
from clusters.rules import address_rules
from delivery.environment_form import as_yaml
from delivery.models import PublishedDefinition
from reconcile.pages.forms import PageForm
from reconcile.planning.values import Report

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


def fault(message: str) -> ValidationError:
    """A text of our own: it may hold a '%', which Django would try to format."""
    return ValidationError("%(message)s", code="invalid", params={"message": message})


class YAMLMapField(forms.CharField):
    """An object that is written as YAML."""

    def __init__(self, *, placeholder: str = _EXAMPLE, rows: int = 18, **kwargs: Any) -> None:
        attrs = {"rows": rows, "spellcheck": "false", "wrap": "off", "placeholder": placeholder}
        widget = forms.Textarea(attrs=attrs)
        super().__init__(strip=False, max_length=300_000, widget=widget, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """Write an object for people, its template as it was typed."""
        return _written(value) if isinstance(value, dict) else value

    def clean(self, value: Any) -> Any:
        """Read the object. Raises ValidationError with the line where it breaks."""
        text: str = super().clean(value)
        try:
            found = load(text.encode(), numbers=True) if text.strip() else None
        except (Malformed, UnicodeEncodeError) as error:
            where = getattr(error, "where", "")
            raise fault(" ".join(f"The text {where} {error}.".split())) from None
        if found is not None and not isinstance(found, dict):
            raise fault("Write an object: keys with values.")
        return found


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _block)


def _written(value: dict[str, Any]) -> str:
    found: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return found if load_back(found) == value else as_yaml(value)


def load_back(text: str) -> Any:
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
                self.add_error(column if column in self.fields else None, fault(text))


class ClusterField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A cluster, by its name alone."""

    def label_from_instance(self, obj: Any) -> str:
        """Its name."""
        return str(obj.name)


class PublishForm(PageForm):
    """Where a definition goes, and as whom; `plan` is what that would do."""

    plan: Report | None = None
    cluster = ClusterField(queryset=Cluster.objects.none(), to_field_name="name")
    kubeconfig = forms.FileField(
        label="Kubeconfig",
        required=False,
        help_text="Of an administrator of this cluster. Sealed, and dropped once all is applied; "
        "an hour at most. Leave it out while that of the registration is at hand.",
    )
    force = forms.BooleanField(label="Take over fields that others hold", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = Cluster.objects.filter(deletion_requested_at=None).order_by("name")
        field = self.fields["cluster"]
        if isinstance(field, forms.ModelChoiceField):
            field.queryset = rows

    def clean_kubeconfig(self) -> Given | None:
        """Return the credential. Raises ValidationError that names the field inside."""
        file: UploadedFile[bytes] | None = self.cleaned_data["kubeconfig"]
        if file is None:
            return None
        if (file.size or 0) > MAX_BYTES:
            raise fault(f"It is larger than {MAX_BYTES} bytes.")
        try:
            return Given.of(parse(bytes(file.read()), address_rules()))
        except KubeconfigRefused as error:
            raise fault(f"{error.field} {error.message}.") from None
