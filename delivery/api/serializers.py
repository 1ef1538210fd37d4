"""Bodies of apps and their revisions."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from delivery.api.waves import StrategyField
from delivery.api.workflow_bodies import AppWorkflowField
from delivery.intents import HEALTH_DEADLINE
from delivery.models import App, Revision, RevisionBlock
from delivery.models.retreating import OnFailure
from reconcile.api.fields import BooleanField, IntegerField, KeyField, LabelsField, StringField
from reconcile.api.serializers import (
    DeclaredSerializer,
    PlacementSerializer,
    StatusSerializer,
    StrictSerializer,
)
from reconcile.values import RepairMode
from tenancy.api.serializers import PlacementSpecSerializer


class TraitSerializer(StrictSerializer):
    """A trait of a component, such as scaler, hpa, gateway or storage."""

    type = StringField()
    properties = serializers.JSONField(required=False, help_text="As KubeVela's trait has them.")


class ComponentSerializer(StrictSerializer):
    """A component of an app: webservice, worker, task, cron-task, statefulset or daemon."""

    name = StringField(help_text="A DNS label, unique among the components of the project's apps.")
    type = StringField()
    properties = serializers.JSONField(help_text="As KubeVela's component has them.")
    traits = TraitSerializer(many=True, required=False)
    dependsOn = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="Components of the app that have to be ready before this one is brought up.",
    )


class KeyOfSerializer(StrictSerializer):
    """A key of an object of the project's namespace."""

    name = StringField()
    key = StringField()


class SourceSerializer(StrictSerializer):
    """Where the value of a variable comes from: one of the two."""

    secretKeyRef = KeyOfSerializer(required=False, help_text="A secret of the project.")
    configMapKeyRef = KeyOfSerializer(required=False)


class VariableSerializer(StrictSerializer):
    """A variable, with a value or the place to take it from."""

    name = StringField()
    value = StringField(required=False)
    valueFrom = SourceSerializer(required=False)


class TraitOverrideSerializer(TraitSerializer):
    """What becomes of a trait."""

    disable = BooleanField(required=False, help_text="Leave the trait out there.")


class ComponentOverrideSerializer(StrictSerializer):
    """What is merged into a component."""

    name = StringField(help_text="Of a component of the app.")
    properties = serializers.JSONField(
        required=False,
        help_text="A JSON merge patch (RFC 7396) of its properties, but `env` is merged by name.",
    )
    traits = TraitOverrideSerializer(many=True, required=False, help_text="Merged by type.")


class OverrideSerializer(StrictSerializer):
    """What differs on the clusters that are named or carry all labels of the selector."""

    clusters = serializers.ListField(child=StringField(), required=False)
    selector = serializers.DictField(child=StringField(), required=False)
    components = ComponentOverrideSerializer(many=True, required=False)
    environment = VariableSerializer(many=True, required=False)


@extend_schema_field(ComponentSerializer(many=True))
class ComponentsField(serializers.JSONField):
    """The components as they are: data, which the model judges and nobody evaluates."""


@extend_schema_field(VariableSerializer(many=True))
class EnvironmentField(serializers.JSONField):
    """The variables as they are."""


@extend_schema_field(OverrideSerializer(many=True))
class OverridesField(serializers.JSONField):
    """The overrides as they are."""


class AppPlacementSerializer(PlacementSerializer):
    """How an app fares on one cluster, and what rolls it out there."""

    adapter = serializers.ChoiceField(
        source="through",
        choices=["native", "kubevela"],
        allow_null=True,
        help_text="What rolls it out there; null until it is first brought up.",
    )


class AppStatusSerializer(StatusSerializer):
    """The status of an app."""

    @extend_schema_field(AppPlacementSerializer(many=True))
    def get_placements(self, row: App) -> list[dict[str, Any]]:  # type: ignore[override]
        """Return its placements by cluster name, each with its adapter."""
        rows = sorted(row.placements.all(), key=lambda each: each.cluster_name)
        return [dict(AppPlacementSerializer(each).data) for each in rows]


class AppSerializer(DeclaredSerializer):
    """An app of a project."""

    tenant = KeyField(source="project.tenant.name", help_text="The tenant of its project.")
    project = KeyField(source="project.name", help_text="The project it belongs to.")
    description = StringField(required=False, allow_blank=True, max_length=300)
    labels = LabelsField(required=False)
    components = ComponentsField()
    environment = EnvironmentField(
        required=False, help_text="Given to every component; its own variables win."
    )
    overrides = OverridesField(
        required=False, help_text="What differs on some clusters; several apply in their order."
    )
    placement = PlacementSpecSerializer(
        required=False, help_text="Some of the project's clusters. Left out or empty: all of them."
    )
    strategy = StrategyField(
        required=False,
        help_text="In which waves a new revision comes to the clusters. Empty: to all at once.",
    )
    workflow = AppWorkflowField(
        required=False,
        help_text="What brings each new revision to the clusters instead of waves: steps, or the "
        "name of a workflow. Empty: nothing does, it comes by itself.",
    )
    health_deadline = IntegerField(
        required=False,
        min_value=10,
        max_value=3600,
        help_text=f"Seconds until a rollout without progress failed; {HEALTH_DEADLINE} by default.",
    )
    on_failure = serializers.ChoiceField(
        choices=list(OnFailure),
        required=False,
        help_text="`rollback`: a new revision that fails makes room for the last healthy one.",
    )
    repair_mode = serializers.ChoiceField(
        choices=["", *RepairMode], required=False, help_text="Left out or empty: as the tenant's."
    )
    revision = serializers.IntegerField(read_only=True, help_text="The number of the revision.")
    status = AppStatusSerializer(source="*", read_only=True)


class RevisionBlockSerializer(serializers.ModelSerializer[RevisionBlock]):
    """Why a revision is not to come back."""

    class Meta:
        model = RevisionBlock
        fields = ("by", "reason", "created_at")


class RevisionSerializer(serializers.ModelSerializer[Revision]):
    """A revision of an app, without what it consists of."""

    blocked = RevisionBlockSerializer(
        source="block",
        read_only=True,
        allow_null=True,
        help_text="Null: it may come back.",
    )

    class Meta:
        model = Revision
        fields: tuple[str, ...] = (
            "number",
            "author",
            "message",
            "origin",
            "healthy",
            "blocked",
            "spec_hash",
            "correlation_id",
            "created_at",
        )


class RevisionDetailSerializer(RevisionSerializer):
    """A revision of an app."""

    components = ComponentsField(source="spec.components")
    # The stubs know of maps alone, a JSON field takes lists as well.
    environment = EnvironmentField(source="spec.environment", default=list)  # type: ignore[arg-type]
    overrides = OverridesField(source="spec.overrides", default=list)  # type: ignore[arg-type]

    class Meta(RevisionSerializer.Meta):
        fields = (*RevisionSerializer.Meta.fields, "components", "environment", "overrides")


class RollbackSerializer(StrictSerializer):
    """Where to go back to."""

    revision = IntegerField(
        required=False,
        min_value=1,
        help_text="By default the last before the current one that was healthy.",
    )
    message = StringField(required=False, allow_blank=True, max_length=300, help_text="Why.")
