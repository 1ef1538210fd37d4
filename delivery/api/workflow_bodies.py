"""Bodies of workflows, their versions and runs."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from delivery.models import WorkflowRun, WorkflowVersion
from delivery.rules.running import Mode, RunState, StepPhase
from delivery.rules.workflow_types import OUTPUTS, STEP_TYPES
from reconcile.api.fields import KeyField, StringField
from reconcile.api.serializers import DeclaredSerializer, StrictSerializer
from reconcile.values import JSON


class WorkflowStepInputSerializer(StrictSerializer):
    """A value that is put into the properties before the step begins."""

    parameterKey = StringField(help_text="Where: `app`, `components[0].properties.image`.")

    def get_fields(self) -> dict[str, Any]:
        """`from`, which is no name in Python."""
        help_text = "The name of an output of an earlier step, or `parameters.<name>`."
        return {"from": StringField(help_text=help_text), **super().get_fields()}


class WorkflowStepOutputSerializer(StrictSerializer):
    """A value that later steps may take."""

    name = StringField()
    valueFrom = serializers.ChoiceField(
        choices=sorted({word for words in OUTPUTS.values() for word in words})
    )


class WorkflowSubStepSerializer(StrictSerializer):
    """What a step does, and when."""

    name = StringField(help_text="A DNS label, unique in the workflow.")
    type = StringField(
        help_text=f"As KubeVela calls them: {', '.join(STEP_TYPES)}, or a type that was published."
    )
    properties = serializers.JSONField(required=False)
    timeout = StringField(required=False, help_text="Such as 90s, 30m or 1h30m.")
    dependsOn = serializers.ListField(child=StringField(), required=False)
    clusters = serializers.ListField(
        child=StringField(),
        required=False,
        help_text="Of a published type: where KubeVela carries it out. Left out: everywhere.",
    )
    inputs = WorkflowStepInputSerializer(many=True, required=False)
    outputs = WorkflowStepOutputSerializer(many=True, required=False)

    def get_fields(self) -> dict[str, Any]:
        """`if`, which is no name in Python."""
        help_text = "`always`, or what became of earlier steps: `status.<step>.failed`."
        return {**super().get_fields(), "if": StringField(required=False, help_text=help_text)}


class WorkflowStepSerializer(WorkflowSubStepSerializer):
    """A step; a step-group has sub-steps, one level deep, that run as they depend on each other."""

    subSteps = WorkflowSubStepSerializer(many=True, required=False)


class AppWorkflowSerializer(StrictSerializer):
    """What brings each new revision of an app to its clusters: steps, or a workflow's name."""

    name = StringField(required=False, help_text="Of a workflow of the project, instead of steps.")
    mode = serializers.ChoiceField(choices=list(Mode), required=False)
    steps = WorkflowStepSerializer(many=True, required=False)


@extend_schema_field(AppWorkflowSerializer)
class AppWorkflowField(serializers.JSONField):
    """The workflow of an app as it is: data, which the model judges and nobody evaluates."""

    def to_internal_value(self, data: Any) -> JSON:
        """Return it. Raises ValidationError for anything but an object."""
        if not isinstance(data, Mapping):
            raise serializers.ValidationError("Use an object.", code="type")
        return dict(data)


@extend_schema_field(WorkflowStepSerializer(many=True))
class StepsField(serializers.JSONField):
    """The steps as they are: data, which the model judges and nobody evaluates."""


class WorkflowSerializer(DeclaredSerializer):
    """A workflow of a project."""

    tenant = KeyField(source="project.tenant.name", help_text="The tenant of its project.")
    project = KeyField(source="project.name", help_text="The project it belongs to.")
    description = StringField(required=False, allow_blank=True, max_length=300)
    mode = serializers.ChoiceField(
        choices=list(Mode),
        required=False,
        help_text="StepByStep: one after the other. DAG: each as soon as what it names is over.",
    )
    steps = StepsField()
    app = serializers.CharField(
        source="app.name",
        read_only=True,
        allow_null=True,
        help_text="The app that alone writes and runs it; null for a workflow of its own.",
    )
    version = serializers.IntegerField(
        read_only=True, help_text="Counts the changes of mode and steps."
    )
    parameters = serializers.ListField(
        child=serializers.CharField(), read_only=True, help_text="What a run has to be given."
    )


class WorkflowVersionSerializer(serializers.ModelSerializer[WorkflowVersion]):
    """A version of a workflow."""

    mode = serializers.ChoiceField(choices=list(Mode), source="spec.mode")
    steps = StepsField(source="spec.steps")

    class Meta:
        model = WorkflowVersion
        fields = ("number", "author", "spec_hash", "correlation_id", "created_at", "mode", "steps")


@extend_schema_field(
    {"type": "object", "additionalProperties": {"type": ["string", "integer", "boolean"]}}
)
class ParametersField(serializers.JSONField):
    """Plain values by name."""

    def to_internal_value(self, data: Any) -> JSON:
        """Return the values. Raises ValidationError for anything but an object."""
        if not isinstance(data, Mapping):
            raise serializers.ValidationError("Use an object of values by name.", code="type")
        return dict(data)


class RunRequestSerializer(StrictSerializer):
    """How a workflow is to be run."""

    message = StringField(required=False, allow_blank=True, max_length=300, help_text="Why.")
    parameters = ParametersField(
        required=False, help_text="Texts, whole numbers or booleans: what the steps take."
    )


class WhySerializer(StrictSerializer):
    """Why."""

    message = StringField(required=False, allow_blank=True, max_length=300, help_text="Why.")


class ResumeSerializer(WhySerializer):
    """What is to go on."""

    step = StringField(
        required=False,
        max_length=63,
        help_text="The step that is approved; the only one that waits need not be named.",
    )


class SubStepRunSerializer(serializers.Serializer[object]):
    """How a step fares."""

    name = serializers.CharField()
    type = serializers.CharField()
    phase = serializers.ChoiceField(choices=list(StepPhase))
    reason = serializers.CharField(
        help_text="Failed, Timeout, Condition, Terminated, Interrupted, Superseded, or empty."
    )
    message = serializers.CharField()
    started = serializers.DateTimeField(allow_null=True)
    finished = serializers.DateTimeField(allow_null=True)
    by = serializers.CharField(help_text="Who approved or ended it; empty for nobody.")
    comment = serializers.CharField(help_text="Why it was approved.")
    outputs = serializers.DictField(help_text="What later steps may take.")


class StepRunSerializer(SubStepRunSerializer):
    """How a step fares, and its sub-steps."""

    subSteps = SubStepRunSerializer(many=True)


class WorkflowRunSerializer(serializers.ModelSerializer[WorkflowRun]):
    """A run of a workflow."""

    state = serializers.ChoiceField(choices=list(RunState))
    workflow = serializers.CharField(source="workflow.name")
    parameters = ParametersField()
    steps = StepRunSerializer(many=True, source="told")

    class Meta:
        model = WorkflowRun
        fields = (
            *("workflow", "number", "uid", "version", "state", "message", "parameters"),
            *(
                "revision",
                "asked_by",
                "suspended_by",
                "correlation_id",
                "created_at",
                "finished_at",
                "steps",
            ),
        )
