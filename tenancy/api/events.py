"""What happened, over HTTP: to the objects of the tenants that the caller belongs to."""

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from reconcile.api.filters import Rows, StrictFilterBackend, bad_query
from reconcile.api.pagination import NewestFirst
from reconcile.api.views import ApiView
from reconcile.models import Event
from reconcile.refusals import Fault
from tenancy.api.serializers import EventSerializer
from tenancy.timeline import FORM, UnknownObject, about, events_for


class EventFilter(filters.FilterSet):  # type: ignore[misc]
    """By object, correlation id, tenant, cluster or reason."""

    object = filters.CharFilter(method="filter_object", label=f"A uid, or {FORM}.")
    correlation_id = filters.CharFilter()
    tenant = filters.CharFilter()
    cluster = filters.CharFilter()
    kind = filters.CharFilter()
    reason = filters.CharFilter()
    type = filters.ChoiceFilter(choices=Event.Type.choices)

    def filter_object(self, rows: Rows, name: str, value: str) -> Rows:
        """Keep those of one object and of its placements. Raises Invalid."""
        try:
            return about(rows, value)
        except UnknownObject as error:
            raise bad_query([Fault("object", str(error), parameter="object")]) from None


class EventList(ApiView):
    """The timeline."""

    serializer_class = EventSerializer
    pagination_class = NewestFirst
    filterset_class = EventFilter
    filter_backends = (StrictFilterBackend,)
    queryset = Event.objects.none()

    def known_parameters(self) -> tuple[str, ...]:
        """Filters and a page."""
        return (*EventFilter.base_filters, "limit", "cursor")

    def get_queryset(self) -> Rows:
        """Operators see every event, members those of their tenants."""
        if getattr(self, "swagger_fake_view", False):
            return Event.objects.none()
        return events_for(self.user)

    @extend_schema(operation_id="events_list")
    def get(self, request: Request) -> Response:
        """List what happened, newest first.

        With `?correlation_id=` it is the timeline of one request: Requested, Created or Changed
        (generation and fields), then per cluster Planned, Applied (wave by wave) and Observed with
        `data.milliseconds`, at last Deployed or Converged with `data.seconds` since the request.
        """
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)
