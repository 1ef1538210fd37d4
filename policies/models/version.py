"""Versions: what a policy set said, each time that its rules changed."""

from typing import Any

from django.db import models

from delivery.models.revision import Unchangeable


class PolicyVersion(models.Model):
    """The numbered, immutable rules of a policy set.

    The database refuses a change as well (a trigger of the migrations).
    """

    policy_set = models.ForeignKey(
        "policies.PolicySet", on_delete=models.CASCADE, related_name="versions"
    )
    number = models.PositiveIntegerField()
    rules = models.JSONField()
    author = models.CharField(max_length=150)
    correlation_id = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["policy_set", "number"], name="version_once_per_set")
        ]

    def __str__(self) -> str:
        return f"Version {self.number} of {self.policy_set}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert the version. Raises Unchangeable for one that exists."""
        if not self._state.adding:
            raise Unchangeable(f"{self} never changes.")
        super().save(*args, **kwargs)
