"""A4: whatever properties look like, they are data, bounded, and never evaluated."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.adapters.native import NativeApps
from delivery.rules.problems import component_problems
from delivery.rules.storable import MAX_CHARACTERS, MAX_DEPTH
from tests.delivery.samples import component, intent, with_traits

TEMPLATES = [
    '\\(strings.Join(["a"], ""))',
    'import "http"\nhttp.Get("http://169.254.169.254/")',
    "{{ 7 * 7 }}",
    "{{ .Values.password | toYaml }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}",
    "${jndi:ldap://x/y}",
    "$(cat /etc/passwd)",
    "!!python/object/apply:os.system ['id']",
    "&a [*a, *a]",
    "%(password)s %s %n",
    "context.appName",
]


@pytest.mark.parametrize("text", TEMPLATES)
def test_a4_templates_stay_text_on_their_way_to_the_cluster(text):
    declared = with_traits(
        component(cmd=[text], env=[{"name": "A", "value": text}], annotations={"note": text}),
        env={"env": {"B": text}},
    )
    assert component_problems([declared]) == []
    (found,) = NativeApps().render(intent(declared))
    pod = found["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert container["command"] == [text]
    assert [item["value"] for item in container["env"]] == [text, text]
    assert pod["metadata"]["annotations"] == {"note": text}


TEXT = st.text(max_size=60) | st.sampled_from(TEMPLATES)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(ANYTHING)
def test_a4_anything_for_properties_is_judged_and_never_breaks(value):
    for declared in (
        component(**{"image": value}),
        {**component(), "properties": value},
        {**component(), "traits": value},
        with_traits(component(), env=value),
        value,
    ):
        for path, code, text in component_problems([declared]):
            assert code and text.endswith(".") and len(text) < 400
            assert all(isinstance(part, str | int) for part in path)


@given(st.dictionaries(st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,20}", fullmatch=True), st.text()))
def test_a4_what_is_accepted_reaches_the_manifest_unchanged(values):
    declared = with_traits(component(), env={"env": values})
    problems = component_problems([declared])
    odd = any(ch == "\x00" or "\ud800" <= ch <= "\udfff" for v in values.values() for ch in v)
    assert bool(problems) is odd
    if not problems:
        (found,) = NativeApps().render(intent(declared))
        (container,) = found["spec"]["template"]["spec"]["containers"]
        assert {i["name"]: i["value"] for i in container.get("env", [])} == values


def nested(depth: int) -> object:
    value: object = "bottom"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "code"),
    [
        pytest.param(nested(MAX_DEPTH), "depth", id="too deep"),
        pytest.param(nested(100_000), "depth", id="so deep that recursion would end"),
        pytest.param("x" * MAX_CHARACTERS, "too_large", id="a huge text"),
        pytest.param({"k" * MAX_CHARACTERS: 1}, "too_large", id="a huge key"),
        pytest.param([0] * (MAX_CHARACTERS + 1), "too_large", id="a huge list"),
        pytest.param("a\x00b", "value", id="NUL"),
        pytest.param({"a\x00b": 1}, "value", id="NUL in a key"),
        pytest.param("\ud800", "value", id="half a surrogate pair"),
        pytest.param(math.nan, "value", id="NaN"),
        pytest.param(math.inf, "value", id="infinity"),
        pytest.param(10**30, "value", id="an integer of no database"),
    ],
)
def test_a4_what_cannot_be_kept_safely_is_refused_alone(value, code):
    declared = component(cmd=value, image="")
    (problem,) = component_problems([declared])
    assert problem.code == code


def test_a4_the_depth_limit_leaves_room_for_what_is_valid():
    declared = component(
        readinessProbe={"httpGet": {"path": "/", "port": 1, "httpHeaders": [{"name": "A"}]}}
    )
    assert [problem.code for problem in component_problems([declared])] == ["required"]


def test_a_refusal_never_repeats_the_value():
    secret = "hunter2" * 10
    declared = component(image=secret + " x", cpu=secret, imagePullPolicy=secret, args=secret)
    assert secret not in json.dumps(component_problems([declared]))
