"""Findings of a cluster over HTTP: listed, accepted with a reason, and taken back."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from clusters.api.listed import OfCluster
from clusters.models import Cluster, Finding
from clusters.preflight import Severity, Stage
from reconcile.api import lookup
from reconcile.api.fields import StringField
from reconcile.api.idempotency import once
from reconcile.api.serializers import StrictSerializer
from reconcile.api.verbs import NothingSerializer
from reconcile.api.views import ApiView

REASON_LENGTH = 500


class FindingSerializer(serializers.ModelSerializer[Finding]):
    """Something that an operator should know of a cluster; `fix` is what ends it."""

    step = serializers.ChoiceField(choices=list(Stage), help_text="Of the bootstrap runbook.")
    severity = serializers.ChoiceField(
        choices=list(Severity),
        help_text="An unaccepted `critical` one keeps new tenants away; what runs goes on.",
    )
    blocks = serializers.BooleanField(help_text="Whether it keeps new tenants away now.")

    class Meta:
        model = Finding
        fields = (
            *("code", "step", "severity", "message", "fix", "blocks"),
            *("first_seen", "last_seen", "accepted_by", "accepted_at", "accepted_reason"),
        )


class AcceptSerializer(StrictSerializer):
    """Why a finding may stay as it is."""

    reason = StringField(max_length=REASON_LENGTH)


class FindingList(OfCluster):
    """Findings of one cluster."""

    serializer_class = FindingSerializer
    queryset = Finding.objects.none()
    related = "findings"

    @extend_schema(operation_id="cluster_findings_list")
    def get(self, request: Request, name: str) -> Response:
        """List what an operator should know of a cluster, as of the last look at it."""
        return self.listed(request, name)


class FindingVerb(ApiView):
    """A verb on one finding of a cluster, for operators."""

    serializer_class = FindingSerializer
    body_class: type[StrictSerializer] = NothingSerializer

    def run(self, request: Request, name: str, code: str) -> Response:
        """Find, authorise, validate, and do it once."""
        cluster: Cluster = lookup.only(lookup.visible(Cluster, self.user), name, {})
        if not cluster.may(self.user, "change"):
            raise PermissionDenied
        finding = cluster.findings.filter(code=code).first()
        if finding is None:
            raise NotFound
        body = self.body_class(data=self.body())
        body.is_valid(raise_exception=True)

        def answered() -> Response:
            self.act(finding, body.validated_data)
            return Response(FindingSerializer(finding).data, status=202)

        return once(request, answered)

    def act(self, finding: Finding, data: dict[str, Any]) -> None:
        """Do what the verb says."""
        raise NotImplementedError


@extend_schema_view(
    post=extend_schema(
        operation_id="cluster_finding_accept",
        request=AcceptSerializer,
        responses={202: FindingSerializer},
    )
)
class AcceptFinding(FindingVerb):
    """`POST /clusters/{name}/findings/{code}:accept`."""

    body_class = AcceptSerializer

    def post(self, request: Request, name: str, code: str) -> Response:
        """Let tenants be placed in spite of a finding, until it says something else."""
        return self.run(request, name, code)

    def act(self, finding: Finding, data: dict[str, Any]) -> None:
        """Accept it."""
        finding.accept(data["reason"], by=self.user.get_username())


@extend_schema_view(
    post=extend_schema(
        operation_id="cluster_finding_revoke", request=None, responses={202: FindingSerializer}
    )
)
class RevokeFinding(FindingVerb):
    """`POST /clusters/{name}/findings/{code}:revoke`."""

    def post(self, request: Request, name: str, code: str) -> Response:
        """Take an acceptance back: new tenants are kept away again, what runs goes on."""
        return self.run(request, name, code)

    def act(self, finding: Finding, data: dict[str, Any]) -> None:
        """Take it back."""
        finding.revoke(by=self.user.get_username())
