"""Access for operators: grants and sessions can be read and revoked, the audit log can be read."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from access.models import AuditRecord, GrantPlacement, KubeconfigGrant, TokenSession
from reconcile.admin import STATUS, PlacementsInline, ReadOnly, RowAdmin


class GrantPlacementInline(PlacementsInline):
    """A grant's clusters."""

    model = GrantPlacement


@admin.register(KubeconfigGrant)
class KubeconfigGrantAdmin(RowAdmin):
    """Grants; the token of one is nowhere to be seen."""

    list_display = ("name", "subject", "tenant", "project", "state", "expires_at", "phase")
    list_select_related = ("subject", "tenant", "project")
    list_filter = ("phase", "tenant")
    search_fields = ("name", "subject__username", "tenant__name", "description")
    fields = (
        *("uid", "name", "subject", "tenant", "project", "description"),
        *("verbs", "namespaces", "clusters", "ttl_seconds", "issuance", "state"),
        *("issued_at", "expires_at", "revoked_at", "revoked_by", "closed_at", "seen_dead"),
        *("generation", "declared_by", "correlation_id", *STATUS, "created_at", "updated_at"),
    )
    readonly_fields = ("state",)
    actions = ("reconcile_now", "revoke")
    inlines = (GrantPlacementInline,)

    @admin.action(description="Revoke", permissions=["act"])
    def revoke(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """End the grants now."""
        ended = sum(row.revoke(request.user.get_username()) for row in rows)
        self.message_user(request, f"{ended} have ended; their streams are cut.")


@admin.register(GrantPlacement)
class GrantPlacementAdmin(RowAdmin):
    """Grants on clusters."""

    list_display = ("grant", "cluster", "phase", "observed_generation", "updated_at")
    list_select_related = ("grant__subject", "cluster")
    list_filter = ("phase", "cluster")
    search_fields = ("grant__name", "grant__subject__username")
    fields = ("uid", "grant", "cluster", "granted", *STATUS, "failing_since", "unselected")


@admin.register(TokenSession)
class TokenSessionAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """Who is signed in to the API. The tokens themselves are stored nowhere."""

    list_display = ("user", "created_at", "refreshed_at", "expires_at", "revoked_at")
    list_select_related = ("user",)
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "expires_at")
    search_fields = ("=user__username",)
    fields = ("uid", *list_display)
    ordering = ("-refreshed_at",)
    actions = ("revoke",)

    @admin.action(description="Revoke", permissions=["act"])
    def revoke(self, request: HttpRequest, rows: QuerySet[TokenSession]) -> None:
        """End the sessions now, with all of their tokens."""
        ended = sum(row.end() for row in rows)
        self.message_user(request, f"{ended} have ended; their tokens are refused from now on.")


@admin.register(AuditRecord)
class AuditRecordAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """Who did or tried what."""

    list_display = (
        *("at", "source", "actor", "verb", "resource", "namespace", "name", "status"),
        *("tenant", "cluster", "grant", "more"),
    )
    list_filter = ("source", "status", "at")
    search_fields = ("=actor", "=grant", "=tenant", "=correlation_id", "name", "resource")
    search_help_text = "User, grant, tenant, correlation id, name or resource."
    date_hierarchy = "at"
    show_full_result_count = False
