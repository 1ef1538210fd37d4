"""Tenancy for operators: what was declared can be read, what the loop owns cannot be edited."""

from django.contrib import admin
from unfold.admin import ModelAdmin, TabularInline

from reconcile.admin import STATUS, PlacementsInline, ReadOnly, RowAdmin
from tenancy.models import (
    Invitation,
    Membership,
    Onboarding,
    Project,
    ProjectMembership,
    ProjectPlacement,
    QuotaEntry,
    Tenant,
    TenantPlacement,
    UsageSample,
)

_DECLARED = ("generation", "declared_by", "correlation_id", *STATUS, "created_at", "updated_at")


class TenantPlacementInline(PlacementsInline):
    """A tenant's clusters."""

    model = TenantPlacement


class ProjectPlacementInline(PlacementsInline):
    """A project's clusters."""

    model = ProjectPlacement


class MembershipInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """Who belongs to a tenant; changed through the API and the pages, where it is recorded."""

    model = Membership
    fields = readonly_fields = ("user", "role", "created_at")


class ProjectMembershipInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """Who belongs to one project alone, or has a further role there."""

    model = ProjectMembership
    fields = readonly_fields = ("user", "role", "created_at")


@admin.register(Tenant)
class TenantAdmin(RowAdmin):
    """Tenants."""

    list_display = ("name", "phase", "isolation", "generation", "updated_at")
    list_filter = ("phase", "isolation")
    search_fields = ("name", "description")
    fields = (
        *("uid", "name", "description", "labels", "annotations", "placement"),
        *("quota", "quota_floors", "quota_division", "limits", "isolation", "network"),
        *("restrictions", "owner_subjects", "role_bindings"),
        *("repair_mode", "cordoned", "deletion_protection"),
        *_DECLARED,
    )
    inlines = (TenantPlacementInline, MembershipInline)


@admin.register(Project)
class ProjectAdmin(RowAdmin):
    """Projects."""

    list_display = ("name", "tenant", "phase", "generation", "updated_at")
    list_select_related = ("tenant",)
    search_fields = ("name", "tenant__name")
    fields = (
        *("uid", "tenant", "name", "description", "labels", "annotations", "namespace"),
        *("quota", "weight", "network", *_DECLARED),
    )
    readonly_fields = ("namespace",)
    inlines = (ProjectPlacementInline, ProjectMembershipInline)


@admin.register(QuotaEntry)
class QuotaEntryAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """The ledger: who has what of a quota, and who still holds what."""

    list_display = ("tenant", "resource", "cluster", "project", "target", "granted", "held")
    list_filter = ("cluster",)
    list_select_related = ("tenant", "project__tenant", "cluster")
    search_fields = ("tenant__name", "project__name", "resource")


@admin.register(UsageSample)
class UsageSampleAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """What tenants used over time."""

    list_display = ("at", "tenant", "resource", "cluster", "used", "hard")
    list_filter = ("cluster",)
    list_select_related = ("tenant", "cluster")
    search_fields = ("tenant__name", "resource")


class _Placements(RowAdmin):
    """Tenants and projects on clusters."""

    list_filter = ("phase", "cluster")


@admin.register(TenantPlacement)
class TenantPlacementAdmin(_Placements):
    """Tenants on clusters."""

    list_display = ("tenant", "cluster", "phase", "observed_generation", "updated_at")
    list_select_related = ("tenant", "cluster")
    search_fields = ("tenant__name",)
    fields = ("uid", "tenant", "cluster", *STATUS, "failing_since", "unselected")


@admin.register(ProjectPlacement)
class ProjectPlacementAdmin(_Placements):
    """Projects on clusters."""

    list_display = ("project", "cluster", "phase", "observed_generation", "updated_at")
    list_select_related = ("project__tenant", "cluster")
    search_fields = ("project__name", "project__tenant__name")
    fields = ("uid", "project", "cluster", *STATUS, "failing_since", "unselected")


@admin.register(Invitation)
class InvitationAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """Who was invited where, by whom, and what became of it."""

    list_display = ("username", "role", "tenant", "project", "shown_state", "invited_by")
    list_filter = ("state", "role")
    list_select_related = ("tenant", "project__tenant")
    search_fields = ("username", "invited_by", "tenant__name")
    fields = (
        *("uid", "tenant", "project", "username", "role", "shown_state"),
        *("invited_by", "created_at", "expires_at", "settled_at"),
    )


@admin.register(Onboarding)
class OnboardingAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """What was asked for together with a tenant."""

    list_display = ("tenant", "asked_by", "created_at", "done_at")
    list_select_related = ("tenant",)
    search_fields = ("tenant__name",)
    fields = ("tenant", "asked", "asked_by", "created_at", "done_at")
