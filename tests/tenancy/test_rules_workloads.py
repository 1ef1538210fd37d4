"""Restrictions of workloads, load balancers and kinds: faults, the stricter of two, violations."""

from ipaddress import IPv4Network, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenancy.rules.admission import ENFORCED, policies
from tenancy.rules.encoding import encoded
from tenancy.rules.kinds import KINDS, restriction_problems
from tenancy.rules.merging import Contradiction
from tenancy.rules.values_workloads import CAPABILITIES, HOST_ACCESS, MOST_KINDS
from tenancy.rules.violations import violation
from tests.memory_admission import decoded


@pytest.mark.parametrize(
    ("kind", "value", "path"),
    [
        pytest.param("pod_security", "privileged", "", id="looser than what always holds"),
        pytest.param("pod_security", ["restricted"], "", id="a list of profiles"),
        pytest.param("host_access", ["hostNetworks"], "/0", id="no such way"),
        pytest.param("capabilities", ["ALL"], "/0", id="every capability"),
        pytest.param("capabilities", ["CAP_CHOWN"], "/0", id="a prefix"),
        pytest.param("container_resources", {"required": ["cpu"]}, "/required/0", id="no side"),
        pytest.param(
            "container_resources", {"required": ["limitsxcpu"]}, "/required/0", id="no dot"
        ),
        pytest.param("container_resources", {"max": {"gpu": "1"}}, "/max/gpu", id="no compute"),
        pytest.param("container_resources", {"max": {"cpu": "1 core"}}, "/max/cpu", id="amount"),
        pytest.param("container_resources", {"max": {"cpu": 1}}, "/max/cpu", id="no text"),
        pytest.param("container_resources", {"max": ["cpu"]}, "/max", id="no map"),
        pytest.param(
            "workload_metadata",
            {"required_annotations": {"a b": ""}},
            "/required_annotations/a b",
            id="key of an annotation",
        ),
        pytest.param(
            "workload_metadata",
            {"required_labels": {"a": "x\ny"}},
            "/required_labels/a",
            id="line break",
        ),
        pytest.param(
            "workload_metadata",
            {"required_labels": {"a": ""}, "forbidden_labels": ["a"]},
            "/forbidden_labels/a",
            id="required and forbidden",
        ),
        pytest.param("replicas", {"min": 0}, "/min", id="no minimum"),
        pytest.param("replicas", {"max": True}, "/max", id="no number"),
        pytest.param("replicas", {"min": 3, "max": 2}, "/min", id="no number between"),
        pytest.param(
            "load_balancers", {"source_ranges": ["10.0.0.1/8"]}, "/source_ranges/0", id="host bits"
        ),
        pytest.param("load_balancers", {"addresses": ["10.0.0.1"]}, "/addresses/0", id="address"),
        pytest.param("load_balancers", {"addresses": ["example.org"]}, "/addresses/0", id="name"),
        pytest.param(
            "load_balancers", {"source_ranges": ["2001:DB8::/32"]}, "/source_ranges/0", id="case"
        ),
        pytest.param("load_balancers", {"classes": ["a//b"]}, "/classes/0", id="class"),
        pytest.param("api_kinds", {"deny": ["Secret"]}, "/deny/0", id="no plural"),
        pytest.param("api_kinds", {"deny": ["*"]}, "/deny/0", id="everything"),
        pytest.param("api_kinds", {"deny": ["pods/exec"]}, "/deny/0", id="subresource"),
        pytest.param(
            "api_kinds", {"deny": [f"k{n}" for n in range(MOST_KINDS + 1)]}, "/deny", id="too many"
        ),
    ],
)
def test_it_points_at_what_is_wrong(kind, value, path):
    assert [found for found, _ in restriction_problems({kind: value})] == [f"{kind}{path}"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("host_access", list(HOST_ACCESS)),
        ("container_resources", {"required": ["limits.ephemeral-storage"], "max": {}}),
        ("workload_metadata", {"forbidden_labels": ["app.kubernetes.io/name"]}),
        ("replicas", {"min": 1, "max": 1}),
        ("load_balancers", {"source_ranges": ["0.0.0.0/0", "::/0"], "classes": ["x.org/a"]}),
        ("api_kinds", {"deny": ["*.example.org", "ingresses.networking.k8s.io"]}),
    ],
)
def test_it_takes_what_can_be_enforced(kind, value):
    assert list(restriction_problems({kind: value})) == []


# --- The stricter of two.


