"""Kubernetes Events as KubeNova tells them: bounded, harmless to a terminal and a page. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from delivery.rules.printable import printable
from reconcile.values import JSON

_WORD, _TEXT = 253, 1024


@dataclass(frozen=True)
class Happening:
    """What a cluster says of an object, `count` times; `last` is RFC 3339, empty if unknown."""

    warning: bool
    reason: str
    message: str
    object: str
    count: int
    last: str

    @property
    def type(self) -> str:
        """As Kubernetes calls it."""
        return "Warning" if self.warning else "Normal"


def happenings(
    events: Iterable[JSON], about: Collection[tuple[str, str]], most: int
) -> list[Happening]:
    """Return the newest of those events that are about one of these (kind, name) objects."""
    found = [
        _happening(body)
        for body in events
        if (_part(body, "involvedObject", "kind"), _part(body, "involvedObject", "name")) in about
    ]
    return sorted(found, key=lambda each: each.last, reverse=True)[:most]


def _happening(body: JSON) -> Happening:
    kind, name = (_part(body, "involvedObject", key) for key in ("kind", "name"))
    series = _part(body, "series", "count")
    count = series or str(body.get("count") or "1")
    times = (
        *(_part(body, "series", "lastObservedTime"), body.get("lastTimestamp")),
        *(body.get("eventTime"), _part(body, "metadata", "creationTimestamp")),
    )
    return Happening(
        warning=body.get("type") == "Warning",
        reason=_safe(body.get("reason"), _WORD),
        message=_safe(body.get("message"), _TEXT),
        object=_safe(f"{kind} {name}", _WORD),
        count=int(count) if count.isascii() and count.isdigit() and len(count) < 10 else 1,
        last=_safe(next((each for each in times if each), ""), 40),
    )


def _part(body: JSON, outer: str, inner: str) -> str:
    found = body.get(outer)
    value = found.get(inner) if isinstance(found, dict) else None
    return str(value) if isinstance(value, str | int) else ""


def _safe(value: object, most: int) -> str:
    text = value if isinstance(value, str) else ""
    return " ".join(printable(line) for line in text[: 2 * most].splitlines())[:most]
