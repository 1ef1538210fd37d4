"""Versions of a policy set over HTTP: they are read and compared, never written."""

import difflib
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from delivery.api.revisions import NewestFirst
from delivery.environment_form import as_yaml
from delivery.rules.differences import differences
from policies.api.serializers import (
    VersionDetailSerializer,
    VersionDiffSerializer,
    VersionSerializer,
)
from policies.models import PolicySet, PolicyVersion
from reconcile.api import lookup
from reconcile.api.filters import bad_query
from reconcile.api.views import ApiView
from reconcile.refusals import Fault


class _Versions(ApiView):
    """What the list and single versions share: the set, found among what the caller sees."""

    collection = "policysets"
    filter_backends = ()
    pagination_class = NewestFirst
    queryset = PolicyVersion.objects.none()

    def versions(self) -> "QuerySet[PolicyVersion]":
        """Return the versions of the set that the path names. Raises NotFound."""
        row: PolicySet = lookup.only(
            lookup.visible(PolicySet, self.user), self.kwargs["policyset"], {}
        )
        return row.versions.all()

    def numbered(self, number: int) -> PolicyVersion:
        """Return one of them. Raises NotFound."""
        found = self.versions().filter(number=number).first()
        if found is None:
            raise NotFound
        return found


class VersionList(_Versions):
    """All versions."""

    serializer_class = VersionSerializer
    query_parameters = ("limit", "cursor")

    def get(self, request: Request, **kwargs: Any) -> Response:
        """List the versions of a policy set, newest first."""
        page = self.paginate_queryset(self.versions().defer("rules"))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class VersionDetail(_Versions):
    """One version."""

    serializer_class = VersionDetailSerializer

    def get(self, request: Request, number: int, **kwargs: Any) -> Response:
        """Return a version with its rules."""
        return Response(self.get_serializer(self.numbered(number)).data)


class VersionDiff(_Versions):
    """Two versions, compared."""

    query_parameters = ("against",)

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "against",
                {"type": "integer", "minimum": 1},
                description="The number of the other one. By default the one before it.",
            )
        ],
        responses=VersionDiffSerializer,
    )
    def get(self, request: Request, number: int, **kwargs: Any) -> Response:
        """Tell what a version changed against another one, older or newer."""
        found = self.numbered(number)
        other = self._other(number)
        body = {
            "version": number,
            "against": other.number if other else None,
            "changes": differences(other.rules if other else {}, found.rules),
            "text": _text(other, found),
        }
        return Response(VersionDiffSerializer(body).data)

    def _other(self, number: int) -> PolicyVersion | None:
        rows, given = self.versions(), self.request.query_params.get("against")
        if given is None:
            return rows.filter(number__lt=number).order_by("-number").first()
        number = int(given) if given.isascii() and given.isdecimal() and len(given) < 10 else 0
        if other := rows.filter(number=number).first():
            return other
        raise bad_query([Fault("unknown", "There is no such version.", parameter="against")])


def _text(before: PolicyVersion | None, after: PolicyVersion) -> str:
    old = as_yaml(before.rules).splitlines() if before else []
    names = f"version {before.number}" if before else "nothing", f"version {after.number}"
    lines = difflib.unified_diff(old, as_yaml(after.rules).splitlines(), *names, lineterm="")
    return "".join(f"{line}\n" for line in lines)
