"""Freezes: windows in which no new revision is rolled out. KubeNova keeps to them itself. Pure.

A window lies between two moments of one time zone, each written alike: `2026-12-20 18:00` for once,
`fri 16:00` for every week, `22:00` for every day. Its reason tells people why. Windows of several
sources add up. What a policy set hands down carries its name, as `policy_set`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from reconcile.values import JSON
from tenancy.rules.values import Problems

MOST_WINDOWS = 50
FREEZE = "freeze"
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MOMENT = rf"(?:(?:20\d\d-\d\d-\d\d|{'|'.join(_DAYS)}) )?(?:[01]\d|2[0-3]):[0-5]\d"
_ZONE = r"[A-Za-z0-9][A-Za-z0-9_+\-/]{0,62}"
_REASON = r"[^\s;][^;\x00-\x1f\x7f]{1,198}[^\s;]"
_TEXT = re.compile(
    rf"(?P<from>{_MOMENT}) - (?P<until>{_MOMENT})(?: (?P<time_zone>{_ZONE}))?: (?P<reason>.+)",
    re.ASCII,
)
_REQUIRED = {"from", "until", "reason"}
_LINKS = 100  # of windows that follow each other without a gap: enough for a year of every weekend

SCHEMA: JSON = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "from": {"type": "string", "pattern": f"^{_MOMENT}$"},
            "until": {"type": "string", "pattern": f"^{_MOMENT}$"},
            "time_zone": {"type": "string", "pattern": f"^{_ZONE}$", "default": "UTC"},
            "reason": {"type": "string", "minLength": 3, "maxLength": 200},
        },
        "required": sorted(_REQUIRED),
        "additionalProperties": False,
    },
    "minItems": 1,
    "maxItems": MOST_WINDOWS,
}


@dataclass(frozen=True)
class Freeze:
    """A window that is open: since when and until when, why, and who says so; "": the tenant."""

    text: str
    reason: str
    policy_set: str
    since: datetime
    until: datetime

    def __str__(self) -> str:
        who = f"Policy set {self.policy_set}" if self.policy_set else "A restriction of the tenant"
        until = self.until.isoformat(sep=" ", timespec="minutes").replace("+00:00", " UTC")
        why = self.reason.rstrip(".")
        return f"{who} freezes rollouts until {until} ({self.text}: {why})."


def open_at(windows: Iterable[JSON], now: datetime) -> Freeze | None:
    """Return the window that is open at a moment, the one that ends last; None without any.

    Where others follow without a gap, `until` is the end of the last of them.
    """
    known = list(windows)
    if not (found := _open(known, now)):
        return None
    until = found.until
    for _ in range(_LINKS):
        following = _open(known, until)
        if following is None:
            break
        until = following.until
    return replace(found, until=until)


def _open(windows: Sequence[JSON], now: datetime) -> Freeze | None:
    found = [each for each in (_occurrence(window, now) for window in windows) if each]
    return max(found, key=lambda each: each.until, default=None)


def _occurrence(window: JSON, now: datetime) -> Freeze | None:
    """The time that a window is open around a moment, if it is."""
    zone = ZoneInfo(window.get("time_zone", "UTC"))
    today = now.astimezone(zone).date()
    first, last = _day(window["from"]), _day(window["until"])
    began, ends = _time(window["from"]), _time(window["until"])
    if isinstance(first, date):
        spans = [(first, last)]
    else:
        length = _length(window)
        days = (today - timedelta(days=back) for back in range(length + 1))
        starts = (day for day in days if first is None or day.weekday() == first)
        spans = [(day, day + timedelta(days=length)) for day in starts]
    for start, end in spans:
        since = datetime.combine(start, began, zone).astimezone(UTC)
        until = datetime.combine(end, ends, zone).astimezone(UTC)  # type: ignore[arg-type]
        if since <= now < until:
            named = window["reason"], window.get("policy_set", "")
            return Freeze(_told(window), *named, since=since, until=until)
    return None


def _length(window: JSON) -> int:
    """On which day after the one that it begins on a window that comes back ends."""
    first, last = _day(window["from"]), _day(window["until"])
    earlier = _time(window["until"]) <= _time(window["from"])
    if first is None:
        return int(earlier)
    days: int = (last - first) % 7  # type: ignore[operator]
    return days or 7 * earlier


def _day(moment: str) -> date | int | None:
    """The date, or the weekday from 0, that a moment names; None for every day."""
    day, _, clock = moment.rpartition(" ")
    if not (day and clock):
        return None
    return _DAYS.index(day) if day in _DAYS else date.fromisoformat(day)


def _time(moment: str) -> time:
    return time.fromisoformat(moment.rpartition(" ")[2])


def _told(window: JSON) -> str:
    return f"{window['from']} - {window['until']} {window.get('time_zone', 'UTC')}"


# --- What a value may look like.


def windows(value: object) -> Problems:
    """Windows in which nothing is rolled out."""
    if not isinstance(value, list) or not 0 < len(value) <= MOST_WINDOWS:
        yield "", f"This is a list of 1 to {MOST_WINDOWS} windows."
        return
    for index, window in enumerate(value):
        found = list(_window(window))
        for path, text in found:
            yield f"{index}/{path}" if path else str(index), text
        if not found and window in value[:index]:
            yield str(index), "This is listed twice."


def _window(window: object) -> Problems:
    if not isinstance(window, Mapping) or not _REQUIRED <= set(window) <= {*_REQUIRED, "time_zone"}:
        yield (
            "",
            "A window has from, until, a reason and, if it is not UTC, a time_zone; as a text: "
            "fri 16:00 - mon 07:00 Europe/Berlin: Nobody is there.",
        )
        return
    wrong = [key for key in ("from", "until") if not _is_moment(window[key])]
    for key in wrong:
        yield key, "Write it as 2026-12-20 18:00, fri 16:00 or 22:00."
    if not _is_zone(window.get("time_zone", "UTC")):
        yield "time_zone", "There is no such time zone: name one such as Europe/Berlin."
    reason = window["reason"]
    if not isinstance(reason, str) or not re.fullmatch(_REASON, reason):
        yield "reason", "Say why, in 3 to 200 characters of one line, without a semicolon."
    if not wrong and (text := _misfit(window["from"], window["until"])):
        yield "until", text


def _misfit(begin: str, end: str) -> str:
    first, last = _day(begin), _day(end)
    if type(first) is not type(last):
        return "Write it as `from` is written: with a date, with a weekday, or with a time alone."
    if begin == end:
        return "It ends when it begins."
    if isinstance(first, date) and isinstance(last, date):
        backwards = (first, _time(begin)) > (last, _time(end))
        return "It ends before it begins." if backwards else ""
    return ""


def _is_moment(value: object) -> bool:
    if not isinstance(value, str) or not re.fullmatch(_MOMENT, value, re.ASCII):
        return False
    try:
        _day(value)
    except ValueError:  # the 30th of February
        return False
    return True


@cache
def _known_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError
        return False
    return True


def _is_zone(value: object) -> bool:
    good = isinstance(value, str) and re.fullmatch(_ZONE, value, re.ASCII)
    return bool(good) and _known_zone(str(value))


# --- Values of several sources, and values as texts.


def together(one: Sequence[JSON], other: Sequence[JSON]) -> list[JSON]:
    """The windows of both."""
    return [*one, *(window for window in other if window not in one)]


def without(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of rules a cluster has to do with."""
    return {kind: value for kind, value in rules.items() if kind != FREEZE}


def handed_down(rules: Mapping[str, Any], policy_set: str) -> dict[str, Any]:
    """Return rules whose windows tell which policy set they come from."""
    if FREEZE not in rules:
        return dict(rules)
    named = [{**window, "policy_set": policy_set} for window in rules[FREEZE]]
    return {**rules, FREEZE: named}


def written(value: Sequence[object]) -> str:
    """Write windows as one line of text."""
    return "; ".join(_line(each) if isinstance(each, Mapping) else str(each) for each in value)


def _line(window: Mapping[str, Any]) -> str:
    zone = f" {window['time_zone']}" if "time_zone" in window else ""
    who = f" ({window['policy_set']})" if window.get("policy_set") else ""
    return f"{window['from']} - {window['until']}{zone}: {window['reason']}{who}"


def read(text: str) -> list[object]:
    """Return the windows of a text; what is none stays a text, for the validator to refuse."""
    parts = [part.strip() for part in text.split(";") if part.strip()]
    found = ((part, _TEXT.fullmatch(part)) for part in parts)
    return [
        {key: each for key, each in hit.groupdict().items() if each} if hit else part
        for part, hit in found
    ]
