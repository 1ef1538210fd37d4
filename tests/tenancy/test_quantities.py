"""Quantities: parsed and written exactly."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenancy.rules.quantities import parse, unit_of, write


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("0", 0, id="zero"),
        pytest.param("2", 2, id="plain"),
        pytest.param("0.5", Fraction(1, 2), id="decimals"),
        pytest.param("500m", Fraction(1, 2), id="thousandths"),
        pytest.param("1500m", Fraction(3, 2), id="more than a thousand of them"),
        pytest.param("1k", 1000, id="k is lower case"),
        pytest.param("1Ki", 1024, id="Ki"),
        pytest.param("1M", 10**6, id="M"),
        pytest.param("1Mi", 2**20, id="Mi"),
        pytest.param("4Gi", 2**32, id="Gi"),
        pytest.param("1.5Gi", 3 * 2**29, id="decimals with a suffix"),
        pytest.param("1T", 10**12, id="T"),
        pytest.param("1Pi", 2**50, id="Pi"),
        pytest.param("1E", 10**18, id="E"),
        pytest.param("0.1", Fraction(1, 10), id="what no float holds"),
        pytest.param("007", 7, id="leading zeros"),
    ],
)
def test_it_reads_quantities_as_kubernetes_does(text, value):
    assert parse(text) == value


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("m", id="suffix alone"),
        pytest.param("-1", id="negative"),
        pytest.param("+1", id="sign"),
        pytest.param("1e3", id="exponent"),
        pytest.param("1K", id="upper-case K"),
        pytest.param("1ki", id="lower-case ki"),
        pytest.param("1 Gi", id="space"),
        pytest.param(" 1", id="space before"),
        pytest.param("1\n", id="newline"),
        pytest.param("1.", id="point without decimals"),
        pytest.param(".5", id="nothing before the point"),
        pytest.param("1,5", id="comma"),
        pytest.param("٣", id="digits of another script"),
        pytest.param("9" * 19, id="longer than 18 digits"),
        pytest.param("1.0000000001", id="more than nine decimals"),
        pytest.param("NaN", id="no number"),
        pytest.param("0x10", id="hexadecimal"),
    ],
)
def test_it_refuses_what_is_no_quantity(text):
    with pytest.raises(ValueError, match="is not a quantity such as 500m, 2 or 4Gi"):
        parse(text)


@pytest.mark.parametrize(
    ("resource", "value", "text"),
    [
        pytest.param("requests.cpu", Fraction(3, 2), "1500m", id="cpu in thousandths"),
        pytest.param("limits.cpu", Fraction(2), "2000m", id="limits"),
        pytest.param("cpu", Fraction(0), "0m", id="none"),
        pytest.param("requests.memory", Fraction(2**30), "1073741824", id="memory in bytes"),
        pytest.param("pods", Fraction(7), "7", id="counts"),
        pytest.param("count/cpu", Fraction(7), "7", id="a count of things called cpu"),
        pytest.param("pods", Fraction(7, 2), "3", id="never more than there is"),
    ],
)
def test_it_writes_in_the_unit_of_the_resource(resource, value, text):
    assert write(value, resource) == text


@given(st.integers(0, 10**12), st.sampled_from(["requests.cpu", "requests.memory", "pods"]))
def test_what_it_writes_it_reads(units, resource):
    value = units * unit_of(resource)
    assert parse(write(value, resource)) == value
