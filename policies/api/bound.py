"""What binds a tenant or project, and from which set, over HTTP."""

from typing import Any

from drf_spectacular.utils import extend_schema
from drf_spectacular.utils import extend_schema_field as of
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from policies.api.serializers import ExceptionSerializer
from policies.explaining import Held, explain
from tenancy.api.members import TeamOfProject, TeamOfTenant
from tenancy.rules.modes import Mode


class OriginSerializer(serializers.Serializer[Any]):
    """What one source says."""

    source = serializers.CharField(  # type: ignore[assignment]
        help_text="The tenant itself, or a policy set and its version."
    )
    value = serializers.JSONField()


class BindingRuleSerializer(serializers.Serializer[Any]):
    """One kind of rules: the strictest value, and where it comes from."""

    kind = serializers.CharField()
    value = serializers.JSONField(help_text="What holds.")
    origins = OriginSerializer(many=True)


class BondSerializer(serializers.Serializer[Any]):
    """An attachment that binds it."""

    policyset = serializers.CharField(source="attached.policyset")
    attachment = serializers.CharField(source="attached.name")
    version = serializers.IntegerField(source="attached.version")
    pinned = serializers.BooleanField(help_text="False: it follows the newest version.")
    mode = serializers.ChoiceField(choices=list(Mode), source="attached.mode")
    via = serializers.CharField(help_text="How: by name, by labels, every tenant, or by projects.")
    clusters = serializers.ListField(
        child=serializers.CharField(),
        allow_null=True,
        help_text="On which clusters of the tenant's it holds. Null: on every one, also on those "
        "to come.",
    )


class ConflictSerializer(serializers.Serializer[Any]):
    """Sources that do not go together."""

    kind = serializers.CharField()
    sources = serializers.ListField(child=serializers.CharField())
    detail = serializers.CharField(source="text")
    blocking = serializers.BooleanField(
        help_text="True: no object can fulfil both, the first one holds. False: nothing is allowed."
    )


class ByModeSerializer(serializers.Serializer[Held]):
    """What holds, by mode."""

    enforce = serializers.SerializerMethodField()
    warn = serializers.SerializerMethodField()
    audit = serializers.SerializerMethodField()

    @of(BindingRuleSerializer(many=True))
    def get_enforce(self, found: Held) -> list[Any]:
        """What refuses, the tenant's own restrictions included."""
        return self._rules(found, Mode.ENFORCE)

    @of(BindingRuleSerializer(many=True))
    def get_warn(self, found: Held) -> list[Any]:
        """What warns."""
        return self._rules(found, Mode.WARN)

    @of(BindingRuleSerializer(many=True))
    def get_audit(self, found: Held) -> list[Any]:
        """What is written down."""
        return self._rules(found, Mode.AUDIT)

    @staticmethod
    def _rules(found: Held, mode: Mode) -> list[Any]:
        return list(BindingRuleSerializer(found.rules[mode], many=True).data)


class BoundThereSerializer(ByModeSerializer):
    """What holds on some clusters, in place of what holds on every one."""

    clusters = serializers.ListField(child=serializers.CharField())


class BoundSerializer(ByModeSerializer):
    """All that binds it, by mode: on every cluster, and on those where more holds."""

    elsewhere = BoundThereSerializer(
        many=True,
        help_text="Clusters on which more holds, by attachments for some clusters alone, each with "
        "all that holds there.",
    )
    attachments = BondSerializer(many=True, source="bonds")
    exceptions = ExceptionSerializer(many=True, help_text="Those that hold now.")
    conflicts = ConflictSerializer(many=True)
    settled = serializers.BooleanField(help_text="Whether its clusters have followed.")


class TenantPolicies(TeamOfTenant):
    """Of a tenant."""

    @extend_schema(responses=BoundSerializer)
    def get(self, request: Request, **names: str) -> Response:
        """Tell what binds a tenant, and from which policy set each value comes."""
        return Response(BoundSerializer(explain(self.team())).data)


class ProjectPolicies(TeamOfProject):
    """Of a project."""

    @extend_schema(responses=BoundSerializer)
    def get(self, request: Request, **names: str) -> Response:
        """Tell what binds a project, and from which policy set each value comes."""
        return Response(BoundSerializer(explain(self.team())).data)
