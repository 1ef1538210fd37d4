"""What people type into the form of a tenant becomes the very values of its columns, and back."""

import pytest
from django.core.exceptions import ValidationError
from django.http import QueryDict

from tenancy.models.validators import validate_network, validate_restrictions
from tenancy.restricting import (
    BindingsField,
    FloorsField,
    NetworkField,
    RestrictionsField,
    SubjectsField,
)
from tenancy.rules.kinds import KINDS


def typed(field, value):
    """Show a value in the form's inputs, then send them unchanged; return what comes back."""
    shown = field.prepare_value(value) if hasattr(field, "prepare_value") else value
    names = QueryDict(mutable=True)
    widget = field.widget
    if isinstance(field, RestrictionsField):
        for kind in widget.get_context("x", shown, {})["widget"]["kinds"]:
            for name, _, text in kind["parts"]:
                names[name] = text
    else:
        for row in shown:
            for column in widget.columns:
                names.appendlist(f"x-{column.name}", str(row.get(column.name, "")))
    return field.clean(widget.value_from_datadict(names, {}, "x"))


EVERYTHING = {kind.name: kind.example for kind in KINDS.values()}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({}, id="nothing"),
        pytest.param(EVERYTHING, id="an example of every kind"),
        pytest.param({"service_types": []}, id="nothing is allowed at all"),
        pytest.param({"image_registries": {"deny": ["evil.io"]}}, id="one side of two"),
        pytest.param(
            {"namespaces": {"count": 3, "required_labels": {"team": "", "env": "prod"}}}, id="parts"
        ),
        pytest.param({"node_selector": {"pool": "a", "gpu": ""}}, id="labels"),
    ],
)
def test_restrictions_come_back_as_they_were(value):
    assert typed(RestrictionsField(), value) == value
    validate_restrictions(value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param([], id="nothing"),
        pytest.param([{"direction": "egress", "peers": [{"cidr": "10.0.0.0/8"}]}], id="addresses"),
        pytest.param(
            [
                {
                    "direction": "egress",
                    "peers": [{"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "10.2.0.0/16"]}],
                    "ports": [{"port": 443}, {"port": 8000, "end_port": 8100, "protocol": "UDP"}],
                }
            ],
            id="ports and exceptions",
        ),
        pytest.param(
            [{"direction": "ingress", "peers": [{"namespace_labels": {"a": "b", "c": ""}}]}],
            id="namespaces",
        ),
        pytest.param([{"direction": "ingress", "peers": [{"namespace_labels": {}}]}], id="all"),
        pytest.param([{"direction": "ingress", "peers": [{"pod_labels": {"a": "b"}}]}], id="pods"),
        pytest.param(
            [
                {
                    "direction": "ingress",
                    "peers": [{"namespace_labels": {"a": "b"}, "pod_labels": {"app": "db"}}],
                }
            ],
            id="pods of namespaces",
        ),
    ],
)
def test_network_rules_come_back_as_they_were(value):
    assert typed(NetworkField(), value) == value
    validate_network(value)


def test_a_rule_with_two_peers_is_shown_as_two_rows():
    peers = [{"cidr": "10.0.0.0/8"}, {"cidr": "192.168.0.0/16"}]
    found = typed(NetworkField(), [{"direction": "egress", "peers": peers}])
    assert [rule["peers"] for rule in found] == [[peer] for peer in peers]


@pytest.mark.parametrize(
    ("peer", "ports", "words"),
    [
        ("somewhere", "", "Write a peer as"),
        ("", "443", "Write a peer as"),
        ("10.0.0.0/8", "https", "Write ports as"),
        ("10.0.0.0/8", "443/TCP/UDP", "Write ports as"),
    ],
)
def test_it_says_how_to_write_a_network_rule(peer, ports, words):
    rows = [{"direction": "egress", "peer": peer, "ports": ports}]
    with pytest.raises(ValidationError, match=words):
        NetworkField().clean(rows)


def test_subjects_and_bindings_come_back_as_they_were():
    owners = [
        {"kind": "Group", "name": "payments"},
        {"kind": "ServiceAccount", "name": "ci", "namespace": "build"},
    ]
    assert typed(SubjectsField(), owners) == owners
    bindings = [
        {"role": "view", "subjects": [{"kind": "User", "name": "auditor@example.org"}]},
        {"role": "logs", "subjects": owners},
    ]
    assert typed(BindingsField(), bindings) == bindings


def test_floors_come_back_as_they_were():
    floors = {"prod-a": {"requests.cpu": "2", "pods": "10"}, "prod-b": {"pods": "5"}}
    assert typed(FloorsField(), floors) == floors


def test_a_floor_is_given_once():
    row = {"cluster": "prod-a", "resource": "pods", "quantity": "1"}
    with pytest.raises(ValidationError, match="twice"):
        FloorsField().clean([row, {**row, "quantity": "2"}])
