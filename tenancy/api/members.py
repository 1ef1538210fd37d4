"""Members of tenants and projects over HTTP: idempotent, addressed by user name."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib.auth.models import User
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from reconcile.api import lookup
from reconcile.api.pagination import ItemsPagination
from reconcile.api.plans import plannable
from reconcile.api.views import ApiView
from reconcile.refusals import Deleting, Invalid
from tenancy.api.serializers import MemberSerializer, MemberSpecSerializer
from tenancy.intents import Role
from tenancy.models import Membership, Project, Tenant
from tenancy.models.peopled import Peopled


class TeamView(ApiView):
    """What is about the people of a tenant or project, found and authorised by the path."""

    kind: ClassVar[type[Peopled]]
    collection: ClassVar[str]
    scope: ClassVar[Mapping[str, str]] = {}
    filter_backends = ()
    pagination_class = ItemsPagination

    def known_parameters(self) -> tuple[str, ...]:
        """The parents narrow it down; lists take a page."""
        return (*self.scope, *self.query_parameters)

    def team(self, action: str = "view") -> Any:
        """Return the tenant or project of the path. Raises NotFound, Ambiguous, PermissionDenied.

        Who is to change it has to do so before it is on its way out: raises Deleting.
        """
        names = lookup.agreed_names(self.scope, self.kwargs, self.request.query_params, {})
        rows = lookup.narrow(lookup.visible(self.kind, self.user), self.scope, names)
        row = lookup.only(rows, self.kwargs[self.kind._meta.model_name], self.scope)
        if not row.may(self.user, action):
            raise PermissionDenied
        if action != "view" and row.deleting:
            raise Deleting(f"{row} is being deleted.")
        return row


class TeamOfTenant(TeamView):
    """The people of a tenant."""

    kind = Tenant
    collection = "tenants"


class TeamOfProject(TeamView):
    """The people of a project, beside those of its tenant."""

    kind = Project
    collection = "projects"
    scope: ClassVar[Mapping[str, str]] = {"tenant": "tenant__name"}


class _Members(TeamView):
    """What lists and single members share."""

    serializer_class = MemberSerializer
    queryset = Membership.objects.none()


class _List(_Members):
    """All members."""

    query_parameters = ("limit", "cursor")

    def get(self, request: Request, **names: str) -> Response:
        """List the members by name, each with the role."""
        members: QuerySet[Membership] = self.team().memberships.select_related("user")
        page = self.paginate_queryset(members)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class _Detail(_Members):
    """One member."""

    def get(self, request: Request, username: str, **names: str) -> Response:
        """Return a member and the role."""
        return Response(self.get_serializer(self._member(self.team(), username)).data)

    @extend_schema(request=MemberSpecSerializer)
    @plannable
    def put(self, request: Request, username: str, **names: str) -> Response:
        """Make a user a member, or change the role. Takes effect at the next request."""
        row = self.team("manage_members")
        body = MemberSpecSerializer(data=self.body())
        body.is_valid(raise_exception=True)
        user = User.objects.filter(username=username, is_active=True).first()
        if user is None:
            raise Invalid("There is no active user of this name.")
        role = Role(body.validated_data["role"])
        if role != Role.ADMIN:
            row.keep_an_admin(username, self.user)
        row.admit(user, role, by=self.user.get_username())
        return Response(self.get_serializer(self._member(row, username)).data)

    @extend_schema(responses={204: None})
    @plannable
    def delete(self, request: Request, username: str, **names: str) -> Response:
        """End a membership. Takes effect at the next request."""
        row = self.team("manage_members")
        member = self._member(row, username)
        row.keep_an_admin(username, self.user)
        row.dismiss(member.user, by=self.user.get_username())
        return Response(status=204)

    @staticmethod
    def _member(row: Peopled, username: str) -> Any:
        member = row.memberships.filter(user__username=username).first()
        if member is None:
            raise NotFound
        return member


class TenantMemberList(_List, TeamOfTenant):
    """Of a tenant."""


class TenantMemberDetail(_Detail, TeamOfTenant):
    """Of a tenant."""


class ProjectMemberList(_List, TeamOfProject):
    """Of one project alone; those of its tenant reach into it besides."""


class ProjectMemberDetail(_Detail, TeamOfProject):
    """Of one project alone."""
