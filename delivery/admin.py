"""Delivery for operators: what was declared can be read, what the loop owns cannot be edited."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline

from delivery.admin_applied import RequestTargetAdmin
from delivery.admin_published import PublishedDefinitionAdmin
from delivery.admin_types import TypeListAdmin
from delivery.models import (
    App,
    AppPlacement,
    ProjectSecret,
    Revision,
    Rollout,
    SecretPlacement,
    Workflow,
    WorkflowRun,
    WorkflowVersion,
)
from reconcile.admin import STATUS, PlacementsInline, ReadOnly, RowAdmin

__all__ = [
    "AppAdmin",
    "AppPlacementAdmin",
    "ProjectSecretAdmin",
    "PublishedDefinitionAdmin",
    "RequestTargetAdmin",
    "TypeListAdmin",
]


class PlacementInline(PlacementsInline):
    """How an app fares on its clusters."""

    model = AppPlacement
    fields = readonly_fields = (
        *("cluster", "target", "revision", "phase", "told", "observed_generation"),
    )


class RevisionInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """What an app consisted of, each time that it changed."""

    model = Revision
    fields = readonly_fields = (
        "number",
        "author",
        "message",
        "origin",
        "healthy",
        "blocked",
        "correlation_id",
        "created_at",
    )

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Revision]":
        """With the blocks, which are shown."""
        found: QuerySet[Revision] = super().get_queryset(request).select_related("block")
        return found

    @admin.display(description="Blocked")
    def blocked(self, row: Revision) -> str:
        """Who does not want it back, and why."""
        found = getattr(row, "block", None)
        return f"by {found.by}: {found.reason}" if found else "no"


class RolloutInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """How revisions came to the clusters, wave by wave."""

    model = Rollout
    fields = readonly_fields = ("revision", "state", "waits_for", "started_at", "finished_at")
    show_change_link = True

    @admin.display(description="Waits for")
    def waits_for(self, row: Rollout) -> str:
        """What it waits for, or what has ended it."""
        return row.end_reason or row.told


@admin.register(Rollout)
class RolloutAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """Rollouts in waves; people steer them on the page of the app."""

    list_display = ("app", "revision", "state", "paused_by", "started_at", "finished_at")
    list_select_related = ("app__project__tenant",)
    list_filter = ("state",)
    search_fields = ("app__name", "app__project__name", "app__project__tenant__name")
    fields = (
        *("app", "revision", "state", "reason", "shown_waves", "strategy"),
        *("paused_at", "paused_by", "pause_reason", "excused"),
        *("started_at", "finished_at", "ended_by", "end_reason"),
    )
    readonly_fields = ("shown_waves",)

    @admin.display(description="waves")
    def shown_waves(self, row: Rollout) -> SafeString:
        """Each wave with its clusters, a line for each."""
        lines = ((each["number"], each["state"], ", ".join(each["clusters"])) for each in row.waves)
        return format_html_join("", "<div>{}: {} ({})</div>", lines)


@admin.register(App)
class AppAdmin(RowAdmin):
    """Apps."""

    list_display = ("name", "project", "phase", "revision", "generation", "updated_at")
    list_select_related = ("project__tenant",)
    search_fields = ("name", "project__name", "project__tenant__name")
    fields = (
        "uid",
        *("name", "project", "description", "labels", "components"),
        *("environment", "overrides", "placement", "strategy", "workflow"),
        *(
            "health_deadline",
            "on_failure",
            "repair_mode",
            "revision",
            "generation",
            "declared_by",
            "correlation_id",
        ),
        *(*STATUS, "created_at", "updated_at"),
    )
    inlines = (PlacementInline, RolloutInline, RevisionInline)


@admin.register(AppPlacement)
class AppPlacementAdmin(RowAdmin):
    """Apps on clusters."""

    list_display = ("app", "cluster", "phase", "revision", "observed_generation", "updated_at")
    list_select_related = ("app__project__tenant", "cluster")
    list_filter = ("phase", "cluster", "chosen_adapter")
    search_fields = ("app__name", "app__project__name", "app__project__tenant__name")
    fields = (
        *("uid", "app", "cluster", "chosen_adapter", "target", "revision"),
        *("publications", "components"),
        *(*STATUS, "failing_since"),
    )


class SecretPlacementInline(PlacementsInline):
    """How a secret fares on its clusters."""

    model = SecretPlacement
    fields = readonly_fields = ("cluster", "version", "phase", "told", "observed_generation")


@admin.register(ProjectSecret)
class ProjectSecretAdmin(RowAdmin):
    """Secrets of projects: which keys they have, never the values."""

    list_display = ("name", "project", "phase", "version", "changed_by", "changed_at")
    list_select_related = ("project__tenant",)
    search_fields = ("name", "project__name", "project__tenant__name")
    fields = (
        *("uid", "name", "project", "description", "shown_keys"),
        *("version", "changed_by", "changed_at", "generation", "declared_by", "correlation_id"),
        *(*STATUS, "created_at", "updated_at"),
    )
    readonly_fields = ("shown_keys",)
    inlines = (SecretPlacementInline,)

    @admin.display(description="keys")
    def shown_keys(self, row: ProjectSecret) -> str:
        """The names of its keys."""
        return ", ".join(sorted(row.digests))


@admin.register(SecretPlacement)
class SecretPlacementAdmin(RowAdmin):
    """Secrets on clusters."""

    list_display = ("secret", "cluster", "phase", "version", "observed_generation", "updated_at")
    list_select_related = ("secret__project__tenant", "cluster")
    list_filter = ("phase", "cluster")
    search_fields = ("secret__name", "secret__project__name", "secret__project__tenant__name")
    fields = ("uid", "secret", "cluster", "version", *STATUS, "failing_since")


class WorkflowVersionInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """Which steps a workflow had, each time that they changed."""

    model = WorkflowVersion
    fields = readonly_fields = ("number", "author", "spec", "correlation_id", "created_at")


class WorkflowRunInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """How the runs of a workflow fare."""

    model = WorkflowRun
    fields = readonly_fields = ("number", "version", "state", "asked_by", "finished_at")
    show_change_link = True


@admin.register(Workflow)
class WorkflowAdmin(RowAdmin):
    """Workflows."""

    list_display = ("name", "project", "version", "mode", "declared_by", "updated_at")
    list_select_related = ("project__tenant",)
    list_filter = ("mode",)
    search_fields = ("name", "project__name", "project__tenant__name")
    fields = (
        *("uid", "name", "project", "app", "description", "mode", "steps", "version"),
        *("generation", "declared_by", "correlation_id"),
        *(*STATUS, "created_at", "updated_at"),
    )
    inlines = (WorkflowRunInline, WorkflowVersionInline)


@admin.register(WorkflowRun)
class WorkflowRunAdmin(RowAdmin):
    """Runs of workflows."""

    list_display = ("workflow", "number", "state", "version", "asked_by", "created_at")
    list_select_related = ("workflow__project__tenant",)
    list_filter = ("state",)
    search_fields = ("workflow__name", "workflow__project__name", "=correlation_id")
    fields = (
        *("uid", "workflow", "number", "version", "revision", "state", "message", "parameters"),
        *("asked_by", "suspended_by", "correlation_id", "spec", "progress"),
        *("phase", "told_steps", "created_at", "updated_at", "finished_at"),
    )
    readonly_fields = ("told_steps",)

    @admin.display(description="steps")
    def told_steps(self, row: WorkflowRun) -> SafeString:
        """How each step fares, a line for each."""
        lines = (
            (name, row.progress[name]["phase"], row.progress[name]["message"]) for name in row.steps
        )
        return format_html_join("", "<div>{} is {}. {}</div>", lines)
