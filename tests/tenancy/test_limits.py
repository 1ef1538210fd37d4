"""Quotas and limits: which keys and values people may declare."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenancy.rules.limits import DEFAULT_LIMITS, default_limits, limit_problems, quota_problems


@pytest.mark.parametrize(
    "quota",
    [
        pytest.param({}, id="none"),
        pytest.param({"requests.cpu": "4", "limits.memory": "8Gi"}, id="compute"),
        pytest.param({"cpu": "500m"}, id="short form"),
        pytest.param({"requests.storage": "1Ti", "persistentvolumeclaims": "4"}, id="storage"),
        pytest.param({"pods": "0"}, id="none at all of something"),
        pytest.param({"services.loadbalancers": "1"}, id="services"),
        pytest.param({"count/deployments.apps": "10", "count/pods": "3"}, id="counts"),
        pytest.param({"requests.memory": "1.5Gi"}, id="decimals that make whole bytes"),
    ],
)
def test_it_takes_what_a_resource_quota_takes(quota):
    assert list(quota_problems(quota)) == []


@pytest.mark.parametrize(
    ("quota", "key", "words"),
    [
        pytest.param([], "", "A quota is a map", id="list"),
        pytest.param(None, "", "A quota is a map", id="null"),
        pytest.param("4", "", "A quota is a map", id="text"),
        pytest.param({"gpus": "1"}, "gpus", "not a resource", id="unknown key"),
        pytest.param({"requests.gpu": "1"}, "requests.gpu", "not a resource", id="unknown request"),
        pytest.param({"count/": "1"}, "count~1", "not a resource", id="count of nothing"),
        pytest.param({"count/A": "1"}, "count~1A", "not a resource", id="count in capitals"),
        pytest.param({"count/a\n": "1"}, "count~1a\n", "not a resource", id="newline in a key"),
        pytest.param({7: "1"}, "7", "not a resource", id="key that is no text"),
        pytest.param({"pods": 20}, "pods", "Quantities are texts", id="number"),
        pytest.param({"pods": True}, "pods", "Quantities are texts", id="boolean"),
        pytest.param({"pods": "many"}, "pods", "'many' is not a quantity", id="no quantity"),
        pytest.param({"pods": "-1"}, "pods", "'-1' is not a quantity", id="negative"),
        pytest.param({"pods": "1.5"}, "pods", "1.5 is no multiple of 1.", id="half a pod"),
        pytest.param({"memory": "100m"}, "memory", "no multiple of 1.", id="a tenth of a byte"),
        pytest.param({"cpu": "0.0001"}, "cpu", "no multiple of 1m.", id="too fine for cpu"),
    ],
)
def test_it_says_what_is_wrong_with_a_quota(quota, key, words):
    ((found, message),) = quota_problems(quota)
    assert found == key and words in message


def test_it_names_everything_that_is_wrong():
    found = dict(quota_problems({"gpus": "1", "pods": "many", "cpu": "1"}))
    assert set(found) == {"gpus", "pods"}


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param({}, id="none"),
        pytest.param({"default": {}}, id="empty kind"),
        pytest.param(default_limits(), id="the default"),
        pytest.param({"max": {"cpu": "2"}, "min": {"cpu": "2"}}, id="equal"),
        pytest.param({"default": {"cpu": "1000m"}, "max": {"cpu": "1"}}, id="equal values"),
        pytest.param({"min": {"cpu": "5"}, "max": {"memory": "1Gi"}}, id="other resources"),
    ],
)
def test_it_takes_what_a_limit_range_takes(limits):
    assert list(limit_problems(limits)) == []


@pytest.mark.parametrize(
    ("limits", "path", "words"),
    [
        pytest.param([], "", "Limits are a map", id="list"),
        pytest.param({"typical": {}}, "typical", "Use default,", id="unknown kind"),
        pytest.param({"max": "1"}, "max", "each a map", id="no map"),
        pytest.param({"max": {"pods": "1"}}, "max/pods", "Limits are for cpu", id="no compute"),
        pytest.param({"max": {"cpu": 1}}, "max/cpu", "Quantities are texts", id="number"),
        pytest.param({"max": {"cpu": "x"}}, "max/cpu", "not a quantity", id="no quantity"),
    ],
)
def test_it_says_what_is_wrong_with_limits(limits, path, words):
    ((found, message),) = limit_problems(limits)
    assert found == path and words in message


@pytest.mark.parametrize(
    ("small", "large"),
    [
        ("min", "default_request"),
        ("min", "default"),
        ("min", "max"),
        ("default_request", "default"),
        ("default_request", "max"),
        ("default", "max"),
    ],
)
def test_it_refuses_limits_that_contradict_each_other(small, large):
    ((path, message),) = limit_problems({small: {"cpu": "2"}, large: {"cpu": "1"}})

    assert path == f"{small}/cpu"
    assert message == f"2 is more than {large} allows (1)."


def test_it_compares_values_and_not_their_spelling():
    assert list(limit_problems({"min": {"memory": "1024Mi"}, "max": {"memory": "1Gi"}})) == []


def test_a_bad_quantity_is_told_once():
    assert len(list(limit_problems({"min": {"cpu": "x"}, "max": {"cpu": "1"}}))) == 1


def test_the_default_is_a_copy():
    limits = default_limits()
    limits["default"]["cpu"] = "64"
    assert DEFAULT_LIMITS["default"]["cpu"] == "500m"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=12,
)


@given(anything)
def test_whatever_is_sent_it_answers_with_problems_and_never_fails(value):
    for key, message in (*quota_problems(value), *limit_problems(value)):
        assert isinstance(key, str) and message


@given(st.dictionaries(st.sampled_from(["default", "max", "min", "default_request"]), anything))
def test_whatever_is_sent_as_limits_it_never_fails(value):
    assert all(message for _, message in limit_problems(value))
