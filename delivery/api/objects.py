"""What an app has on its clusters over HTTP, and what these say of it."""

from collections.abc import Collection
from typing import Any

from django.db.models import prefetch_related_objects
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from delivery.api.views import AppView
from delivery.api.waves import ComponentRolloutSerializer
from delivery.happenings import Told, happenings_of
from delivery.logs import Wanted
from delivery.rules.happenings import Happening
from delivery.rules.topology import Piece, Standing
from delivery.topology import Branch, ClusterTree, topology
from reconcile.values import Phase

_WHERE = {
    "component": "Which component; the only one need not be named.",
    "cluster": "On which cluster; the only one need not be named.",
}


class PieceSerializer(serializers.Serializer[Piece]):
    """An object on a cluster."""

    api_version = serializers.CharField(source="ref.kind.api_version")
    kind = serializers.CharField(source="ref.kind.name")
    namespace = serializers.CharField(source="ref.namespace")
    name = serializers.CharField(source="ref.name")
    standing = serializers.ChoiceField(
        choices=list(Standing),
        help_text="`Applied`: as it was last written; `Differs`: not so; `Pending`: not there yet; "
        "`Leaving`: no longer wanted.",
    )


class BranchSerializer(ComponentRolloutSerializer):
    """How a component fares on a cluster, and of which objects it consists there."""

    objects = PieceSerializer(many=True)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """Show both as one."""
        branch: Branch = instance
        return super().to_representation({**branch.state, "objects": branch.objects})


class ClusterTreeSerializer(serializers.Serializer[ClusterTree]):
    """What an app has on a cluster."""

    cluster = serializers.CharField(source="placement.cluster.name")
    phase = serializers.ChoiceField(choices=list(Phase), source="placement.phase")
    revision = serializers.IntegerField(source="placement.revision")
    components = BranchSerializer(many=True)
    others = PieceSerializer(
        many=True, help_text="Objects that belong to no single component, or to none any more."
    )


class TopologySerializer(serializers.Serializer[Any]):
    """What an app has, by cluster and component."""

    clusters = ClusterTreeSerializer(many=True)


class HappeningSerializer(serializers.Serializer[Happening]):
    """An Event of Kubernetes."""

    type = serializers.ChoiceField(choices=["Normal", "Warning"])
    reason = serializers.CharField()
    message = serializers.CharField()
    object = serializers.CharField(help_text="What it is about: kind and name.")
    count = serializers.IntegerField(help_text="How often it happened.")
    last = serializers.CharField(help_text="When last (RFC 3339); empty where it is not told.")


class ToldSerializer(serializers.Serializer[Told]):
    """What a cluster says of a component."""

    cluster = serializers.CharField()
    component = serializers.CharField()
    all = serializers.BooleanField(
        help_text="False: the namespace has more Events than are looked at."
    )
    items = HappeningSerializer(many=True)


class AppObjects(AppView):
    """Objects of an app, and their Events."""

    def known_parameters(self) -> Collection[str]:
        """The parents; Events are of one component on one cluster."""
        return {*self.scope, *(_WHERE if self.action == "events" else ())}

    @extend_schema(responses=TopologySerializer)
    def objects(self, request: Request, **kwargs: Any) -> Response:
        """Tell of which objects the app consists, by cluster and component, as last seen."""
        row = self.find()
        prefetch_related_objects([row], *self.prefetch)
        return Response(TopologySerializer({"clusters": topology(row)}).data)

    @extend_schema(
        parameters=[OpenApiParameter(name, str, description=text) for name, text in _WHERE.items()],
        responses=ToldSerializer,
    )
    def events(self, request: Request, **kwargs: Any) -> Response:
        """Return the Kubernetes Events of a component and its pods, newest first, 200 at most.

        The cluster is asked: the answer takes up to ten seconds, one that cannot be reached
        answers 503. Clusters keep Events for an hour, as a rule.
        """
        row = self.find()
        component, cluster = (request.query_params.get(name, "") for name in _WHERE)
        told = happenings_of(row, Wanted(component=component, cluster=cluster))
        return Response(ToldSerializer(told).data)
