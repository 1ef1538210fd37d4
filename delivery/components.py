"""The form of one component of an app, which leaves alone whatever it does not show."""

from collections.abc import Collection, Sequence
from copy import deepcopy
from typing import Any

from django import forms

from delivery.intents import Component
from delivery.rules.types import COMPONENT_TYPES
from reconcile.pages.fields import Column, PairsField, RowsField
from reconcile.pages.forms import PageForm
from reconcile.values import JSON

_EXPOSED = (("yes", "As a Service"), ("no", "Pod only"))
_PROTOCOLS = tuple((name, name) for name in ("TCP", "UDP", "SCTP"))
_SHOWN = frozenset({"image", "ports", "env", "cpu", "memory", "schedule"})
_MONO = {"spellcheck": "false", "autocomplete": "off"}


class ComponentForm(PageForm):
    """A component. `original` is the name of the one that is edited, blank for a new one.

    `index` is its number on the page, `hidden` names what it has that the form does not show.
    """

    index = 0
    hidden: Sequence[str] = ()

    original = forms.CharField(required=False, widget=forms.HiddenInput)
    name = forms.CharField(max_length=63, widget=forms.TextInput(attrs=_MONO))
    type = forms.ChoiceField(
        choices=[(name, name) for name in COMPONENT_TYPES],
        help_text="A worker, task or cron-task has no ports; a task runs once.",
    )
    image = forms.CharField(
        max_length=512,
        widget=forms.TextInput(
            attrs={**_MONO, "placeholder": "e.g. registry.example.org/web:1.4.2"}
        ),
    )
    schedule = forms.CharField(
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={**_MONO, "placeholder": "e.g. */15 * * * *"}),
        help_text="When a cron-task runs. Blank for all others.",
    )
    replicas = forms.IntegerField(
        min_value=0,
        max_value=1000,
        initial=1,
        help_text="Of a webservice, worker or statefulset.",
    )
    cpu = forms.CharField(
        required=False,
        label="CPU",
        widget=forms.TextInput(attrs={**_MONO, "placeholder": "e.g. 500m"}),
        help_text="Request and limit. Blank: the tenant's.",
    )
    memory = forms.CharField(
        required=False,
        widget=forms.TextInput(attrs={**_MONO, "placeholder": "e.g. 256Mi"}),
        help_text="Request and limit. Blank: the tenant's.",
    )
    ports = RowsField(
        (
            Column("port", "Port", "e.g. 8080"),
            Column("protocol", "Protocol", choices=_PROTOCOLS),
            Column("expose", "Reachable", choices=_EXPOSED),
        ),
        noun="port",
    )
    env = PairsField(
        noun="variable",
        key="Variable",
        examples=("e.g. LOG_LEVEL", "e.g. info"),
        label="Environment",
        help_text="Everybody who may read the tenant sees the values.",
    )

    def offer(self, types: Collection[str]) -> None:
        """Let people choose among these types."""
        field = self.fields["type"]
        if isinstance(field, forms.ChoiceField):
            field.choices = [(name, name) for name in COMPONENT_TYPES if name in types]

    def declared(self, known: Sequence[JSON]) -> JSON:
        """Return the component as an app declares it, made from the one of `known` it edits."""
        values = self.cleaned_data
        found = (each for each in known if each["name"] == values["original"])
        component = deepcopy(next(found, {}))
        component |= {"name": values["name"], "type": values["type"]}
        component["properties"] = self._properties(component.get("properties", {}))
        traits = self._traits(component.pop("traits", []))
        return component | ({"traits": traits} if traits else {})

    def _properties(self, before: JSON) -> JSON:
        values = self.cleaned_data
        env = [{"name": name, "value": value} for name, value in values["env"].items()]
        env += [each for each in before.get("env", []) if "valueFrom" in each]
        shown = {
            "image": values["image"],
            "ports": [_port(row, before.get("ports", [])) for row in values["ports"]],
            "env": env,
            "cpu": values["cpu"],
            "memory": values["memory"],
            "schedule": values["schedule"],
        }
        kept = {key: value for key, value in before.items() if key not in _SHOWN}
        return {key: value for key, value in shown.items() if value} | kept

    def _traits(self, before: list[JSON]) -> list[JSON]:
        """One replica is what a component has without the trait."""
        replicas = self.cleaned_data["replicas"]
        others = [trait for trait in before if trait["type"] != "scaler"]
        if replicas == 1 and len(others) == len(before):
            return others
        return [{"type": "scaler", "properties": {"replicas": replicas}}, *others]


def initial_of(declared: JSON) -> JSON:
    """Return what the form of a declared component shows at first."""
    component, properties = Component.of(declared), declared.get("properties", {})
    return {
        "original": component.name,
        "name": component.name,
        "type": component.type,
        "image": properties.get("image", ""),
        "replicas": component.traits.get("scaler", {}).get("replicas", 1),
        "cpu": properties.get("cpu", ""),
        "memory": properties.get("memory", ""),
        "schedule": properties.get("schedule", ""),
        "ports": [_port_row(port) for port in properties.get("ports", [])],
        "env": {
            item["name"]: item.get("value", "")
            for item in properties.get("env", [])
            if "valueFrom" not in item
        },
    }


def hidden_of(declared: JSON) -> list[str]:
    """Name what a declared component has that the form does not show, and keeps."""
    properties = sorted(set(declared.get("properties", {})) - _SHOWN)
    traits = [trait["type"] for trait in declared.get("traits", []) if trait["type"] != "scaler"]
    taken = [
        f"env {each['name']}"
        for each in declared.get("properties", {}).get("env", [])
        if "valueFrom" in each
    ]
    waits = ["dependsOn"] if declared.get("dependsOn") else []
    return [*properties, *taken, *(f"trait {name}" for name in traits), *waits]


def _port_row(declared: JSON) -> JSON:
    return {
        "port": declared["port"],
        "protocol": declared.get("protocol", "TCP"),
        "expose": "yes" if declared.get("expose") else "no",
    }


def _port(row: dict[str, str], before: list[JSON]) -> JSON:
    """A row as a port. What is no number stays a text, which the model refuses where it is."""
    number: int | str = int(row["port"]) if _is_number(row["port"]) else row["port"]
    same: JSON = next((each for each in before if each["port"] == number), {})
    hidden = ("name", "containerPort", "nodePort")
    port: JSON = {"port": number} | {key: same[key] for key in hidden if key in same}
    if row["protocol"] != "TCP" or "protocol" in same:
        port["protocol"] = row["protocol"]
    if row["expose"] == "yes" or "expose" in same:
        port["expose"] = row["expose"] == "yes"
    return port


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5


def field_of(path: Sequence[Any]) -> str:
    """Name the field that shows the place of a fault inside of a component; empty for none."""
    match list(path):
        case ["name" | "type" as field, *_]:
            return str(field)
        case ["properties", field, *_] if field in _SHOWN:
            return str(field)
        case _:
            return ""
