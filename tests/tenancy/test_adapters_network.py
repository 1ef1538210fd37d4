"""Which traffic passes: presets, rules beside them, and that no rule ever closes anything."""

from dataclasses import replace

import pytest

from reconcile.values import JSON, TENANT
from tenancy.adapters.networks import policies
from tenancy.intents import Isolation, ProjectIntent
from tenancy.rules.network import network_problems

SHOP = ProjectIntent(tenant="acme", name="shop", namespace="acme--shop")
IN: JSON = {"direction": "ingress", "peers": [{"namespace_labels": {"team": "edge"}}]}
OUT: JSON = {"direction": "egress", "peers": [{"cidr": "10.0.0.0/8"}]}
EDGE: JSON = {"namespaceSelector": {"matchLabels": {"team": "edge"}}}
INSIDE: JSON = {"ipBlock": {"cidr": "10.0.0.0/8"}}


def specs(isolation: Isolation, *rules: JSON) -> dict[str, JSON]:
    """The spec of each policy by its name."""
    assert list(network_problems(list(rules))) == [], "the sample is none that a user may declare"
    found = policies(replace(SHOP, isolation=isolation, network=rules))
    assert {body["metadata"]["namespace"] for body in found} <= {"acme--shop"}
    return {body["metadata"]["name"]: body["spec"] for body in found}


def rule(peers: list[JSON], **more: object) -> JSON:
    """What one ingress rule is rendered as."""
    found = specs(Isolation.ISOLATED, {"direction": "ingress", "peers": peers, **more})
    (ingress,) = found["kubenova-network"]["ingress"]
    return ingress


@pytest.mark.parametrize(
    ("isolation", "types", "opened"),
    [
        pytest.param(
            Isolation.ISOLATED,
            ["Ingress", "Egress"],
            {
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{"from": [EDGE]}],
                "egress": [{"to": [INSIDE]}],
            },
            id="both directions are closed: both rules open",
        ),
        pytest.param(
            Isolation.EGRESS_OPEN,
            ["Ingress"],
            {"policyTypes": ["Ingress"], "ingress": [{"from": [EDGE]}]},
            id="everything may go out: a rule for it must not close the rest",
        ),
    ],
)
def test_rules_are_rendered_where_the_preset_is_closed(isolation, types, opened):
    found = specs(isolation, IN, OUT)

    assert found["kubenova-isolation"]["policyTypes"] == types
    assert found["kubenova-network"] == {"podSelector": {}, **opened}


@pytest.mark.parametrize(
    ("isolation", "rules"),
    [
        pytest.param(Isolation.NONE, (), id="none"),
        pytest.param(Isolation.NONE, (IN, OUT), id="none, with rules: a policy would close"),
    ],
)
def test_without_isolation_there_is_no_policy_at_all(isolation, rules):
    assert specs(isolation, *rules) == {}


@pytest.mark.parametrize(
    ("isolation", "rules"),
    [
        pytest.param(Isolation.ISOLATED, (), id="no rules"),
        pytest.param(Isolation.EGRESS_OPEN, (OUT,), id="rules of an open direction alone"),
    ],
)
def test_a_preset_without_anything_to_open_stands_alone(isolation, rules):
    assert list(specs(isolation, *rules)) == ["kubenova-isolation"]


def test_the_rules_change_nothing_about_the_preset():
    bare, opened = specs(Isolation.ISOLATED), specs(Isolation.ISOLATED, IN, OUT)
    same_tenant = {"namespaceSelector": {"matchLabels": {TENANT: "acme"}}}

    assert bare["kubenova-isolation"] == opened["kubenova-isolation"]
    assert bare["kubenova-isolation"]["ingress"] == [{"from": [same_tenant]}]


@pytest.mark.parametrize(
    ("peer", "rendered"),
    [
        pytest.param(
            {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]},
            {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
            id="a range less another",
        ),
        pytest.param({"cidr": "2001:db8::/32"}, {"ipBlock": {"cidr": "2001:db8::/32"}}, id="IPv6"),
        pytest.param(
            {"pod_labels": {"app": "web"}},
            {"podSelector": {"matchLabels": {"app": "web"}}},
            id="pods of the same namespace",
        ),
        pytest.param(
            {"namespace_labels": {"team": "edge"}, "pod_labels": {"app": "web"}},
            {**EDGE, "podSelector": {"matchLabels": {"app": "web"}}},
            id="pods of other namespaces",
        ),
        pytest.param(
            {"namespace_labels": {}}, {"namespaceSelector": {}}, id="every namespace of the cluster"
        ),
    ],
)
def test_a_peer_is_spelled_as_kubernetes_does(peer, rendered):
    assert rule([peer]) == {"from": [rendered]}


@pytest.mark.parametrize(
    ("port", "rendered"),
    [
        pytest.param({"port": 443}, {"protocol": "TCP", "port": 443}, id="TCP unless it says"),
        pytest.param(
            {"port": 8000, "end_port": 8010, "protocol": "UDP"},
            {"protocol": "UDP", "port": 8000, "endPort": 8010},
            id="a range",
        ),
    ],
)
def test_a_port_is_spelled_as_kubernetes_does(port, rendered):
    assert rule([{"pod_labels": {}}], ports=[port]) == {
        "from": [{"podSelector": {}}],
        "ports": [rendered],
    }


def test_a_rule_without_ports_is_for_every_port():
    assert "ports" not in rule([{"pod_labels": {}}], ports=[])


def test_rules_of_one_direction_share_a_policy_in_the_order_they_were_declared():
    second: JSON = {"direction": "egress", "peers": [{"cidr": "192.0.2.0/24"}]}
    found = specs(Isolation.ISOLATED, OUT, second)["kubenova-network"]

    assert found["policyTypes"] == ["Egress"] and "ingress" not in found
    cidrs = [item["ipBlock"]["cidr"] for each in found["egress"] for item in each["to"]]
    assert cidrs == ["10.0.0.0/8", "192.0.2.0/24"]
