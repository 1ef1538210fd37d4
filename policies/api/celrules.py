"""Rules in CEL over HTTP: kept here, carried to clusters by an operator's credential when asked."""

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError as ModelError
from django.db import IntegrityError
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from clusters.api.publishing import (
    PublicationSerializer,
    PublishingSerializer,
    PublishSerializer,
    PublishView,
)
from clusters.intents import SYSTEM_NAMESPACE
from clusters.models import Cluster
from clusters.models.bundling import Asked
from clusters.models.carrying import Carrying
from clusters.models.published import Sent
from policies.models import CelRule
from policies.models.compiling import refuse_uncompiled
from policies.models.policyset import governs
from policies.rules.celrules import MOST_VALIDATIONS, MOST_VARIABLES, OPERATIONS, RESOURCES
from policies.rules.expressions import LONGEST
from reconcile.api import lookup
from reconcile.api.fields import StringField
from reconcile.api.pagination import ItemsPagination
from reconcile.api.problems import model_faults
from reconcile.api.serializers import StrictSerializer
from reconcile.api.views import ApiView
from reconcile.refusals import Invalid, NotAllowed, Taken
from tenancy.models.serving import require
from tenancy.rules.named import LONGEST as LONGEST_NAME

MOST = 100
_POLICIES = "admission.policies"


class RuleVariableSerializer(StrictSerializer):
    """A value that expressions may use as `variables.<name>`."""

    name = StringField(max_length=63)
    expression = StringField(max_length=LONGEST)


class RuleValidationSerializer(StrictSerializer):
    """What has to be true, and what people are told where it is not."""

    expression = StringField(
        max_length=LONGEST,
        help_text="In CEL, with `object`, `oldObject` (null for what is new), `request`, "
        "`namespaceObject` and `variables`.",
    )
    message = StringField(min_length=3, max_length=300)


class CelRuleSerializer(StrictSerializer):
    """A rule in CEL. Policy sets name it as `{"cel": {"rules": ["<name>"]}}`."""

    name = serializers.CharField(read_only=True)
    description = StringField(required=False, default="", allow_blank=True, max_length=300)
    resources = serializers.MultipleChoiceField(
        choices=list(RESOURCES), help_text="What it governs, as kubectl spells it."
    )
    operations = serializers.MultipleChoiceField(
        choices=list(OPERATIONS), required=False, default=set(OPERATIONS)
    )
    variables = RuleVariableSerializer(
        many=True, required=False, default=list, help_text=f"At most {MOST_VARIABLES}."
    )
    validations = RuleValidationSerializer(many=True, help_text=f"At most {MOST_VALIDATIONS}.")
    version = serializers.IntegerField(read_only=True, help_text="Counts its changes.")
    deleting = serializers.BooleanField(read_only=True, help_text="It is to leave its clusters.")
    changed_by = serializers.CharField(read_only=True)
    changed_at = serializers.DateTimeField(read_only=True)
    publications = PublicationSerializer(many=True, read_only=True)

    def validate_resources(self, value: set[str]) -> list[str]:
        """Keep them in one order."""
        return [each for each in RESOURCES if each in value]

    def validate_operations(self, value: Iterable[str]) -> list[str]:
        """Keep them in one order."""
        return [each for each in OPERATIONS if each in value]


class CelRuleList(ApiView):
    """`/celrules`."""

    serializer_class = CelRuleSerializer
    queryset = CelRule.objects.none()
    filter_backends = ()
    pagination_class = ItemsPagination
    query_parameters = ("limit", "cursor")

    @extend_schema(operation_id="celrules_list")
    def get(self, request: Request) -> Response:
        """List the rules in CEL, for who writes policy sets."""
        rows = lookup.visible(CelRule, self.user).prefetch_related(*CelRule.shown())
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class CelRuleDetail(ApiView):
    """`/celrules/{name}`."""

    collection = "celrules"
    serializer_class = CelRuleSerializer

    @extend_schema(responses=CelRuleSerializer)
    def get(self, request: Request, name: str) -> Response:
        """Return a rule, and on which clusters it is."""
        return Response(CelRuleSerializer(self.row(name)).data)

    @extend_schema(responses={200: CelRuleSerializer, 201: CelRuleSerializer})
    def put(self, request: Request, name: str) -> Response:
        """Keep a rule, new or changed.

        Clusters get it by `POST /clusters/{name}:publish-rules`: their API server compiles it.
        """
        self.refuse_others()
        body = CelRuleSerializer(data=self.body())
        body.is_valid(raise_exception=True)
        by = self.user.get_username()
        try:
            row, created = CelRule.keep({"name": name}, body.validated_data, by=by)
        except ModelError as error:
            faults = model_faults(error)
            raise Invalid("Parts of the request are wrong.", errors=faults) from None
        except IntegrityError:
            raise Taken("Somebody has made a rule of this name just now.") from None
        return Response(CelRuleSerializer(row).data, status=201 if created else 200)

    @extend_schema(responses={202: CelRuleSerializer, 204: None})
    def delete(self, request: Request, name: str) -> Response:
        """Ask for the deletion: 204 where it is on no cluster, else 202 until it has left them.

        It leaves a cluster with the next `POST /clusters/{name}:publish-rules`. Refused while a
        policy set or a tenant names it.
        """
        row = self.row(name)
        self.refuse_others()
        if row.request_deletion():
            return Response(status=204)
        return Response(CelRuleSerializer(self.row(name)).data, status=202)

    def row(self, name: str) -> CelRule:
        """Return the one of the path. Raises NotFound, also for whoever sees none."""
        found: CelRule = lookup.only(lookup.visible(CelRule, self.user), name, {})
        return found

    def refuse_others(self) -> None:
        """Operators alone write. Raises NotFound, NotAllowed for who writes policy sets."""
        if not governs(self.user):
            raise NotFound
        if not self.user.is_staff:
            raise NotAllowed("Operators alone write rules in CEL.")


class RulesSerializer(PublishSerializer):
    """Which rules are to be published on a cluster, and as whom."""

    rules = serializers.ListField(
        child=StringField(max_length=LONGEST_NAME),
        required=False,
        default=list,
        max_length=MOST,
        help_text="By name. Empty: all.",
    )


class PublishRules(PublishView):
    """`POST /clusters/{name}:publish-rules`, for operators."""

    body_class = RulesSerializer

    @extend_schema(
        operation_id="cluster_publish_rules",
        request=RulesSerializer,
        responses={202: PublishingSerializer},
    )
    def publish(self, request: Request, **kwargs: Any) -> Response:
        """Have rules in CEL put into force there, with an administrator's credential.

        The API server compiles them first, by dry run: what it refuses is told with a pointer into
        the rule. They hold where a policy set or tenant names them. Those that are being deleted
        are taken off.
        """
        return self.send(request)

    publish.plannable = True  # type: ignore[attr-defined]

    def carrying(self, cluster: Cluster, data: dict[str, Any]) -> Carrying:
        """Raises Invalid for a name that there is not, Unserved without admission policies."""
        rules = CelRule.objects.all().named(data["rules"])
        require([cluster], _POLICIES)
        by = self.user.get_username()
        asked = Asked(cluster, "", b"", data.get("given"), "", data["force"], by)
        return Carrying.of(rules, asked, SYSTEM_NAMESPACE)

    def before_sending(self, found: Carrying) -> None:
        """Have the cluster compile it. Raises Invalid, Unavailable."""
        refuse_uncompiled(found)

    def sent(self, cluster: Cluster) -> Iterable[Sent]:
        """The rules there."""
        return cluster.published_rules.select_related("rule", "cluster")
