"""Who belongs to a tenant or to one of its projects, and as what."""

from typing import Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import models
from django.db.models import QuerySet

from tenancy.intents import Role


class MembershipQuerySet(QuerySet["Membership"]):
    """Reading verbs."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Members see the members of their tenants; operators see all."""
        if not user.is_active:
            return self.none()
        if user.is_staff:
            return self
        return self.filter(tenant__members=user)


class Membership(models.Model):
    """A user's role in a tenant, read from here at each request and never from a token."""

    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.CASCADE, related_name="memberships"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships"
    )
    role = models.CharField(max_length=20, choices=[(role, role) for role in Role])
    created_at = models.DateTimeField(auto_now_add=True)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        ordering = ["user__username"]
        constraints = [models.UniqueConstraint(fields=["tenant", "user"], name="member_once")]

    def __str__(self) -> str:
        return f"{self.user.get_username()} as {self.role} of {self.tenant}"


class ProjectMembership(models.Model):
    """A user's role in one project; what the role in the tenant gives is never taken by it."""

    project = models.ForeignKey(
        "tenancy.Project", on_delete=models.CASCADE, related_name="memberships"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="project_memberships"
    )
    role = models.CharField(max_length=20, choices=[(role, role) for role in Role])
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["user__username"]
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="project_member_once")
        ]

    def __str__(self) -> str:
        return f"{self.user.get_username()} as {self.role} of {self.project}"
