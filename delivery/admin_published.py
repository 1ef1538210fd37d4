"""Definitions for operators: what is kept, and where it was sent. Writing takes the API."""

from django.contrib import admin
from unfold.admin import ModelAdmin, TabularInline

from delivery.models import Publication, PublishedDefinition
from reconcile.admin import ReadOnly


class PublicationInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """Where a definition was sent."""

    model = Publication
    fields = readonly_fields = ("cluster", "version", "outdated", "fares", "asked_by", "asked_at")
    extra = 0

    @admin.display(boolean=True, description="outdated")
    def outdated(self, row: Publication) -> bool:
        """Whether the definition was changed since."""
        return row.outdated

    @admin.display(description="phase")
    def fares(self, row: Publication) -> str:
        """The phase, and why."""
        phase, message = row.state()
        return f"{phase}: {message}" if message else str(phase)


@admin.register(PublishedDefinition)
class PublishedDefinitionAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """Definitions of KubeVela's that operators publish."""

    list_display = ("name", "kind", "version", "shadows", "changed_by", "changed_at")
    list_filter = ("kind", "shadows")
    search_fields = ("name", "description")
    fields = (
        *("kind", "name", "description", "shadows", "spec"),
        *("version", "changed_by", "changed_at"),
    )
    inlines = (PublicationInline,)
