"""Policy sets and their attachments over HTTP."""

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from policies.api.serializers import (
    AttachmentSerializer,
    CatalogueSerializer,
    PolicySetSerializer,
    PromotionSerializer,
)
from policies.models import Attachment, PolicySet
from policies.rules.catalogue import CATALOGUE
from reconcile.api.objects import ObjectView
from reconcile.api.verbs import verb
from reconcile.api.views import ApiView
from reconcile.models.declared import Declared
from tenancy.rules.modes import Mode

SCOPE = {"policyset": "policy_set__name"}


class PolicySetView(ObjectView):
    """Policy sets: written by operators, read by members of the tenants that they bind."""

    model: ClassVar[type[Declared]] = PolicySet
    collection = "policysets"
    serializer_class = PolicySetSerializer
    prefetch = ()


class AttachmentView(ObjectView):
    """Whom sets bind: for who writes them alone, as each names tenants."""

    model: ClassVar[type[Declared]] = Attachment
    collection = "attachments"
    serializer_class = AttachmentSerializer
    scope = SCOPE
    prefetch = ("policy_set",)

    @verb("change", body=PromotionSerializer, plans=True)
    def promote(self, row: Attachment, data: Mapping[str, Any]) -> None:
        """Let an attachment hold harder: audit, then warn, then enforce."""
        mode = data.get("mode")
        row.promote(self.user.get_username(), Mode(mode) if mode else None)


class CatalogueView(ApiView):
    """Policy sets to begin with."""

    collection = "policysets"

    @extend_schema(responses=CatalogueSerializer)
    def get(self, request: Request) -> Response:
        """Return the starter catalogue; nothing of it holds before it is created and attached."""
        return Response(CatalogueSerializer(CATALOGUE).data)
