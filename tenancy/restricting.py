"""Form fields of what binds a tenant: restrictions, network rules, owners, role bindings, floors.

Each reads and writes the very value of its column, as texts that a person can type; what is wrong
with a value is said by the column.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from reconcile.pages.fields import Column, RowsField
from reconcile.values import JSON
from tenancy.rules.kind import RuleKind
from tenancy.rules.kinds import KINDS
from tenancy.rules.network import DIRECTIONS
from tenancy.rules.subjects import BINDABLE_ROLES, OWNER_KINDS, SUBJECT_KINDS

NOTHING = "-"  # an empty list: nothing at all is allowed
_PORTS = re.compile(r"(\d+)(?:-(\d+))?(?:/([A-Za-z]+))?")
_ARROWS = {"ingress": "from", "egress": "to"}
_DIRECTION_LABELS = {"ingress": "Comes in from", "egress": "Goes out to"}


def words(text: str) -> list[str]:
    """Return the parts of a text that commas, spaces or lines separate."""
    return [part for part in re.split(r"[,\s]+", text) if part and part != NOTHING]


def pairs_in(text: str) -> dict[str, str]:
    """Return the labels in a text such as `pool=acme, zone=`; one without `=` has no value."""
    return {key: value for key, _, value in (part.partition("=") for part in words(text))}


def written(value: object) -> str:
    """Write a list, a map of labels or a number as `words` and `pairs_in` read it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={each}" if each else str(key) for key, each in value.items())
    if isinstance(value, list):
        return ", ".join(str(each) for each in value) or NOTHING
    return "" if value is None else str(value)


class RestrictionsWidget(forms.Widget):
    """A row per kind, an input per part of its value."""

    template_name = "forms/restrictions.html"

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Lay out the kinds with what is written in each."""
        context = super().get_context(name, value, attrs)
        value = value if isinstance(value, Mapping) else {}
        context["widget"]["kinds"] = [
            {
                "kind": kind,
                "parts": [
                    (f"{name}-{kind.name}{part and '-'}{part}", part.replace("_", " "), text)
                    for part, text in _texts(value.get(kind.name), kind).items()
                ],
            }
            for kind in KINDS.values()
        ]
        return context

    def value_from_datadict(self, data: Any, files: Any, name: str) -> JSON:
        """Return the restrictions, without the kinds that were left blank."""
        found: JSON = {}
        for kind in KINDS.values():
            texts = {
                part: data.get(f"{name}-{kind.name}{part and '-'}{part}", "").strip()
                for part in _texts(None, kind)
            }
            if any(texts.values()):
                read = kind.read
                found[kind.name] = read(texts[""]) if read else _value(texts, kind.schema)
        return found

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        """Nothing restricted is a value."""
        return False

    def id_for_label(self, id_: str) -> str:
        """There is no single input that a label could be for."""
        return ""


def _texts(value: object, kind: RuleKind) -> dict[str, str]:
    """The inputs of a kind by the name of its part, "" for a value without parts."""
    if parts := kind.schema.get("properties"):
        found = value if isinstance(value, Mapping) else {}
        return {part: written(found.get(part)) for part in parts}
    return {"": kind.write(value) if value and kind.write else written(value)}


def _value(texts: Mapping[str, str], schema: JSON) -> object:
    parts = schema.get("properties")
    if parts:
        return {part: _value({"": text}, parts[part]) for part, text in texts.items() if text}
    text = texts[""]
    if schema["type"] == "object":
        return pairs_in(text)
    if schema["type"] == "integer":
        return int(text) if text.isascii() and text.isdigit() else text
    if schema["type"] == "string":
        return text
    return words(text)


class RestrictionsField(forms.Field):
    """What is allowed, by kind."""

    widget = RestrictionsWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)


class FloorsField(RowsField):
    """What each cluster gets at least: {cluster: {resource: quantity}}."""

    def __init__(self, **kwargs: Any) -> None:
        columns = (
            Column("cluster", "Cluster", "e.g. prod-a"),
            Column("resource", "Resource", "e.g. requests.cpu"),
            Column("quantity", "Quantity", "e.g. 2"),
        )
        super().__init__(columns, noun="floor", **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """Return a row per cluster and resource."""
        if not isinstance(value, Mapping):
            return value
        return [
            {"cluster": cluster, "resource": resource, "quantity": quantity}
            for cluster, floor in value.items()
            for resource, quantity in floor.items()
        ]

    def clean(self, value: Any) -> JSON:
        """Return the floors by cluster. Raises ValidationError for one that was given twice."""
        found: JSON = {}
        for row in super().clean(value):
            floor = found.setdefault(row["cluster"], {})
            if row["resource"] in floor:
                message, params = "%(row)s is given twice.", {"row": " ".join(row.values())[:200]}
                raise ValidationError(message, code="repeated", params=params)
            floor[row["resource"]] = row["quantity"]
        return found


class NetworkField(RowsField):
    """Network rules, a row per peer."""

    def __init__(self, **kwargs: Any) -> None:
        columns = (
            Column(
                "direction",
                "Direction",
                choices=[(each, _DIRECTION_LABELS[each]) for each in reversed(DIRECTIONS)],
            ),
            Column("peer", "Peer", "e.g. 10.0.0.0/8 or namespaces team=web pods app=db"),
            Column("ports", "Ports", "e.g. 443, 8000-8100/UDP"),
        )
        super().__init__(columns, noun="rule", **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """Return a row per rule and peer."""
        if not isinstance(value, list) or any("peers" not in rule for rule in value):
            return value
        return [
            {
                "direction": rule["direction"],
                "peer": _peer_text(peer),
                "ports": ", ".join(_port_text(port) for port in rule.get("ports", [])),
            }
            for rule in value
            for peer in rule["peers"]
        ]

    def clean(self, value: Any) -> list[JSON]:
        """Return the rules. Raises ValidationError for a peer or port that cannot be read."""
        return [_rule(row) for row in super().clean(value)]


def _rule(row: Mapping[str, str]) -> JSON:
    rule: JSON = {"direction": row["direction"], "peers": [_peer(row["peer"])]}
    if ports := [_port(text) for text in re.split(r"[,\s]+", row["ports"]) if text]:
        rule["ports"] = ports
    return rule


def _peer(text: str) -> JSON:
    first, *rest = re.split(r"[,\s]+", text)
    if first in {"namespaces", "pods"}:
        head, _, tail = text.partition("pods") if first == "namespaces" else ("", "", text[4:])
        peer: JSON = {"namespace_labels": pairs_in(head[10:])} if first == "namespaces" else {}
        return peer | ({"pod_labels": pairs_in(tail)} if " pods" in f" {text}" else {})
    if "/" not in first:
        message = "Write a peer as 10.0.0.0/8, or as namespaces team=web, or as pods app=db."
        raise ValidationError(message, code="peer")
    without = [part for part in rest if part != "except"]
    return {"cidr": first, "except": without} if without else {"cidr": first}


def _peer_text(peer: Mapping[str, Any]) -> str:
    if "cidr" in peer:
        without = " ".join(peer.get("except", []))
        return f"{peer['cidr']} except {without}" if without else str(peer["cidr"])
    names = (("namespace_labels", "namespaces"), ("pod_labels", "pods"))
    return " ".join(f"{word} {written(peer[key])}".strip() for key, word in names if key in peer)


def _port(text: str) -> JSON:
    match = _PORTS.fullmatch(text)
    if not match or len(text) > 30:
        raise ValidationError("Write ports as 443, 8000-8100 or 53/UDP.", code="port")
    first, last, protocol = match.groups()
    port: JSON = {"port": int(first)}
    port |= {"end_port": int(last)} if last else {}
    return port | ({"protocol": protocol.upper()} if protocol else {})


def _port_text(port: Mapping[str, Any]) -> str:
    last = f"-{port['end_port']}" if "end_port" in port else ""
    protocol = f"/{port['protocol']}" if "protocol" in port else ""
    return f"{port['port']}{last}{protocol}"


def _subject_columns(kinds: Sequence[str]) -> tuple[Column, ...]:
    return (
        Column("kind", "Kind", choices=[(kind, kind) for kind in kinds]),
        Column("name", "Name", "e.g. payments-team"),
        Column("namespace", "Namespace of a ServiceAccount", "of a ServiceAccount"),
    )


class SubjectsField(RowsField):
    """Groups and service accounts of the clusters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(_subject_columns(OWNER_KINDS), noun="owner", **kwargs)

    def clean(self, value: Any) -> list[JSON]:
        """Return the subjects."""
        return [_subject(row) for row in super().clean(value)]


