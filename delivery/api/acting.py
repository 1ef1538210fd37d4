"""What people do to an app day by day: restart, scale, change a field by JSON patch."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from delivery.acting import restart, scale
from delivery.api.serializers import AppSerializer
from delivery.api.views import AppView
from delivery.models import App
from reconcile.api import lookup
from reconcile.api.fields import IntegerField, StringField
from reconcile.api.patching import JSONPatchParser, OperationSerializer, apply_patch
from reconcile.api.plans import plannable
from reconcile.api.serializers import StrictSerializer
from reconcile.api.verbs import verb
from reconcile.values import JSON

_PATCHES = {
    "application/json": AppSerializer(partial=True),
    "application/merge-patch+json": AppSerializer(partial=True),
    JSONPatchParser.media_type: OperationSerializer(many=True),
}


class RestartSerializer(StrictSerializer):
    """What to restart."""

    components = serializers.ListField(
        child=StringField(max_length=63),
        required=False,
        allow_empty=False,
        help_text="By default all that run until they are stopped.",
    )
    message = StringField(required=False, allow_blank=True, max_length=300, help_text="Why.")


class ScaleSerializer(StrictSerializer):
    """How many replicas."""

    component = StringField(required=False, max_length=63, help_text="The only one need no name.")
    replicas = IntegerField(min_value=0, max_value=1_000)
    message = StringField(required=False, allow_blank=True, max_length=300, help_text="Why.")


class AppActs(AppView):
    """An app, with what is done to it day by day."""

    patched: JSON | None = None

    @verb("deliver", body=RestartSerializer, plans=True)
    def restart(self, row: App, data: Mapping[str, Any]) -> Response:
        """Replace the pods of components, wave by wave; a new revision that changes nothing else.

        Without an Idempotency-Key each request restarts anew.
        """
        names, message = data.get("components"), data.get("message", "")
        with transaction.atomic():
            found = self.locked(row)
            restart(found, names, by=self.user.get_username(), message=message)
        return self.show(found, status=202)

    @verb("deliver", body=ScaleSerializer, plans=True)
    def scale(self, row: App, data: Mapping[str, Any]) -> Response | None:
        """Set how many replicas a component has, by its trait `scaler`; 200 when it has so many."""
        name, message = data.get("component", ""), data.get("message", "")
        with transaction.atomic():
            found = self.locked(row)
            by = self.user.get_username()
            changed = scale(found, name, data["replicas"], by=by, message=message)
        return self.show(found, status=202 if changed else 200)

    def get_parsers(self) -> list[BaseParser]:
        """As for any object; PATCH takes a JSON patch (RFC 6902) as well."""
        patching = self.request is not None and self.request.method == "PATCH"
        return [*super().get_parsers(), *([JSONPatchParser()] if patching else [])]

    def body(self) -> JSON:
        """As for any object; a JSON patch names no parents."""
        return {} if isinstance(self.request.data, list) and self._is_patch() else super().body()

    @extend_schema(request=_PATCHES)
    @plannable
    def partial_update(self, request: Request, **kwargs: Any) -> Response:
        """Change fields by a JSON merge patch (RFC 7396) or a JSON patch (RFC 6902).

        In a merge patch null resets a field or removes a key, and a list is replaced as a whole.
        A JSON patch reaches into lists (`/components/0/properties/image`); it is about the object
        without its status, and is carried out whole or not at all.
        """
        return self._patch() if self._is_patch() else super().partial_update(request, **kwargs)

    def _is_patch(self) -> bool:
        given = (self.request.content_type or "").partition(";")[0].strip().lower()
        return given == JSONPatchParser.media_type

    def _patch(self) -> Response:
        found = self.find("change")
        with transaction.atomic():
            row = self.locked(found)
            shown = self.serializer_for(instance=row)
            fields = {"name", *(name for name, _ in shown.spec_fields())}
            before = {name: value for name, value in shown.data.items() if name in fields}
            after = apply_patch(before, self.request.data)
            if after.get("name") != row.name:
                raise lookup.contradiction("name")
            serializer = self.validated(after)
            serializer.adopt(row, self.fresh(serializer, row.project))
            self.declare(row, serializer)
        return self.show(row)