@pytest.mark.parametrize(
    ("kind", "one", "other", "expected"),
    [
        pytest.param("pod_security", "baseline", "restricted", "restricted", id="profile"),
        pytest.param("host_access", ["hostPID"], ["hostPath"], [], id="nothing in common"),
        pytest.param(
            "container_resources",
            {"required": ["requests.cpu"], "max": {"cpu": "1500m", "memory": "1Gi"}},
            {"required": ["limits.cpu", "requests.cpu"], "max": {"cpu": "2"}},
            {"required": ["requests.cpu", "limits.cpu"], "max": {"cpu": "1500m", "memory": "1Gi"}},
            id="the smaller amount",
        ),
        pytest.param(
            "workload_metadata",
            {"required_labels": {"team": ""}, "forbidden_annotations": ["x"]},
            {"required_labels": {"team": "a", "b": ""}, "forbidden_annotations": ["y"]},
            {"required_labels": {"team": "a", "b": ""}, "forbidden_annotations": ["x", "y"]},
            id="what either asks for",
        ),
        pytest.param(
            "replicas", {"min": 2}, {"min": 3, "max": 5}, {"min": 3, "max": 5}, id="count"
        ),
        pytest.param(
            "load_balancers",
            {"source_ranges": ["10.0.0.0/8", "2001:db8::/32"], "classes": ["a", "b"]},
            {"source_ranges": ["10.1.0.0/16", "2001:db8:1::/48", "8.0.0.0/8"], "classes": ["b"]},
            {"source_ranges": ["10.1.0.0/16", "2001:db8:1::/48"], "classes": ["b"]},
            id="the narrower range",
        ),
        pytest.param(
            "api_kinds", {"deny": ["a"]}, {"deny": ["b"]}, {"deny": ["a", "b"]}, id="deny"
        ),
    ],
)
def test_of_two_the_stricter_counts(kind, one, other, expected):
    merge = KINDS[kind].merge
    assert merge([one, other]) == expected
    assert sorted_lists(merge([other, one])) == sorted_lists(expected)


def sorted_lists(value):
    """A value whose lists are in order."""
    if isinstance(value, dict):
        return {key: sorted_lists(each) for key, each in value.items()}
    return sorted(value) if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        pytest.param("replicas", {"min": 5}, {"max": 4}, id="no number is left"),
        pytest.param(
            "workload_metadata",
            {"required_annotations": {"a": ""}},
            {"forbidden_annotations": ["a"]},
            id="required here, forbidden there",
        ),
        pytest.param(
            "workload_metadata",
            {"required_annotations": {"a": "x"}},
            {"required_annotations": {"a": "y"}},
            id="two values",
        ),
    ],
)
def test_what_cannot_be_had_together_is_nobody_s_guess(kind, one, other):
    with pytest.raises(Contradiction):
        KINDS[kind].merge([one, other])


# --- As the cluster reads it.


def test_a_range_is_told_by_its_length_and_its_ends_as_well():
    data = encoded({"load_balancers": {"addresses": ["192.0.2.0/30", "2001:db8::/32"]}})
    first, last = "20010db8" + "0" * 24, "20010db8" + "f" * 24
    lines = f"192.0.2.0/30 30 3221225984 3221225987\n2001:db8::/32 32 {first} {last}"
    assert data == {"load_balancers.addresses": lines}


def test_what_is_of_the_namespace_itself_is_no_parameter():
    assert encoded({"pod_security": "restricted", "namespaces": {"count": 1}}) == {}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("container_resources", {"required": [], "max": {"cpu": "2", "memory": "1Gi"}}),
        ("workload_metadata", {"required_labels": {"a": "", "b": "c"}, "forbidden_labels": []}),
        ("replicas", {"min": 2, "max": 7}),
        ("load_balancers", {"source_ranges": ["10.0.0.0/8"], "classes": []}),
        ("api_kinds", {"deny": ["secrets"]}),
    ],
)
def test_what_is_encoded_can_be_told_apart(kind, value):
    assert decoded(encoded({kind: value})) == {kind: value}


