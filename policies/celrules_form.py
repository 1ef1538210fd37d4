"""The form of a rule in CEL."""

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from clusters.uploads import refused
from delivery.environment_form import YAMLListField
from policies.models import CelRule
from policies.rules.celrules import OPERATIONS, RESOURCES
from reconcile.pages.fields import Checks
from reconcile.pages.forms import PageForm

_MONO = {"spellcheck": "false", "autocomplete": "off"}
_VALIDATIONS = """\
- expression: object.spec.replicas <= variables.most
  message: At most five replicas, please."""


class CelRuleForm(forms.ModelForm):  # type: ignore[type-arg]
    """A rule; its name is asked for once."""

    default_renderer = PageForm.default_renderer
    instance: CelRule
    resources = forms.MultipleChoiceField(
        choices=[(each, each) for each in RESOURCES], widget=Checks, label="What it governs"
    )
    operations = forms.MultipleChoiceField(
        choices=[(OPERATIONS[0], "Created"), (OPERATIONS[1], "Changed")],
        widget=Checks,
        label="When it is",
        initial=OPERATIONS,
    )
    variables = YAMLListField(
        label="Variables",
        help_text="As YAML, a list of name and expression: used as variables.<name>.",
        placeholder='- name: most\n  expression: "5"',
    )
    validations = YAMLListField(
        label="What has to be true",
        help_text="As YAML, a list of expression (CEL) and message. There are object, oldObject "
        "(null for what is new), request, namespaceObject and variables.",
        placeholder=_VALIDATIONS,
    )

    class Meta:
        model = CelRule
        fields = ("name", "description", "resources", "operations", "variables", "validations")
        help_texts: ClassVar[dict[str, str]] = {
            "name": "Lower-case letters, digits and single dashes. It never changes.",
        }
        widgets: ClassVar[dict[str, forms.Widget]] = {"name": forms.TextInput(attrs=_MONO)}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            del self.fields["name"]

    def _update_errors(self, errors: ValidationError) -> None:
        """Tell each beside its field, and where in it."""
        for column, found in errors.error_dict.items():
            for each in found:
                path = (each.params or {}).get("path", ())
                where = f"{' '.join(map(str, path))}: " if path else ""
                text = where + " ".join(each.messages)
                self.add_error(column if column in self.fields else None, refused(text))
