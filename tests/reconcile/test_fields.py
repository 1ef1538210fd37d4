"""Paths to fields, in the notations of managedFields, people and rules."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.fields import (
    ABSENT,
    at_pointer,
    copied,
    get,
    items_of,
    of_field,
    of_item,
    parse,
    pointer,
    put,
    shown,
    without,
)

WEB = of_item({"name": "web"})
SPEC = {
    "replicas": 2,
    "containers": [
        {"name": "db", "image": "pg:1"},
        {"name": "web", "image": "shop:1", "ports": [{"containerPort": 80}], "args": ["a", "b"]},
    ],
    "finalizers": ["kubernetes"],
}
BODY = {
    "metadata": {"name": "shop", "labels": {"app.kubernetes.io/name": "shop"}},
    "spec": SPEC,
}
IMAGE = ("f:spec", "f:containers", WEB, "f:image")
PORT = of_item({"containerPort": 80, "protocol": "TCP"})
PORTS = ("f:spec", "f:containers", WEB, "f:ports")

NOTATIONS = [
    pytest.param((), "", "", id="the object itself"),
    pytest.param(("f:spec",), ".spec", "/spec", id="field"),
    pytest.param(IMAGE, ".spec.containers[name=web].image", "/spec/containers/name=web/image"),
    pytest.param(
        ("f:metadata", "f:labels", "f:app.kubernetes.io/name"),
        ".metadata.labels['app.kubernetes.io/name']",
        "/metadata/labels/app.kubernetes.io~1name",
        id="key with dots and a slash",
    ),
    pytest.param(
        (*PORTS, PORT),
        ".spec.containers[name=web].ports[containerPort=80,protocol=TCP]",
        "/spec/containers/name=web/ports/containerPort=80,protocol=TCP",
        id="several keys",
    ),
    pytest.param(
        ("f:spec", "f:finalizers", 'v:"kubernetes"'),
        '.spec.finalizers[="kubernetes"]',
        '/spec/finalizers/="kubernetes"',
        id="member of a set",
    ),
    pytest.param(
        (*PORTS[:-1], "f:args", "i:1"),
        ".spec.containers[name=web].args[1]",
        "/spec/containers/name=web/args/1",
        id="place in a list",
    ),
]


@pytest.mark.parametrize(("path", "people", "rule"), NOTATIONS)
def test_a_path_is_written_in_each_notation_and_read_again(path, people, rule):
    assert (shown(path), parse(people)) == (people, path)
    assert (pointer(path), at_pointer(rule, BODY)) == (rule, path)


NAMES = st.text(min_size=1, max_size=12)
ELEMENTS = st.one_of(
    NAMES.map(of_field),
    NAMES.map(lambda name: of_item({"name": name})),
    st.tuples(st.integers(1, 65535), st.sampled_from(["TCP", "UDP", "80", "null", "a b", '"'])).map(
        lambda keys: of_item({"port": keys[0], "protocol": keys[1]})
    ),
    st.integers(0, 99).map(lambda place: f"i:{place}"),
)


@given(st.lists(ELEMENTS, max_size=6).map(tuple))
def test_what_is_shown_to_people_can_be_read_again(path):
    assert parse(shown(path)) == path


@given(st.lists(NAMES, max_size=6))
def test_a_pointer_through_maps_can_be_read_again(names):
    body: object = "end"
    for name in reversed(names):
        body = {name: body}
    path = tuple(of_field(name) for name in names)

    assert at_pointer(pointer(path), body) == path
    assert get(body, path) == "end"


@pytest.mark.parametrize("text", ["spec", ".spec..a", ".spec[", ".spec[name=]", "['a", ".a b"])
def test_it_refuses_what_is_no_path(text):
    with pytest.raises(ValueError, match="is no path of a field"):
        parse(text)


def test_it_refuses_what_is_no_pointer():
    with pytest.raises(ValueError, match="begin with a slash"):
        at_pointer("spec/replicas")


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        pytest.param("/spec/containers/1/image", IMAGE, id="a place becomes the item's name"),
        pytest.param(
            "/spec/containers/9/image",
            ("f:spec", "f:containers", "i:9", "f:image"),
            id="a place that is not there",
        ),
        pytest.param("/spec/new/0", ("f:spec", "f:new", "f:0"), id="nothing there: a key"),
        pytest.param(
            "/spec/new/name=x", ("f:spec", "f:new", of_item({"name": "x"})), id="nothing: an item"
        ),
        pytest.param("/metadata/a=b", ("f:metadata", "f:a=b"), id="a key of a map"),
        pytest.param("/a~01~1b", ("f:a~1/b",), id="escapes"),
    ],
)
def test_a_pointer_is_read_by_what_it_leads_through(rule, path):
    assert at_pointer(rule, BODY) == path


def test_a_pointer_is_read_by_the_first_body_that_reaches_there():
    assert at_pointer("/spec/containers/0", {"spec": {}}, BODY)[-1] == of_item({"name": "db"})


# --- What lies at a path.


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (IMAGE, "shop:1"),
        ((*PORTS, PORT), {"containerPort": 80}),
        (("f:spec", "f:finalizers", 'v:"kubernetes"'), "kubernetes"),
        (("f:spec", "f:finalizers", 'v:"other"'), ABSENT),
        (("f:spec", "f:containers", "i:0", "f:name"), "db"),
        (("f:spec", "f:containers", "f:name"), ABSENT),
        (("f:spec", "f:replicas", "f:deeper"), ABSENT),
        (("f:spec", WEB), ABSENT),
        (("f:spec", "f:containers", "k:{broken"), ABSENT),
        (("f:spec", "f:containers", "i:x"), ABSENT),
        ((), BODY),
    ],
)
def test_it_finds_what_lies_at_a_path(path, found):
    assert get(BODY, path) == found


def test_a_key_that_an_item_does_not_name_is_at_its_default():
    assert get(BODY, (*PORTS, of_item({"containerPort": 80, "protocol": "TCP"}))) is not ABSENT
    assert get(BODY, (*PORTS, of_item({"containerPort": 81, "protocol": "TCP"}))) is ABSENT


def test_names_tell_items_apart_only_when_they_are_unique():
    assert items_of([{"name": "a"}, {"name": "a"}]) == {}
    assert items_of([{"name": "a"}, {"kind": "b"}]) == items_of([1, 2]) == items_of("text") == {}
    assert list(items_of([{"name": "a"}])) == [of_item({"name": "a"})]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (IMAGE, "shop:2"),
        (("f:spec", "f:new", "f:deep"), {"a": [1]}),
        (("f:spec", "f:containers", of_item({"name": "sidecar"}), "f:image"), "proxy:1"),
        (("f:spec", "f:volumes", of_item({"name": "data"}), "f:size"), 3),
        (("f:metadata", "f:annotations", "f:a/b"), "x"),
        (("f:spec", "f:containers", WEB), {"image": "shop:3"}),
    ],
)
def test_what_is_put_at_a_path_lies_there(path, value):
    before = copy.deepcopy(BODY)
    after = put(BODY, path, value)

    found = get(after, path)
    assert found == value or value.items() <= found.items()
    assert before == BODY, "it works on a copy"


def test_an_item_that_is_put_into_a_list_keeps_its_name():
    after = put(BODY, ("f:spec", "f:containers", WEB), {"image": "shop:3"})
    assert after["spec"]["containers"][1] == {"name": "web", "image": "shop:3"}


def test_nothing_put_takes_away():
    assert get(put(BODY, IMAGE, ABSENT), IMAGE) is ABSENT


@pytest.mark.parametrize(
    "path", [("f:spec", "f:replicas", "f:x"), ("f:spec", WEB), ("f:spec", "f:containers", "f:x")]
)
def test_it_refuses_to_put_something_where_nothing_can_be(path):
    with pytest.raises(ValueError, match="cannot be set here"):
        put(BODY, path, 1)


def test_taking_away_empties_what_led_there_but_for_the_names_of_items():
    body = {
        "metadata": {"name": "x", "labels": {"a": "1"}},
        "spec": {"list": [{"name": "w", "v": 1}]},
    }
    item = ("f:spec", "f:list", of_item({"name": "w"}))

    assert without(body, ("f:metadata", "f:labels", "f:a")) == {**body, "metadata": {"name": "x"}}
    assert without(body, (*item, "f:v"))["spec"] == {"list": [{"name": "w"}]}
    assert without(body, (*item, "f:name")) == body, "an item without its name is another item"
    assert without(body, item) == {"metadata": body["metadata"]}
    assert without(body, ()) == without(body, ("f:nothing", "f:here")) == body


def test_the_metadata_stays_whatever_is_taken_out_of_it():
    assert without({"metadata": {"labels": {}}}, ("f:metadata", "f:labels")) == {"metadata": {}}


def test_a_copy_shares_nothing():
    shared = {"a": 1}
    found = copied({"one": shared, "two": [shared]})
    found["one"]["a"] = 2

    assert found["two"] == [{"a": 1}] and shared == {"a": 1}


def leaves():
    """Any JSON that a manifest may hold."""
    return st.recursive(
        st.one_of(st.integers(), st.text(max_size=5), st.booleans()),
        lambda inner: st.one_of(
            st.dictionaries(st.text(max_size=5), inner, max_size=4), st.lists(inner, max_size=3)
        ),
        max_leaves=12,
    )


@given(st.dictionaries(st.text(max_size=5), leaves(), max_size=4), st.data())
def test_what_is_taken_away_is_gone_and_the_rest_is_untouched(body, data):
    path, here = (), body
    while isinstance(here, dict) and here and (not path or data.draw(st.booleans())):
        key = data.draw(st.sampled_from(sorted(here)))
        path, here = (*path, of_field(key)), here[key]
    after = without(body, path)

    assert path == () or get(after, path) is ABSENT
    assert all(after.get(key) == body[key] for key in body if of_field(key) != path[:1][0])
