"""Lists in pages: a page of rows, or what came before an event."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest

PAGE_SIZE = 20
EVENTS_SIZE = 50
_LONGEST_NUMBER = 18

Listed = TypeVar("Listed", bound=Model)


def page_of(request: HttpRequest, rows: "QuerySet[Listed]", size: int = PAGE_SIZE) -> Page[Any]:
    """Return the page that `?page=` asks for; the nearest one for a number out of range."""
    return Paginator(rows, size).get_page(request.GET.get("page"))


@dataclass(frozen=True)
class Slice:
    """Rows, newest first. `older` is the key to continue before, None at the end."""

    rows: Sequence[Any]
    older: int | None
    first: bool


def newest_first(request: HttpRequest, rows: "QuerySet[Listed]", size: int = EVENTS_SIZE) -> Slice:
    """Return the newest rows, or those before `?before=`, without counting or skipping any."""
    before = request.GET.get("before", "")
    known = before.isdecimal() and len(before) <= _LONGEST_NUMBER
    if known:
        rows = rows.filter(pk__lt=int(before))
    found = list(rows.order_by("-pk")[: size + 1])
    older = found[size - 1].pk if len(found) > size else None
    return Slice(found[:size], older, first=not known)
