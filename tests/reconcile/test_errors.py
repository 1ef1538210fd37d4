"""What can go wrong on a cluster, and how long it is left alone then."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile import errors
from reconcile.errors import (
    ClusterError,
    Conflict,
    FieldConflict,
    Missing,
    Refused,
    Stale,
    Taken,
    Unauthenticated,
    Unreachable,
    Waiting,
)

CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, ClusterError)
]


@pytest.mark.parametrize(
    ("kind", "first", "ceiling"),
    [
        pytest.param(Unreachable, 1, 60, id="network: seconds up to a minute"),
        pytest.param(Refused, 2, 300, id="refused: up to five minutes"),
        pytest.param(Taken, 2, 300, id="taken: as refused"),
        pytest.param(Waiting, 2, 60, id="waiting: up to a minute"),
        pytest.param(Unauthenticated, 30, 300, id="dead credential"),
        pytest.param(Missing, 30, 600, id="not served"),
        pytest.param(Conflict, 0.05, 30, id="conflict: at once"),
        pytest.param(Stale, 0, 1, id="lost lease: at once"),
    ],
)
def test_it_waits_longer_after_each_failure_up_to_a_ceiling(kind, first, ceiling):
    for failures in (1, 2, 3, 10, 1000):
        expected = min(ceiling, first * 2.0 ** (failures - 1))
        assert expected * 0.8 <= kind("…").delay(failures) <= expected * 1.2


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
@given(failures=st.integers(0, 10**9), retry_after=st.none() | st.floats(0, 1e12))
def test_every_wait_is_finite_and_no_longer_than_an_hour(kind, failures, retry_after):
    delay = kind("…", **({} if kind is Conflict else {"retry_after": retry_after})).delay(failures)
    assert 0 <= delay <= 3600 and math.isfinite(delay)


def test_waits_are_spread_so_that_rows_do_not_return_together():
    assert len({Unreachable("…").delay(5) for _ in range(20)}) > 10


@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [
        pytest.param(None, 0.8, 1.2, id="none: the backoff"),
        pytest.param(0.0, 0.8, 1.2, id="zero: the backoff"),
        pytest.param(30.0, 30, 36, id="longer than the backoff"),
        pytest.param(0.1, 0.8, 1.2, id="shorter than the backoff"),
        pytest.param(1e300, 3600, 3600, id="absurd: an hour"),
        pytest.param(math.inf, 3600, 3600, id="infinite: an hour"),
        pytest.param(-5.0, 0.8, 1.2, id="negative: the backoff"),
        pytest.param(math.nan, 0.8, 1.2, id="no number: the backoff"),
    ],
)
def test_it_honours_retry_after_f11(retry_after, least, most):
    assert least <= Unreachable("…", retry_after=retry_after).delay(1) <= most


def test_those_who_were_told_the_same_do_not_return_together_f24():
    assert len({round(Unreachable("…", retry_after=60).delay(1)) for _ in range(50)}) > 5


def test_what_is_taken_is_a_refusal():
    assert issubclass(Taken, Refused)


def test_every_class_says_what_is_next_by_its_own_reason():
    reasons = [kind.reason for kind in CLASSES]
    assert len(set(reasons)) == len(reasons) and all(reason.isalpha() for reason in reasons)


def test_a_conflict_names_the_fields_and_who_has_them():
    fields = (FieldConflict("kubectl-edit", ".spec.replicas"),)
    assert Conflict("managed by kubectl-edit", fields).fields == fields
    assert Conflict("the uid moved on").fields == ()


def test_the_message_is_for_people():
    assert str(Refused("exceeded quota")) == Refused("exceeded quota").message == "exceeded quota"
