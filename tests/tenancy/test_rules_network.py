"""Bounds of the network: faults, the stricter of two, what they close, what lies outside."""

from ipaddress import IPv4Network, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenancy.adapters.networks import policies
from tenancy.intents import ProjectIntent
from tenancy.rules.encoding import encoded
from tenancy.rules.kinds import KINDS, restriction_problems
from tenancy.rules.network_bounds import isolation_of
from tenancy.rules.network_judging import Home, outside
from tenancy.rules.violations import violation
from tests.live.network_cases import NETWORK_CASES, VALUES, allowing, block, spaces
from tests.memory_admission import decoded

ACME = Home("acme")


@pytest.mark.parametrize(
    ("value", "path"),
    [
        pytest.param({}, "", id="nothing"),
        pytest.param({"cidrs": []}, "", id="no such part"),
        pytest.param(["10.0.0.0/8"], "", id="a list"),
        pytest.param({"isolation": "open"}, "/isolation", id="no preset"),
        pytest.param({"isolation": ["none"]}, "/isolation", id="a list of presets"),
        pytest.param({"dns": True}, "/dns", id="no word"),
        pytest.param({"egress_cidrs": "10.0.0.0/8"}, "/egress_cidrs", id="a text"),
        pytest.param({"egress_cidrs": ["10.0.0.1/8"]}, "/egress_cidrs/0", id="host bits"),
        pytest.param({"denied_cidrs": ["a.org"]}, "/denied_cidrs/0", id="no range"),
        pytest.param({"namespaces": ["team"]}, "/namespaces/0", id="no value"),
        pytest.param({"namespaces": ["a b=c"]}, "/namespaces/0", id="no label"),
        pytest.param({"namespaces": ["a=b\nc=d"]}, "/namespaces/0", id="a line break"),
        pytest.param({"ports": ["443/TCP"]}, "/ports/0", id="TCP is not written"),
        pytest.param({"ports": ["70000"]}, "/ports/0", id="too large"),
        pytest.param({"ports": ["90-80"]}, "/ports/0", id="backwards"),
        pytest.param({"ports": ["80-80"]}, "/ports/0", id="one port as a range"),
        pytest.param({"ports": [443]}, "/ports/0", id="a number"),
        pytest.param({"ports": ["443", "443"]}, "/ports/1", id="twice"),
    ],
)
def test_it_points_at_what_is_wrong(value, path):
    assert [found for found, _ in restriction_problems({"network": value})] == [f"network{path}"]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param(
            {"isolation": "egress-open"}, {"isolation": "none"}, "egress-open", id="preset"
        ),
        pytest.param({"dns": "any"}, {"dns": "cluster"}, "cluster", id="dns"),
        pytest.param(
            {"egress_cidrs": ["10.0.0.0/8"]},
            {"egress_cidrs": ["10.1.0.0/16"]},
            ["10.1.0.0/16"],
            id="the narrower range",
        ),
        pytest.param(
            {"denied_cidrs": ["10.0.0.0/8"]},
            {"denied_cidrs": ["::/0"]},
            ["10.0.0.0/8", "::/0"],
            id="denied by either",
        ),
        pytest.param({"namespaces": ["a=b"]}, {"namespaces": ["c=d"]}, [], id="nothing in common"),
        pytest.param(
            {"ports": ["443", "8000-8100", "53/UDP"]},
            {"ports": ["400-8050", "50-60"]},
            ["443", "8000-8050"],
            id="what lies in a range of both",
        ),
    ],
)
def test_of_two_the_stricter_counts(one, other, expected):
    (part,) = one
    assert KINDS["network"].merge([one, other]) == {part: expected}
    assert KINDS["network"].merge([other, one])[part] in (expected, [*reversed(expected)])


def test_what_one_of_them_says_holds():
    merged = KINDS["network"].merge([{"dns": "none"}, {"ports": ["443"]}])
    assert merged == {"dns": "none", "ports": ["443"]}


@pytest.mark.parametrize(
    ("preset", "value", "expected"),
    [
        pytest.param("none", {"isolation": "egress-open"}, "egress-open", id="at least"),
        pytest.param(
            "isolated", {"isolation": "egress-open"}, "isolated", id="its own is stricter"
        ),
        pytest.param("none", {"ingress_cidrs": []}, "egress-open", id="ingress is bounded"),
        pytest.param("egress-open", {"egress_cidrs": []}, "isolated", id="egress is bounded"),
        pytest.param("none", {"dns": "any"}, "isolated", id="looking up names is bounded"),
        pytest.param("none", {}, "none", id="nothing is bounded"),
    ],
)
def test_what_is_bounded_is_closed_first(preset, value, expected):
    restrictions = {"network": value} if value else {}
    assert isolation_of(preset, restrictions) == expected
    intent = ProjectIntent(
        "acme", "shop", "acme--shop", isolation=preset, restrictions=restrictions
    )
    found = [body["spec"]["policyTypes"] for body in policies(intent)]
    types = {"none": [], "egress-open": [["Ingress"]], "isolated": [["Ingress", "Egress"]]}
    assert found == types[expected]


@pytest.mark.parametrize(
    ("dns", "peers"),
    [("any", [None]), ("cluster", [[{"namespaceSelector", "podSelector"}]]), ("none", [])],
)
def test_names_are_looked_up_where_they_may_be(dns, peers):
    bounds = {"network": {"dns": dns}}
    (body,) = policies(ProjectIntent("acme", "shop", "acme--shop", restrictions=bounds))
    rules = [rule for rule in body["spec"]["egress"] if "ports" in rule]
    assert [rule.get("to") and [set(peer) for peer in rule["to"]] for rule in rules] == peers


