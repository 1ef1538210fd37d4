"""Windows in which nothing is rolled out: when they are open, and how they are written."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenancy.rules.freezing import handed_down, open_at, read, together, windows, written

WEEKEND = {
    "from": "fri 16:00",
    "until": "mon 07:00",
    "time_zone": "Europe/Berlin",
    "reason": "Nobody is there",
}
NIGHT = {"from": "22:00", "until": "06:00", "reason": "Backups"}
CHRISTMAS = {"from": "2026-12-20 18:00", "until": "2027-01-04 08:00", "reason": "Year's end"}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "now", "until"),
    [
        pytest.param(WEEKEND, "2026-12-04 14:59", None, id="not yet, in Berlin"),
        pytest.param(WEEKEND, "2026-12-04 15:00", "2026-12-07 06:00", id="on the minute"),
        pytest.param(WEEKEND, "2026-12-06 12:00", "2026-12-07 06:00", id="two days later"),
        pytest.param(WEEKEND, "2026-12-07 06:00", None, id="over"),
        pytest.param(WEEKEND, "2026-07-03 14:00", "2026-07-06 05:00", id="in summer"),
        pytest.param(WEEKEND, "2026-10-24 12:00", "2026-10-26 06:00", id="clocks go back"),
        pytest.param(NIGHT, "2026-12-04 23:00", "2026-12-05 06:00", id="before midnight"),
        pytest.param(NIGHT, "2026-12-05 05:59", "2026-12-05 06:00", id="after midnight"),
        pytest.param(NIGHT, "2026-12-05 12:00", None, id="by day"),
        pytest.param(CHRISTMAS, "2026-12-31 00:00", "2027-01-04 08:00", id="once"),
        pytest.param(CHRISTMAS, "2027-12-31 00:00", None, id="once and not each year"),
        pytest.param(
            {"from": "mon 16:00", "until": "mon 08:00", "reason": "Nearly always"},
            "2026-12-06 12:00",
            "2026-12-07 08:00",
            id="nearly a week",
        ),
    ],
)
def test_a_window_is_open_from_its_begin_to_its_end(window, now, until):
    found = open_at([window], at(now))
    assert (found.until if found else None) == (at(until) if until else None)


def test_windows_that_follow_without_a_gap_count_as_one():
    later = {"from": "mon 06:00", "until": "mon 09:00", "reason": "Stand-up"}
    found = open_at([later, WEEKEND], at("2026-12-05 12:00"))
    assert (found.until, found.reason) == (at("2026-12-07 09:00"), "Nobody is there")


def test_it_says_who_freezes_what_until_when_and_why():
    rules = handed_down({"freeze": [WEEKEND], "service_types": []}, "weekends")
    assert str(open_at(rules["freeze"], at("2026-12-05 12:00"))) == (
        "Policy set weekends freezes rollouts until 2026-12-07 06:00 UTC "
        "(fri 16:00 - mon 07:00 Europe/Berlin: Nobody is there)."
    )
    own = str(open_at([WEEKEND], at("2026-12-05 12:00")))
    assert own.startswith("A restriction of the tenant freezes rollouts until")


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ([], ""),
        ([{"from": "fri 16:00"}], "0"),
        ([{**WEEKEND, "days": ["mon"]}], "0"),
        (["fri 16:00 - mon 07:00"], "0"),
        ([{**WEEKEND, "from": "fri 24:00"}], "0/from"),
        ([{**WEEKEND, "from": "Friday"}], "0/from"),
        ([{**CHRISTMAS, "from": "2026-02-30 00:00"}], "0/from"),
        ([{**WEEKEND, "until": "2026-12-07 07:00"}], "0/until"),
        ([{**WEEKEND, "until": "fri 16:00"}], "0/until"),
        ([{**CHRISTMAS, "until": "2026-12-20 17:59"}], "0/until"),
        ([{**WEEKEND, "time_zone": "Mars/Base"}], "0/time_zone"),
        ([{**WEEKEND, "time_zone": "../../etc/passwd"}], "0/time_zone"),
        ([{**WEEKEND, "time_zone": "Europe"}], "0/time_zone"),
        ([{**WEEKEND, "reason": "a; b"}], "0/reason"),
        ([{**WEEKEND, "reason": ""}], "0/reason"),
        ([WEEKEND, WEEKEND], "1"),
    ],
)
def test_it_points_at_what_is_wrong(value, path):
    assert [where for where, _ in windows(value)] == [path]


def test_windows_are_typed_as_a_line_and_what_is_none_is_left_to_be_refused():
    found = [WEEKEND, NIGHT, CHRISTMAS]
    assert read(written(found)) == found
    assert read("fri 16:00 to mon; ") == ["fri 16:00 to mon"]
    assert [path for path, _ in windows(read("never"))] == ["0"]


@given(
    st.lists(st.sampled_from([WEEKEND, NIGHT, CHRISTMAS]), max_size=3),
    st.datetimes(
        min_value=datetime(2026, 1, 1), max_value=datetime(2027, 12, 31), timezones=st.just(UTC)
    ),
)
def test_more_windows_never_open_what_fewer_had_frozen(more, now):
    alone = open_at([WEEKEND], now)
    both = open_at(together([WEEKEND], more), now)
    assert alone is None or (both is not None and both.until >= alone.until > now)
