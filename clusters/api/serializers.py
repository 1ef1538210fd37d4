"""The bodies of clusters. What an operator gave to sign in is never part of an answer."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from clusters.api.fields import KubeconfigField
from clusters.models import Capability, Cluster, Orphan
from clusters.models.validators import PROXY_KINDS
from clusters.preflight import Severity
from reconcile.api.fields import LabelsField, StringField
from reconcile.api.serializers import DeclaredSerializer, StatusSerializer, StrictSerializer
from reconcile.guard import Reason

REASONS = [(reason.value, reason.value) for reason in Reason]
_LISTED = 200


class AccessProxySerializer(StrictSerializer):
    """Where people reach the cluster: never its API server."""

    kind = serializers.ChoiceField(choices=PROXY_KINDS)
    url = StringField(max_length=500, help_text="https only.")
    ca_bundle = StringField(max_length=64 * 1024, help_text="Its CA, PEM.")


class CredentialStatusSerializer(serializers.Serializer[Cluster]):
    """How KubeNova's own credential on the cluster fares; the credential itself stays inside."""

    expires_at = serializers.DateTimeField(source="scoped_expires_at", allow_null=True)
    rotated_at = serializers.DateTimeField(allow_null=True)
    pending = serializers.SerializerMethodField(
        help_text="Whether the kubeconfig given last is still kept, to write the baseline."
    )

    def get_pending(self, row: Cluster) -> bool:
        """Whether KubeNova still needs what the operator gave."""
        return row.bootstrap is not None


class ReportOnlySerializer(serializers.Serializer[Cluster]):
    """Why a guard holds a cluster until an operator confirms it with `:confirm`."""

    reason = serializers.ChoiceField(source="report_only", choices=REASONS)
    message = serializers.CharField(source="report_only_message")
    since = serializers.DateTimeField(source="report_only_since")
    uid = serializers.SerializerMethodField(help_text="Of the other cluster that answers now.")
    unknown = serializers.ListField(
        child=serializers.CharField(),
        help_text="What the cluster has that this database does not know.",
    )
    waiting = serializers.SerializerMethodField(help_text="Deletions that wait, the first 200.")

    def get_uid(self, row: Cluster) -> str:
        """Tell which cluster was found, where it is another than before."""
        return str(row.report_only_facts.get("uid", ""))

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_waiting(self, row: Cluster) -> list[str]:
        """Name the objects whose deletion waits."""
        return [str(each) for each in row.waiting[:_LISTED]]


class FindingCountsSerializer(serializers.Serializer[Any]):
    """Numbers of findings."""

    critical = serializers.IntegerField()
    warning = serializers.IntegerField()
    info = serializers.IntegerField()
    blocking = serializers.IntegerField(help_text="Critical and not accepted.")


class ClusterStatusSerializer(StatusSerializer):
    """What was observed of a cluster."""

    version = serializers.CharField(help_text="Of Kubernetes.")
    kube_system_uid = serializers.CharField(help_text="Tells clusters apart.")
    credential = CredentialStatusSerializer(source="*")
    report_only = serializers.SerializerMethodField(
        help_text="Set while a guard holds the cluster until an operator confirms."
    )
    findings = serializers.SerializerMethodField(
        help_text="How many findings there are, by severity, and how many keep new tenants away."
    )

    @extend_schema_field(FindingCountsSerializer)
    def get_findings(self, row: Cluster) -> dict[str, int]:
        """Count them; `GET …/findings` lists them."""
        rows = list(row.findings.all())
        counts = {str(each): sum(r.severity == each for r in rows) for each in Severity}
        return {**counts, "blocking": sum(r.blocks for r in rows)}

    @extend_schema_field(ReportOnlySerializer(allow_null=True))
    def get_report_only(self, row: Cluster) -> dict[str, Any] | None:
        """Tell why it is held, if it is."""
        return dict(ReportOnlySerializer(row).data) if row.report_only else None


class ClusterSerializer(DeclaredSerializer):
    """A cluster that KubeNova projects onto."""

    kubeconfig = KubeconfigField(
        required=False,
        help_text="The kubeconfig of a cluster administrator, base64, with one context and its "
        "data inside. Required to register. Used once: KubeNova then works with an account of "
        "its own. Never returned.",
    )
    labels = LabelsField(required=False, default=dict, help_text="What placements select by.")
    access_proxy = AccessProxySerializer(required=False, allow_null=True, default=None)
    server = serializers.CharField(read_only=True, help_text="The API server, from kubeconfig.")
    paused = serializers.BooleanField(
        read_only=True, help_text="Left as it is; see `:pause` and `:resume`."
    )
    status = ClusterStatusSerializer(source="*", read_only=True)


class CredentialSerializer(StrictSerializer):
    """A new credential for a registered cluster."""

    kubeconfig = KubeconfigField(help_text="As in the registration.")


class ConfirmSerializer(StrictSerializer):
    """What is confirmed, as `status.report_only` told."""

    reason = serializers.ChoiceField(choices=REASONS)
    uid = StringField(
        required=False, default="", max_length=64, help_text="Of the cluster that answers now."
    )


class ForgetSerializer(StrictSerializer):
    """The name once more, so that nobody forgets a cluster by mistake."""

    name = StringField(max_length=63)


class ForgottenSerializer(serializers.Serializer[Any]):
    """What was forgotten, and what stays on the cluster."""

    name = serializers.CharField()
    stays = serializers.ListField(child=serializers.CharField())


class CapabilitySerializer(serializers.ModelSerializer[Capability]):
    """Something that the cluster was found to be able to do, or why it is not."""

    class Meta:
        model = Capability
        fields = ("name", "served", "version", "reason", "observed_at")


class CapabilitiesSerializer(serializers.Serializer[Any]):
    """All of them; a list has no second page."""

    items = serializers.SerializerMethodField()

    @extend_schema_field(CapabilitySerializer(many=True))
    def get_items(self, row: Cluster) -> list[dict[str, Any]]:
        """Return them by name."""
        return [dict(CapabilitySerializer(each).data) for each in row.capabilities.all()]


class OrphanSerializer(serializers.ModelSerializer[Orphan]):
    """An object with KubeNova's label that belongs to nothing known; it is never removed."""

    class Meta:
        model = Orphan
        fields = (
            *("api_version", "kind", "namespace", "name", "uid"),
            *("owner", "first_seen", "last_seen", "gone_at"),
        )
