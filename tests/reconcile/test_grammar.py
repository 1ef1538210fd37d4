"""Names, labels and annotations: what Kubernetes accepts, less what is reserved (A5, A13, A14)."""

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given, strategies

from reconcile.grammar import validate_annotations, validate_labels, validate_name
from reconcile.spelling import annotation_faults, label_faults, name_fault, reserved


@pytest.mark.parametrize("name", ["a", "0", "acme", "a-b", "a1-b2-c3", "x" * 63, "1" * 63])
def test_it_accepts_dns_labels(name):
    assert name_fault(name) == ""
    validate_name(name)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param("x" * 64, id="64 characters"),
        pytest.param("Acme", id="upper case"),
        pytest.param("-a", id="leading hyphen"),
        pytest.param("a-", id="trailing hyphen"),
        pytest.param("a--b", id="double hyphen"),
        pytest.param("a.b", id="dot"),
        pytest.param("a_b", id="underscore"),
        pytest.param("a b", id="space"),
        pytest.param("a\n", id="trailing newline"),
        pytest.param("a\x00", id="NUL"),
        pytest.param("../a", id="path"),
        pytest.param("a/b", id="slash"),
        pytest.param("a:b", id="colon"),
        pytest.param("a?dryRun=All", id="query"),
        pytest.param("système", id="accent"),
        pytest.param("аcme", id="Cyrillic a"),
        pytest.param("ａcme", id="full-width a"),
        pytest.param("1١", id="Arabic digit"),
        pytest.param("system:masters", id="system group"),
        pytest.param(7, id="number"),
        pytest.param(None, id="null"),
        pytest.param(["a"], id="list"),
    ],
)
def test_it_refuses_everything_else_as_a_name(name):
    assert name_fault(name)
    with pytest.raises(ValidationError):
        validate_name(name)


RESERVED = [
    "pod-security.kubernetes.io/enforce",
    "kubernetes.io/metadata.name",
    "app.kubernetes.io/managed-by",
    "node-role.kubernetes.io/control-plane",
    "k8s.io/a",
    "rbac.authorization.k8s.io/aggregate-to-admin",
    "capsule.clastix.io/tenant",
    "projectcapsule.dev/tenant",
    "addons.projectcapsule.dev/a",
    "kubenova.io/owner",
    "deep.below.kubenova.io/a",
    "app.oam.dev/username",
    "controller.core.oam.dev/a",
    "oam.dev/a",
]


@pytest.mark.parametrize("key", RESERVED)
@pytest.mark.parametrize(
    "spell",
    [
        pytest.param(str, id="as is"),
        pytest.param(str.upper, id="upper"),
        pytest.param(str.title, id="title"),
        pytest.param(lambda key: key.replace("/", "./"), id="trailing dot"),
        pytest.param(lambda key: f" {key}", id="space"),
    ],
)
def test_a5_it_refuses_reserved_prefixes_in_any_spelling(key, spell):
    assert reserved(spell(key))
    assert label_faults({spell(key): "x"})
    assert annotation_faults({spell(key): "x"})


@pytest.mark.parametrize(
    "key",
    [
        "team",
        "example.org/team",
        "notkubernetes.io/a",
        "kubernetes.io.example.org/a",
        "kubenova.io",
    ],
)
def test_it_leaves_other_prefixes_to_their_owners(key):
    assert not reserved(key)
    assert label_faults({key: "x"}) == {}


@pytest.mark.parametrize(
    "key",
    ["a", "A_b.c-d", "x" * 63, "example.org/a", f"{'a' * 63}.example.org/a", "p" * 253 + "/n"],
)
def test_it_accepts_the_keys_that_kubernetes_accepts(key):
    assert label_faults({key: ""}) == {}


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("", id="empty"),
        pytest.param("x" * 64, id="64 characters"),
        pytest.param("p" * 254 + "/n", id="prefix of 254"),
        pytest.param("-a", id="leading hyphen"),
        pytest.param("a.", id="trailing dot"),
        pytest.param("/a", id="empty prefix"),
        pytest.param("a/", id="empty name"),
        pytest.param("a/b/c", id="two slashes"),
        pytest.param("Example.org/a", id="upper-case prefix"),
        pytest.param("ex_ample.org/a", id="underscore in prefix"),
        pytest.param("ä", id="umlaut"),
        pytest.param("a\n", id="newline"),
        pytest.param("%(a)s %", id="percent"),
    ],
)
def test_it_refuses_keys_that_kubernetes_refuses(key):
    assert set(label_faults({key: "x"})) == {key}
    with pytest.raises(ValidationError) as error:
        validate_labels({key: "x"})
    assert error.value.messages, "the message can be read, whatever the key holds"


@pytest.mark.parametrize("value", ["", "a", "A_b.c-1", "x" * 63])
def test_it_accepts_the_values_that_kubernetes_accepts(value):
    assert label_faults({"a": value}) == {}


@pytest.mark.parametrize("value", ["x" * 64, "-a", "a ", "ä", "a\n", 1, None, True, {}, ["a"]])
def test_it_refuses_values_that_kubernetes_refuses(value):
    assert set(label_faults({"a": value})) == {"a"}


@pytest.mark.parametrize("labels", [None, [], "a=b", 7, {str(n): "x" for n in range(65)}])
def test_it_refuses_what_is_no_map_of_at_most_64_labels(labels):
    assert set(label_faults(labels)) == {""}


def test_an_error_names_its_key_for_pointers():
    with pytest.raises(ValidationError) as error:
        validate_labels({"fine": "x", "bad key": "x"})
    assert [each.params["path"] for each in error.value.error_list] == [("bad key",)]


def test_annotations_may_hold_any_text_up_to_256_kilobytes():
    validate_annotations({"note": "any text: ä, \n, 100 %"})
    assert annotation_faults({"note": "x" * 262_144}) == {
        "": "must hold at most 262144 bytes in all"
    }
    assert set(annotation_faults({"note": "a\x00"})) == {"note"}


@given(strategies.text(alphabet="ab-", min_size=1, max_size=8))
def test_two_names_join_in_one_way_alone(name):
    """The namespace is `{tenant}--{project}`: what is a name never holds the joint."""
    if not name_fault(name):
        assert f"{name}--x".index("--") == len(name)
