"""Policies for operators: what was declared can be read, what binds tenants can be looked at."""

from django.contrib import admin
from unfold.admin import ModelAdmin, TabularInline

from clusters.admin_published import SentInline
from policies.models import (
    Attachment,
    CelRule,
    Finding,
    Imposition,
    PolicyException,
    PolicySet,
    PolicyVersion,
    RulePublication,
    Simulation,
    SimulationRun,
)
from reconcile.admin import STATUS, ReadOnly, RowAdmin

_DECLARED = ("generation", "declared_by", "correlation_id", *STATUS, "created_at", "updated_at")


class VersionInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """What a set said, each time that its rules changed."""

    model = PolicyVersion
    fields = readonly_fields = ("number", "rules", "author", "correlation_id", "created_at")


class AttachmentInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """Whom a set binds."""

    model = Attachment
    fields = readonly_fields = ("name", "mode", "version", "phase", "told")
    show_change_link = True


class ExceptionInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """Who is spared; made and ended through the API and the pages, where it is recorded."""

    model = PolicyException
    fields = readonly_fields = (
        *("tenant", "project", "kind", "reason", "author", "created_at", "expires_at"),
    )


@admin.register(PolicySet)
class PolicySetAdmin(RowAdmin):
    """Policy sets."""

    list_display = ("name", "phase", "version", "generation", "updated_at")
    search_fields = ("name", "description")
    fields = ("uid", "name", "description", "rules", "version", *_DECLARED)
    inlines = (AttachmentInline, VersionInline)


@admin.register(Attachment)
class AttachmentAdmin(RowAdmin):
    """Whom policy sets bind."""

    list_display = ("__str__", "mode", "version", "phase", "updated_at")
    list_filter = ("phase", "mode")
    list_select_related = ("policy_set",)
    search_fields = ("name", "policy_set__name")
    fields = (
        *("uid", "policy_set", "name", "mode", "version"),
        *("every_tenant", "tenants", "tenant_selector", "projects"),
        *("clusters", "cluster_selector", *_DECLARED),
    )
    inlines = (ExceptionInline,)


@admin.register(Imposition)
class ImpositionAdmin(RowAdmin):
    """What all attachments together impose on each tenant."""

    list_display = ("tenant", "phase", "updated_at")
    list_select_related = ("tenant",)
    search_fields = ("tenant__name",)
    fields = ("uid", "tenant", "imposed", "imposed_on", "attachments", *STATUS)
    readonly_fields = ("imposed", "imposed_on")

    @admin.display(description="imposed")
    def imposed(self, row: Imposition) -> object:
        """What it has handed down."""
        return row.tenant.imposed

    @admin.display(description="imposed instead, by cluster")
    def imposed_on(self, row: Imposition) -> object:
        """What it has handed down for single clusters."""
        return row.tenant.imposed_on


@admin.register(PolicyException)
class PolicyExceptionAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """Who is spared which rule."""

    list_display = ("subject", "kind", "attachment", "reason", "author", "expires_at")
    list_filter = ("kind",)
    list_select_related = ("attachment__policy_set",)
    search_fields = ("tenant", "project", "reason", "author")


class SimulationRunInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """How it goes on each cluster."""

    model = SimulationRun
    fields = readonly_fields = ("cluster", "phase", "done", "places", "tried", "fault")


@admin.register(Simulation)
class SimulationAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """What versions would refuse; begun and read in full through the API and the pages."""

    list_display = ("__str__", "asked_by", "created_at")
    list_select_related = ("policy_set",)
    search_fields = ("policy_set__name", "asked_by")
    fields = ("uid", "policy_set", "number", "attachment", "scope", "asked_by", "created_at")
    inlines = (SimulationRunInline,)


@admin.register(Finding)
class FindingAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """What attachments that only warn or audit have let pass."""

    list_display = ("name", "kind", "tenant", "rule", "mode", "policyset_name", "last_seen")
    list_filter = ("mode", "rule", "policyset_name")
    list_select_related = ("tenant",)
    search_fields = ("name", "tenant__name", "policyset_name", "message")


class RulePublicationInline(SentInline):
    """Where a rule was sent."""

    model = RulePublication


@admin.register(CelRule)
class CelRuleAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """Rules in CEL; written through the API and the pages, which say what is wrong with one."""

    list_display = ("name", "version", "changed_by", "changed_at")
    search_fields = ("name", "description")
    fields = (
        *("name", "description", "resources", "operations", "variables", "validations"),
        *("version", "changed_by", "changed_at"),
    )
    inlines = (RulePublicationInline,)
