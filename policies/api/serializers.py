"""Bodies of policy sets, versions, attachments and exceptions."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from policies.models import Attachment, Finding, PolicyException, PolicySet, PolicyVersion
from policies.models.progress import progress, restless
from reconcile.api.fields import BooleanField, IntegerField, KeyField, NameField, StringField
from reconcile.api.serializers import (
    ConditionSerializer,
    DeclaredSerializer,
    StrictSerializer,
)
from reconcile.values import Phase
from tenancy.api.serializers import RestrictionsField
from tenancy.models import Tenant
from tenancy.rules.modes import Mode

_RULES = "The kinds of a tenant's `restrictions`, with their values."


class BindingStatusSerializer(serializers.Serializer[Any]):
    """How far those have come whom it binds. No cluster is its own: tenants have those."""

    phase = serializers.ChoiceField(choices=list(Phase))
    conditions = ConditionSerializer(many=True)
    observed_generation = serializers.IntegerField()
    tenants = serializers.SerializerMethodField(help_text="How many tenants it binds.")
    settled = serializers.SerializerMethodField(
        help_text="How many of them are on every cluster as it wants them."
    )

    def get_tenants(self, row: Any) -> int:
        """Return how many of the caller's tenants it binds."""
        return self._counted(row)[0]

    def get_settled(self, row: Any) -> int:
        """Return how many of these have followed."""
        return self._counted(row)[1]

    def _counted(self, row: Any) -> tuple[int, int]:
        raise NotImplementedError


class PolicySetStatusSerializer(BindingStatusSerializer):
    """Over all attachments of a set."""

    def _counted(self, row: PolicySet) -> tuple[int, int]:
        """Counted for all sets at once, for as many as are shown."""
        if "progress" not in self.context:
            user = self.context["request"].user
            self.context["progress"] = progress(user)  # type: ignore[index]
        found: tuple[int, int] = self.context["progress"].get(row.pk, (0, 0))
        return found


class ViolationsSerializer(serializers.Serializer[Any]):
    """How many findings there are of an attachment; `…/findings` lists them."""

    open = serializers.IntegerField(help_text="So now.")
    total = serializers.IntegerField(help_text="Since it was attached, as far as they are kept.")


class AttachmentStatusSerializer(BindingStatusSerializer):
    """Of one attachment."""

    violations = serializers.SerializerMethodField(
        help_text="What it has let pass in the modes warn and audit: who promotes it should know."
    )

    @extend_schema_field(ViolationsSerializer)
    def get_violations(self, row: Attachment) -> dict[str, int]:
        """Return how many findings there are."""
        return Finding.objects.filter(attachment=row.pk or 0).counted()

    def _counted(self, row: Attachment) -> tuple[int, int]:
        if row.pk is None:
            return 0, 0
        bound = set(row.impositions.values_list("tenant_id", flat=True))
        if "restless" not in self.context:
            tenants = Tenant.objects.exclude(imposition=None).order_by()
            self.context["restless"] = restless(tenants)  # type: ignore[index]
        return len(bound), len(bound - self.context["restless"])


class PolicySetSerializer(DeclaredSerializer):
    """A policy set."""

    description = StringField(required=False, allow_blank=True, max_length=300)
    rules = RestrictionsField(required=False, help_text=_RULES)
    version = serializers.IntegerField(
        read_only=True, help_text="Counts the changes of the rules; each is kept."
    )
    status = PolicySetStatusSerializer(  # type: ignore[assignment]
        source="*", read_only=True
    )


