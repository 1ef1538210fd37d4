"""Where something that operators publish was sent, for the admin."""

from django.contrib import admin
from unfold.admin import TabularInline

from clusters.models.published import Sent
from reconcile.admin import ReadOnly


class SentInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """Where it was sent."""

    fields = readonly_fields = ("cluster", "version", "outdated", "fares", "asked_by", "asked_at")
    extra = 0

    @admin.display(boolean=True, description="outdated")
    def outdated(self, row: Sent) -> bool:
        """Whether it was changed since."""
        return row.outdated

    @admin.display(description="phase")
    def fares(self, row: Sent) -> str:
        """The phase, and why."""
        phase, message = row.state()
        return f"{phase}: {message}" if message else str(phase)
