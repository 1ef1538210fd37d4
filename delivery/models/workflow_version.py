"""Versions of a workflow: which steps it had, each time that they changed."""

from typing import Any

from django.db import models

from delivery.models.revision import Unchangeable


class WorkflowVersion(models.Model):
    """A numbered, immutable copy of the mode and steps of a workflow.

    The database refuses any change as well (a trigger of the migrations).
    """

    workflow = models.ForeignKey(
        "delivery.Workflow", on_delete=models.CASCADE, related_name="versions"
    )
    number = models.PositiveIntegerField()
    spec = models.JSONField()
    spec_hash = models.CharField(max_length=32)
    author = models.CharField(max_length=150)
    correlation_id = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["workflow", "number"], name="workflow_version_once_per_workflow"
            )
        ]

    def __str__(self) -> str:
        return f"Version {self.number} of {self.workflow}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert the version. Raises Unchangeable for one that exists."""
        if not self._state.adding:
            raise Unchangeable(f"{self} never changes.")
        super().save(*args, **kwargs)