def _subject(row: Mapping[str, str]) -> JSON:
    return {name: row[name] for name in ("kind", "name", "namespace") if row[name]}


class BindingsField(RowsField):
    """Roles of the catalogue for subjects of the clusters, a row per subject."""

    def __init__(self, **kwargs: Any) -> None:
        role = Column("role", "Role", choices=[(each, each) for each in BINDABLE_ROLES])
        super().__init__((role, *_subject_columns(SUBJECT_KINDS)), noun="role binding", **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """Return a row per role and subject."""
        if not isinstance(value, list) or any("subjects" not in each for each in value):
            return value
        return [
            {"role": binding["role"], **subject}
            for binding in value
            for subject in binding["subjects"]
        ]

    def clean(self, value: Any) -> list[JSON]:
        """Return the bindings, one per role."""
        found: dict[str, list[JSON]] = {}
        for row in super().clean(value):
            found.setdefault(row["role"], []).append(_subject(row))
        return [{"role": role, "subjects": subjects} for role, subjects in found.items()]


def described(
    restrictions: Mapping[str, Any], network: Sequence[JSON], subjects: Sequence[JSON]
) -> list[tuple[str, list[str]]]:
    """Say what binds a tenant, for its page: a title and short texts of each."""
    found = []
    for name, kind in KINDS.items():
        if name in restrictions:
            texts = _texts(restrictions[name], kind).items()
            lines = [f"{part.replace('_', ' ')} {text}".strip() for part, text in texts if text]
            found.append((kind.title, ["none" if line == NOTHING else line for line in lines]))
    rows = NetworkField().prepare_value(list(network))
    if rows:
        told = (f"{_ARROWS[row['direction']]} {row['peer']} {row['ports']}" for row in rows)
        found.append(("Network rules", [text.strip() for text in told]))
    if subjects:
        found.append(("Owned by", [f"{each['kind']} {each['name']}" for each in subjects]))
    return found
