"""Fragments that fetch themselves while a row is unsettled, and then stop."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render

from reconcile.models.declared import Declared
from reconcile.models.rows import Row
from reconcile.values import JSON, Phase, digest

EVERY = 2  # seconds
LONGEST = 300  # seconds; somebody who still looks then asks for more
_AT_REST = frozenset({"NoClusterSelected"})


@dataclass(frozen=True)
class Poll:
    """How a fragment goes on. `since` is when the page began to follow, in Unix seconds.

    `seen` is a hash of what it shows: as long as that stays, nothing is sent anew.
    """

    path: str
    query: str
    seen: str
    since: int
    settled: bool

    @classmethod
    def of(
        cls, request: HttpRequest, path: str, rows: Iterable[Row], *, also: object = None
    ) -> "Poll":
        """Follow `rows` with the fragment at `path`; filters of the page go along.

        `also` is what it shows besides, as plain values.
        """
        shown = list(rows)
        given = request.GET.get("since", "")
        now = int(time.time())
        since = min(int(given), now) if given.isdecimal() and len(given) < 12 else now
        query = request.GET.copy()
        for name in ("seen", "since"):
            query.pop(name, None)
        settled = all(is_settled(row) for row in shown)
        seen = digest([[_face(row) for row in shown], also])
        return cls(path, query.urlencode(), seen, since, settled)

    @property
    def paused(self) -> bool:
        """Whether it stopped although something is unsettled, because it went on for long."""
        return not self.settled and time.time() - self.since > LONGEST

    @property
    def following(self) -> bool:
        """Whether the fragment fetches itself again."""
        return not (self.settled or self.paused)

    @property
    def url(self) -> str:
        """Where the fragment fetches itself from."""
        query = QueryDict(self.query, mutable=True)
        query["seen"], query["since"] = self.seen, str(self.since)
        return f"{self.path}?{query.urlencode()}"


def fragment(request: HttpRequest, template: str, context: JSON, poll: Poll) -> HttpResponse:
    """Answer with the fragment, or with 204 while it would look as it does already."""
    if poll.following and request.GET.get("seen") == poll.seen:
        return HttpResponse(status=204)
    return render(request, template, {**context, "poll": poll})


def is_settled(row: Row) -> bool:
    """Whether nothing is under way: as wanted on its clusters, or with nothing to do."""
    if row.deleting:
        return False
    if _reasons(row.conditions) & _AT_REST:
        return True
    behind = isinstance(row, Declared) and row.observed_generation < row.generation
    return row.phase == Phase.DEPLOYED and not behind


def _reasons(conditions: Sequence[JSON]) -> set[str]:
    return {str(condition["reason"]) for condition in conditions}


def _face(row: Row) -> list[object]:
    """What a page shows of a row, as plain values."""
    more = [getattr(row, name, None) for name in ("generation", "parts", "components", "revision")]
    return [
        row.label,
        row.pk,
        row.phase,
        row.conditions,
        row.observed_generation,
        row.deleting,
        *more,
    ]
