"""Definitions that operators publish, over HTTP: kept here, carried to clusters when asked."""

from typing import Any, ClassVar

from django.core.exceptions import ValidationError as ModelError
from django.db import IntegrityError
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from clusters.api.fields import KubeconfigField
from clusters.api.serializers import ClusterSerializer
from clusters.models import Cluster
from clusters.models.bundling import Asked, plan_bundle, refuse_outdated
from clusters.platforms import KUBEVELA
from delivery.models import Publication, PublishedDefinition
from delivery.models.carrying import Carrying
from delivery.models.published import shown
from delivery.rules.publishing import PublishedKind
from reconcile.api import lookup
from reconcile.api.fields import BooleanField, StringField
from reconcile.api.filters import StrictFilterBackend
from reconcile.api.idempotency import once, was_answered
from reconcile.api.objects import ObjectView
from reconcile.api.pagination import ItemsPagination
from reconcile.api.plans import wants_plan
from reconcile.api.preconditions import PLAN_HEADER
from reconcile.api.problems import model_faults
from reconcile.api.serializers import StrictSerializer
from reconcile.api.throttles import count_plan
from reconcile.api.views import ApiView
from reconcile.models.declared import Declared
from reconcile.refusals import Invalid, Taken
from reconcile.values import Phase
from tenancy.models.serving import require

MOST = 100


class PublicationSerializer(serializers.Serializer[Publication]):
    """A definition on a cluster."""

    cluster = serializers.CharField(source="cluster.name")
    version = serializers.IntegerField(help_text="The one that was last sent there.")
    outdated = serializers.BooleanField(help_text="The definition was changed since.")
    phase = serializers.ChoiceField(choices=list(Phase))
    message = serializers.CharField()
    asked_by = serializers.CharField()
    asked_at = serializers.DateTimeField()

    def to_representation(self, instance: Publication) -> dict[str, Any]:
        """Show how it fares."""
        phase, message = instance.state()
        given = {"phase": phase, "message": message}
        for name, value in given.items():
            setattr(instance, name, value)
        return super().to_representation(instance)


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
        found = self.filter_queryset(rows.prefetch_related(*shown()))
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


class PublishSerializer(StrictSerializer):
    """What is to be published on a cluster, and as whom."""

    definitions = serializers.ListField(
        child=StringField(max_length=130),
        required=False,
        default=list,
        max_length=MOST,
        help_text="By name: `components/canary`, `traits/…`, `workflow-steps/…`. Empty: all.",
    )
    force = BooleanField(
        required=False, default=False, help_text="Take over fields that others hold, as Helm does."
    )
    kubeconfig = KubeconfigField(
        required=False,
        help_text="The kubeconfig of an administrator of this cluster, base64. Kept sealed until "
        "all is applied, an hour at most. May be left out while that of the registration is "
        "still at hand.",
    )


class PublishingSerializer(serializers.Serializer[Any]):
    """What is on its way to a cluster or there."""

    items = PublicationSerializer(many=True)


class PublishView(ObjectView):
    """`POST /clusters/{name}:publish`, for operators."""

    model: ClassVar[type[Declared]] = Cluster
    collection = "clusters"
    serializer_class = ClusterSerializer
    prefetch = ("placements__cluster", "findings")

    @extend_schema(
        operation_id="cluster_publish",
        request=PublishSerializer,
        responses={202: PublishingSerializer},
    )
    def publish(self, request: Request, **kwargs: Any) -> Response:
        """Have definitions applied beside KubeVela's own, with an administrator's credential.

        Whoever writes definitions has KubeVela act, so KubeNova's own account may not: it looks
        whether they are changed, and puts none back. Those that are being deleted are taken off.
        """
        cluster = self.find("change")
        body = PublishSerializer(data=self.body())
        body.is_valid(raise_exception=True)
        found = _publishing(cluster, body.validated_data, self.user.get_username())
        if wants_plan(request):
            count_plan(self, request)
            return Response(plan_bundle(found.asked).as_json())
        accepted = request.headers.get(PLAN_HEADER)
        if accepted is not None and not was_answered(request):
            count_plan(self, request)
            refuse_outdated(found.asked, accepted.strip().strip('"'))

        def answered() -> Response:
            found.publish()
            rows = cluster.publications.select_related("definition", "cluster")
            return Response(PublishingSerializer({"items": rows}).data, status=202)

        return once(request, answered)

    publish.plannable = True  # type: ignore[attr-defined]


def _publishing(cluster: Cluster, data: dict[str, Any], by: str) -> Carrying:
    """Raises Invalid for a name that there is not, Unserved where KubeVela is not."""
    definitions = PublishedDefinition.objects.all().named(data["definitions"])
    require([cluster], KUBEVELA)
    asked = Asked(cluster, "", b"", data.get("given"), "", data["force"], by)
    return Carrying.of(definitions, asked)