@pytest.mark.parametrize(
    ("value", "passing", "refused"),
    NETWORK_CASES,
    ids=[str(case[0])[:60] for case in NETWORK_CASES],
)
def test_it_tells_what_lies_outside(value, passing, refused):
    bounds = {"network": value}
    for body in passing:
        assert list(outside(body["spec"], bounds, ACME)) == []
    for body, told in refused:
        assert next(outside(body["spec"], bounds, ACME), "") == told


@pytest.mark.parametrize("cidr", ["::ffff:10.0.0.0/104", "::ffff:a00:0/104", "::/8"])
def test_ranges_of_ipv4_in_other_clothes_are_no_way_around(cidr):
    """Older API servers take them, and some network plugins read them as IPv4."""
    for value in ({"denied_cidrs": ["10.0.0.0/8"]}, {"egress_cidrs": ["::/0"]}):
        assert list(outside(allowing(block(cidr)), {"network": value}, ACME)) == [
            f"egress to {cidr}"
        ]


def test_namespaces_that_capsule_knows_as_the_tenant_s_are_its_own():
    opened = allowing(spaces(**{"capsule.clastix.io/tenant": "acme"}))
    bounds = {"network": {"namespaces": []}}
    assert list(outside(opened, bounds, Home("acme", "acme"))) == []
    assert list(outside(opened, bounds, ACME)) != []


@pytest.mark.parametrize("value", VALUES)
def test_what_is_encoded_can_be_told_apart(value):
    assert decoded(encoded({"network": value})) == {"network": value}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        pytest.param({"egress_cidrs": ["203.0.0.0/8"]}, "egress to 11.0.113.77/32", id="egress"),
        pytest.param(
            {"egress_cidrs": ["0.0.0.0/0"], "namespaces": []}, "egress to 2001:db8::1/128", id="v6"
        ),
        pytest.param(
            {"egress_cidrs": ["0.0.0.0/0", "::/0"], "ingress_cidrs": []},
            "ingress from 203.0.113.77/32",
            id="ingress",
        ),
        pytest.param(
            {"egress_cidrs": ["0.0.0.0/0", "2001:db8::/32"]},
            "egress to 2001:db7:ffff:",
            id="beside",
        ),
        pytest.param(
            {"egress_cidrs": ["0.0.0.0/0", "::/1", "c000::/2"]},
            "egress to 8000::/128",
            id="in between",
        ),
        pytest.param({"denied_cidrs": ["fd00::/8"]}, "egress to fd00::/8", id="denied"),
        pytest.param(
            {"namespaces": ["kubenova-proof-0=x"]},
            "egress to namespaces kubenova-proof-1=x",
            id="namespaces",
        ),
        pytest.param({"namespaces": ["a=b"], "ports": ["443"]}, "egress to", id="both"),
        pytest.param({"ports": ["1-65535"]}, "egress on every port", id="every port of TCP alone"),
    ],
)
def test_a_violation_names_what_the_policy_refuses(value, told):
    found = violation("network", value)
    assert found is not None
    assert f"A network policy that opens {told}" in found.message


@pytest.mark.parametrize(
    "value",
    [
        {"isolation": "isolated"},
        {"dns": "none"},
        {"denied_cidrs": []},
        {"egress_cidrs": ["0.0.0.0/0", "::/0"]},
    ],
)
def test_nothing_breaks_what_bounds_no_network_policy(value):
    assert violation("network", value) is None


V4 = st.builds(
    lambda address, length: str(IPv4Network((address, length), strict=False)),
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
)
# Few bits differ, so that ranges meet; none is IPv4 in other clothes.
V6 = st.builds(
    lambda group, last, length: str(
        IPv6Network((0x20010DB8 << 96 | group << 80 | last, length), strict=False)
    ),
    st.integers(0, 2**16 - 1),
    st.sampled_from((0, 1, 2**64)),
    st.integers(20, 128),
)


@given(st.sampled_from((V4, V6)).flatmap(lambda one: st.tuples(*(st.lists(one, max_size=4),) * 3)))
def test_no_address_that_is_denied_or_not_allowed_is_let_through(found):
    """By single addresses: what is within the bounds has none that the bounds leave out."""
    value = {"egress_cidrs": found[0], "denied_cidrs": found[1]}
    lists = [[ip_network(each) for each in texts] for texts in found]
    for asked in lists[2]:
        within = not list(outside(allowing(block(str(asked))), {"network": value}, ACME))
        whole = any(asked.subnet_of(each) for each in lists[0])
        assert within == (whole and not any(asked.overlaps(each) for each in lists[1]))
        for address in (asked[0], asked[-1], asked[asked.num_addresses // 2]):
            assert not within or any(address in each for each in lists[0])
            assert not within or not any(address in each for each in lists[1])


@pytest.mark.parametrize("cidr", ["2001:db8::7/32", "2001:DB8:0::/33", "010.1.0.0/016"])
def test_ranges_are_read_as_api_servers_read_them(cidr):
    """Host bits count for nothing, nor do letters and, of older API servers, leading zeros."""
    value = {"egress_cidrs": ["2001:db8::/32", "10.0.0.0/8"]}
    assert list(outside(allowing(block(cidr)), {"network": value}, ACME)) == []
