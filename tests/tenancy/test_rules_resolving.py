"""The strictest of several sources, their origins, and what does not go together."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenancy.rules.kinds import KINDS, merged, restriction_problems
from tenancy.rules.limits import COMPUTE
from tenancy.rules.resolving import Conflict, Origin, Source, resolve, strictest
from tenancy.rules.values import IMAGE_REFERENCES, PULL_POLICIES, SERVICE_TYPES
from tenancy.rules.values_workloads import HOST_ACCESS, POD_SECURITY, SETTINGS


def some(**parts: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    """Values of one or more of the parts."""
    return st.fixed_dictionaries({}, optional=parts).filter(bool)


NAMES = st.sampled_from(["fast", "slow", "standard"])
WINDOWS = [
    {"from": f"{day} 16:00", "until": "mon 07:00", "reason": "x y"} for day in ("fri", "sat")
]
NAMED = st.lists(NAMES, unique=True)
RANGES = st.lists(
    st.sampled_from(["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32", "::/0"]),
    unique=True,
)
VALUES = {
    "service_types": st.lists(st.sampled_from(SERVICE_TYPES), unique=True),
    "image_pull_policies": st.lists(st.sampled_from(PULL_POLICIES), unique=True),
    "image_references": st.lists(st.sampled_from(IMAGE_REFERENCES), unique=True),
    "storage_classes": st.lists(NAMES, unique=True),
    "ingress_hosts": st.lists(
        st.sampled_from(["*.acme.org", "shop.acme.org", "globex.org"]), unique=True
    ),
    "node_selector": st.dictionaries(
        st.sampled_from(["pool", "zone"]), st.sampled_from(["a", "b"]), min_size=1
    ),
    "image_registries": st.dictionaries(
        st.sampled_from(["allow", "deny"]),
        st.lists(st.sampled_from(["docker.io", "r.io", "r.io/acme"]), unique=True, min_size=1),
        min_size=1,
    ),
    "namespaces": st.fixed_dictionaries({"count": st.integers(1, 9)}),
    "freeze": st.lists(st.sampled_from(WINDOWS), unique_by=str, min_size=1),
    "pod_security": st.sampled_from(POD_SECURITY),
    "host_access": st.lists(st.sampled_from(HOST_ACCESS), unique=True),
    "container_resources": some(
        required=st.lists(st.sampled_from(SETTINGS), unique=True),
        max=st.dictionaries(st.sampled_from(COMPUTE), st.sampled_from(["1", "1500m", "2Gi"])),
    ),
    "workload_metadata": some(
        required_labels=st.dictionaries(NAMES, st.sampled_from(["", "a"])),
        forbidden_annotations=st.lists(NAMES, unique=True),
    ),
    "replicas": some(min=st.integers(1, 4), max=st.integers(4, 9)),
    "load_balancers": some(source_ranges=RANGES, addresses=RANGES, classes=NAMED),
    "api_kinds": st.fixed_dictionaries({"deny": NAMED}),
}
RULES = st.fixed_dictionaries({}, optional=VALUES)
SOURCES = st.lists(RULES, max_size=4).map(
    lambda found: [Source(f"source {number}", rules) for number, rules in enumerate(found)]
)
quick = settings(max_examples=80)


def as_set(value: object) -> object:
    """Order says nothing."""
    if isinstance(value, dict):
        return {key: as_set(each) for key, each in value.items()}
    if isinstance(value, list):
        return frozenset(map(str, value))
    return value


@quick
@given(SOURCES)
def test_what_is_resolved_is_valid_and_comes_from_every_source_that_says_anything(sources):
    found = resolve(sources)
    assert list(restriction_problems(found.rules)) == []
    for kind in found.rules:
        said = tuple(Origin(each.name, each.rules[kind]) for each in sources if kind in each.rules)
        assert found.origins[kind] == said


@quick
@given(SOURCES)
def test_the_order_of_sources_that_agree_says_nothing(sources):
    one, other = resolve(sources), resolve(sources[::-1])
    if not any(each.blocking for each in one.conflicts):
        assert as_set(one.rules) == as_set(other.rules)


@quick
@given(SOURCES)
def test_a_source_more_never_allows_more(sources):
    """What holds is already as strict as each of its sources: none of them changes it."""
    found = resolve(sources)
    blocked = {each.kind for each in found.conflicts if each.blocking}
    for source in sources:
        for kind in set(source.rules) - blocked:
            again = KINDS[kind].stricter(found.rules[kind], source.rules[kind])
            assert as_set(again) == as_set(found.rules[kind])


@quick
@given(RULES)
def test_what_is_alone_stays_exactly_as_it_is(rules):
    assert strictest(rules, {}) == strictest({}, rules) == rules


def test_it_agrees_with_the_merge_of_restrictions():
    examples = [{name: kind.example} for name, kind in KINDS.items()]
    assert strictest(*examples) == merged(examples)


def test_a_contradiction_keeps_the_first_and_names_both():
    found = resolve(
        [
            Source("Tenant acme", {"service_types": ["ClusterIP"]}),
            Source("set one", {"node_selector": {"pool": "a"}}),
            Source("set two", {"node_selector": {"zone": "x"}}),
            Source("set three", {"node_selector": {"pool": "b"}}),
        ]
    )
    assert found.rules["node_selector"] == {"pool": "a", "zone": "x"}
    text = "No node is pool=a and pool=b at once."
    assert found.conflicts == (
        Conflict("node_selector", ("set one", "set three"), text, blocking=True),
    )
    assert str(found.conflicts[0]) == f"node_selector of set one and set three: {text}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"service_types": ["ClusterIP"]}, {"service_types": ["NodePort"]}, id="list"),
        pytest.param(
            {"image_registries": {"allow": ["a.io"]}},
            {"image_registries": {"allow": ["b.io"]}},
            id="registries",
        ),
        pytest.param(
            {"load_balancers": {"addresses": ["10.0.0.0/8"]}},
            {"load_balancers": {"addresses": ["8.0.0.0/8"]}},
            id="ranges",
        ),
    ],
)
def test_lists_with_nothing_in_common_are_told_and_hold(one, other):
    found = resolve([Source("one", one), Source("two", other)])
    (conflict,) = found.conflicts
    assert not conflict.blocking and conflict.sources == ("one", "two")
    assert "nothing at all is allowed" in conflict.text


def test_an_empty_list_that_somebody_has_meant_is_no_conflict():
    sources = [Source("one", {"service_types": []}), Source("two", {"service_types": ["NodePort"]})]
    assert resolve(sources).rules == {"service_types": []}
    assert resolve(sources).conflicts == ()


def test_a_kind_that_there_is_no_more_binds_nobody():
    assert resolve([Source("old", {"colours": ["red"]})]).rules == {}
