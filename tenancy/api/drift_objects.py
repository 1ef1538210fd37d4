"""Drift of one tenant or project over HTTP: its verbs, and the decisions that were made on it."""

from collections.abc import Collection, Mapping
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from reconcile.api.idempotency import once
from reconcile.api.objects import ObjectView
from reconcile.api.pagination import NewestFirst
from reconcile.api.verbs import verb
from reconcile.fields import at_pointer, shown
from reconcile.models import Decision, Drift
from reconcile.models.declared import Declared
from reconcile.refusals import Conflicting, Deleting, Fault, Invalid, LimitReached
from tenancy.api.drift_bodies import (
    MAX_SET,
    AcceptTargetSerializer,
    DecisionSerializer,
    IgnoreTargetSerializer,
    ResolvedSerializer,
    RuleSerializer,
    TargetSerializer,
)
from tenancy.api.views import ProjectView, TenantView
from tenancy.drift import Act, Powers, at_field, declare_rule, inside, repair_all, resolve, rules_on

_NAMES = ("pointer", "path", "object", "cluster")


class DriftVerbs(ObjectView):
    """`:repair`, `:accept` and `:ignore` of an object, of a field of it, or of all there is."""

    @verb("change", body=TargetSerializer, answer=ResolvedSerializer)
    def repair(self, row: Any, data: Mapping[str, Any]) -> Response:
        """Set back what differs there; with nothing named also look at all of its clusters anew."""
        answer = self._resolve(Act.REPAIR, row, data)
        if not any(name in data for name in _NAMES):
            repair_all(row, self.user.get_username())
        return answer

    @verb("change", body=AcceptTargetSerializer, answer=ResolvedSerializer)
    def accept(self, row: Any, data: Mapping[str, Any]) -> Response:
        """Make what was found there what is wanted, as long as the spec says what it says now."""
        return self._resolve(Act.ACCEPT, row, data)

    @verb("change", body=IgnoreTargetSerializer, answer=ResolvedSerializer)
    def ignore(self, row: Any, data: Mapping[str, Any]) -> Response:
        """Leave what differs there to whoever owns it, for a while or until revoked."""
        return self._resolve(Act.IGNORE, row, data)

    def _resolve(self, act: Act, row: Declared, data: Mapping[str, Any]) -> Response:
        _refuse_deleting(row)
        rows = chosen(row, data)
        if act is not Act.REPAIR and len(rows) > MAX_SET:
            raise LimitReached(
                f"{len(rows)} fields differ; at most {MAX_SET} go at once. Name a cluster or a "
                "kind of object.",
                limit=MAX_SET,
            )
        said = {name: data[name] for name in ("reason", "expires_at") if name in data}
        return Response({"count": resolve(self.user, act, rows, **said)}, status=202)


def chosen(row: Declared, data: Mapping[str, Any]) -> "list[Drift]":
    """Return the open differences that a body names. Raises Invalid, Conflicting."""
    rows = inside(row).open()
    if cluster := data.get("cluster"):
        _refuse_unplaced(row, cluster)
        rows = rows.filter(cluster=cluster)
    wanted = data.get("object", {})
    columns = {f"object_{name}": wanted[name] for name in ("kind", "name") if name in wanted}
    found = list(rows.filter(**columns))
    if path := data.get("path") or shown(at_pointer(data.get("pointer", ""))):
        found = at_field(found, path)
    named = next((name for name in _NAMES if name in data), "")
    if named and not found:
        text = "Nothing of this name differs now. GET /api/v1/drift?state=open lists what does."
        fault = Fault("nothing", text, f"/{named}")
        raise Conflicting("There is nothing to decide about.", errors=[fault])
    return found


def _refuse_unplaced(row: Declared, cluster: str) -> None:
    names = sorted(placement.cluster_name for placement in row.placements_of())
    if cluster not in names:
        places = ", ".join(names) or "no cluster"
        fault = Fault("unknown", f"It is not placed there. It is placed on {places}.", "/cluster")
        raise Invalid("Parts of the request are wrong.", errors=[fault])


def _refuse_deleting(row: Declared) -> None:
    if row.deleting:
        raise Deleting(f"{row} is being deleted.")


class DecisionVerbs(ObjectView):
    """`/decisions` of an object: what people decided about drift there."""

    pagination_class = NewestFirst
    filter_backends: tuple[Any, ...] = ()

    def known_parameters(self) -> Collection[str]:
        """The parents, and for the list a page."""
        page = {"limit", "cursor"} if self.action == "list" else set()
        return {*self.scope, *page}

    @extend_schema(responses=DecisionSerializer(many=True), filters=False)
    def list(self, request: Request, **kwargs: Any) -> Response:
        """List the decisions that were made on it, the newest first."""
        page = self.paginate_queryset(rules_on(self.find()))
        return self.get_paginated_response(DecisionSerializer(page, many=True).data)

    @extend_schema(
        request=RuleSerializer,
        responses={201: DecisionSerializer, 200: DecisionSerializer},
        examples=[
            OpenApiExample(
                "Replicas are another controller's",
                value={
                    "object": {"kind": "Deployment", "name": "web"},
                    "pointer": "/spec/replicas",
                    "manager": "keda-operator",
                    "reason": "KEDA scales it.",
                },
                request_only=True,
            )
        ],
    )
    def create(self, request: Request, **kwargs: Any) -> Response:
        """Leave fields to others from the start. The same rule again answers 200."""
        row = self.find("change")
        _refuse_deleting(row)
        given = {key: value for key, value in self.body().items() if key not in self.scope}
        body = RuleSerializer(data=given)
        body.is_valid(raise_exception=True)

        def answered() -> Response:
            decision, created = declare_rule(self.user, row, body.validated_data)
            shown = DecisionSerializer(decision).data
            return Response(shown, status=201 if created else 200)

        return once(request, answered)

    @extend_schema(request=None, responses={204: None})
    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """End a decision: what it left alone is looked at anew."""
        row = self.find("change")
        decision: Decision | None = rules_on(row).filter(uid=kwargs["uid"]).first()
        if decision is None:
            raise NotFound
        if not Powers.of(self.user).may_revoke(decision):
            raise PermissionDenied
        decision.revoke(self.user.get_username())
        return Response(status=204)


class TenantDrift(DriftVerbs, TenantView):
    """Of a tenant, with all inside of it."""


class ProjectDrift(DriftVerbs, ProjectView):
    """Of a project, with its apps."""


class TenantDecisions(DecisionVerbs, TenantView):
    """On a tenant; they bind all inside of it."""


class ProjectDecisions(DecisionVerbs, ProjectView):
    """On a project; they bind its apps too."""
