"""Tenants and projects over HTTP."""

from typing import Any, ClassVar

from rest_framework.exceptions import PermissionDenied

from reconcile.api import lookup
from reconcile.api.serializers import DeclaredSerializer
from reconcile.models.declared import Declared
from reconcile.refusals import Conflicting
from tenancy.api.deleting import DeletingView
from tenancy.api.onboarding import OnboardingView
from tenancy.api.serializers import ProjectSerializer, TenantSerializer
from tenancy.models import Project, Tenant


def refuse_foreign(row: Tenant | Project, own: frozenset[str], who: str) -> None:
    """Refuse to change more of a stored row than `own`. Raises PermissionDenied naming the rest."""
    stored = type(row)._default_manager.get(pk=row.pk).spec()
    changed = {name for name, value in row.spec().items() if stored[name] != value}
    if foreign := sorted(changed - own):
        raise PermissionDenied(f"{who} {', '.join(foreign)}.")


class TenantView(OnboardingView):
    """Tenants: created and bounded by operators, led by their tenant-admins."""

    model: ClassVar[type[Declared]] = Tenant
    collection = "tenants"
    serializer_class = TenantSerializer
    prefetch = (
        "onboarding",
        "placements__cluster",
        "memberships__user",
        "projects__placements__cluster",
        "quota_entries",
    )

    def declare(self, row: Any, serializer: DeclaredSerializer) -> None:
        """Let tenant-admins change what is theirs. Raises PermissionDenied naming the rest."""
        if row.pk and not row.may(self.user, "administer"):
            refuse_foreign(row, Tenant.own_fields, "Only operators change")
        super().declare(row, serializer)


FIXED = (
    "A project is never renamed, nor moved to another tenant: its namespaces bear the name. Create "
    "the other one, deliver there, then delete this one."
)


class ProjectView(DeletingView):
    """Projects: led by the tenant-admins of their tenant, and by those of their own."""

    model: ClassVar[type[Declared]] = Project
    collection = "projects"
    serializer_class = ProjectSerializer
    scope = {"tenant": "tenant__name"}
    create_action = "add_project"
    prefetch = ("placements__cluster", "quota_entries")

    def names(self) -> dict[str, str]:
        """As for any object; a change that names another tenant is told why there is none."""
        try:
            return super().names()
        except Conflicting as refusal:
            changing = self.request.method in {"PUT", "PATCH"} and "tenant" in self.body()
            raise Conflicting(FIXED, errors=refusal.errors) if changing else refusal from None

    def _named_body(self, name: str) -> dict[str, Any]:
        if self.body().get("name", name) != name:
            raise Conflicting(FIXED, errors=lookup.contradiction("name").errors)
        return super()._named_body(name)

    def declare(self, row: Any, serializer: DeclaredSerializer) -> None:
        """Let its own admins change what is theirs. Raises PermissionDenied naming the rest."""
        if row.pk and not row.tenant.may(self.user, "add_project"):
            refuse_foreign(row, Project.own_fields, "Only admins of the tenant change")
        super().declare(row, serializer)
