"""Revisions of an app over HTTP: they are read and compared, never written."""

import difflib
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from delivery.api.serializers import RevisionDetailSerializer, RevisionSerializer
from delivery.api.views import SCOPE
from delivery.environment_form import as_yaml
from delivery.models import App, Revision
from delivery.rules.differences import differences
from reconcile.api import lookup
from reconcile.api.filters import bad_query
from reconcile.api.pagination import ItemsPagination
from reconcile.api.views import ApiView
from reconcile.refusals import Fault


class NewestFirst(ItemsPagination):
    """What is numbered comes newest first."""

    ordering = "-number"


class _Revisions(ApiView):
    """What the list and single revisions share: the app, found among what the caller sees."""

    collection = "apps"
    filter_backends = ()
    pagination_class = NewestFirst
    queryset = Revision.objects.none()
    query_parameters = tuple(SCOPE)

    def revisions(self) -> "QuerySet[Revision]":
        """Return the revisions of the app that the path names. Raises NotFound, Ambiguous."""
        names = lookup.agreed_names(SCOPE, self.kwargs, self.request.query_params, {})
        rows = lookup.narrow(lookup.visible(App, self.user), SCOPE, names)
        app: App = lookup.only(rows, self.kwargs["name"], SCOPE)
        return app.revisions.select_related("block")


class RevisionList(_Revisions):
    """All revisions."""

    serializer_class = RevisionSerializer
    query_parameters = (*SCOPE, "limit", "cursor")

    def get(self, request: Request, **kwargs: Any) -> Response:
        """List the revisions of an app, newest first."""
        page = self.paginate_queryset(self.revisions().defer("spec"))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class RevisionDifferenceSerializer(serializers.Serializer[object]):
    """A field that two revisions differ in."""

    path = serializers.ListField(
        child=serializers.CharField(), help_text="The keys down to it; items of lists by name."
    )
    before = serializers.JSONField(allow_null=True, help_text="Null where there was none.")
    after = serializers.JSONField(allow_null=True, help_text="Null where there is none.")


class RevisionDiffSerializer(serializers.Serializer[object]):
    """What a revision changed against another one."""

    revision = serializers.IntegerField()
    against = serializers.IntegerField(allow_null=True, help_text="Null: against nothing.")
    changes = RevisionDifferenceSerializer(many=True)
    text = serializers.CharField(help_text="A unified diff of both as YAML.")


class RevisionDiff(_Revisions):
    """Two revisions, compared."""

    query_parameters = (*SCOPE, "against")

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "against",
                {"type": "integer", "minimum": 1},
                description="The number of the other one. By default the one before it.",
            )
        ],
        responses=RevisionDiffSerializer,
    )
    def get(self, request: Request, number: int, **kwargs: Any) -> Response:
        """Tell what a revision changed against another one, older or newer."""
        rows = self.revisions()
        found = rows.filter(number=number).first()
        if found is None:
            raise NotFound
        other = self._other(rows, number)
        before = other.spec if other else {}
        body = {
            "revision": number,
            "against": other.number if other else None,
            "changes": differences(before, found.spec),
            "text": _text(other, found),
        }
        return Response(RevisionDiffSerializer(body).data)

    def _other(self, rows: "QuerySet[Revision]", number: int) -> Revision | None:
        given = self.request.query_params.get("against")
        if given is None:
            return rows.filter(number__lt=number).order_by("-number").first()
        number = int(given) if given.isascii() and given.isdecimal() and len(given) < 10 else 0
        if other := rows.filter(number=number).first():
            return other
        raise bad_query([Fault("unknown", "There is no such revision.", parameter="against")])


def _text(before: Revision | None, after: Revision) -> str:
    old = as_yaml(before.spec).splitlines() if before else []
    names = f"revision {before.number}" if before else "nothing", f"revision {after.number}"
    lines = difflib.unified_diff(old, as_yaml(after.spec).splitlines(), *names, lineterm="")
    return "".join(f"{line}\n" for line in lines)


class RevisionDetail(_Revisions):
    """One revision."""

    serializer_class = RevisionDetailSerializer

    def get(self, request: Request, number: int, **kwargs: Any) -> Response:
        """Return a revision with its components."""
        found = self.revisions().filter(number=number).first()
        if found is None:
            raise NotFound
        return Response(self.get_serializer(found).data)
