"""Which types people may use, over HTTP: of the platform and of single tenants."""

from typing import Any, cast

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from delivery.models import TypeList
from delivery.models.allowing import allowed_for
from delivery.models.published_types import published_names
from delivery.rules.allowing import COLUMNS, list_fault
from delivery.rules.definitions import DefinitionKind
from reconcile.api.fields import StringField
from reconcile.api.serializers import StrictSerializer
from reconcile.api.views import ApiView
from tenancy.api.members import TeamOfTenant
from tenancy.models import Tenant

_MOST = 99
_NONE = "Null or left out: no list of its own."


class AllowedSerializer(serializers.Serializer[Any]):
    """What may be used, all lists taken together."""

    components = serializers.ListField(child=serializers.CharField())
    traits = serializers.ListField(child=serializers.CharField())
    workflow_steps = serializers.ListField(child=serializers.CharField())


class TypesField(serializers.ListField):
    """Types of a kind, ours and published ones."""

    def __init__(self, *, kind: DefinitionKind, **kwargs: Any) -> None:
        super().__init__(child=StringField(max_length=63), **kwargs)
        self.kind = kind

    def to_internal_value(self, data: Any) -> list[str]:
        """Return the list. Raises ValidationError by the place of what is no such type."""
        found: list[str] = super().to_internal_value(data)
        published = published_names(self.kind)
        faults = {
            index: [ErrorDetail(fault, code="type")]
            for index, each in enumerate(found)
            if (fault := list_fault(self.kind, [each], published))
        }
        if faults:
            raise ValidationError(cast(Any, faults))
        return found


def _types(kind: DefinitionKind) -> serializers.ListField:
    return TypesField(
        kind=kind,
        required=False,
        allow_null=True,
        default=None,
        max_length=_MOST,
        help_text=f"The {kind} types that may be used, ours and published ones. {_NONE}",
    )


class TypeListSerializer(StrictSerializer):
    """The types that may be used: every type that there is, where nobody has said otherwise.

    A tenant's list stands in for the platform's.
    """

    components = _types(DefinitionKind.COMPONENT)
    traits = _types(DefinitionKind.TRAIT)
    workflow_steps = _types(DefinitionKind.STEP)
    effective = AllowedSerializer(read_only=True)
    changed_by = serializers.CharField(read_only=True, allow_null=True)
    changed_at = serializers.DateTimeField(read_only=True, allow_null=True)


class _Types(ApiView):
    """The list of one tenant, or that of the platform: people read it, operators write it."""

    serializer_class = TypeListSerializer

    def shown(self, tenant: Tenant | None) -> Response:
        """Answer with the list, and what follows from it."""
        found = TypeList.objects.filter(tenant=tenant).first()
        names = (*COLUMNS.values(), "changed_by", "changed_at")
        body = {name: getattr(found, name, None) for name in names}
        return Response(TypeListSerializer({**body, "effective": allowed_for(tenant)}).data)

    def replaced(self, tenant: Tenant | None) -> Response:
        """Replace it. Raises PermissionDenied for whoever is no operator."""
        if not self.user.is_staff:
            raise PermissionDenied
        body = TypeListSerializer(data=self.body())
        body.is_valid(raise_exception=True)
        TypeList.allow(tenant, by=self.user.get_username(), **body.validated_data)
        return self.shown(tenant)


@extend_schema(responses=TypeListSerializer)
class PlatformTypes(_Types):
    """`/definitions/allowed`: of every tenant without a list of its own."""

    @extend_schema(operation_id="allowed_types_retrieve")
    def get(self, request: Request) -> Response:
        """Tell which types the platform lets people use."""
        return self.shown(None)

    @extend_schema(operation_id="allowed_types_update")
    def put(self, request: Request) -> Response:
        """Say which types people may use. What runs goes on, and may be changed otherwise."""
        return self.replaced(None)


@extend_schema(responses=TypeListSerializer)
class TenantTypes(_Types, TeamOfTenant):
    """`/tenants/{tenant}/definitions/allowed`."""

    @extend_schema(operation_id="tenant_allowed_types_retrieve")
    def get(self, request: Request, tenant: str) -> Response:
        """Tell which types a tenant may use."""
        return self.shown(cast(Tenant, self.team()))

    @extend_schema(operation_id="tenant_allowed_types_update")
    def put(self, request: Request, tenant: str) -> Response:
        """Say which types a tenant may use, more or fewer than others."""
        return self.replaced(cast(Tenant, self.team()))
