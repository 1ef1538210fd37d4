"""Secrets of a project over HTTP: values go in, and never come out."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.urls import URLPattern, path
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from delivery.api.views import SCOPE
from delivery.models import ProjectSecret
from reconcile.api.bodies import merge_patch
from reconcile.api.fields import KeyField, StringField
from reconcile.api.objects import ObjectView
from reconcile.api.serializers import DeclaredSerializer
from reconcile.models.declared import Declared


class ValuesField(serializers.DictField):
    """Texts by key, taken as they are: the model judges them, and no error repeats one."""

    child = StringField(allow_blank=True)

    def to_internal_value(self, data: object) -> dict[str, str]:
        """Return the values. Raises ValidationError by key."""
        if not isinstance(data, Mapping):
            raise ValidationError("Use an object of texts by their keys.", code="type")
        wrong = {
            key: [ErrorDetail("Use a text.", code="type")]
            for key, value in data.items()
            if not isinstance(value, str)
        }
        if wrong:
            raise ValidationError(wrong)
        return dict(data)


class SecretKeySerializer(serializers.Serializer[object]):
    """What is shown of a value."""

    key = serializers.CharField()
    hmac = serializers.CharField(
        help_text="The same for equal values of the project's secrets; tells nothing else."
    )


class SecretSerializer(DeclaredSerializer):
    """A secret of a project. Its values are never shown."""

    tenant = KeyField(source="project.tenant.name", help_text="The tenant of its project.")
    project = KeyField(source="project.name", help_text="The project it belongs to.")
    description = StringField(required=False, allow_blank=True, max_length=300)
    data = ValuesField(  # type: ignore[assignment]
        write_only=True,
        help_text="Texts by key, together at most 1 MiB. A PUT replaces all of them; a PATCH sets "
        "those it names and removes those that are null.",
    )
    keys = SecretKeySerializer(many=True, read_only=True)
    version = serializers.IntegerField(read_only=True, help_text="Counts changes of the values.")
    changed_by = serializers.CharField(read_only=True, help_text="Who changed values last.")
    changed_at = serializers.DateTimeField(read_only=True, allow_null=True)

    def columns(self) -> dict[str, str]:
        """Values are stored sealed, and told apart by their digests."""
        return {**super().columns(), "digests": "data", "sealed": "data"}

    def apply(self, row: ProjectSecret) -> None:
        """Put what was given into the columns of `row`, which is not saved."""
        if "description" in self.validated_data:
            row.description = self.validated_data["description"]
        if "data" in self.validated_data:
            row.assign(self.validated_data["data"])

    def adopt(self, row: ProjectSecret, fresh: ProjectSecret) -> None:
        """Replace the spec of `row` by the one that was given."""
        row.description = fresh.description
        row.assign(self.validated_data["data"])

    def merge(self, row: ProjectSecret) -> None:
        """Apply a merge patch: of the values, too, though nobody is shown them."""
        patch = self.initial_data.get("data")
        if isinstance(patch, dict):
            merged = merge_patch(row.reveal(), patch)
            self.initial_data = {**self.initial_data, "data": merged}
        super().merge(row)

    def differences(self, row: ProjectSecret, fresh: ProjectSecret) -> list[str]:
        """Name the fields in which two specs differ."""
        pairs = {"description": "description", "data": "digests"}
        return [name for name, key in pairs.items() if getattr(row, key) != getattr(fresh, key)]


class SecretView(ObjectView):
    """Secrets: whoever delivers into the project sets their values."""

    model: ClassVar[type[Declared]] = ProjectSecret
    collection = "secrets"
    serializer_class = SecretSerializer
    scope = SCOPE
    create_action = "deliver"
    prefetch = ("placements__cluster", "project__tenant")


def _below(project: str) -> list[URLPattern]:
    secret = f"{project}/secrets/<slug:name>"
    verbs: dict[str, Any] = {
        "get": "retrieve",
        "put": "replace",
        "patch": "partial_update",
        "delete": "destroy",
    }
    return [
        path(f"{project}/secrets", SecretView.as_view({"get": "list"})),
        path(secret, SecretView.as_view(verbs)),
        path(f"{secret}:plan", SecretView.as_view({"post": "plan"})),
    ]


urlpatterns = [
    *_below("projects/<slug:project>"),
    *_below("tenants/<slug:tenant>/projects/<slug:project>"),
]
