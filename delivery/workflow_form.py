"""Forms of workflows: their steps as YAML, and what a run or a verb of it is given."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from delivery.environment_form import YAMLListField
from delivery.models import Workflow
from delivery.rules.workflow_types import STEP_TYPES
from reconcile.pages.forms import DeclaredForm, PageForm

STEPS_HELP = (
    f"As YAML or JSON, a list: each step has a name, a type ({', '.join(STEP_TYPES)}) and its "
    "properties; if, timeout, dependsOn, inputs, outputs and subSteps where they are needed. Types "
    "that operators have published take clusters as well."
)
_WHY = {"placeholder": "Why, in a sentence", "maxlength": 300}


class WorkflowForm(DeclaredForm):
    """A workflow."""

    instance: Workflow
    steps = YAMLListField(help_text=STEPS_HELP)

    class Meta:
        model = Workflow
        fields = ("name", "description", "mode", "steps")
        help_texts: ClassVar[dict[str, str]] = {
            "name": "Lower-case letters, digits and single dashes. It never changes.",
            "mode": "StepByStep: one after the other. DAG: by what each step depends on.",
        }
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "name": forms.TextInput(attrs={"spellcheck": "false", "autocomplete": "off"}),
            "description": forms.TextInput(attrs={"placeholder": "What it is for, in a sentence"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["steps"].widget.attrs["rows"] = 22

    def _show(self, error: ValidationError) -> None:
        found = dict(error.error_dict) if hasattr(error, "error_dict") else {}
        for each in found.pop("steps", []):
            path = (each.params or {}).get("path", ())
            told = f"{_named(self.instance.steps, path)} {' '.join(each.messages)}"
            self.add_error("steps", told.strip())
        if found or not hasattr(error, "error_dict"):
            super()._show(ValidationError(found) if found else error)


class RunForm(PageForm):
    """Asks for what the steps take, and why it is run."""

    def __init__(self, *args: Any, parameters: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in parameters:
            self.fields[f"parameter-{name}"] = forms.CharField(
                label=name, max_length=4096, widget=forms.TextInput(attrs={"spellcheck": "false"})
            )
        self.fields["message"] = forms.CharField(
            label="Why", required=False, max_length=300, widget=forms.TextInput(attrs=_WHY)
        )

    @property
    def given(self) -> dict[str, object]:
        """The parameters, by name; a whole number or a boolean is taken as one."""
        return {
            name.removeprefix("parameter-"): _plain(value)
            for name, value in self.cleaned_data.items()
            if name.startswith("parameter-")
        }


class WhyForm(PageForm):
    """Asks why, and which step is meant."""

    message = forms.CharField(
        label="Why", required=False, max_length=300, widget=forms.TextInput(attrs=_WHY)
    )
    step = forms.CharField(required=False, max_length=63, widget=forms.HiddenInput)


def _named(steps: object, path: Sequence[object]) -> str:
    """Name the step that a fault is in, and where in it: `Step approve, timeout:`."""
    here: Any = steps
    name, rest = "", list(path)
    while rest and isinstance(index := rest[0], int) and isinstance(here, list):
        here, rest = here[index], rest[1:]
        shown = here.get("name") if isinstance(here, dict) else None
        name = str(shown or index + 1)[:63]
        if rest[:1] == ["subSteps"] and isinstance(here, dict):
            here, rest = here.get("subSteps"), rest[1:]
    place = " → ".join(str(part + 1 if isinstance(part, int) else part) for part in rest)
    return f"Step {name}{f', {place}' if place else ''}:" if name else ""


def _plain(text: str) -> object:
    if text in {"true", "false"}:
        return text == "true"
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else text
