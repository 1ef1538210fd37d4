"""What operators publish on clusters, over HTTP: bodies, and the verb that has it carried there."""

from collections.abc import Iterable
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from clusters.api.fields import KubeconfigField
from clusters.api.serializers import ClusterSerializer
from clusters.models import Cluster
from clusters.models.bundling import plan_bundle, refuse_outdated
from clusters.models.carrying import Carrying
from clusters.models.published import Sent
from reconcile.api.fields import BooleanField
from reconcile.api.idempotency import once, was_answered
from reconcile.api.objects import ObjectView
from reconcile.api.plans import wants_plan
from reconcile.api.preconditions import PLAN_HEADER
from reconcile.api.serializers import StrictSerializer
from reconcile.api.throttles import count_plan
from reconcile.models.declared import Declared
from reconcile.values import Phase


class PublicationSerializer(serializers.Serializer[Sent]):
    """Something published on a cluster."""

    cluster = serializers.CharField(source="cluster.name")
    version = serializers.IntegerField(help_text="The one that was last sent there.")
    outdated = serializers.BooleanField(help_text="It was changed since.")
    phase = serializers.ChoiceField(choices=list(Phase))
    message = serializers.CharField()
    asked_by = serializers.CharField()
    asked_at = serializers.DateTimeField()

    def to_representation(self, instance: Sent) -> dict[str, Any]:
        """Show how it fares."""
        phase, message = instance.state()
        given = {"phase": phase, "message": message}
        for name, value in given.items():
            setattr(instance, name, value)
        return super().to_representation(instance)


class PublishingSerializer(serializers.Serializer[Any]):
    """What is on its way to a cluster or there."""

    items = PublicationSerializer(many=True)


class PublishSerializer(StrictSerializer):
    """As whom something is to be published on a cluster."""

    force = BooleanField(
        required=False, default=False, help_text="Take over fields that others hold, as Helm does."
    )
    kubeconfig = KubeconfigField(
        required=False,
        help_text="The kubeconfig of an administrator of this cluster, base64. Kept sealed until "
        "all is applied, an hour at most. May be left out while that of the registration is "
        "still at hand.",
    )


class PublishView(ObjectView):
    """A verb of clusters, for operators: what it carries is said by who inherits."""

    model: ClassVar[type[Declared]] = Cluster
    collection = "clusters"
    serializer_class = ClusterSerializer
    prefetch = ("placements__cluster", "findings")
    body_class: ClassVar[type[PublishSerializer]]

    def carrying(self, cluster: Cluster, data: dict[str, Any]) -> Carrying:
        """Return what is to be carried there. Raises Invalid, Unserved."""
        raise NotImplementedError

    def sent(self, cluster: Cluster) -> Iterable[Sent]:
        """What of this sort is on its way there, or there."""
        raise NotImplementedError

    def send(self, request: Request) -> Response:
        """Have it carried, or plan that."""
        cluster = self.find("change")
        body = self.body_class(data=self.body())
        body.is_valid(raise_exception=True)
        found = self.carrying(cluster, body.validated_data)
        if wants_plan(request):
            count_plan(self, request)
            return Response(plan_bundle(found.asked).as_json())
        accepted = request.headers.get(PLAN_HEADER)
        if accepted is not None and not was_answered(request):
            count_plan(self, request)
            refuse_outdated(found.asked, accepted.strip().strip('"'))

        def answered() -> Response:
            self.before_sending(found)
            found.publish()
            rows = self.sent(cluster)
            return Response(PublishingSerializer({"items": rows}).data, status=202)

        return once(request, answered)

    def before_sending(self, found: Carrying) -> None:
        """Look at it once more. Raises what refuses it."""
