"""Bodies of tenants, projects, members and events."""

from typing import Any

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from reconcile.api.fields import AnnotationsField, KeyField, LabelsField, NameField, StringField
from reconcile.api.serializers import (
    DeclaredSerializer,
    PlacementSerializer,
    StatusSerializer,
    StrictSerializer,
)
from reconcile.models import Event
from reconcile.values import RepairMode
from tenancy.intents import Division, Isolation, Role
from tenancy.models import Membership, Project, Tenant
from tenancy.models.onboarding import State
from tenancy.onboarding import checklist_of
from tenancy.rules.network import DIRECTIONS
from tenancy.rules.subjects import BINDABLE_ROLES, SUBJECT_KINDS
from tenancy.rules.usage import Usage


class QuantitiesField(serializers.DictField):
    """A map of resource names to Kubernetes quantities, such as {"requests.cpu": "4"}."""

    child = StringField()


class UsageSerializer(serializers.Serializer[Usage]):
    """What is used of one resource of the quota, as the cluster counts it."""

    resource = serializers.CharField()
    used = serializers.CharField(help_text="A Kubernetes quantity.")
    hard = serializers.CharField(help_text="What of the quota is granted there.")


class BoundedPlacementSerializer(PlacementSerializer):
    """How a tenant or project fares on one cluster, and what it uses there."""

    quota = UsageSerializer(
        many=True, help_text="Empty without a quota, and until the cluster has counted."
    )


class BoundedStatusSerializer(StatusSerializer):
    """The status of what has a quota."""

    @extend_schema_field(BoundedPlacementSerializer(many=True))
    def get_placements(self, row: Tenant | Project) -> list[dict[str, Any]]:  # type: ignore[override]
        """Return its placements by cluster name, each with what is used there."""
        used = row.usage()
        return [
            {
                **each,
                "quota": [dict(UsageSerializer(one).data) for one in used.get(each["cluster"], [])],
            }
            for each in super().get_placements(row)
        ]


class ItemSerializer(serializers.Serializer[Any]):
    """One thing that was asked for together with the tenant, and how far it has come."""

    step = serializers.CharField(help_text="tenant, project, quota, member, invitation or grant.")
    subject = serializers.CharField()
    state = serializers.ChoiceField(choices=list(State))
    reason = serializers.CharField(help_text="Why it is not done; empty once it is.")


class TenantStatusSerializer(BoundedStatusSerializer):
    """The status of a tenant."""

    checklist = serializers.SerializerMethodField()

    @extend_schema_field(ItemSerializer(many=True))
    def get_checklist(self, row: Tenant) -> list[dict[str, Any]]:
        """Return how far its onboarding has come; empty without one, and once all was done."""
        return [dict(ItemSerializer(each).data) for each in checklist_of(row)]


class RestrictionsField(serializers.DictField):
    """What is allowed, by kind; see the table of fields in the documentation."""

    child = serializers.JSONField()


class SubjectSerializer(StrictSerializer):
    """A group, service account or user as the clusters know it."""

    kind = serializers.ChoiceField(choices=list(SUBJECT_KINDS))
    name = StringField(max_length=253)
    namespace = StringField(required=False, max_length=63, help_text="Of a ServiceAccount.")


class RoleBindingSerializer(StrictSerializer):
    """A role of the catalogue in every namespace of the tenant, for subjects of the clusters."""

    role = serializers.ChoiceField(choices=list(BINDABLE_ROLES))
    subjects = SubjectSerializer(many=True)


class NetworkRuleSerializer(StrictSerializer):
    """What may pass beside the preset: to or from any of the peers, on any of the ports."""

    direction = serializers.ChoiceField(choices=list(DIRECTIONS))
    peers = serializers.ListField(
        child=serializers.DictField(child=serializers.JSONField()),
        min_length=1,
        max_length=50,
        help_text="Each {cidr, except?} or {namespace_labels?, pod_labels?}.",
    )
    ports = serializers.ListField(
        child=serializers.DictField(child=serializers.JSONField()),
        required=False,
        max_length=50,
        help_text="Each {port, end_port?, protocol?}; every port where there are none.",
    )


class LimitsSerializer(StrictSerializer):
    """What a container gets that says nothing, and how far it may go."""

    default = QuantitiesField(required=False, help_text="Limits of a container that names none.")
    default_request = QuantitiesField(required=False, help_text="Its requests.")
    max = QuantitiesField(required=False, help_text="The most that a container may ask for.")
    min = QuantitiesField(required=False, help_text="The least.")


