"""Definitions for operators: what is kept, and where it was sent. Writing takes the API."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from clusters.admin_published import SentInline
from delivery.models import Publication, PublishedDefinition
from reconcile.admin import ReadOnly


class PublicationInline(SentInline):
    """Where a definition was sent."""

    model = Publication


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
