"""If-Match and If-None-Match (RFC 9110, 13.1): the ETag of an object is its generation."""

from typing import Protocol

from rest_framework.request import Request

from reconcile.refusals import PreconditionFailed

PLAN_PARAMETER = "dryRun"
PLAN_HEADER = "If-Plan"


class Versioned(Protocol):
    """Something whose spec counts its changes."""

    generation: int


def etag(row: Versioned) -> str:
    """Return the strong ETag of the row's spec. Its status may change under the same ETag."""
    return f'"{row.generation}"'


def refuse_stale(request: Request, row: Versioned | None) -> None:
    """Refuse a write that was meant for another state; None stands for no object at all.

    Raises PreconditionFailed. If-Match compares strongly: `W/"3"` matches nothing.
    """
    wanted, unwanted = (_tags(request, name) for name in ("If-Match", "If-None-Match"))
    if wanted is not None and not _matches(wanted, row):
        now = f"It is at generation {row.generation}." if row else "There is no such object yet."
        raise PreconditionFailed(f"If-Match names another state. {now}")
    if unwanted is not None and _matches(unwanted, row):
        raise PreconditionFailed("If-None-Match forbids to write over what is there.")


def _tags(request: Request, header: str) -> set[str] | None:
    given = request.headers.get(header)
    return None if given is None else {tag.strip() for tag in given.split(",")}


def _matches(tags: set[str], row: Versioned | None) -> bool:
    return row is not None and ("*" in tags or etag(row) in tags)
