"""Bounds of the network on a real API server: what NetworkPolicies may open."""

import pytest

from reconcile.values import JSON, MANAGER
from sandbox.api import MERGE
from tenancy.adapters.networks import policies
from tenancy.intents import ProjectIntent
from tenancy.rules.network_judging import Home, name_servers, outside
from tests.live.network_cases import NETWORK_CASES, SPECS, VALUES, allowing, block, policy, spaces
from tests.live.ruled import (
    Person,
    Ruled,
    advise,
    home,
    keys,
    place,
    refusal,
    until,
    warning,
)

__all__ = ["home", "keys"]

pytestmark = [pytest.mark.live, pytest.mark.django_db]


@pytest.fixture
def ada(home: Ruled) -> Person:
    """Somebody whom an operator of the cluster has let write NetworkPolicies."""
    return home.person("admin")


def told(ada: Person, body: JSON) -> str:
    """What the cluster says to ada when she makes it; empty when it does."""
    return refusal(lambda: ada.make("networkpolicies", body))


@pytest.mark.parametrize(
    ("value", "passing", "refused"),
    NETWORK_CASES,
    ids=[str(case[0])[:60] for case in NETWORK_CASES],
)
def test_what_the_bounds_allow_passes_and_the_rest_is_refused(home, ada, value, passing, refused):
    for body, _ in refused:
        assert told(ada, body) == ""
    home.bind({"network": value})
    for body in passing:
        assert told(ada, body) == ""
    for body, text in refused:
        said = told(ada, body)
        assert "kubenova-network' with binding" in said
        assert f"A network policy that opens {text} is not allowed here." in said


@pytest.mark.parametrize("value", VALUES, ids=[str(value)[:60] for value in VALUES])
def test_the_cluster_judges_as_we_do(home, ada, value):
    home.bind({"network": value})
    differing = []
    for spec in SPECS:
        ours = next(outside(spec, {"network": value}, Home("acme")), "")
        said = told(ada, policy(spec))
        if not (f"opens {ours} is not allowed" in said if ours else said == ""):
            differing.append((spec, ours, said))
    assert differing == []


@pytest.mark.parametrize("dns", ["any", "cluster", "none"])
def test_what_kubenova_renders_passes_its_own_bounds(home, dns):
    """Its network policies are judged as everybody's."""
    value = {"egress_cidrs": [], "ingress_cidrs": [], "namespaces": [], "ports": [], "dns": dns}
    home.bind({"network": value})
    intent = ProjectIntent("acme", "shop", home.namespace, restrictions={"network": value})
    for body in policies(intent):
        path = place(home.namespace, "networkpolicies", body["metadata"]["name"])
        home.api.apply(path, body, manager=MANAGER, force=True)
    opening = {"egress": [{"to": [name_servers()], "ports": [{"port": 53, "protocol": "UDP"}]}]}
    said = refusal(
        lambda: home.api.create(place(home.namespace, "networkpolicies"), policy(opening))
    )
    assert bool(said) is (dns == "none")


def test_one_from_before_can_be_labelled_and_narrowed_but_not_widened(home, ada):
    ada.make("networkpolicies", policy(allowing(block("8.8.8.0/24"))), dry=False)
    home.bind({"network": {"egress_cidrs": ["10.0.0.0/8"]}})
    path = place(home.namespace, "networkpolicies", "web")
    ada.send("PATCH", path, {"metadata": {"labels": {"team": "blue"}}}, MERGE)
    wider = {"spec": allowing(block("8.0.0.0/8"))}
    assert "egress to 8.0.0.0/8" in refusal(lambda: ada.send("PATCH", path, wider, MERGE))
    ada.send("PATCH", path, {"spec": allowing(block("10.1.0.0/16"))}, MERGE)


def test_what_warns_passes_with_a_warning_and_what_audits_in_silence(home, ada):
    advise(home, "audit", {"network": {"namespaces": []}})
    advise(home, "warn", {"network": {"egress_cidrs": ["10.0.0.0/8"]}})
    wide = policy(allowing(block("8.8.8.0/24")))
    until(lambda: bool(warning(ada, "networkpolicies", wide)), "nothing is warned of")
    told = warning(ada, "networkpolicies", wide)
    assert "with binding 'kubenova-network-warn'" in told and "egress to 8.8.8.0/24" in told
    assert warning(ada, "networkpolicies", policy(allowing(spaces(team="web")))) == ""


@pytest.mark.parametrize(
    ("whole", "wide", "narrow", "beyond"),
    [
        pytest.param("10.0.0.0/8", "10.{}.0.0/16", "10.{}.{}.0/24", "11.0.0.0/8", id="IPv4"),
        pytest.param(
            "2001:db8::/32",
            "2001:db8:{}::/48",
            "2001:db8:{}:{}:7::/80",
            "2001:db9:1:2:3:4:5:6/128",
            id="IPv6",
        ),
    ],
)
def test_the_longest_lists_are_within_the_cluster_s_budget(home, ada, whole, wide, narrow, beyond):
    listed = [wide.format(n) for n in range(100)]
    ports = [str(8000 + 2 * n) for n in range(100)]
    labels = [f"team=t{n}" for n in range(100)]
    value = {
        **{"egress_cidrs": [whole], "ingress_cidrs": listed, "denied_cidrs": listed[50:]},
        **{"ports": ports, "namespaces": labels},
    }
    home.bind({"network": value})
    spec = {
        side: [
            {
                word: [block(narrow.format(n, m)) for n in range(45)],
                "ports": [{"port": 8000 + 2 * k} for k in range(20)],
            }
            for m in range(4)
        ]
        for side, word in (("egress", "to"), ("ingress", "from"))
    }
    assert told(ada, policy(spec)) == ""
    spec["ingress"][3]["from"].append(block(beyond))
    assert f"ingress from {beyond}" in told(ada, policy(spec))


def test_what_is_cut_out_of_ranges_is_within_the_cluster_s_budget(home, ada):
    listed = [f"2001:db8:{n:x}::/48" for n in range(100)]
    home.bind({"network": {"denied_cidrs": listed}})
    wide = [block("2001:db8::/32", *listed[n:], *listed[:n]) for n in range(5)]
    assert told(ada, policy(allowing(*wide))) == ""
    less = block("2001:db8::/32", *listed[:99])
    assert "egress to 2001:db8::/32" in told(ada, policy(allowing(*wide, less)))
