"""Label selectors: the grammar of kubectl, read strictly (A30)."""

import pytest

from reconcile.selectors import BadSelector, Operator, Requirement, Selector

IN, NOT_IN, EXISTS, ABSENT = Operator


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a=b", [Requirement("a", IN, ("b",))]),
        ("a==b", [Requirement("a", IN, ("b",))]),
        ("a!=b", [Requirement("a", NOT_IN, ("b",))]),
        ("a", [Requirement("a", EXISTS)]),
        ("!a", [Requirement("a", ABSENT)]),
        ("a in (b)", [Requirement("a", IN, ("b",))]),
        ("a in (b,c)", [Requirement("a", IN, ("b", "c"))]),
        ("a notin (b, c)", [Requirement("a", NOT_IN, ("b", "c"))]),
        ("a=", [Requirement("a", IN, ("",))]),
        ("a in ()", [Requirement("a", IN, ("",))]),
        ("example.org/a=b", [Requirement("example.org/a", IN, ("b",))]),
        ("123=4", [Requirement("123", IN, ("4",))]),
        ("in in (in)", [Requirement("in", IN, ("in",))]),
        (
            " a = b , c ,!d, e in ( f , g ) ",
            [
                Requirement("a", IN, ("b",)),
                Requirement("c", EXISTS),
                Requirement("d", ABSENT),
                Requirement("e", IN, ("f", "g")),
            ],
        ),
    ],
)
def test_it_reads_what_kubectl_reads(text, wanted):
    assert Selector.parse(text) == Selector(tuple(wanted))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("   ", id="blank"),
        pytest.param(",", id="comma"),
        pytest.param("a,", id="trailing comma"),
        pytest.param(",a", id="leading comma"),
        pytest.param("a b", id="two words"),
        pytest.param("=b", id="no key"),
        pytest.param("a=b=c", id="two values"),
        pytest.param("a=b c", id="word after value"),
        pytest.param("a),x notin (z", id="A30: closing the added selector"),
        pytest.param("a in (b", id="open list"),
        pytest.param("a in b", id="no list"),
        pytest.param("a in (b c)", id="list without comma"),
        pytest.param("a notin", id="no values"),
        pytest.param("!a=b", id="absent with value"),
        pytest.param("!", id="absent nothing"),
        pytest.param("!!a", id="twice absent"),
        pytest.param("a>1", id="greater"),
        pytest.param("a='b'", id="quotes"),
        pytest.param('a="b"', id="double quotes"),
        pytest.param("a=b;drop", id="semicolon"),
        pytest.param("-a=b", id="key that is none"),
        pytest.param("a=-b", id="value that is none"),
        pytest.param(f"a={'b' * 64}", id="long value"),
        pytest.param(f"{'a' * 64}=b", id="long key"),
        pytest.param("ä=b", id="umlaut"),
        pytest.param("a=b\x00", id="NUL"),
        pytest.param("a," * 3000 + "a", id="12 kB"),
    ],
)
def test_a30_it_refuses_everything_else(text):
    with pytest.raises(BadSelector):
        Selector.parse(text)


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("a=b", {"a": "b"}, True),
        ("a=b", {"a": "c"}, False),
        ("a=b", {}, False),
        ("a!=b", {"a": "b"}, False),
        ("a!=b", {"a": "c"}, True),
        ("a!=b", {}, True),
        ("a notin (b,c)", {}, True),
        ("a notin (b,c)", {"a": "c"}, False),
        ("a in (b,c)", {"a": "c"}, True),
        ("a", {"a": ""}, True),
        ("!a", {"a": ""}, False),
        ("!a", {"b": ""}, True),
        ("a=", {"a": ""}, True),
        ("a=", {}, False),
        ("a=b,c=d", {"a": "b", "c": "d"}, True),
        ("a=b,c=d", {"a": "b"}, False),
    ],
)
def test_it_matches_as_kubernetes_does(text, labels, matches):
    assert Selector.parse(text).matches(labels) is matches
