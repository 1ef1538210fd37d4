"""Revisions: what an app consisted of, each time that it changed."""

from typing import Any

from django.db import models


class Unchangeable(Exception):
    """A revision was to be changed. Make a new one."""


class Revision(models.Model):
    """A numbered, immutable spec of an app.

    `healthy` alone is written later, by the loop: it was once deployed on every cluster. `origin`
    is the number of the revision that a rollback went back to. The database refuses any other
    change as well (a trigger of the migrations).
    """

    app = models.ForeignKey("delivery.App", on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    spec = models.JSONField()
    spec_hash = models.CharField(max_length=32)
    author = models.CharField(max_length=150)
    message = models.CharField(max_length=300, blank=True, default="")
    correlation_id = models.CharField(max_length=64, blank=True, default="")
    origin = models.PositiveIntegerField(null=True, blank=True)
    healthy = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["app", "number"], name="revision_once_per_app")
        ]

    def __str__(self) -> str:
        return f"Revision {self.number} of {self.app}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert the revision. Raises Unchangeable for one that exists."""
        if not self._state.adding:
            raise Unchangeable(f"{self} never changes.")
        super().save(*args, **kwargs)
