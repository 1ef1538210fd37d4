"""A whole team in one call: `POST /tenants` with projects, members, invitations and more."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from reconcile.api.fields import AnnotationsField, LabelsField, NameField, StringField
from reconcile.api.plans import plannable
from reconcile.api.serializers import StrictSerializer
from tenancy.api.deleting import DeletingView
from tenancy.api.serializers import (
    NetworkRuleSerializer,
    QuantitiesField,
    TenantSerializer,
)
from tenancy.intents import Role
from tenancy.models import Tenant
from tenancy.onboarding import onboard

FIELDS: dict[str, type[StrictSerializer]] = {}


def contribute(name: str, body: type[StrictSerializer]) -> None:
    """Let the body of a new tenant carry a list of what another part prepares."""
    FIELDS[name] = body


class PersonSerializer(StrictSerializer):
    """A user name and a role."""

    username = StringField(max_length=150)
    role = serializers.ChoiceField(choices=list(Role))


class InvitedSerializer(PersonSerializer):
    """Whom to invite, to the tenant or to one of its new projects."""

    project = NameField(required=False, max_length=40)


class NewProjectSerializer(StrictSerializer):
    """A project of the new tenant, with members of its own."""

    name = NameField(max_length=40)
    description = StringField(required=False, allow_blank=True, max_length=300)
    labels = LabelsField(required=False)
    annotations = AnnotationsField(required=False)
    quota = QuantitiesField(required=False)
    weight = serializers.IntegerField(required=False, min_value=1, max_value=1000)
    network = NetworkRuleSerializer(many=True, required=False)
    members = PersonSerializer(many=True, required=False, max_length=200)  # type: ignore[call-arg]


class OnboardingSerializer(StrictSerializer):
    """What may come with a new tenant."""

    projects = NewProjectSerializer(many=True, required=False, max_length=50)  # type: ignore[call-arg]
    members = PersonSerializer(many=True, required=False, max_length=200)  # type: ignore[call-arg]
    invitations = InvitedSerializer(many=True, required=False, max_length=200)  # type: ignore[call-arg]

    def get_fields(self) -> dict[str, Any]:
        """Return the fields, those of other parts among them."""
        others = {name: body(many=True, required=False) for name, body in FIELDS.items()}
        return {**super().get_fields(), **others}


class NewTenantSerializer(TenantSerializer):
    """A tenant, with all that its team needs to begin."""

    def get_fields(self) -> dict[str, Any]:
        """Return the fields of both."""
        return {**super().get_fields(), **OnboardingSerializer().get_fields()}


class OnboardingView(DeletingView):
    """Creates a tenant with what comes with it: all of it or nothing."""

    @extend_schema(
        request=NewTenantSerializer, responses={201: TenantSerializer, 200: TenantSerializer}
    )
    @plannable
    def create(self, request: Request, **kwargs: Any) -> Response:
        """Create a tenant, and with it projects, members, invitations and prepared grants.

        The same body again answers 200 with the same tenant and changes nothing; how far all of it
        has come is told in `status.checklist`.
        """
        return super().create(request, **kwargs)

    def _create(self, parent: Any, body: Mapping[str, Any]) -> Response:
        names = {*OnboardingSerializer().get_fields()} if self.action == "create" else set()
        given = {name: value for name, value in body.items() if name in names}
        rest = {name: value for name, value in body.items() if name not in names}
        if not given:
            return super()._create(parent, rest)
        asked = OnboardingSerializer(data=given, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        with transaction.atomic():
            answer = super()._create(parent, rest)
            tenant = Tenant.objects.select_for_update().get(name=rest["name"])
            onboard(tenant, asked.data, self.user)
        return self.show(tenant, status=answer.status_code)
