"""Namespaces that were there before, over HTTP: `POST …/projects/{name}:adopt`, by operators."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.response import Response

from reconcile.api.fields import StringField
from reconcile.api.serializers import StrictSerializer
from reconcile.api.verbs import verb
from reconcile.deadline import within
from reconcile.errors import ClusterError
from reconcile.refusals import Fault, Invalid, Unavailable
from tenancy.api.views import ProjectView
from tenancy.deletion import Unconfirmed
from tenancy.models import Project, ProjectPlacement
from tenancy.models.adoption import adopt, check_found, check_name, command_of, ref_of


class AdoptSerializer(StrictSerializer):
    """Which namespace is to be the project's on which cluster."""

    cluster = StringField(max_length=63)
    namespace = StringField(max_length=63, help_text="It is there already, with what is in it.")
    confirm = StringField(required=False, max_length=63, help_text="The namespace once more.")


class AdoptionSerializer(serializers.Serializer[Any]):
    """What was asked for, and what an operator of the cluster does next."""

    cluster = serializers.CharField(source="cluster_name")
    namespace = serializers.CharField(source="adopted")
    command = serializers.SerializerMethodField(
        help_text="KubeNova takes nothing over that was not handed to it: run this on the cluster."
    )

    def get_command(self, row: ProjectPlacement) -> str:
        """Return the command by which the namespace is handed over."""
        return command_of(row)


class ProjectAdoption(ProjectView):
    """`:adopt`."""

    @verb("view", body=AdoptSerializer, answer=AdoptionSerializer, plans=True)
    def adopt(self, row: Any, data: Mapping[str, Any]) -> Response:
        """Let an existing namespace be the project's on one cluster. For operators alone.

        Nothing is forced: the project waits there, `WaitingForAdoption`, until an operator of the
        cluster has run the command that the answer names. From then on the namespace is held to
        the rules of the tenant as any other, and goes with the project.
        """
        if not self.user.is_staff:
            raise PermissionDenied("Only operators adopt namespaces.")
        placement, namespace = _placement(row, data["cluster"]), data["namespace"]
        check_name(namespace)
        if not self.planning:  # a plan asks the cluster itself
            _confirmed(row, data)
            if placement.adopted != namespace:
                _look(placement, namespace)
        adopt(placement, namespace, by=self.user.get_username())
        return Response(AdoptionSerializer(placement).data, status=202)


def _placement(row: Project, cluster: str) -> ProjectPlacement:
    rows = row.placements.select_related("cluster", "project__tenant")
    found = rows.filter(cluster__name=cluster).first()
    if found is None:
        fault = Fault("unknown", "The project is not placed there.", "/cluster")
        raise Invalid("Parts of the request are wrong.", errors=[fault])
    return found


def _confirmed(row: Project, data: Mapping[str, Any]) -> None:
    if data.get("confirm") != data["namespace"]:
        raise Unconfirmed(
            f"{data['namespace']} will be held to the rules of {row.tenant}, and deleted with "
            f"{row}. Send its name as `confirm`; ?dryRun=plan shows what would change.",
            confirm=data["namespace"],
        )


def _look(placement: ProjectPlacement, namespace: str) -> None:
    """Ask the cluster what the namespace is. Raises Conflicting, Unavailable."""
    try:
        with within(settings.GRANT_ISSUE_SECONDS), placement.connect() as cluster:
            found = cluster.get(ref_of(namespace))
    except ClusterError as error:
        raise Unavailable(f"{placement.cluster} cannot tell: {error.message}") from None
    check_found(placement, found)
