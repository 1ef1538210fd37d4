"""The bootstrap runbook over HTTP: what a cluster lacks, and an operator's bundle to put there."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from clusters.api.fields import KubeconfigField
from clusters.api.serializers import ClusterSerializer
from clusters.bundles import MAX_BYTES
from clusters.models import BootstrapRun, Cluster
from clusters.models.bootstrap import STEPS
from clusters.models.bundling import Asked, apply_bundle, plan_bundle, refuse_outdated
from clusters.models.runbook import runbook
from clusters.runbook import State
from reconcile.api.fields import BooleanField, NameField, StringField
from reconcile.api.idempotency import once, was_answered
from reconcile.api.objects import ObjectView
from reconcile.api.plans import wants_plan
from reconcile.api.preconditions import PLAN_HEADER
from reconcile.api.serializers import ConditionSerializer, StrictSerializer
from reconcile.api.throttles import count_plan
from reconcile.models.declared import Declared
from reconcile.values import Phase


class RunSerializer(serializers.Serializer[BootstrapRun]):
    """How a bundle fares that an operator had applied."""

    phase = serializers.ChoiceField(choices=list(Phase))
    conditions = ConditionSerializer(many=True)
    applied = serializers.SerializerMethodField(help_text="Objects that are there.")
    total = serializers.IntegerField(help_text="Objects of the bundle.")
    objects = serializers.SerializerMethodField(help_text="What is there, by kind and name.")
    asked_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)

    def get_applied(self, run: BootstrapRun) -> int:
        """Count them."""
        return len(run.applied)

    def get_objects(self, run: BootstrapRun) -> list[str]:
        """Name them."""
        return sorted(run.applied)


class StepSerializer(serializers.Serializer[Any]):
    """A step of the runbook."""

    name = serializers.CharField()
    title = serializers.CharField()
    optional = serializers.BooleanField(help_text="KubeNova works on plain Kubernetes as well.")
    state = serializers.ChoiceField(choices=list(State))
    version = serializers.CharField(help_text="As found; empty when it is not seen.")
    needed = serializers.CharField(help_text="The oldest that may be used.")
    health = serializers.CharField()
    missing = serializers.ListField(child=serializers.CharField())
    commands = serializers.ListField(child=serializers.CharField(), help_text="What mends it.")
    run = RunSerializer(allow_null=True)


class RunbookSerializer(serializers.Serializer[Any]):
    """The steps in the order in which they are taken."""

    steps = StepSerializer(many=True)


class BundleSerializer(StrictSerializer):
    """A bundle to be applied for a step of the runbook."""

    step = serializers.ChoiceField(choices=[str(each) for each in STEPS])
    bundle = StringField(
        max_length=MAX_BYTES,
        help_text="Rendered manifests, YAML in one or several documents; no anchors, no tags. "
        "Objects that are KubeNova's or the cluster's own are refused.",
    )
    namespace = NameField(
        required=False, help_text="Where objects go that name none; made if absent."
    )
    force = BooleanField(
        required=False, default=False, help_text="Take over fields that others hold, as Helm does."
    )
    kubeconfig = KubeconfigField(
        required=False,
        help_text="The kubeconfig of an administrator of this cluster, base64. Kept sealed until "
        "the bundle is applied, an hour at most. May be left out while that of the registration "
        "is still at hand.",
    )


class BootstrapView(ObjectView):
    """What an operator reads and does to get a cluster ready."""

    model: ClassVar[type[Declared]] = Cluster
    collection = "clusters"
    serializer_class = ClusterSerializer
    prefetch = ("placements__cluster", "findings")

    @extend_schema(operation_id="cluster_bootstrap", responses={200: RunbookSerializer})
    def read(self, request: Request, **kwargs: Any) -> Response:
        """Tell step by step what is there, what is missing and which command mends it."""
        return Response(_shown(self.find()))

    @extend_schema(
        operation_id="cluster_bootstrap_apply",
        request=BundleSerializer,
        responses={202: RunbookSerializer},
    )
    def apply(self, request: Request, **kwargs: Any) -> Response:
        """Apply a rendered bundle: namespaces, definitions, rights, all else, webhooks.

        It waits for definitions to be served and for Deployments to be available, goes on after
        any interruption, and looks at the cluster anew at the end. Afterwards the objects are the
        operator's: they are neither repaired nor removed.
        """
        cluster = self.find("change")
        body = BundleSerializer(data=self.body())
        body.is_valid(raise_exception=True)
        asked = _asked(cluster, body.validated_data, self.user.get_username())
        if wants_plan(request):
            count_plan(self, request)
            return Response(plan_bundle(asked).as_json())
        accepted = request.headers.get(PLAN_HEADER)
        if accepted is not None and not was_answered(request):
            count_plan(self, request)
            refuse_outdated(asked, accepted.strip().strip('"'))

        def answered() -> Response:
            apply_bundle(asked)
            return Response(_shown(cluster), status=202)

        return once(request, answered)

    apply.plannable = True  # type: ignore[attr-defined]


def _asked(cluster: Cluster, data: Mapping[str, Any], by: str) -> Asked:
    return Asked(
        cluster=cluster,
        step=data["step"],
        raw=data["bundle"].encode(),
        given=data.get("given"),
        namespace=data.get("namespace", ""),
        force=data["force"],
        by=by,
    )


def _shown(cluster: Cluster) -> dict[str, Any]:
    found = runbook(Cluster.objects.get(pk=cluster.pk))
    shown = [
        {**asdict(step), "run": RunSerializer(run).data if run else None} for step, run in found
    ]
    return {"steps": shown}
