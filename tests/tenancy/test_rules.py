"""The kinds of restrictions: values, what is wrong with them, and the stricter of two."""

import re

import jsonschema
import pytest

from tenancy.rules.images import normalised, permitted
from tenancy.rules.kinds import KINDS, merged, restriction_problems
from tenancy.rules.merging import Contradiction
from tenancy.rules.values import MOST_ENTRIES

EACH = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def problems(**restrictions: object) -> list[str]:
    """The paths at which something is wrong."""
    return [path for path, _ in restriction_problems(restrictions)]


@EACH
def test_the_example_of_a_kind_is_valid_by_its_schema_and_by_us(kind):
    jsonschema.Draft202012Validator.check_schema(kind.schema)
    jsonschema.validate(kind.example, kind.schema)
    assert list(kind.problems(kind.example)) == []


@EACH
@pytest.mark.parametrize(
    "value", [None, "", "text", 7, True, [7], {"unknown": 1}, [{}], [["a"]]], ids=repr
)
def test_what_the_schema_refuses_has_a_problem(kind, value):
    valid = jsonschema.Draft202012Validator(kind.schema).is_valid(value)
    assert valid or list(kind.problems(value))


@EACH
def test_a_kind_says_what_it_is_for(kind):
    assert kind.title[0].isupper()
    assert re.fullmatch(r"[A-Z*].*\.", kind.summary)


def test_a_restriction_that_there_is_not_is_told_with_those_there_are():
    ((path, text),) = restriction_problems({"colours": ["red"]})
    assert path == "colours"
    assert all(name in text for name in KINDS)


@pytest.mark.parametrize("value", [[], "x", None], ids=["list", "text", "nothing"])
def test_restrictions_are_a_map(value):
    assert [path for path, _ in restriction_problems(value)] == [""]


@pytest.mark.parametrize(
    ("restrictions", "path"),
    [
        pytest.param({"image_registries": {}}, "image_registries", id="neither allowed nor denied"),
        pytest.param(
            {"image_registries": {"allow": ["team"]}}, "image_registries/allow/0", id="no host"
        ),
        pytest.param(
            {"image_registries": {"deny": ["https://evil.io"]}},
            "image_registries/deny/0",
            id="address",
        ),
        pytest.param(
            {"image_registries": {"allow": ["r.example.org/a:1"]}},
            "image_registries/allow/0",
            id="tag",
        ),
        pytest.param(
            {"image_registries": {"allow": ["r.example.org/a/"]}},
            "image_registries/allow/0",
            id="slash at the end",
        ),
        pytest.param(
            {"image_registries": {"allow": ["R.example.org"]}},
            "image_registries/allow/0",
            id="case",
        ),
        pytest.param({"service_types": ["Nodeport"]}, "service_types/0", id="no type"),
        pytest.param({"image_references": ["sha"]}, "image_references/0", id="no reference"),
        pytest.param({"image_pull_policies": ["Always|Never"]}, "image_pull_policies/0", id="both"),
        pytest.param({"ingress_hosts": ["*"]}, "ingress_hosts/0", id="every host"),
        pytest.param({"ingress_hosts": ["a.*.org"]}, "ingress_hosts/0", id="star inside"),
        pytest.param({"ingress_hosts": [f"{'a' * 64}.org"]}, "ingress_hosts/0", id="long label"),
        pytest.param({"ingress_hosts": [f"{'a.' * 130}org"]}, "ingress_hosts/0", id="long host"),
        pytest.param({"storage_classes": ["a\nb"]}, "storage_classes/0", id="line break"),
        pytest.param({"storage_classes": ["a\n"]}, "storage_classes/0", id="line break at the end"),
        pytest.param({"storage_classes": [""]}, "storage_classes/0", id="empty name"),
        pytest.param({"storage_classes": ["a", "a"]}, "storage_classes/1", id="twice"),
        pytest.param(
            {"priority_classes": [f"p{n}" for n in range(MOST_ENTRIES + 1)]},
            "priority_classes",
            id="too many",
        ),
        pytest.param({"node_selector": {"pool": "a=b"}}, "node_selector/pool", id="equals sign"),
        pytest.param({"node_selector": {"pool=": ""}}, "node_selector/pool=", id="equals in key"),
        pytest.param({"namespaces": {}}, "namespaces", id="nothing"),
        pytest.param({"namespaces": {"count": 0}}, "namespaces/count", id="none"),
        pytest.param({"namespaces": {"count": True}}, "namespaces/count", id="no number"),
        pytest.param(
            {"namespaces": {"required_labels": {"kubenova.io/tenant": ""}}},
            "namespaces/required_labels/kubenova.io/tenant",
            id="reserved label",
        ),
        pytest.param(
            {"namespaces": {"required_labels": {"team": "a b"}}},
            "namespaces/required_labels/team",
            id="value of a label",
        ),
        pytest.param(
            {"namespaces": {"required_labels": {"a": ""}, "forbidden_labels": ["a"]}},
            "namespaces/forbidden_labels/a",
            id="required and forbidden",
        ),
    ],
)
def test_it_points_at_what_is_wrong(restrictions, path):
    assert problems(**restrictions) == [path]