class AttachmentSerializer(DeclaredSerializer):
    """Whom a policy set binds, and how hard."""

    policyset = KeyField(source="policy_set.name", help_text="The set that it belongs to.")
    mode = serializers.ChoiceField(
        choices=list(Mode),
        required=False,
        help_text="enforce: what breaks a rule is refused. warn: it passes with a warning. audit: "
        "it passes, and the cluster's audit log tells. By default audit.",
    )
    version = IntegerField(
        required=False, allow_null=True, min_value=1, help_text="Null follows the newest."
    )
    every_tenant = BooleanField(required=False, help_text="Those to come as well.")
    tenants = serializers.ListField(child=NameField(), required=False, max_length=1000)
    tenant_selector = StringField(
        required=False,
        allow_blank=True,
        max_length=1000,
        help_text="Tenants by their labels, as `team=web,stage in (prod,qa),!legacy`.",
    )
    projects = serializers.ListField(
        child=StringField(max_length=81),
        required=False,
        max_length=1000,
        help_text="Projects by name, each as `tenant/project`.",
    )
    clusters = serializers.ListField(
        child=NameField(),
        required=False,
        max_length=1000,
        help_text="It holds on these clusters and on those of `cluster_selector` alone. Without "
        "both: on every cluster. Not with the rules `freeze` and `namespaces`.",
    )
    cluster_selector = StringField(
        required=False,
        allow_blank=True,
        max_length=1000,
        help_text="Clusters by their labels, written as `tenant_selector` is.",
    )
    status = AttachmentStatusSerializer(  # type: ignore[assignment]
        source="*", read_only=True
    )


class VersionSerializer(serializers.ModelSerializer[PolicyVersion]):
    """A version in lists."""

    class Meta:
        model = PolicyVersion
        fields: tuple[str, ...] = ("number", "author", "created_at", "correlation_id")


class VersionDetailSerializer(VersionSerializer):
    """A version with its rules."""

    rules = RestrictionsField(help_text=_RULES)

    class Meta:
        model = PolicyVersion
        fields = (*VersionSerializer.Meta.fields, "rules")


class VersionDifferenceSerializer(serializers.Serializer[object]):
    """A part of the rules that two versions differ in."""

    path = serializers.ListField(child=serializers.CharField(), help_text="The keys down to it.")
    before = serializers.JSONField(allow_null=True, help_text="Null where there was none.")
    after = serializers.JSONField(allow_null=True, help_text="Null where there is none.")


class VersionDiffSerializer(serializers.Serializer[object]):
    """What a version changed against another one."""

    version = serializers.IntegerField()
    against = serializers.IntegerField(allow_null=True, help_text="Null: against nothing.")
    changes = VersionDifferenceSerializer(many=True)
    text = serializers.CharField(help_text="A unified diff of both as YAML.")


class PromotionSerializer(StrictSerializer):
    """How hard an attachment is to hold from now on."""

    mode = serializers.ChoiceField(
        choices=list(Mode),
        required=False,
        help_text="By default the next one: audit, then warn, then enforce.",
    )


class ExceptionSerializer(serializers.ModelSerializer[PolicyException]):
    """Who is spared which rule, why and until when."""

    expired = serializers.BooleanField(help_text="Whether it holds no more.")

    class Meta:
        model = PolicyException
        fields = (
            *("uid", "tenant", "project", "kind", "reason", "author", "created_at"),
            *("expires_at", "expired"),
        )


class ExceptionSpecSerializer(StrictSerializer):
    """An exception to make."""

    tenant = NameField(max_length=40)
    project = StringField(
        required=False, allow_blank=True, default="", max_length=40, help_text="Blank: all of them."
    )
    kind = StringField(max_length=63, help_text="One of the kinds of the set's rules.")
    reason = StringField(min_length=3, max_length=300)
    expires_at = serializers.DateTimeField()


class StarterSerializer(serializers.Serializer[Any]):
    """A policy set to begin with: its name and rules are the body of a new one."""

    name = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    rules = RestrictionsField(help_text=_RULES)
    adapt = serializers.CharField(help_text="What has to be put in place first; may be empty.")


class CatalogueSerializer(serializers.Serializer[Any]):
    """Every policy set to begin with."""

    items = serializers.SerializerMethodField()

    @extend_schema_field(StarterSerializer(many=True))
    def get_items(self, found: Any) -> list[Any]:
        """Return them in the order in which they get stricter."""
        return list(StarterSerializer(found, many=True).data)
