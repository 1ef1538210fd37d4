"""What steps of workflows reach, for operators: objects that they applied, servers they may ask."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from delivery.models import ObjectPlacement, ProjectObject, RequestTarget
from reconcile.admin import STATUS, PlacementsInline, RowAdmin


class ObjectPlacementInline(PlacementsInline):
    """How an object fares on its clusters."""

    model = ObjectPlacement
    fields = readonly_fields = ("cluster", "phase", "told", "observed_generation")


@admin.register(ProjectObject)
class ProjectObjectAdmin(RowAdmin):
    """Objects that steps have applied."""

    list_display = ("name", "project", "workflow", "phase", "declared_by", "updated_at")
    list_select_related = ("project__tenant", "workflow__project__tenant")
    list_filter = ("phase",)
    search_fields = ("name", "workflow__name", "project__name", "project__tenant__name")
    fields = (
        *("uid", "name", "project", "workflow", "bodies"),
        *("generation", "declared_by", "correlation_id"),
        *(*STATUS, "created_at", "updated_at"),
    )
    inlines = (ObjectPlacementInline,)


@admin.register(ObjectPlacement)
class ObjectPlacementAdmin(RowAdmin):
    """Objects that steps have applied, on clusters."""

    list_display = ("applied", "cluster", "phase", "observed_generation", "updated_at")
    list_select_related = ("applied__project__tenant", "cluster")
    list_filter = ("phase", "cluster")
    search_fields = ("applied__name", "applied__project__name")
    fields = ("uid", "applied", "cluster", *STATUS, "failing_since")


@admin.register(RequestTarget)
class RequestTargetAdmin(ModelAdmin):  # type: ignore[misc]
    """Servers that steps may send requests to. The list is empty before an operator fills it."""

    list_display = ("__str__", "tenant", "networks", "changed_by", "changed_at")
    list_select_related = ("tenant",)
    list_filter = ("scheme",)
    search_fields = ("host", "tenant__name")
    fields = ("tenant", "scheme", "host", "port", "networks", "ca")

    def save_model(
        self,
        request: HttpRequest,
        obj: RequestTarget,
        form: "forms.ModelForm[Any]",
        change: bool,
    ) -> None:
        """Note who has changed it."""
        obj.changed_by = request.user.get_username()
        super().save_model(request, obj, form, change)
