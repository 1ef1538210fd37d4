"""Simulations of policy sets over HTTP: asked for and read, by who writes policy sets alone."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from drf_spectacular.utils import extend_schema_field as of
from rest_framework import serializers
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from policies.models import PolicySet, Simulation, SimulationFinding, SimulationRun
from policies.models.simulation import Source, Verdict
from policies.models.validators import validate_selector
from policies.simulating import simulate
from reconcile.api import lookup
from reconcile.api.fields import BooleanField, IntegerField, NameField, StringField
from reconcile.api.idempotency import once
from reconcile.api.pagination import ItemsPagination, NewestFirst
from reconcile.api.serializers import StrictSerializer
from reconcile.api.views import ApiView

_SAMPLE = 20


class SimulationSpecSerializer(StrictSerializer):
    """What to simulate: whom an attachment binds, or tenants by name or labels."""

    version = IntegerField(
        required=False, allow_null=True, min_value=1, help_text="By default the newest."
    )
    attachment = StringField(
        required=False, max_length=63, help_text="Whom it binds, with its exceptions."
    )
    every_tenant = BooleanField(required=False)
    tenants = serializers.ListField(child=NameField(), required=False, max_length=1000)
    tenant_selector = StringField(
        required=False, max_length=1000, validators=[validate_selector], help_text="By labels."
    )


class SimulationRunSerializer(serializers.ModelSerializer[SimulationRun]):
    """How it goes on one cluster."""

    cluster = serializers.CharField(source="cluster.name")
    namespaces = serializers.IntegerField(source="places", help_text="How many there are.")
    namespaces_done = serializers.IntegerField(source="done", help_text="Looked through already.")
    objects = serializers.IntegerField(source="tried", help_text="Tried by dry run.")
    message = serializers.SerializerMethodField(help_text="What it waits for, or why it failed.")

    class Meta:
        model = SimulationRun
        fields = (
            *("cluster", "phase", "namespaces", "namespaces_done", "objects"),
            *("message", "finished_at"),
        )

    def get_message(self, row: SimulationRun) -> str:
        """Return why it failed, else what it says of itself."""
        told = next((each["message"] for each in row.conditions), "")
        return row.fault or str(told)


class SimulationSerializer(serializers.ModelSerializer[Simulation]):
    """A simulation in lists."""

    version = serializers.IntegerField(source="number")
    state = serializers.ChoiceField(choices=["running", "done", "failed"])
    objects = serializers.IntegerField(source="objects_tried")
    counts = serializers.SerializerMethodField(help_text="Findings by verdict.")
    clusters = SimulationRunSerializer(many=True, source="runs")

    class Meta:
        model = Simulation
        fields: tuple[str, ...] = (
            *("uid", "version", "attachment", "state", "objects", "counts", "clusters"),
            *("asked_by", "created_at"),
        )

    @of({"type": "object", "additionalProperties": {"type": "integer"}})
    def get_counts(self, row: Simulation) -> dict[str, int]:
        """Return how many were denied, predicted and not judged."""
        return row.totals()


class SimulationFindingSerializer(serializers.ModelSerializer[SimulationFinding]):
    """An object that the version would refuse, or that could not be judged."""

    verdict = serializers.ChoiceField(
        choices=Verdict.choices,
        help_text="denied: the cluster's policy says so. predicted: computed from what is "
        "declared. unjudged: the cluster did not take the copy for another reason.",
    )
    source = serializers.ChoiceField(  # type: ignore[assignment]
        choices=Source.choices,
        help_text="live: it runs. next_revision: the newest revision of an app would bring it, and "
        "is not there yet; app and revision say which.",
    )

    class Meta:
        model = SimulationFinding
        fields = (
            *("verdict", "rule", "tenant", "project", "cluster", "namespace", "kind", "name"),
            *("message", "source", "app", "revision"),
        )


class CountSerializer(serializers.Serializer[Any]):
    """How many findings there are of something."""

    value = serializers.CharField()
    verdict = serializers.CharField()
    count = serializers.IntegerField()


class SimulationDetailSerializer(SimulationSerializer):
    """A simulation with its counts and a sample; `…/findings` has all of them."""

    by_tenant = serializers.SerializerMethodField()
    by_kind = serializers.SerializerMethodField()
    by_rule = serializers.SerializerMethodField()
    sample = serializers.SerializerMethodField()

    class Meta:
        model = Simulation
        fields = (*SimulationSerializer.Meta.fields, "by_tenant", "by_kind", "by_rule", "sample")

    @of(CountSerializer(many=True))
    def get_by_tenant(self, row: Simulation) -> list[Any]:
        """Return the counts of each tenant."""
        return _counted(row, "tenant")

    @of(CountSerializer(many=True))
    def get_by_kind(self, row: Simulation) -> list[Any]:
        """Return the counts of each kind of objects."""
        return _counted(row, "kind")

    @of(CountSerializer(many=True))
    def get_by_rule(self, row: Simulation) -> list[Any]:
        """Return the counts of each kind of rules."""
        return _counted(row, "rule")

    @of(SimulationFindingSerializer(many=True))
    def get_sample(self, row: Simulation) -> list[Any]:
        """Return the first findings."""
        return list(SimulationFindingSerializer(row.findings.all()[:_SAMPLE], many=True).data)


def _counted(row: Simulation, name: str) -> list[Any]:
    rows = row.counted(name, "verdict")
    return [{"value": each[name], **{k: each[k] for k in ("verdict", "count")}} for each in rows]


class _Simulations(ApiView):
    """What all of them share: the set, found among what the caller sees."""

    collection = "policysets"
    filter_backends = ()
    pagination_class: type[ItemsPagination] = NewestFirst
    queryset = Simulation.objects.none()

    def policy_set(self) -> PolicySet:
        """Return the set that the path names. Raises NotFound, PermissionDenied for members."""
        rows = lookup.visible(PolicySet, self.user)
        row: PolicySet = lookup.only(rows, self.kwargs["policyset"], {})
        if not row.may(self.user, "change"):
            raise PermissionDenied
        return row

    def simulations(self) -> "QuerySet[Simulation]":
        """Return those of the set."""
        rows = Simulation.objects.visible_to(self.user).asked()
        rows = rows.filter(policy_set=self.policy_set())
        return rows.prefetch_related("runs__cluster")

    def found(self) -> Simulation:
        """Return the one that the path names. Raises NotFound."""
        row = self.simulations().filter(uid=self.kwargs["uid"]).first()
        if row is None:
            raise NotFound
        return row


class Simulate(_Simulations):
    """Asking for one."""

    serializer_class = SimulationSpecSerializer

    @extend_schema(request=SimulationSpecSerializer, responses={202: SimulationDetailSerializer})
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Try a version on what tenants run, by dry run: nothing of theirs is changed."""
        row = self.policy_set()
        body = SimulationSpecSerializer(data=self.body())
        body.is_valid(raise_exception=True)

        def begun() -> Response:
            made = simulate(row, self.user.get_username(), **body.validated_data)
            where = f"/api/v1/policysets/{row.name}/simulations/{made.uid}"
            data = SimulationDetailSerializer(made).data
            return Response(data, status=202, headers={"Location": where})

        return once(request, begun)


class SimulationList(_Simulations):
    """All of a set."""

    serializer_class = SimulationSerializer
    query_parameters = ("limit", "cursor")

    def get(self, request: Request, **kwargs: Any) -> Response:
        """List the simulations of a policy set, newest first."""
        page = self.paginate_queryset(self.simulations())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class SimulationDetail(_Simulations):
    """One simulation."""

    serializer_class = SimulationDetailSerializer

    def get(self, request: Request, **kwargs: Any) -> Response:
        """Return how far a simulation is, what it has found by now, and a sample of that."""
        return Response(self.get_serializer(self.found()).data)


class SimulationFindings(_Simulations):
    """What one simulation has found."""

    pagination_class = ItemsPagination
    serializer_class = SimulationFindingSerializer
    query_parameters = ("limit", "cursor")

    def get(self, request: Request, **kwargs: Any) -> Response:
        """List everything that a simulation has found."""
        page = self.paginate_queryset(self.found().findings.order_by("pk"))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)
