"""Deleting tenants and projects over HTTP: shown first, confirmed by name, then done."""

from collections.abc import Collection
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from reconcile.api.objects import ObjectView
from reconcile.api.plans import plannable
from tenancy.deletion import Deletion, confirm, deletion_of

_CONFIRM = "confirm"
_NAME = OpenApiParameter(
    _CONFIRM, str, description="Its name, needed as long as anything inside would go along."
)


class InsideSerializer(serializers.Serializer[Any]):
    """Something that lives inside."""

    kind = serializers.CharField()
    name = serializers.CharField(help_text="Qualified, such as acme/shop/web.")


class DoomedClusterSerializer(serializers.Serializer[Any]):
    """What goes on one cluster."""

    cluster = serializers.CharField()
    namespaces = serializers.ListField(
        child=serializers.CharField(), help_text="They go with everything in them."
    )
    objects = serializers.IntegerField(help_text="How many objects KubeNova made there.")


class DeletionSerializer(serializers.Serializer[Deletion]):
    """What goes with an object. Nothing has."""

    name = serializers.CharField(source="row.name")
    protected = serializers.BooleanField(help_text="Refused until `deletion_protection` is off.")
    confirm = serializers.CharField(help_text="To be sent as `?confirm=`; empty: not needed.")
    counts = serializers.DictField(child=serializers.IntegerField(), help_text="By kind.")
    inside = InsideSerializer(many=True)
    cut = serializers.IntegerField(help_text="How many more there are inside.")
    clusters = DoomedClusterSerializer(many=True)


class DeletingView(ObjectView):
    """An object that takes others along."""

    def known_parameters(self) -> Collection[str]:
        """A deletion may be confirmed."""
        confirming = {_CONFIRM} if self.action == "destroy" else set()
        return {*super().known_parameters(), *confirming}

    @extend_schema(parameters=[_NAME])
    @plannable
    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """Ask for the deletion; it stays readable with `deleting: true` until it is gone.

        All that is inside goes first. Who carries out a plan has seen it; else `confirm` is asked
        for as long as there is anything.
        """
        row = self.find("delete")
        given = request.query_params.get(_CONFIRM)
        if given is not None or not self.planning:
            confirm(row, given)
        return super().destroy(request, **kwargs)

    @extend_schema(responses=DeletionSerializer)
    def deletion(self, request: Request, **kwargs: Any) -> Response:
        """Tell what a deletion would take along. Nothing is changed and no cluster is asked."""
        return Response(DeletionSerializer(deletion_of(self.find())).data)
