"""What lives in a project and belongs to those who deliver into it."""

from typing import TYPE_CHECKING, Any, Self, TypeVar

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Model, QuerySet

from tenancy.models import Project
from tenancy.models.cordon import Cordonable

M = TypeVar("M", bound=Model)


class InProjectQuerySet(QuerySet[M]):
    """Reading verbs."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Whoever sees a project sees what is in it."""
        if user.is_active and user.is_staff:
            return self
        return self.filter(project__in=Project.objects.visible_to(user).order_by())


class InProject(Cordonable):
    """A row with a `project` and a `name` of its own there."""

    if TYPE_CHECKING:
        project: Any
        name: Any

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.kind} {self.project.tenant.name}/{self.project.name}/{self.name}"

    @property
    def tenant_name(self) -> str:
        """The tenant of its project."""
        found: str = self.project.tenant_name
        return found

    def above(self) -> Project:
        """Its project."""
        found: Project = self.project
        return found

    def may(self, user: User | AnonymousUser, action: str) -> bool:
        """Whoever delivers into the project does anything with it; every member sees it."""
        return bool(self.project.may(user, "view" if action == "view" else "deliver"))
