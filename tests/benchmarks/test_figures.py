"""Numbers for people: middles and worst cases, ratios, tables, files."""

import json
import math
import random

import pytest
from _figures import Spread, middle, percentile, ratio, rounded, spreads, table, write


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        pytest.param([7], 0.5, 7, id="one value is every percentile"),
        pytest.param([7], 0.99, 7, id="also the high ones"),
        pytest.param([1, 2], 0.5, 1, id="the middle of two is a value that was measured"),
        pytest.param([1, 2, 3], 0.5, 2, id="the middle of three"),
        pytest.param(list(range(1, 101)), 0.99, 99, id="the 99th of a hundred"),
        pytest.param(list(range(1, 101)), 1.0, 100, id="the last of a hundred"),
        pytest.param(list(range(1, 51)), 0.99, 50, id="of fifty the worst"),
        pytest.param([1, 2, 3], 0.0, 1, id="the least"),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(values, share, expected):
    assert percentile(values, share) == expected


def test_a_percentile_is_not_exceeded_by_so_many():
    values = sorted(random.Random(5).random() for _ in range(1000))
    for share in (0.1, 0.5, 0.9, 0.99):
        found = percentile(values, share)
        assert sum(value <= found for value in values) >= share * len(values)
        assert sum(value < found for value in values) < share * len(values)


def test_a_spread_is_in_milliseconds_whatever_the_order():
    assert Spread.of([0.003, 0.001, 0.002]) == Spread(3, 2.0, 3.0, 3.0)


def test_a_spread_of_nothing_is_no_result():
    with pytest.raises(ValueError, match="nothing was measured"):
        Spread.of([])


def test_one_slow_call_of_a_thousand_shows_as_the_worst_alone():
    spread = Spread.of([0.01] * 999 + [5.0])
    assert (spread.p50, spread.p99, spread.max) == (10.0, 10.0, 5000.0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([3.0, 1.0, 2.0], 2.0), ([4.0, 1.0], 1.0), ([9.0], 9.0)],
    ids=["odd", "even", "one"],
)
def test_the_middle_of_rounds_is_one_of_them(values, expected):
    assert middle(values) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, 0.0), (1234.5, 1230.0), (0.012345, 0.0123), (-98.76, -98.8), (7.0, 7.0)],
)
def test_three_digits_are_told(value, expected):
    assert rounded(value) == expected


def test_what_is_no_number_stays_so():
    assert math.isinf(rounded(math.inf)) and math.isnan(rounded(math.nan))


def test_a_ratio_says_how_many_times_the_floor():
    assert ratio(300.0, 7.0) == 42.9
    assert math.isinf(ratio(1.0, 0.0))


def test_a_table_lines_up_and_is_markdown():
    text = table(("", "n"), [("floor", 1), ("a", 1000)])
    assert text.splitlines() == [
        "|       | n    |",
        "| ----- | ---- |",
        "| floor | 1    |",
        "| a     | 1000 |",
    ]


def test_series_are_told_with_their_number():
    text = spreads({"floor": Spread(200, 6.4, 32.6, 40.0)})
    assert text.splitlines()[-1] == "| floor | 200 | 6.4    | 32.6   | 40.0   |"


def test_figures_are_written_as_json_with_their_spreads(tmp_path):
    path = tmp_path / "made" / "repair.json"
    write(path, {"series": {"floor": Spread.of([0.001])}, "n": 1})

    assert json.loads(path.read_text()) == {
        "n": 1,
        "series": {"floor": {"n": 1, "p50": 1.0, "p99": 1.0, "max": 1.0}},
    }
    assert [each.name for each in path.parent.iterdir()] == ["repair.json"]
