"""Clusters over HTTP, for operators."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from clusters.api.serializers import (
    CapabilitiesSerializer,
    ClusterSerializer,
    ConfirmSerializer,
    CredentialSerializer,
    ForgetSerializer,
    ForgottenSerializer,
)
from clusters.models import Cluster
from reconcile.api.objects import ObjectView
from reconcile.api.plans import plannable
from reconcile.api.serializers import DeclaredSerializer
from reconcile.api.verbs import verb
from reconcile.models.declared import Declared
from reconcile.refusals import Fault, Invalid


class ClusterView(ObjectView):
    """Clusters: seen by operators and holders of the view permission, changed by operators."""

    model: ClassVar[type[Declared]] = Cluster
    collection = "clusters"
    serializer_class = ClusterSerializer
    prefetch = ("placements__cluster", "findings")

    def declare(self, row: Any, serializer: DeclaredSerializer) -> None:
        """As for any object; nobody registers a cluster without a credential. Raises Invalid."""
        if row.pk is None and not row.credential_digest:
            raise _wrong(Fault("required", "This field is required.", "/kubeconfig"))
        super().declare(row, serializer)

    @plannable
    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """Remove KubeNova's namespaces from the cluster, then the cluster from KubeNova.

        409 while anything is placed on it. KubeNova's own rights do not reach its roles and
        policies there: an event names them. To have them removed as well, `:pause` the cluster and
        give it a credential first.
        """
        return super().destroy(request, **kwargs)

    @extend_schema(request=CredentialSerializer, responses={200: ClusterSerializer})
    @plannable
    def replace_credential(self, request: Request, **kwargs: Any) -> Response:
        """Give a new credential: the baseline is written anew, then the credential is dropped."""
        found = self.find("change")
        body = CredentialSerializer(data=self.body())
        body.is_valid(raise_exception=True)
        with transaction.atomic():
            row = self.locked(found)
            row.give(body.validated_data["given"], by=self.user.get_username())
        return self.show(row)

    @extend_schema(responses={200: CapabilitiesSerializer})
    def capabilities(self, request: Request, **kwargs: Any) -> Response:
        """Tell what the cluster was found to be able to do."""
        return Response(CapabilitiesSerializer(self.find()).data)

    @verb("change")
    def pause(self, row: Cluster, data: Mapping[str, Any]) -> None:
        """Leave the cluster as it is for now."""
        row.pause(by=self.user.get_username())

    @verb("change")
    def resume(self, row: Cluster, data: Mapping[str, Any]) -> None:
        """End the pause."""
        row.resume(by=self.user.get_username())

    @verb("change", body=ConfirmSerializer)
    def confirm(self, row: Cluster, data: Mapping[str, Any]) -> None:
        """Let go on what a guard has stopped: see `status.report_only`.

        `ClusterIdentityChanged`: this is the cluster from now on, what was known of the one before
        is forgotten; with `uid`, only the cluster that `status.report_only.uid` told.
        `EpochBehind`: this database goes on; objects of grants that it does not know are removed.
        `TooManyDeletions`: the deletions that wait are carried out. 409 when another cluster or
        reason holds the cluster than the one that is confirmed.
        """
        row.confirm(data["reason"], by=self.user.get_username(), uid=data["uid"])

    @verb("change")
    def reprobe(self, row: Cluster, data: Mapping[str, Any]) -> None:
        """Look now what the cluster can do."""
        row.reprobe(by=self.user.get_username())

    @extend_schema(responses={200: ForgottenSerializer})
    @verb("delete", body=ForgetSerializer)
    def forget(self, row: Cluster, data: Mapping[str, Any]) -> Response:
        """Drop the cluster and all that is placed on it, without touching it."""
        if data["name"] != row.name:
            raise _wrong(Fault("name", "Type the name of the cluster.", "/name"))
        stays = row.abandon(by=self.user.get_username())
        return Response({"name": row.name, "stays": stays})


def _wrong(fault: Fault) -> Invalid:
    return Invalid("Parts of the request are wrong.", errors=[fault])