@pytest.mark.parametrize(
    "restrictions",
    [
        {"image_registries": {"allow": ["localhost", "r.example.org:5000/a_b/c--d"], "deny": []}},
        {"service_types": []},
        {"ingress_hosts": ["shop.example.org", "*.shop.example.org"]},
        {"node_selector": {}},
        {"node_selector": {"topology.kubernetes.io/zone": "a"}},
        {"namespaces": {"count": 1, "required_labels": {"team": "blue"}}},
    ],
    ids=lambda each: next(iter(each)),
)
def test_it_takes_what_can_be_enforced(restrictions):
    assert problems(**restrictions) == []


# --- Names of images.


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("nginx", "docker.io/library/nginx"),
        ("nginx:1.27", "docker.io/library/nginx"),
        ("bitnami/redis:7", "docker.io/bitnami/redis"),
        ("docker.io/nginx", "docker.io/library/nginx"),
        ("index.docker.io/a/b", "docker.io/a/b"),
        ("registry-1.docker.io/nginx", "docker.io/library/nginx"),
        ("localhost/web", "localhost/web"),
        ("localhost:5000/web:2", "localhost:5000/web"),
        ("r.example.org:443/a/b@sha256:00", "r.example.org/a/b"),
        ("R.Example.org/a:1@sha256:00", "r.example.org/a"),
        ("r.example.org:5000/a", "r.example.org:5000/a"),
    ],
)
def test_an_image_has_one_name_whichever_way_it_is_written(image, name):
    assert normalised(image) == name


@pytest.mark.parametrize(
    ("image", "allow", "deny", "expected"),
    [
        pytest.param("r.io/team/web", ["r.io/team"], [], True, id="below"),
        pytest.param("r.io/teams/web", ["r.io/team"], [], False, id="half a component"),
        pytest.param("r.io.evil.io/team", ["r.io"], [], False, id="half a host"),
        pytest.param("r.io:5000/team", ["r.io"], [], False, id="another port is another registry"),
        pytest.param("r.io:443/team", ["r.io"], [], True, id="the port of https is the host"),
        pytest.param("nginx", ["docker.io/library"], [], True, id="the library"),
        pytest.param("nginx", ["r.io"], [], False, id="no host is Docker Hub"),
        pytest.param("evil.io:8443/x", None, ["evil.io"], False, id="denied on every port"),
        pytest.param("EVIL.io/x", None, ["evil.io"], False, id="denied in every case"),
        pytest.param("r.io/team/bad/x", ["r.io/team"], ["r.io/team/bad"], False, id="deny wins"),
        pytest.param("r.io/x", None, [], True, id="nothing is said"),
        pytest.param("r.io/x", [], [], False, id="nothing is allowed"),
    ],
)
def test_an_entry_covers_whole_components(image, allow, deny, expected):
    assert permitted(image, allow, deny) is expected


