"""Forms of apps: component by component, or all of them as YAML."""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from clusters.plainyaml import Malformed, load
from delivery.components import ComponentForm, field_of, hidden_of, initial_of
from delivery.environment_form import (
    OVERRIDES_HELP,
    EnvironmentField,
    YAMLListField,
    as_yaml,
)
from delivery.flow_field import FlowField
from delivery.models import App
from delivery.models.allowing import allowed_for
from delivery.models.retreating import OnFailure
from delivery.rules.problems import MAX_COMPONENTS
from delivery.waves_form import StrategyField
from reconcile.pages.forms import DeclaredForm, PageForm
from reconcile.values import JSON
from tenancy.fields import LabelsField, PlacementField
from tenancy.forms import REPAIR_MODES

_INDEX = re.compile(r"[0-9]{1,3}")
_PREFIX = "component"


class AppForm(DeclaredForm):
    """What an app is, beside its components."""

    instance: App
    labels = LabelsField(help_text="On every object of the app.")
    placement = PlacementField(
        label="Clusters",
        help_text="Some of the project's clusters. Choose none to run on all of them.",
    )

    environment = EnvironmentField(label="Environment")
    overrides = YAMLListField(label="Overrides", help_text=OVERRIDES_HELP)
    strategy = StrategyField()
    workflow = FlowField()
    on_failure = forms.ChoiceField(
        choices=(
            (OnFailure.WAIT, "Wait for somebody"),
            (OnFailure.ROLLBACK, "Go back to the last healthy revision"),
        ),
        required=False,
        label="When a new revision fails",
    )
    repair_mode = forms.ChoiceField(
        choices=(("", "As the tenant has it"), *REPAIR_MODES),
        required=False,
        label="Repair of drift",
    )

    class Meta:
        model = App
        fields = (
            *("name", "description", "labels", "placement", "health_deadline", "on_failure"),
            *("repair_mode", "environment", "overrides", "strategy", "workflow"),
        )
        labels: ClassVar[dict[str, str]] = {"health_deadline": "Health deadline (seconds)"}
        help_texts: ClassVar[dict[str, str]] = {
            "name": "Lower-case letters, digits and single dashes. It never changes.",
            "health_deadline": "A rollout without progress for this long has failed.",
        }
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "name": forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
            "description": forms.TextInput(attrs={"placeholder": "What it is for, in a sentence"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        placement, environment = self.fields["placement"], self.fields["environment"]
        if isinstance(environment, EnvironmentField):
            environment.known = list(self.instance.environment)
        if isinstance(placement, PlacementField):
            rows = self.instance.project.placements.order_by("cluster__name")
            placement.offer(rows.values_list("cluster__name", flat=True))

    def put(self, components: list[JSON]) -> None:
        """Give the app its components; `declare()` says what is wrong with them."""
        self.instance.components = components

    def place_fault(self, path: Sequence[Any], text: str) -> None:
        """Show a fault of the components; `path` leads into their list."""
        where = _where(path)
        self.add_error(None, f"Components{f' ({where})' if where else ''}: {text}")

    def _show(self, error: ValidationError) -> None:
        found = dict(error.error_dict) if hasattr(error, "error_dict") else {}
        for each in found.pop("components", []):
            path = (each.params or {}).get("path", ())
            self.place_fault(path, " ".join(each.messages))
        for column in ("environment", "overrides", "strategy", "workflow"):
            for each in found.pop(column, []):
                where, text = _where((each.params or {}).get("path", ())), " ".join(each.messages)
                self.add_error(column, f"{where}: {text}" if where else text)
        if found or not hasattr(error, "error_dict"):
            super()._show(ValidationError(found) if found else error)


class StructuredAppForm(AppForm):
    """An app whose components are a form each, in the order of the page."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known: list[JSON] = self.instance.components or []
        self.known = list(known)
        if self.is_bound:
            indexes = indexes_of(self.data)[: MAX_COMPONENTS + 1]
            self.components = [component_form(index, self.data) for index in indexes]
        else:
            initial = [initial_of(each) for each in known] or [{"name": "web"}]
            self.components = [
                component_form(index, None, each) for index, each in enumerate(initial)
            ]
        before = {each["name"]: each for each in known}
        allowed = allowed_for(self.instance.project.tenant).components
        for form in self.components:
            edited = before.get(str(form["original"].value() or ""))
            form.hidden = hidden_of(edited) if edited else []
            form.offer([*allowed, edited["type"]] if edited else allowed)

    def clean(self) -> JSON | None:
        """Put the components together, if each can be read."""
        values = super().clean()
        if not all([form.is_valid() for form in self.components]):
            raise ValidationError("Look at the components: something in them is wrong.")
        self.put([form.declared(self.known) for form in self.components])
        return values

    def place_fault(self, path: Sequence[Any], text: str) -> None:
        """Show the fault beside the field that it is about."""
        index, *inside = path or (None,)
        if not isinstance(index, int) or index >= len(self.components):
            super().place_fault(path, text)
            return
        form, field = self.components[index], field_of(inside)
        where = " → ".join(str(part) for part in inside)
        form.add_error(field or None, text if field else f"{where}: {text}".removeprefix(": "))
        if not self.non_field_errors():
            self.add_error(None, "Look at the components: something in them is wrong.")


class TextAppForm(AppForm):
    """An app whose components are written as YAML; JSON is YAML too."""

    text = forms.CharField(
        label="Components",
        strip=False,
        max_length=200_000,
        widget=forms.Textarea(attrs={"rows": 24, "spellcheck": "false", "wrap": "off"}),
        help_text="A list of components as the API takes them. Anchors and tags are refused.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["text"] = as_yaml(self.instance.components or _EXAMPLE)

    def clean_text(self) -> str:
        """Read the components. Raises ValidationError with the line where it breaks."""
        text: str = self.cleaned_data["text"]
        try:
            found = load(text.encode(), numbers=True)
        except (Malformed, UnicodeEncodeError) as error:
            where = getattr(error, "where", "")
            raise ValidationError(
                "%(fault)s", params={"fault": f"The text {where} {error}.".replace("  ", " ")}
            ) from None
        self.put(found)  # type: ignore[arg-type]
        return text

    def place_fault(self, path: Sequence[Any], text: str) -> None:
        """Show where in the list the fault is."""
        where = _where(path)
        self.add_error("text", f"{where}: {text}" if where else text)


class RollbackForm(PageForm):
    """Asks why."""

    message = forms.CharField(
        required=False,
        max_length=300,
        label="Why",
        widget=forms.TextInput(attrs={"placeholder": "Shown in the list of revisions"}),
    )


class WhyForm(PageForm):
    """Asks why, and takes no answer for one."""

    reason = forms.CharField(required=False, max_length=300, label="Why")


class BreakGlassForm(PageForm):
    """Asks why a revision cannot wait; this has to be answered."""

    reason = forms.CharField(min_length=3, max_length=300, label="Why it cannot wait")


class BlockForm(PageForm):
    """Asks why a revision is not to come back."""

    reason = forms.CharField(max_length=300, label="Why it is not to come back")


def _where(path: Sequence[Any]) -> str:
    """Say where in a list a fault is, counted as people do."""
    return " → ".join(str(part + 1 if isinstance(part, int) else part) for part in path)


def component_form(index: int, data: Any = None, initial: JSON | None = None) -> ComponentForm:
    """Return the form of the component with that number on the page."""
    form = ComponentForm(data, prefix=f"{_PREFIX}-{index}", initial=initial)
    form.index = index
    return form


def indexes_of(data: Any) -> list[int]:
    """Return the numbers of the components that a page has sent."""
    return sorted({int(text) for text in data.getlist(_PREFIX) if _INDEX.fullmatch(text)})


def next_index(data: Any) -> int:
    """Return a number that no component on the page has."""
    return max(indexes_of(data), default=-1) + 1


_EXAMPLE: list[JSON] = [
    {
        "name": "web",
        "type": "webservice",
        "properties": {
            "image": "registry.example.org/web:1.0.0",
            "ports": [{"port": 8080, "expose": True}],
        },
        "traits": [{"type": "scaler", "properties": {"replicas": 2}}],
    }
]
