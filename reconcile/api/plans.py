"""`?dryRun=plan` and `If-Plan`: see what a write would do, then do exactly that."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from reconcile.api.filters import bad_query
from reconcile.api.idempotency import was_answered
from reconcile.api.preconditions import PLAN_HEADER, PLAN_PARAMETER
from reconcile.api.throttles import count_plan
from reconcile.api.views import ApiView
from reconcile.planning.accepting import accept, plan
from reconcile.planning.values import Checked, State
from reconcile.refusals import Fault, Invalid

View = TypeVar("View", bound=ApiView)
Action = Callable[..., Response]


def plannable(action: Action) -> Action:
    """Let a write be planned: with `?dryRun=plan` it answers with its plan and does nothing.

    With If-Plan it is carried out if the plan of that hash is what would happen now. The action
    calls no cluster and is run twice.
    """

    @wraps(action)
    def run(self: View, request: Request, **kwargs: Any) -> Response:
        def write() -> Response:
            return action(self, request, **kwargs)

        accepted = request.headers.get(PLAN_HEADER)
        planned = wants_plan(request)
        if self.planning or not (planned or accepted is not None) or was_answered(request):
            return write()
        count_plan(self, request)
        self.planning = True  # an action that ends in another is planned as a whole
        by = self.user.get_username()
        if planned:
            return Response(plan(write, by=by).as_json())
        return accept(write, str(accepted).strip().strip('"'), by=by)

    run.plannable = True  # type: ignore[attr-defined]
    return run


def wants_plan(request: Request) -> bool:
    """Whether the request asks for its plan alone. Raises Invalid for any other dry run."""
    given = request.query_params.get(PLAN_PARAMETER)
    if given is None:
        return False
    if given != "plan":
        fault = Fault("value", "The one dry run that there is is `plan`.", parameter=PLAN_PARAMETER)
        raise bad_query([fault])
    if PLAN_HEADER in request.headers:
        raise Invalid(f"Plan it ({PLAN_PARAMETER}=plan) or carry out a plan ({PLAN_HEADER}).")
    return True


class DifferenceSerializer(serializers.Serializer[Any]):
    """A field of an object that would change."""

    path = serializers.CharField(help_text="As in `.spec.containers[name=web].image`.")
    found = serializers.JSONField(help_text="As it is on the cluster; null where it is absent.")
    wanted = serializers.JSONField(help_text="As it would be.")
    actor = serializers.CharField(help_text="Who holds the field now.")


class PlannedObjectSerializer(serializers.Serializer[Any]):
    """One write to one object."""

    row = serializers.CharField(help_text="What it belongs to, on which cluster.")
    action = serializers.ChoiceField(choices=["create", "change", "delete"])
    why = serializers.CharField(help_text="new, changed, drift, missing, adopt or unwanted.")
    api_version = serializers.CharField()
    kind = serializers.CharField()
    namespace = serializers.CharField()
    name = serializers.CharField()
    checked = serializers.ChoiceField(
        choices=list(Checked),
        help_text="server: by a dry run of the very write. schema: in another namespace, as its "
        "own does not exist yet. none: nobody looked.",
    )
    denial = serializers.CharField(help_text="Why the cluster would refuse it.")
    message = serializers.CharField(help_text="Why nobody looked.")
    warnings = serializers.ListField(child=serializers.CharField())
    differences = DifferenceSerializer(many=True, help_text="Of an object that is there already.")
    manifest = serializers.JSONField(help_text="Of a new object; the values of Secrets are masked.")


class HeadroomSerializer(serializers.Serializer[Any]):
    """What a namespace's quota leaves, in quantities of Kubernetes."""

    namespace = serializers.CharField()
    resource = serializers.CharField()
    hard = serializers.CharField(help_text="The quota.")
    used = serializers.CharField(help_text="What is used of it now.")
    asked = serializers.CharField(help_text="What the plan asks for in addition.")
    left = serializers.CharField(help_text="What is left afterwards.")
    fits = serializers.BooleanField()


class PlannedClusterSerializer(serializers.Serializer[Any]):
    """Everything that would be written to one cluster."""

    cluster = serializers.CharField()
    state = serializers.ChoiceField(choices=list(State))
    message = serializers.CharField(help_text="Why the cluster was not asked, or not everything.")
    notes = serializers.ListField(child=serializers.CharField())
    objects = PlannedObjectSerializer(many=True)
    headroom = HeadroomSerializer(many=True)


class SummarySerializer(serializers.Serializer[Any]):
    """Numbers of objects."""

    create = serializers.IntegerField()  # type: ignore[assignment]
    change = serializers.IntegerField()
    delete = serializers.IntegerField()
    denied = serializers.IntegerField(help_text="How many of them would be refused.")


class PlanSerializer(serializers.Serializer[Any]):
    """What would be written, cluster by cluster. Nothing was."""

    hash = serializers.CharField(help_text="To be sent as If-Plan with the same request.")
    complete = serializers.BooleanField(help_text="Whether clusters have looked at every write.")
    summary = SummarySerializer()
    clusters = PlannedClusterSerializer(many=True)