# --- The stricter of two.


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        pytest.param("service_types", [["ClusterIP", "NodePort"], ["NodePort"]], ["NodePort"]),
        pytest.param("storage_classes", [["a"], ["b"]], [], id="nothing in common"),
        pytest.param("storage_classes", [["a", "b", "c"], ["c", "b"], ["b"]], ["b"], id="three"),
        pytest.param(
            "ingress_hosts",
            [["*.a.org", "b.org"], ["x.a.org", "y.x.a.org", "b.org"]],
            ["b.org", "x.a.org"],
            id="a name below a wildcard",
        ),
        pytest.param(
            "image_registries",
            [{"allow": ["r.io"]}, {"allow": ["r.io/team", "docker.io"], "deny": ["evil.io"]}],
            {"allow": ["r.io/team"], "deny": ["evil.io"]},
            id="a path in a registry",
        ),
        pytest.param(
            "image_registries",
            [{"deny": ["a.io"]}, {"deny": ["b.io", "a.io"]}],
            {"deny": ["a.io", "b.io"]},
            id="what either denies",
        ),
        pytest.param(
            "node_selector", [{"pool": "a"}, {"zone": "b"}], {"pool": "a", "zone": "b"}, id="labels"
        ),
        pytest.param(
            "namespaces",
            [
                {"count": 5, "required_labels": {"team": ""}},
                {"count": 3, "required_labels": {"team": "blue"}, "forbidden_labels": ["x"]},
            ],
            {"count": 3, "required_labels": {"team": "blue"}, "forbidden_labels": ["x"]},
            id="the smaller number",
        ),
    ],
)
def test_of_several_the_stricter_counts(kind, given, expected):
    assert KINDS[kind].merge(given) == expected


@pytest.mark.parametrize("kind", ["image_registries", "ingress_hosts", "namespaces"])
def test_the_order_of_what_is_merged_does_not_matter(kind):
    pairs = {
        "image_registries": [
            {"allow": ["r.io", "q.io/x"]},
            {"allow": ["r.io/a"], "deny": ["z.io"]},
        ],
        "ingress_hosts": [["*.a.org", "b.org"], ["x.a.org", "b.org"]],
        "namespaces": [{"count": 2}, {"forbidden_labels": ["x"]}],
    }
    one, other = pairs[kind]
    merge = KINDS[kind].merge
    assert restriction_sets(merge([one, other])) == restriction_sets(merge([other, one]))


def restriction_sets(value):
    """A value with its lists as sets."""
    if isinstance(value, dict):
        return {key: restriction_sets(each) for key, each in value.items()}
    return set(value) if isinstance(value, list) else value


@EACH
def test_merged_with_itself_a_value_stays(kind):
    assert kind.merge([kind.example, kind.example]) == kind.example


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        pytest.param("node_selector", [{"pool": "a"}, {"pool": "b"}], id="two pools"),
        pytest.param(
            "namespaces",
            [{"required_labels": {"team": "a"}}, {"required_labels": {"team": "b"}}],
            id="two teams",
        ),
        pytest.param(
            "namespaces",
            [{"required_labels": {"team": ""}}, {"forbidden_labels": ["team"]}],
            id="required here, forbidden there",
        ),
    ],
)
def test_what_cannot_be_had_together_is_nobody_s_guess(kind, given):
    with pytest.raises(Contradiction):
        KINDS[kind].merge(given)


def test_restrictions_are_merged_kind_by_kind():
    given = [
        {"service_types": ["ClusterIP", "NodePort"]},
        {"service_types": ["ClusterIP"], "runtime_classes": ["gvisor"]},
    ]
    assert merged(given) == {"service_types": ["ClusterIP"], "runtime_classes": ["gvisor"]}
    assert merged([]) == {}
