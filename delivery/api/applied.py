"""Objects that steps of workflows have applied, over HTTP: they are seen, and taken away."""

from typing import Any, ClassVar

from django.urls import URLPattern, path
from rest_framework import serializers

from delivery.api.views import SCOPE
from delivery.models import ProjectObject
from reconcile.api.fields import KeyField
from reconcile.api.objects import ObjectView
from reconcile.api.serializers import DeclaredSerializer
from reconcile.models.declared import Declared


class WantedObjectSerializer(serializers.Serializer[Any]):
    """An object as a step has it, and where."""

    clusters = serializers.ListField(
        child=serializers.CharField(), help_text="Empty: on every other cluster of the project."
    )
    value = serializers.DictField(help_text="The object, as the step declares it.")


class AppliedObjectSerializer(DeclaredSerializer):
    """An object that a step of a workflow has applied."""

    name = serializers.CharField(  # type: ignore[assignment]
        read_only=True, help_text="Its kind and its own name: `configmap-settings`."
    )
    tenant = KeyField(source="project.tenant.name", help_text="The tenant of its project.")
    project = KeyField(source="project.name", help_text="The project it belongs to.")
    workflow = serializers.CharField(
        source="workflow.name", read_only=True, help_text="It goes with this workflow."
    )
    objects = WantedObjectSerializer(many=True, read_only=True, source="wanted")


class AppliedObjectView(ObjectView):
    """What steps have applied. Steps alone write it; whoever delivers may take it away."""

    model: ClassVar[type[Declared]] = ProjectObject
    collection = "objects"
    serializer_class = AppliedObjectSerializer
    scope = SCOPE
    create_action = "deliver"
    prefetch = ("placements__cluster", "project__tenant", "workflow")


def _below(project: str) -> list[URLPattern]:
    one: dict[str, Any] = {"get": "retrieve", "delete": "destroy"}
    found = f"{project}/objects/<slug:name>"
    return [
        path(f"{project}/objects", AppliedObjectView.as_view({"get": "list"})),
        path(found, AppliedObjectView.as_view(one)),
        path(f"{found}:plan", AppliedObjectView.as_view({"post": "plan"})),
    ]


urlpatterns = [
    *_below("projects/<slug:project>"),
    *_below("tenants/<slug:tenant>/projects/<slug:project>"),
]
