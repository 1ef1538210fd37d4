"""Clusters for operators. Credentials are never shown; what the loop owns cannot be edited."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import ActionForm

from clusters.models import (
    BootstrapRun,
    Capability,
    Cluster,
    ClusterBaseline,
    Finding,
    Orphan,
    WatchLease,
)
from reconcile.admin import STATUS, PlacementsInline, ReadOnly, RowAdmin
from reconcile.guard import Reason
from reconcile.refusals import Refusal

_LISTED = 200


class CapabilityInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """What a cluster was found to be able to do."""

    model = Capability
    fields = readonly_fields = ("name", "served", "version", "reason", "observed_at")
    extra = 0


class BaselineInline(PlacementsInline):
    """How KubeNova's own objects on a cluster fare."""

    model = ClusterBaseline
    fields = readonly_fields = ("phase", "told", "observed_generation", "failing_since")
    show_change_link = False


@admin.register(Orphan)
class OrphanAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """What carries KubeNova's label on clusters and belongs to nothing known."""

    list_display = (
        *("kind", "namespace", "name", "cluster", "owner"),
        *("first_seen", "last_seen", "gone_at"),
    )
    list_select_related = ("cluster",)
    list_filter = (("gone_at", admin.EmptyFieldListFilter), "cluster", "kind")
    search_fields = ("name", "namespace", "=uid", "owner")


class AcceptForm(ActionForm):  # type: ignore[misc]
    """Asks why a finding may stay as it is, beside the choice of the action."""

    reason = forms.CharField(required=False, max_length=500)


class FindingInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """What is known to be wrong with the platforms of a cluster."""

    model = Finding
    fields = readonly_fields = (
        "severity",
        "code",
        "message",
        "fix",
        "accepted_by",
        "accepted_reason",
    )
    extra = 0


@admin.register(Finding)
class FindingAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """Findings on all clusters; a critical one keeps new tenants away until it is accepted."""

    list_display = (
        *("code", "cluster", "severity", "step", "message"),
        *("accepted_by", "accepted_at", "accepted_reason", "last_seen"),
    )
    list_select_related = ("cluster",)
    list_filter = ("severity", ("accepted_at", admin.EmptyFieldListFilter), "step", "cluster")
    search_fields = ("code", "message", "cluster__name", "accepted_by")
    action_form = AcceptForm
    actions = ("accept", "revoke")

    @admin.action(description="Accept with the reason given", permissions=["act"])
    def accept(self, request: HttpRequest, rows: QuerySet[Finding]) -> None:
        """Let tenants come in spite of them; nothing is accepted without a reason."""
        reason, changed = request.POST.get("reason", ""), 0
        for finding in rows.select_related("cluster"):
            try:
                changed += finding.accept(reason, by=request.user.get_username())
            except Refusal as refusal:
                told = " ".join(fault.detail for fault in refusal.errors)
                self.message_user(request, f"{finding}: {told}", messages.ERROR)
        self.message_user(request, f"{changed} were accepted.")

    @admin.action(description="Revoke the acceptance", permissions=["act"])
    def revoke(self, request: HttpRequest, rows: QuerySet[Finding]) -> None:
        """Keep new tenants away again."""
        found = rows.select_related("cluster")
        changed = sum(finding.revoke(by=request.user.get_username()) for finding in found)
        self.message_user(request, f"{changed} acceptances were revoked.")


@admin.register(BootstrapRun)
class BootstrapRunAdmin(RowAdmin):
    """Bundles on their way. What is in them, and what they are applied with, is never shown."""

    list_display = ("cluster", "step_name", "phase", "progress", "asked_by", "finished_at")
    list_select_related = ("cluster",)
    list_filter = ("phase", "step_name", "cluster")
    fields = readonly_fields = (
        *("cluster", "step_name", "namespace", "force", "asked_by", "progress"),
        *("phase", "told", "objects", "credential_until", "created_at", "finished_at"),
    )

    @admin.display(description="applied")
    def progress(self, row: BootstrapRun) -> str:
        """How many objects are there."""
        return f"{len(row.applied)} of {row.total}"

    @admin.display(description="objects")
    def objects(self, row: BootstrapRun) -> str:
        """What is there."""
        return "\n".join(sorted(row.applied)) or "-"