class PlacementSpecSerializer(StrictSerializer):
    """Where: clusters by name, and all clusters that carry the labels of the selector."""

    clusters = serializers.ListField(child=StringField(), required=False, max_length=200)
    selector = LabelsField(required=False)
    min = serializers.IntegerField(required=False, min_value=1, help_text="The fewest clusters.")
    max = serializers.IntegerField(
        required=False,
        min_value=1,
        help_text="The most clusters: the named ones first, then by name.",
    )


class OwnersField(serializers.ListField):
    """User names of the tenant's admins; each must be an active user."""

    child = StringField(max_length=150)

    def to_internal_value(self, data: Any) -> list[str]:
        """Return the names, sorted and once each. Raises ValidationError by position."""
        names: list[str] = super().to_internal_value(data)
        found = User.objects.filter(username__in=names, is_active=True)
        known = set(found.values_list("username", flat=True))
        unknown: dict[Any, Any] = {
            position: [ErrorDetail("There is no active user of this name.", code="unknown")]
            for position, name in enumerate(names)
            if name not in known
        }
        if unknown:
            raise serializers.ValidationError(unknown)
        return sorted(set(names))


class TenantSerializer(DeclaredSerializer):
    """A tenant. `owners` left out of a change stay who they are."""

    name = NameField(max_length=40, help_text="A DNS label without `--`. Never changes.")
    description = StringField(required=False, allow_blank=True, max_length=300)
    owners = OwnersField(required=False, max_length=100)
    labels = LabelsField(required=False)
    annotations = AnnotationsField(required=False)
    quota = QuantitiesField(
        required=False,
        help_text="Hard totals over all clusters and projects of the tenant.",
    )
    quota_floors = serializers.DictField(
        child=QuantitiesField(),
        required=False,
        help_text="What each cluster gets at least, by its name; the rest is shared.",
    )
    quota_division = serializers.ChoiceField(
        choices=list(Division),
        required=False,
        help_text="How the rest is shared: the same to each project (even), by their weights "
        "(weight), or where it is used (demand).",
    )
    limits = LimitsSerializer(required=False)
    isolation = serializers.ChoiceField(choices=list(Isolation), required=False)
    network = NetworkRuleSerializer(
        many=True, required=False, help_text="What may pass beside the preset of `isolation`."
    )
    restrictions = RestrictionsField(required=False)
    owner_subjects = SubjectSerializer(
        many=True,
        required=False,
        help_text="Groups and service accounts that own it as well; users are `owners`.",
    )
    role_bindings = RoleBindingSerializer(many=True, required=False)
    cordoned = serializers.BooleanField(
        required=False, help_text="Nothing in its namespaces can be made, changed or deleted."
    )
    deletion_protection = serializers.BooleanField(
        required=False, help_text="It cannot be deleted before this is taken off."
    )
    repair_mode = serializers.ChoiceField(
        choices=list(RepairMode),
        required=False,
        help_text="auto: what differs on a cluster is repaired at once. manual: it is shown until "
        "somebody repairs, accepts or ignores it.",
    )
    placement = PlacementSpecSerializer(required=False)
    status = TenantStatusSerializer(source="*", read_only=True)

    def differences(self, row: Any, fresh: Any) -> list[str]:
        """Owners count only where the body names them."""
        names = super().differences(row, fresh)
        return [name for name in names if name != "owners" or "owners" in self.validated_data]


class ProjectSerializer(DeclaredSerializer):
    """A project of a tenant."""

    name = NameField(max_length=40, help_text="A DNS label without `--`. Never changes.")
    tenant = KeyField(source="tenant.name", help_text="The tenant it belongs to.")
    namespace = serializers.CharField(
        read_only=True, help_text="Its namespace, the same on every cluster."
    )
    description = StringField(required=False, allow_blank=True, max_length=300)
    labels = LabelsField(required=False)
    annotations = AnnotationsField(required=False)
    quota = QuantitiesField(
        required=False, help_text="Its own hard totals inside of the tenant's, over all clusters."
    )
    weight = serializers.IntegerField(
        required=False, min_value=1, max_value=1000, help_text="For `quota_division: weight`."
    )
    network = NetworkRuleSerializer(many=True, required=False)
    status = BoundedStatusSerializer(source="*", read_only=True)


class MemberSerializer(serializers.ModelSerializer[Membership]):
    """A member of a tenant or project."""

    username = serializers.CharField(source="user.username")

    class Meta:
        model = Membership
        fields = ("username", "role", "created_at")


class MemberSpecSerializer(StrictSerializer):
    """What to make of a user."""

    role = serializers.ChoiceField(choices=list(Role))


class EventSerializer(serializers.ModelSerializer[Event]):
    """Something that happened to an object."""

    class Meta:
        model = Event
        fields = (
            "id",
            "at",
            "kind",
            "object_uid",
            "name",
            "tenant",
            "cluster",
            "type",
            "reason",
            "message",
            "actor",
            "correlation_id",
            "data",
        )
