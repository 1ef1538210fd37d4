"""The engine for operators: the dirty set, what happened and was applied; what admins share."""

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline

from reconcile.models import AppliedObject, Decision, Drift, Event, Work
from reconcile.models.rows import Row

STATUS = ("phase", "told", "observed_generation", "deletion_requested_at")


class ReadOnly:
    """Nothing is added, changed or deleted here: people declare, the loop records."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody."""
        return False

    def may_change(self, request: HttpRequest) -> bool:
        """Whether an operator may act on these rows, though not edit them."""
        meta = self.model._meta  # type: ignore[attr-defined]
        return bool(request.user.has_perm(f"{meta.app_label}.change_{meta.model_name}"))

    has_act_permission = may_change

    @admin.display(description="conditions")
    def told(self, row: Row) -> SafeString:
        """The conditions of a row, a line for each."""
        lines = ((c["type"], c["status"], c["reason"], c["message"]) for c in row.conditions)
        return format_html_join("", "<div>{} is {}: {}. {}</div>", lines)


class PlacementsInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """How a parent fares on its clusters; subclasses name the model."""

    fields: tuple[str, ...] = ("cluster", "phase", "told", "observed_generation")
    readonly_fields: tuple[str, ...] = fields
    extra = 0
    show_change_link = True


class RowAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """Rows that converge: what the loop owns cannot be edited, a look can be asked for."""

    actions: tuple[str, ...] = ("reconcile_now",)
    list_filter: tuple[str, ...] = ("phase",)

    @admin.action(description="Reconcile now", permissions=["act"])
    def reconcile_now(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """Make the rows due, also those that were set aside after repeated crashes."""
        for row in rows:
            row.mark()
        self.message_user(request, f"{len(rows)} are being looked at.")


@admin.register(Work)
class WorkAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """The dirty set."""

    list_display = (
        "owner",
        "kind",
        "tenant",
        "due_at",
        "lease_until",
        "attempts",
        "failures",
        "quarantined_at",
    )
    list_filter = (("quarantined_at", admin.EmptyFieldListFilter), "kind")
    search_fields = ("owner", "tenant", "correlation_id")
    ordering = ("due_at",)
    actions = ("requeue",)

    @admin.action(description="Requeue", permissions=["act"])
    def requeue(self, request: HttpRequest, rows: QuerySet[Work]) -> None:
        """Make the rows due and forget past crashes."""
        count = Work.objects.filter(pk__in=rows.values("pk")).revive()
        self.message_user(request, f"{count} are due now.")


@admin.register(Event)
class EventAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """What happened; a correlation id finds all that one request has set going."""

    list_display = ("at", "type", "reason", "name", "tenant", "cluster", "actor", "message")
    list_filter = ("type", "kind", "at")
    search_fields = ("=correlation_id", "=object_uid", "name", "tenant", "cluster", "reason")
    search_help_text = "Correlation id, object uid, name, tenant, cluster or reason."
    date_hierarchy = "at"
    show_full_result_count = False


@admin.register(AppliedObject)
class AppliedObjectAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """What KubeNova has on clusters, object by object."""

    list_display = ("kind", "namespace", "name", "work", "as_applied", "correlation_id")
    list_select_related = ("work",)
    list_filter = ("kind",)
    search_fields = ("name", "namespace", "=uid", "=correlation_id", "work__owner")
    show_full_result_count = False

    @admin.display(boolean=True, description="as applied")
    def as_applied(self, row: AppliedObject) -> bool:
        """Whether it was last seen as it was applied."""
        return row.live_fp == row.applied_fp


@admin.register(Drift)
class DriftAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """What differs on clusters and what differed, field by field."""

    list_display = ("first_seen", "row", "__str__", "drift_class", "actor", "times", "resolution")
    list_filter = (
        ("resolution", admin.EmptyFieldListFilter),
        "resolution",
        "drift_class",
        "object_kind",
    )
    search_fields = ("tenant", "cluster", "row", "object_name", "actor", "=correlation_id")
    actions = ("repair",)
    show_full_result_count = False

    @admin.action(description="Repair", permissions=["act"])
    def repair(self, request: HttpRequest, rows: QuerySet[Drift]) -> None:
        """Approve the repair of what is open; an extra object is deleted."""
        count = Drift.request_repair(rows, request.user.get_username(), operator=True)
        self.message_user(request, f"{count} are being repaired.")


@admin.register(Decision)
class DecisionAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """What people decided to ignore or to accept."""

    list_display = ("created_at", "__str__", "tenant", "reason", "author", "expires_at")
    list_filter = ("verb", "object_kind", ("expires_at", admin.EmptyFieldListFilter))
    search_fields = ("tenant", "cluster", "object_name", "manager", "author", "reason")
    actions = ("revoke",)

    @admin.action(description="Revoke", permissions=["act"])
    def revoke(self, request: HttpRequest, rows: QuerySet[Decision]) -> None:
        """Take the decisions back: what differs is drift again."""
        for row in rows:
            row.revoke(request.user.get_username())
        self.message_user(request, f"{len(rows)} were revoked.")