@admin.register(Cluster)
class ClusterAdmin(RowAdmin):
    """Registered clusters. Registering and forgetting one takes the API."""

    list_display = (
        "name",
        "phase",
        "version",
        "server",
        "paused",
        "report_only",
        "scoped_expires_at",
        "updated_at",
    )
    list_filter = ("phase", "paused", "report_only", "version")
    search_fields = ("name", "server")
    fields = (
        "name",
        "labels",
        "access_proxy",
        "paused",
        "report_only",
        "report_only_message",
        "report_only_since",
        "held_back",
        *STATUS,
        "generation",
        *("server", "version", "kube_system_uid", "scoped_expires_at", "rotated_at", "watched_by"),
        *("uid", "declared_by", "correlation_id", "created_at", "updated_at"),
    )
    editable = ("labels", "access_proxy")
    inlines = (FindingInline, CapabilityInline, BaselineInline)
    actions = (
        "reconcile_now",
        "pause",
        "resume",
        "confirm_identity",
        "confirm_epoch",
        "confirm_deletions",
    )

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Operators with the permission change what a person declares of a cluster."""
        return self.may_change(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Everything but the spec."""
        return tuple(name for name in self.fields if name not in self.editable)

    @admin.display(description="watched by")
    def watched_by(self, row: Cluster) -> str:
        """The host and process that follows it now."""
        lease = WatchLease.objects.standing().filter(cluster=row).first()
        return lease.holder if lease else "nobody"

    def save_model(self, request: HttpRequest, obj: Cluster, form: Any, change: bool) -> None:
        """Declare the spec, as the API does; a refusal is told and nothing is changed."""
        try:
            obj.declare(by=request.user.get_username())
        except Refusal as refusal:
            self.message_user(request, refusal.detail, messages.ERROR)

    @admin.action(description="Reconcile now", permissions=["act"])
    def reconcile_now(self, request: HttpRequest, rows: QuerySet[Cluster]) -> None:
        """Look at the clusters now."""
        for cluster in rows:
            cluster.reprobe(by=request.user.get_username())
        self.message_user(request, f"{len(rows)} are being looked at.")

    @admin.action(description="Pause", permissions=["act"])
    def pause(self, request: HttpRequest, rows: QuerySet[Cluster]) -> None:
        """Leave the clusters as they are."""
        self._each(request, rows, "pause")

    @admin.action(description="Resume", permissions=["act"])
    def resume(self, request: HttpRequest, rows: QuerySet[Cluster]) -> None:
        """End the pause."""
        self._each(request, rows, "resume")

    @admin.display(description="Unknown here, or waiting to be deleted")
    def held_back(self, row: Cluster) -> str:
        """What an operator looks at before confirming."""
        found = [*row.unknown[:_LISTED], *(str(each) for each in row.waiting[:_LISTED])]
        return "\n".join(found) or "-"

    @admin.action(description="Confirm: this is the cluster now", permissions=["act"])
    def confirm_identity(self, request: HttpRequest, rows: QuerySet[Cluster]) -> None:
        """Let a cluster take the place of the one before."""
        self._each(request, rows, "confirm", reason=Reason.IDENTITY)

    @admin.action(description="Confirm: this database goes on", permissions=["act"])
    def confirm_epoch(self, request: HttpRequest, rows: QuerySet[Cluster]) -> None:
        """Let a restored database write again."""
        self._each(request, rows, "confirm", reason=Reason.EPOCH)

    @admin.action(description="Confirm: carry out the deletions that wait", permissions=["act"])
    def confirm_deletions(self, request: HttpRequest, rows: QuerySet[Cluster]) -> None:
        """Let go what waits to be deleted."""
        self._each(request, rows, "confirm", reason=Reason.DELETIONS)

    def _each(
        self, request: HttpRequest, rows: QuerySet[Cluster], verb: str, **given: object
    ) -> None:
        changed = 0
        for cluster in rows:
            try:
                changed += getattr(cluster, verb)(by=request.user.get_username(), **given)
            except Refusal as refusal:
                self.message_user(request, refusal.detail, messages.ERROR)
        self.message_user(request, f"{changed} changed.")
