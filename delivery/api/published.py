"""Definitions that operators publish, over HTTP: kept here, carried to clusters when asked."""

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError as ModelError
from django.db import IntegrityError
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from clusters.adapters.kubevela import DEFINITIONS_NAMESPACE
from clusters.api.publishing import (
    PublicationSerializer,
    PublishingSerializer,
    PublishSerializer,
    PublishView,
)
from clusters.models import Cluster
from clusters.models.bundling import Asked
from clusters.models.carrying import Carrying
from clusters.models.published import Sent
from clusters.platforms import KUBEVELA
from delivery.models import PublishedDefinition
from delivery.rules.publishing import PublishedKind
from reconcile.api import lookup
from reconcile.api.fields import BooleanField, StringField
from reconcile.api.filters import StrictFilterBackend
from reconcile.api.pagination import ItemsPagination
from reconcile.api.problems import model_faults
from reconcile.api.serializers import StrictSerializer
from reconcile.api.views import ApiView
from reconcile.refusals import Invalid, Taken
from tenancy.models.serving import require

MOST = 100


class PublishedSerializer(StrictSerializer):
    """A definition of KubeVela's as it is to be on clusters."""

    kind = serializers.ChoiceField(choices=[str(each) for each in PublishedKind], read_only=True)
    name = serializers.CharField(read_only=True)
    description = StringField(required=False, default="", allow_blank=True, max_length=300)
    spec = serializers.DictField(
        help_text="As KubeVela has it; the template (CUE) at `schematic.cue.template` is never "
        "evaluated here."
    )
    parameters = serializers.DictField(
        required=False,
        default=None,
        allow_null=True,
        help_text="The JSON schema of its properties, by which apps that use it are checked; null: "
        "any properties pass.",
    )
    shadows = BooleanField(
        required=False, default=False, help_text="It stands in for one of KubeVela's own."
    )
    version = serializers.IntegerField(read_only=True, help_text="Counts its changes.")
    deleting = serializers.BooleanField(read_only=True, help_text="It is to leave its clusters.")
    changed_by = serializers.CharField(read_only=True)
    changed_at = serializers.DateTimeField(read_only=True)
    publications = PublicationSerializer(many=True, read_only=True)


class PublishedFilter(filters.FilterSet):  # type: ignore[misc]
    """By what they are of."""

    kind = filters.ChoiceFilter(choices=[(str(each), str(each)) for each in PublishedKind])


class PublishedList(ApiView):
    """`/definitions/published`."""

    serializer_class = PublishedSerializer
    queryset = PublishedDefinition.objects.none()
    filter_backends = (StrictFilterBackend,)
    filterset_class = PublishedFilter
    pagination_class = ItemsPagination
    query_parameters = ("kind", "limit", "cursor")

    @extend_schema(operation_id="published_definitions_list")
    def get(self, request: Request) -> Response:
        """List the definitions that operators publish; of anybody else none."""
        rows = lookup.visible(PublishedDefinition, self.user)
        found = self.filter_queryset(rows.prefetch_related(*PublishedDefinition.shown()))
        page = self.paginate_queryset(found)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class PublishedDetail(ApiView):
    """`/definitions/published/{kind}/{name}`."""

    serializer_class = PublishedSerializer
    kind = PublishedKind.COMPONENT

    @extend_schema(responses=PublishedSerializer)
    def get(self, request: Request, name: str) -> Response:
        """Return a definition, and on which clusters it is."""
        return Response(PublishedSerializer(self.row(name)).data)

    @extend_schema(responses={200: PublishedSerializer, 201: PublishedSerializer})
    def put(self, request: Request, name: str) -> Response:
        """Keep a definition, new or changed. Clusters get it by `POST /clusters/{name}:publish`."""
        if not self.user.is_staff:
            raise NotFound
        body = PublishedSerializer(data=self.body())
        body.is_valid(raise_exception=True)
        by = self.user.get_username()
        try:
            row, created = PublishedDefinition.put(self.kind, name, by=by, **body.validated_data)
        except ModelError as error:
            faults = model_faults(error)
            raise Invalid("Parts of the request are wrong.", errors=faults) from None
        except IntegrityError:
            raise Taken("Somebody has published a definition of this name just now.") from None
        return Response(PublishedSerializer(row).data, status=201 if created else 200)

    @extend_schema(responses={202: PublishedSerializer, 204: None})
    def delete(self, request: Request, name: str) -> Response:
        """Ask for the deletion: 204 where it is on no cluster, else 202 until it has left them.

        It leaves a cluster with the next `POST /clusters/{name}:publish`, which needs the
        credential of an administrator. Refused while apps use the type.
        """
        row = self.row(name)
        if row.request_deletion():
            return Response(status=204)
        return Response(PublishedSerializer(self.row(name)).data, status=202)

    def row(self, name: str) -> PublishedDefinition:
        """Return the one of the path. Raises NotFound, also for whoever is no operator."""
        rows = lookup.visible(PublishedDefinition, self.user).filter(kind=self.kind)
        found: PublishedDefinition = lookup.only(rows, name, {})
        return found


class DefinitionsSerializer(PublishSerializer):
    """Which definitions are to be published on a cluster, and as whom."""

    definitions = serializers.ListField(
        child=StringField(max_length=130),
        required=False,
        default=list,
        max_length=MOST,
        help_text="By name: `components/canary`, `traits/…`, `workflow-steps/…`. Empty: all.",
    )


class PublishDefinitions(PublishView):
    """`POST /clusters/{name}:publish`, for operators."""

    body_class = DefinitionsSerializer

    @extend_schema(
        operation_id="cluster_publish",
        request=DefinitionsSerializer,
        responses={202: PublishingSerializer},
    )
    def publish(self, request: Request, **kwargs: Any) -> Response:
        """Have definitions applied beside KubeVela's own, with an administrator's credential.

        Whoever writes definitions has KubeVela act, so KubeNova's own account may not: it looks
        whether they are changed, and puts none back. Those that are being deleted are taken off.
        """
        return self.send(request)

    publish.plannable = True  # type: ignore[attr-defined]

    def carrying(self, cluster: Cluster, data: dict[str, Any]) -> Carrying:
        """Raises Invalid for a name that there is not, Unserved where KubeVela is not."""
        definitions = PublishedDefinition.objects.all().named(data["definitions"])
        require([cluster], KUBEVELA)
        by = self.user.get_username()
        asked = Asked(cluster, "", b"", data.get("given"), "", data["force"], by)
        return Carrying.of(definitions, asked, DEFINITIONS_NAMESPACE)

    def sent(self, cluster: Cluster) -> Iterable[Sent]:
        """The definitions there."""
        return cluster.publications.select_related("definition", "cluster")