def test_which_kinds_there_may_be_is_asked_of_everything_that_is_made():
    (policy,) = (
        each["spec"]
        for each in policies()
        if each["metadata"]["name"] == "kubenova-api-kinds" and "Binding" not in each["kind"]
    )
    (rule,) = policy["matchConstraints"]["resourceRules"]
    assert rule == {
        **{"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]},
        **{"operations": ["CREATE"], "scope": "Namespaced"},
    }


def test_replicas_are_counted_however_they_are_scaled():
    named = {
        plural
        for each in policies()
        if each["metadata"]["name"] == "kubenova-replicas" and "Binding" not in each["kind"]
        for rule in each["spec"]["matchConstraints"]["resourceRules"]
        for plural in rule["resources"]
    }
    scalable = ("deployments", "replicasets", "statefulsets")
    assert named == {*scalable, *(f"{plural}/scale" for plural in scalable)}


# --- What breaks them.


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param("pod_security", "restricted", id="no policy"),
        pytest.param("host_access", list(HOST_ACCESS), id="every way"),
        pytest.param("container_resources", {"required": [], "max": {}}, id="nothing bounded"),
        pytest.param("workload_metadata", {"forbidden_labels": []}, id="nothing forbidden"),
        pytest.param("replicas", {"min": 1, "max": 10_000}, id="as many as there may be"),
        pytest.param("load_balancers", {"source_ranges": ["0.0.0.0/0", "::/0"]}, id="everybody"),
        pytest.param("api_kinds", {"deny": []}, id="nothing denied"),
    ],
)
def test_nothing_breaks_what_forbids_nothing(kind, value):
    found = violation(kind, value)
    assert found is None or kind == "replicas"


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        *(
            pytest.param(
                "host_access", [x for x in HOST_ACCESS if x != way], f"by {way} is", id=way
            )
            for way in HOST_ACCESS
        ),
        pytest.param("capabilities", list(CAPABILITIES), "capability ALL", id="every capability"),
        pytest.param(
            "container_resources", {"max": {"memory": "1Gi"}}, "limits.memory is missing", id="max"
        ),
        pytest.param(
            "workload_metadata",
            {"required_annotations": {"b": "c", "a": ""}},
            "the annotation a is missing.",
            id="annotation",
        ),
        pytest.param(
            "workload_metadata", {"forbidden_labels": ["x"]}, "label x is forbidden", id="label"
        ),
        pytest.param("replicas", {"max": 4}, "5, more than 4.", id="max of replicas"),
        pytest.param(
            "load_balancers",
            {"addresses": ["203.0.113.0/24"], "classes": ["a"]},
            "with address 203.1.113.77 is",
            id="another address",
        ),
        pytest.param(
            "load_balancers",
            {"source_ranges": ["0.0.0.0/0", "2001:db8::1/128"]},
            "source range 2001:db8::2/128",
            id="ipv6",
        ),
        pytest.param(
            "load_balancers",
            {"source_ranges": ["0.0.0.0/0", "2001:db8::/32", "2000::/4"]},
            "source range 3000:db8::77/128",
            id="far ipv6",
        ),
        pytest.param(
            "load_balancers",
            {"source_ranges": ["0.0.0.0/0", "::/0"], "classes": ["kubenova-proof-0"]},
            "class kubenova-proof-1",
            id="class",
        ),
        pytest.param("api_kinds", {"deny": ["a", "b"]}, "kind a, b cannot be made", id="kinds"),
    ],
)
def test_a_violation_names_what_the_policy_refuses(kind, value, told):
    found = violation(kind, value)
    assert found is not None
    assert told in found.message
    assert found.message.startswith((ENFORCED[kind].told or (ENFORCED[kind].noun,))[0])


def test_of_very_many_kinds_the_proof_tells_as_many_as_fit_a_message():
    kinds = [f"k{number}.example.org" for number in range(900)]
    found = violation("api_kinds", KINDS["api_kinds"].merge([{"deny": kinds}, {"deny": ["x"]}]))
    assert len(found.message) < 4100


def test_a_workload_that_lacks_a_label_is_found_by_another():
    keys = {"kubenova-proof-0": "", "app": ""}
    found = violation("workload_metadata", {"required_labels": keys})
    spec = found.manifest["spec"]
    label = {"kubenova-proof-1": ""}
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"] == label


def ranges_of(bits: int) -> st.SearchStrategy[str]:
    kind = {32: IPv4Network, 128: IPv6Network}[bits]
    addresses, lengths = st.integers(0, 2**bits - 1), st.integers(1, bits)
    return st.builds(lambda one, far: str(kind((one, far), strict=False)), addresses, lengths)


RANGES = st.lists(
    st.one_of(ranges_of(32), ranges_of(128)),
    unique=True,
    max_size=8,
)


@given(RANGES)
def test_the_range_that_breaks_a_list_is_in_none_of_it(ranges):
    found = violation("load_balancers", {"source_ranges": ranges})
    (asked,) = found.manifest["spec"]["loadBalancerSourceRanges"]
    network = ip_network(asked)
    known = [ip_network(each) for each in ranges]
    assert not any(network.version == each.version and network.subnet_of(each) for each in known)
