"""Exceptions from an attachment's rules over HTTP: made and ended, never changed."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from policies.api.serializers import ExceptionSerializer, ExceptionSpecSerializer
from policies.api.views import SCOPE
from policies.models import Attachment, PolicyException
from reconcile.api import lookup
from reconcile.api.idempotency import once
from reconcile.api.pagination import ItemsPagination
from reconcile.api.plans import plannable
from reconcile.api.views import ApiView


class _Exceptions(ApiView):
    """What the list and single ones share: the attachment, found among what the caller sees."""

    collection = "attachments"
    filter_backends = ()
    pagination_class = ItemsPagination
    serializer_class = ExceptionSerializer
    queryset = PolicyException.objects.none()

    def attachment(self) -> Attachment:
        """Return the attachment that the path names. Raises NotFound."""
        names = {"policyset": self.kwargs["policyset"]}
        rows = lookup.narrow(lookup.visible(Attachment, self.user), SCOPE, names)
        found: Attachment = lookup.only(
            rows.select_related("policy_set"), self.kwargs["attachment"], SCOPE
        )
        return found


class ExceptionList(_Exceptions):
    """All of an attachment."""

    query_parameters = ("limit", "cursor")

    def get(self, request: Request, **kwargs: Any) -> Response:
        """List the exceptions, also those that hold no more."""
        page = self.paginate_queryset(self.attachment().exceptions.all())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def known_parameters(self) -> tuple[str, ...]:
        """A list takes a page."""
        return self.query_parameters if self.request.method == "GET" else ()

    @extend_schema(request=ExceptionSpecSerializer, responses={201: ExceptionSerializer})
    @plannable
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Spare a tenant, or one of its projects, one kind of the rules until a day."""
        row = self.attachment()
        body = ExceptionSpecSerializer(data=self.body())
        body.is_valid(raise_exception=True)

        def made() -> Response:
            found = row.make_exception(self.user.get_username(), **body.validated_data)
            return Response(self.get_serializer(found).data, status=201)

        return once(request, made)


class ExceptionDetail(_Exceptions):
    """One exception."""

    def get(self, request: Request, **kwargs: Any) -> Response:
        """Return an exception."""
        return Response(self.get_serializer(self._found(self.attachment())).data)

    @extend_schema(responses={204: None})
    @plannable
    def delete(self, request: Request, **kwargs: Any) -> Response:
        """End an exception: the rule holds again."""
        row = self.attachment()
        row.end_exception(self._found(row), self.user.get_username())
        return Response(status=204)

    def _found(self, row: Attachment) -> PolicyException:
        found = row.exceptions.filter(uid=self.kwargs["uid"]).first()
        if found is None:
            raise NotFound
        return found
