"""Form fields of tenants: where they are placed, and what their containers get."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from reconcile.pages.fields import Column, PairsField, RowsWidget, pairs
from reconcile.values import JSON
from tenancy.rules.limits import COMPUTE, LIMIT_KINDS

_SELECTOR = (
    Column("key", "Label", "e.g. region"),
    Column("value", "Value", "e.g. eu-west"),
)
_KIND_LABELS = {
    "default": "Limit of a container that names none",
    "default_request": "Request of a container that names none",
    "max": "The most a container may ask for",
    "min": "The least a container may ask for",
}


class LabelsField(PairsField):
    """Labels as Kubernetes has them."""

    def __init__(self, **kwargs: Any) -> None:
        given = {"noun": "label", "examples": ("e.g. team", "e.g. payments"), "label": "Labels"}
        super().__init__(**{**given, **kwargs})


class PlacementWidget(forms.Widget):
    """Check boxes of clusters, and rows of labels that select more."""

    template_name = "forms/placement.html"

    def __init__(self) -> None:
        super().__init__()
        self.clusters: list[str] = []
        self.selector = RowsWidget(_SELECTOR, "label")

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Add the clusters to choose from and the widget of the selector."""
        context = super().get_context(name, value, attrs)
        value = value if isinstance(value, Mapping) else {}
        chosen = list(value.get("clusters", []))
        selector = value.get("selector", {})
        if isinstance(selector, Mapping):
            selector = [{"key": key, "value": found} for key, found in selector.items()]
        known = [*self.clusters, *(each for each in chosen if each not in self.clusters)]
        context["widget"]["clusters"] = [(each, each in chosen) for each in known]
        rows = self.selector.get_context(f"{name}-selector", selector, {})["widget"]
        context["selector"] = rows
        context["bounds"] = [
            (f"{name}-{bound}", label, value.get(bound, ""))
            for bound, label in (("min", "At least"), ("max", "At most"))
        ]
        return context

    def value_from_datadict(self, data: Any, files: Any, name: str) -> JSON:
        """Return {clusters, selector}, the selector as rows."""
        rows = self.selector.value_from_datadict(data, files, f"{name}-selector")
        bounds = {bound: data.get(f"{name}-{bound}", "").strip() for bound in ("min", "max")}
        return {"clusters": data.getlist(f"{name}-clusters"), "selector": rows, **bounds}

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        """Nothing chosen is a value."""
        return False

    def id_for_label(self, id_: str) -> str:
        """There is no single input that a label could be for."""
        return ""


class PlacementField(forms.Field):
    """A placement: {clusters, selector, min, max}, each only where it is given."""

    widget: PlacementWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, widget=PlacementWidget(), **kwargs)

    def offer(self, clusters: Iterable[str]) -> None:
        """Name the clusters that can be chosen."""
        self.widget.clusters = list(clusters)

    def clean(self, value: Any) -> JSON:
        """Return the placement. Raises ValidationError for a bad selector."""
        found: JSON = {"clusters": value["clusters"], "selector": pairs(value["selector"])}
        for bound in ("min", "max"):
            text = value.get(bound, "")
            if text and not (text.isascii() and text.isdigit() and len(text) < 6):
                raise ValidationError("Give numbers of clusters.", code="number")
            found[bound] = int(text or 0)
        return {key: each for key, each in found.items() if each}


class LimitsWidget(forms.Widget):
    """A grid: a row per kind of limit, an input per resource."""

    template_name = "forms/limits.html"

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Lay out the grid."""
        context = super().get_context(name, value, attrs)
        value = value if isinstance(value, Mapping) else {}
        context["widget"]["resources"] = COMPUTE
        context["widget"]["rows"] = [
            (
                _KIND_LABELS[kind],
                [
                    (f"{name}-{kind}-{resource}", resource, value.get(kind, {}).get(resource, ""))
                    for resource in COMPUTE
                ],
            )
            for kind in LIMIT_KINDS
        ]
        return context

    def value_from_datadict(self, data: Any, files: Any, name: str) -> JSON:
        """Return {kind: {resource: quantity}}, without what was left blank."""
        found = {
            kind: {
                resource: data.get(f"{name}-{kind}-{resource}", "").strip() for resource in COMPUTE
            }
            for kind in LIMIT_KINDS
        }
        filled = {
            kind: {resource: text for resource, text in texts.items() if text}
            for kind, texts in found.items()
        }
        return {kind: texts for kind, texts in filled.items() if texts}

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        """An empty grid is a value."""
        return False

    def id_for_label(self, id_: str) -> str:
        """There is no single input that a label could be for."""
        return ""


class LimitsField(forms.Field):
    """Limits of containers, by kind and resource."""

    widget = LimitsWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)
