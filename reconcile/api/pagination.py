"""Lists in pages: a cursor, so that pages stay true while rows come and go."""

import binascii
from typing import Any

from django.core.exceptions import ValidationError
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from reconcile.api.filters import Rows, bad_query
from reconcile.refusals import Fault

DEFAULT_LIMIT = 50
MAX_LIMIT = 500


class ItemsPagination(CursorPagination):
    """`{"items": […], "next": url or null, "previous": url or null}`; `?limit=` up to 500."""

    page_size = DEFAULT_LIMIT
    max_page_size = MAX_LIMIT
    page_size_query_param = "limit"
    page_size_query_description = f"Items per page, 1 to {MAX_LIMIT}; {DEFAULT_LIMIT} by default."
    cursor_query_description = "Where to go on: take the whole URL from `next` or `previous`."
    ordering = "pk"

    def paginate_queryset(  # type: ignore[override]
        self, queryset: Rows, request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        """Return one page of rows. Raises Invalid for a cursor of our own making no longer."""
        self.rows = queryset
        return super().paginate_queryset(queryset, request, view)

    def get_page_size(self, request: Request) -> int:
        """Return the wanted size. Raises Invalid where it is out of range."""
        given = request.query_params.get(self.page_size_query_param)
        if given is None:
            return DEFAULT_LIMIT
        if not (given.isascii() and given.isdigit() and len(given) < 9):
            raise _bad("limit", "It must be a whole number.")
        if not 1 <= int(given) <= MAX_LIMIT:
            raise _bad("limit", f"It must be between 1 and {MAX_LIMIT}.")
        return int(given)

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Return the position that the cursor names. Raises Invalid where it names none.

        The position comes from the client and goes into a comparison with a column: it must read as
        a value of that column.
        """
        try:
            cursor = super().decode_cursor(request)
            if cursor == Cursor(0, False, None):
                raise ValueError("a cursor of ours goes somewhere")
            if cursor is not None and cursor.position is not None:
                self._refuse_foreign(str(cursor.position))
        except (NotFound, ValidationError, binascii.Error, OverflowError, ValueError):
            raise _bad("cursor", "Take it from `next` or `previous`; this is none.") from None
        return cursor

    def _refuse_foreign(self, position: str) -> None:
        if "\x00" in position:
            raise ValueError("NUL")
        column = self.ordering[0].removeprefix("-")
        meta = self.rows.model._meta
        field = meta.pk if column == "pk" else meta.get_field(column)
        field.to_python(position)

    def get_paginated_response(self, data: Any) -> Response:
        """Return the page."""
        links = {"next": self.get_next_link(), "previous": self.get_previous_link()}
        return Response({"items": data, **links})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Describe the page in the OpenAPI document."""
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["items", "next", "previous"],
            "properties": {"items": schema, "next": link, "previous": link},
        }


def _bad(parameter: str, detail: str) -> Exception:
    return bad_query([Fault(parameter, detail, parameter=parameter)])


class NewestFirst(ItemsPagination):
    """What happens is listed newest first."""

    ordering = "-pk"
