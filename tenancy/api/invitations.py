"""Invitations over HTTP: made by who manages members, answered by who bears the user name."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from reconcile.api.fields import StringField
from reconcile.api.idempotency import once
from reconcile.api.objects import ROOT
from reconcile.api.pagination import NewestFirst
from reconcile.api.serializers import StrictSerializer
from reconcile.api.views import ApiView
from reconcile.refusals import Fault, Invalid
from tenancy.api.members import TeamOfProject, TeamOfTenant, TeamView
from tenancy.intents import Role
from tenancy.models import Invitation, InvitationState, Project, Tenant

_STATES = [*InvitationState, "Expired"]


class InvitationSerializer(serializers.ModelSerializer[Invitation]):
    """An offer of a role."""

    tenant = serializers.CharField(source="tenant.name")
    project = serializers.CharField(
        source="project.name",
        default=None,
        allow_null=True,
        help_text="Null: to all of the tenant.",
    )
    state = serializers.ChoiceField(source="shown_state", choices=_STATES)

    class Meta:
        model = Invitation
        fields = (
            *("uid", "tenant", "project", "username", "role", "state", "invited_by"),
            *("created_at", "expires_at", "settled_at"),
        )


class InviteSerializer(StrictSerializer):
    """Whom to offer what. It is not told whether such a user exists."""

    username = StringField(max_length=150)
    role = serializers.ChoiceField(choices=list(Role))


def invite(team: Tenant | Project, username: str, role: str, by: User) -> tuple[Invitation, bool]:
    """Return the invitation and whether it is new. Raises Invalid pointing at the name."""
    try:
        return Invitation.invite(team, username, Role(role), by=by.get_username())
    except ValidationError as error:
        fault = Fault("username", " ".join(error.messages), "/username")
        raise Invalid("Parts of the request are wrong.", errors=[fault]) from None


class _Invitations(TeamView):
    """The invitations to a tenant or project."""

    serializer_class = InvitationSerializer
    queryset = Invitation.objects.none()
    pagination_class = NewestFirst

    def known_parameters(self) -> tuple[str, ...]:
        """The list takes a page."""
        page = ("limit", "cursor") if self.request.method == "GET" else ()
        return (*self.scope, *page)

    def get(self, request: Request, **names: str) -> Response:
        """List all invitations, the newest first, with what became of them."""
        rows = Invitation.objects.of(self.team("manage_members"))
        page = self.paginate_queryset(rows.select_related("tenant", "project"))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(
        request=InviteSerializer, responses={201: InvitationSerializer, 200: InvitationSerializer}
    )
    def post(self, request: Request, **names: str) -> Response:
        """Invite a user name, whether or not anybody bears it yet. The same again answers 200."""
        team = self.team("manage_members")
        body = InviteSerializer(data=self.body())
        body.is_valid(raise_exception=True)

        def answered() -> Response:
            made, new = invite(team, **body.validated_data, by=self.user)
            headers = {"Location": f"{ROOT}/invitations/{made.uid}"} if new else {}
            shown = self.get_serializer(made).data
            return Response(shown, status=201 if new else 200, headers=headers)

        return once(request, answered)


class TenantInvitations(_Invitations, TeamOfTenant):
    """To a tenant."""


class ProjectInvitations(_Invitations, TeamOfProject):
    """To one project."""


class _Mine(ApiView):
    """What the caller is concerned with."""

    collection: ClassVar[str] = "invitations"
    serializer_class = InvitationSerializer
    queryset = Invitation.objects.none()
    pagination_class = NewestFirst
    filter_backends = ()

    def found(self, uid: str, action: str) -> Invitation:
        """Return the one of the path. Raises NotFound, PermissionDenied."""
        rows = Invitation.objects.visible_to(self.user).filter(uid=uid)
        row = rows.select_related("tenant", "project__tenant").first()
        if row is None:
            raise NotFound
        if action and not row.may(self.user, action):
            raise PermissionDenied
        return row


class MyInvitations(_Mine):
    """All that the caller can accept now."""

    query_parameters = ("limit", "cursor")

    def get(self, request: Request) -> Response:
        """List the open invitations of the caller's user name."""
        rows = Invitation.objects.addressed_to(self.user)
        page = self.paginate_queryset(rows.select_related("tenant", "project"))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class InvitationDetail(_Mine):
    """One invitation."""

    def get(self, request: Request, uid: str) -> Response:
        """Return an invitation to whom it is for, and to who manages the members."""
        return Response(self.get_serializer(self.found(uid, "")).data)


class _Answer(_Mine):
    """A verb that ends an invitation; whoever is first decides."""

    def _answered(self, uid: str, action: str, end: Callable[[Invitation], Any]) -> Response:
        row = self.found(uid, action)

        def answered() -> Response:
            end(row)
            return Response(self.get_serializer(row).data)

        return once(self.request, answered)


class InvitationAccept(_Answer):
    """`:accept`."""

    @extend_schema(request=None)
    def post(self, request: Request, uid: str) -> Response:
        """Become a member. Takes effect at the next request; once more changes nothing."""
        return self._answered(uid, "accept", lambda row: row.accept(self.user))


class InvitationDecline(_Answer):
    """`:decline`."""

    @extend_schema(request=None)
    def post(self, request: Request, uid: str) -> Response:
        """Decline it. Once more changes nothing."""
        return self._answered(uid, "decline", lambda row: row.decline(self.user))


class InvitationWithdraw(_Answer):
    """`:withdraw`."""

    @extend_schema(request=None)
    def post(self, request: Request, uid: str) -> Response:
        """Take an invitation back that was not answered yet. Once more changes nothing."""
        by = self.user.get_username()
        return self._answered(uid, "withdraw", lambda row: row.withdraw(by))
