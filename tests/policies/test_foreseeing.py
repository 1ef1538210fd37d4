"""What is computed of live objects, since no copy of them could tell."""

import pytest

from clusters.kinds import LIMIT_RANGE, NETWORK_POLICY
from policies.rules.foreseeing import foreseen
from policies.rules.replaying import NEXT_REVISIONS, planned, replayed
from reconcile.values import JSON, Kind, Live, Ref
from tests.policies.simulated import HUB, containers

BOUNDS = {"network": {"egress_cidrs": ["10.0.0.0/8"], "namespaces": []}}
MOST = {"container_resources": {"max": {"memory": "1Gi", "cpu": "2"}}}


def live(kind: Kind, spec: JSON, name: str = "mine") -> Live:
    return Live(Ref(kind, "acme--shop", name), {"metadata": {"name": name}, "spec": spec})


def limits(**sides: JSON) -> Live:
    return live(LIMIT_RANGE, {"limits": [{"type": "Container", **sides}]})


def opening(name: str = "mine", tenant: str = "globex") -> Live:
    peers: list[JSON] = [
        {"namespaceSelector": {"matchLabels": {"kubenova.io/tenant": tenant}}},
        {"ipBlock": {"cidr": "8.8.8.8/32"}},
    ]
    return live(NETWORK_POLICY, {"egress": [{"to": peers}]}, name)


def told(rules: JSON, each: Live) -> list[str]:
    return [broken.message for broken in foreseen(rules, each, "acme")]


def test_a_network_policy_is_judged_by_whose_namespace_it_lies_in():
    assert told(BOUNDS, opening()) == [
        "A network policy that opens egress to namespaces kubenova.io/tenant=globex is not allowed "
        "here.",
        "A network policy that opens egress to 8.8.8.8/32 is not allowed here.",
    ]
    assert len(told(BOUNDS, opening(tenant="acme"))) == 1
    assert told(MOST, opening()) == []


def test_what_kubenova_would_render_anew_by_the_rule_breaks_nothing():
    assert told(BOUNDS, opening("kubenova-isolation")) == []
    assert told(BOUNDS, opening("kubenova-network")) != []


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        pytest.param({"default": {"memory": "1Gi", "cpu": "1500m"}}, [], id="within"),
        pytest.param(
            {"default": {"memory": "2Gi"}},
            ["It gives containers that say nothing memory 2Gi, more than 1Gi."],
            id="default",
        ),
        pytest.param(
            {"min": {"cpu": 3}}, ["It wants containers to have cpu 3, more than 2."], id="minimum"
        ),
        pytest.param({"max": {"memory": "9Gi"}}, [], id="a maximum is no promise"),
        pytest.param({"default": {"ephemeral-storage": "9Gi"}}, [], id="not bounded"),
    ],
)
def test_a_limit_range_that_leaves_no_room_is_told(sides, expected):
    assert told(MOST, limits(**sides)) == expected
    assert told(BOUNDS, limits(**sides)) == []


def test_only_what_rules_concern_is_read_and_next_revisions_come_last():
    assert replayed(BOUNDS) == [NETWORK_POLICY]
    assert replayed(MOST)[-2:] == [LIMIT_RANGE, NEXT_REVISIONS]


def test_of_what_is_to_come_only_that_is_tried_which_rules_concern():
    deployment = {
        **{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}},
        "spec": {"template": {"spec": containers("nginx")}},
    }
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {}}
    assert [each.kind for each in planned(HUB, [deployment, service])] == ["Deployment"]
    assert [each.ref.name for each in planned(HUB, [deployment])] == ["web-kn-sim"]
