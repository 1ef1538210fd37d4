"""Bodies: strict JSON, bounded; merge patches as RFC 7396 has them (A32)."""

import io

import pytest
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from reconcile.api.bodies import JSONBodyParser, merge_patch, parse_json, pointer
from reconcile.api.serializers import StrictSerializer
from reconcile.refusals import Invalid, TooLarge


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{}", {}),
        (b'{"a": [1, 1.5, true, null, "x"]}', {"a": [1, 1.5, True, None, "x"]}),
        ('{"ä": "😀"}'.encode(), {"ä": "😀"}),
        (rb'"\ud83d\ude00"', "😀"),
        (b"9223372036854775807", 2**63 - 1),
        (b"[" * 32 + b"]" * 32, None),
    ],
)
def test_it_reads_json(body, value):
    found = parse_json(body)
    assert value is None or found == value


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"", "json", id="nothing"),
        pytest.param(b"{", "json", id="cut"),
        pytest.param(b"{} {}", "json", id="two"),
        pytest.param(b"{'a': 1}", "json", id="single quotes"),
        pytest.param(b'{"a": 1, "a": 2}', "json", id="duplicate key"),
        pytest.param(b'{"a": {"b": 1, "b": 1}}', "json", id="duplicate key inside"),
        pytest.param(b"NaN", "json", id="NaN"),
        pytest.param(b"[Infinity]", "json", id="Infinity"),
        pytest.param(b"[-Infinity]", "json", id="-Infinity"),
        pytest.param(b"1e400", "value", id="1e400"),
        pytest.param(b"9223372036854775808", "value", id="2^63"),
        pytest.param(b"1" * 5000, "json", id="5000 digits"),
        pytest.param(rb'"a\u0000"', "value", id="NUL"),
        pytest.param(rb'{"a\u0000": 1}', "value", id="NUL in key"),
        pytest.param(rb'"\ud800"', "value", id="lone high surrogate"),
        pytest.param(rb'"\udc00x"', "value", id="lone low surrogate"),
        pytest.param(rb'{"\ud800": {"b": "\u0000"}}', "value", id="surrogate in key"),
        pytest.param(b'"\xff"', "encoding", id="not UTF-8"),
        pytest.param(b"\xef\xbb\xbf{}", "json", id="byte order mark"),
        pytest.param('{"a": 1}'.encode("utf-16"), "encoding", id="UTF-16"),
        pytest.param(b"[" * 40 + b"]" * 40, "depth", id="40 deep"),
        pytest.param(b"[" * 500_000, "depth", id="500,000 deep"),
        pytest.param(b'{"a":' * 100_000, "depth", id="100,000 objects deep"),
    ],
)
def test_a32_it_refuses_what_cannot_be_read_safely(body, code):
    with pytest.raises(Invalid) as refused:
        parse_json(body)
    (fault,) = refused.value.errors
    assert fault.code == code
    fault.pointer.encode(), fault.detail.encode()


def test_it_points_at_the_culprit():
    with pytest.raises(Invalid) as refused:
        parse_json(rb'{"a": {"b/c": [0, "\u0000"]}}')
    assert refused.value.errors[0].pointer == "/a/b~1c/1"


def test_a32_it_never_reads_more_than_a_megabyte(settings):
    stream = io.BytesIO(b"x" * 10_000_000)
    with pytest.raises(TooLarge):
        JSONBodyParser().parse(stream)
    assert stream.tell() == settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_it_merges_as_the_examples_of_rfc_7396_do(target, patch, merged):
    before = repr(target)
    assert merge_patch(target, patch) == merged
    assert repr(target) == before


def test_a_pointer_escapes_as_rfc_6901_says():
    assert pointer() == ""
    assert pointer("a/b", "c~d", 0) == "/a~1b/c~0d/0"


class Parcel(StrictSerializer):
    """A body with two fields to write, and one to read."""

    weight = serializers.IntegerField(required=False)
    colour = serializers.CharField(required=False)
    sent_at = serializers.DateTimeField(read_only=True)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        pytest.param("wieght", "Did you mean weight?", id="misspelt"),
        pytest.param("zzz", "Known are colour, weight.", id="nothing like it"),
        pytest.param("w" * 65, "Known are colour, weight.", id="too long to be one of ours"),
    ],
)
def test_an_unknown_field_is_told_what_to_write_instead(name, hint):
    with pytest.raises(ValidationError) as caught:
        Parcel(data={name: 1}).is_valid(raise_exception=True)
    assert caught.value.detail == {name: [f"There is no such field. {hint}"]}


def test_a32_of_thousands_of_unknown_fields_only_the_first_are_compared():
    names = [f"field{number:05}" for number in range(5000)]
    with pytest.raises(ValidationError) as caught:
        Parcel(data=dict.fromkeys(names, 1)).is_valid(raise_exception=True)
    told = [caught.value.detail[name][0] for name in names]
    assert len(set(told[5:])) == 1 and len(told[5]) < len(told[4])
