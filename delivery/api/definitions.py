"""Types of components and traits over HTTP: what the caller's clusters serve."""

from collections.abc import Collection
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from delivery.models.definitions import definitions_for
from delivery.rules.definitions import APP_KINDS, Definition, DefinitionKind
from reconcile.api.filters import bad_query
from reconcile.api.views import ApiView
from reconcile.refusals import Fault

_KINDS = [kind.value for kind in APP_KINDS]
_CLUSTER = OpenApiParameter("cluster", str, description="Only what this cluster serves.")


class ServingSerializer(serializers.Serializer[Any]):
    """A cluster that serves a type."""

    cluster = serializers.CharField()
    adapter = serializers.ChoiceField(choices=["native", "kubevela"])


class DefinitionSerializer(serializers.Serializer[Definition]):
    """A type of components or traits."""

    kind = serializers.ChoiceField(choices=_KINDS)
    type = serializers.CharField(help_text="As components and traits name it.")
    description = serializers.CharField()
    carriers = serializers.ListField(
        child=serializers.CharField(), help_text="The components that can bear a trait."
    )
    serving = ServingSerializer(many=True)


class DefinitionDetailSerializer(DefinitionSerializer):
    """A type with its properties."""

    parameters = serializers.DictField(
        help_text="The JSON schema (draft 2020-12) of its properties."
    )


class DefinitionListSerializer(serializers.Serializer[Any]):
    """All of them; a list has no second page."""

    items = DefinitionDetailSerializer(many=True)


class DefinitionList(ApiView):
    """All types."""

    serializer_class = DefinitionListSerializer
    query_parameters = ("kind", "cluster")

    @extend_schema(
        parameters=[
            OpenApiParameter("kind", str, enum=_KINDS, description="Only types of this kind."),
            _CLUSTER,
        ],
        responses=DefinitionListSerializer,
    )
    def get(self, request: Request, **kwargs: Any) -> Response:
        """List what the clusters serve that the caller's tenants are on; of operators all."""
        kind = request.query_params.get("kind", "")
        if kind and kind not in _KINDS:
            raise bad_query([Fault("invalid", f"Use {' or '.join(_KINDS)}.", parameter="kind")])
        rows = definitions_for(self.user, request.query_params.get("cluster", ""))
        found = [row for row in rows if kind in ("", row.kind)]
        return Response(DefinitionListSerializer({"items": found}).data)


class DefinitionDetail(ApiView):
    """One type."""

    serializer_class = DefinitionDetailSerializer
    kind = DefinitionKind.COMPONENT

    def known_parameters(self) -> Collection[str]:
        """A cluster to look at."""
        return {"cluster"}

    @extend_schema(parameters=[_CLUSTER], responses=DefinitionDetailSerializer)
    def get(self, request: Request, name: str, **kwargs: Any) -> Response:
        """Return a type with the schema of its properties, if one of the clusters serves it."""
        rows = definitions_for(self.user, request.query_params.get("cluster", ""))
        found = next((row for row in rows if (row.kind, row.type) == (self.kind, name)), None)
        if found is None:
            raise NotFound
        return Response(DefinitionDetailSerializer(found).data)
