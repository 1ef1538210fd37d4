"""Bodies of drift, of what is done about it, and of the decisions that come of it."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from reconcile.api.fields import IntegerField, NameField, StringField
from reconcile.api.serializers import StrictSerializer
from reconcile.models import Decision, Drift
from reconcile.values import MANAGER
from tenancy.api.drift_filters import LONGEST, OPEN, RESOLVED
from tenancy.drift import placement_of, pointer_of

MAX_SET = 500
_POINTER = re.compile(r"(/([^~/]|~[01])*)+")
# How an object is found and known as ours: never left to anybody.
_OURS = re.compile(r"/(apiVersion|kind|metadata(/(name|namespace|uid|labels|annotations))?)/?$")
_EITHER = "Name the field by `path` or by `pointer`, not by both."


class PointerField(StringField):
    """A JSON pointer (RFC 6901) into an object on a cluster."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, "max_length": 1000, **kwargs})

    def to_internal_value(self, data: object) -> str:
        """Return the pointer. Raises ValidationError for what is none, or reaches too far."""
        value = super().to_internal_value(data)
        if not _POINTER.fullmatch(value):
            raise ValidationError("Begin it with `/`, as in /spec/replicas.", code="pointer")
        if _OURS.match(value) or "kubenova.io" in value:
            text = "KubeNova finds its objects by this. Point at a field below, or at another one."
            raise ValidationError(text, code="reserved")
        return value


class ParentSerializer(serializers.Serializer[Drift]):
    """What declared the object."""

    kind = serializers.SerializerMethodField(help_text="tenant, project, app, cluster or grant.")
    name = serializers.SerializerMethodField(help_text="Such as acme/shop/web.")
    uid = serializers.UUIDField(source="parent_uid")

    def get_kind(self, drift: Drift) -> str:
        """Its kind."""
        return drift.parent_kind.rpartition(".")[2]

    def get_name(self, drift: Drift) -> str:
        """Its name with those of its parents."""
        return placement_of(drift).partition(" ")[2] or drift.row


class DriftedObjectSerializer(serializers.Serializer[Drift]):
    """The object on the cluster."""

    api_version = serializers.CharField()
    kind = serializers.CharField(source="object_kind")
    namespace = serializers.CharField(help_text="Empty for kinds that have none.")
    name = serializers.CharField(source="object_name")
    uid = serializers.CharField(source="object_uid", help_text="As far as it is known.")


class DriftSerializer(serializers.ModelSerializer[Drift]):
    """One field of one object that differs, or differed, from what is wanted of it.

    An empty `path` stands for the whole object: one that is missing, or that nobody declared.
    `wanted` and `found` are null where there is nothing; values of Secrets are masked.
    """

    of = ParentSerializer(source="*", read_only=True)
    object = DriftedObjectSerializer(source="*", read_only=True)
    wanted = serializers.JSONField(read_only=True, help_text="What it should be.")
    found = serializers.JSONField(read_only=True, help_text="What was found instead.")
    pointer = serializers.SerializerMethodField(help_text="The path as a JSON pointer (RFC 6901).")
    state = serializers.SerializerMethodField()

    class Meta:
        model = Drift
        fields = (
            "uid",
            "tenant",
            "cluster",
            "of",
            "object",
            "path",
            "pointer",
            "wanted",
            "found",
            "actor",
            "state",
            "resolution",
            "first_seen",
            "last_seen",
            "times",
            "repair_requested_by",
            "resolved_at",
            "resolved_by",
            "correlation_id",
        )

    def get_fields(self) -> dict[str, Any]:
        """Add the one whose name is a word of the language."""
        by_class = serializers.ChoiceField(source="drift_class", choices=Drift.Class.choices)
        return {**super().get_fields(), "class": by_class}

    def get_pointer(self, drift: Drift) -> str:
        """Its path, as rules name fields."""
        return pointer_of(drift)

    def get_state(self, drift: Drift) -> str:
        """Say `open` or `resolved`."""
        return RESOLVED if drift.resolution else OPEN


class ResolvedSerializer(serializers.Serializer[Any]):
    """What a verb was about."""

    count = serializers.IntegerField(help_text="How many differences; 0: none is open (any more).")


class ReasonSerializer(StrictSerializer):
    """Why a change is kept."""

    reason = StringField(required=False, allow_blank=True, max_length=300, help_text="Why.")


class IgnoredSerializer(StrictSerializer):
    """Why a field is left to others, and until when."""

    reason = StringField(max_length=300, help_text="Why. Shown to whoever comes after you.")
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="When it ends. Left out: until it is revoked."
    )

    def validate_expires_at(self, moment: datetime | None) -> datetime | None:
        """Refuse what is over before it begins. Raises ValidationError."""
        if moment is not None and moment <= timezone.now():
            raise ValidationError("It must lie in the future.", code="past")
        return moment


class ChosenFilterSerializer(StrictSerializer):
    """The filters of `GET /drift`; what is resolved is never chosen."""

    tenant = NameField(required=False)
    project = NameField(required=False)
    app = NameField(required=False)
    cluster = NameField(required=False)
    kind = StringField(required=False, max_length=63)
    name = StringField(required=False, max_length=253)
    actor = StringField(required=False, max_length=150)
    older_than = IntegerField(required=False, min_value=0, max_value=LONGEST)
    newer_than = IntegerField(required=False, min_value=0, max_value=LONGEST)

    def get_fields(self) -> dict[str, Any]:
        """Add the one whose name is a word of the language."""
        by_class = serializers.ChoiceField(choices=Drift.Class.choices, required=False)
        return {**super().get_fields(), "class": by_class}


class SetSerializer(StrictSerializer):
    """Which differences: a list of them, or all open ones that a filter finds."""

    uids = serializers.ListField(
        child=serializers.UUIDField(), required=False, min_length=1, max_length=MAX_SET
    )
    filter = ChosenFilterSerializer(required=False)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Refuse no choice, an empty one and two. Raises ValidationError."""
        if "uids" in values and "filter" in values:
            fault = "Choose by `uids` or by `filter`, not by both."
            raise ValidationError({"filter": [fault]}, code="both")
        if "uids" not in values and not values.get("filter"):
            fault = f"Name at least one filter, or `uids`; for example {_EXAMPLE}."
            raise ValidationError({"filter": [fault]}, code="required")
        return values


_EXAMPLE = '{"filter": {"tenant": "acme"}}'


class AcceptSetSerializer(SetSerializer, ReasonSerializer):
    """Which differences become what is wanted."""


class IgnoreSetSerializer(SetSerializer, IgnoredSerializer):
    """Which differences are left as they are."""


class KindAndNameSerializer(StrictSerializer):
    """Objects on clusters."""

    kind = StringField(max_length=63, help_text="Such as Deployment.")
    name = StringField(required=False, max_length=253, help_text="Left out: all of the kind.")


class TargetSerializer(StrictSerializer):
    """Which differences of the object in the path; nothing named: all of them."""

    cluster = NameField(required=False, help_text="Left out: on all of its clusters.")
    object = KindAndNameSerializer(required=False)
    path = StringField(required=False, max_length=1000, help_text="As drift shows it.")
    pointer = PointerField(help_text="A JSON pointer (RFC 6901) instead: /spec/replicas.")

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Refuse a field that is named twice. Raises ValidationError."""
        if "path" in values and "pointer" in values:
            raise ValidationError({"pointer": [_EITHER]}, code="both")
        return values


class AcceptTargetSerializer(TargetSerializer, ReasonSerializer):
    """What becomes what is wanted."""


class IgnoreTargetSerializer(TargetSerializer, IgnoredSerializer):
    """What is left as it is."""


class DecidedObjectSerializer(serializers.Serializer[Decision]):
    """The objects that a decision is about; blank stands for any."""

    kind = serializers.CharField(source="object_kind")
    name = serializers.CharField(source="object_name")


class DecisionSerializer(serializers.ModelSerializer[Decision]):
    """A decision about differences: to leave a field to others, or to keep what was found.

    Blank members stand for any. `base` is what was declared when `value` was accepted: a spec that
    moves on wins.
    """

    object = DecidedObjectSerializer(source="*", read_only=True)
    base = serializers.JSONField(read_only=True)
    value = serializers.JSONField(read_only=True)
    standing = serializers.SerializerMethodField()

    class Meta:
        model = Decision
        fields = (
            "uid",
            "verb",
            "cluster",
            "object",
            "pointer",
            "manager",
            "path",
            "base",
            "value",
            "reason",
            "author",
            "created_at",
            "expires_at",
            "standing",
        )

    def get_standing(self, decision: Decision) -> bool:
        """Whether it holds now."""
        return decision.expires_at is None or decision.expires_at > timezone.now()


class RuleSerializer(IgnoredSerializer):
    """A rule that leaves fields to others from the start: by pointer, by manager or by both."""

    cluster = NameField(required=False, help_text="Left out: on all of its clusters.")
    object = KindAndNameSerializer(required=False, help_text="Left out: any object.")
    pointer = PointerField(
        help_text="A JSON pointer (RFC 6901): /spec/replicas. An entry of a list is named by its "
        "index or as `name=web`."
    )
    manager = StringField(
        required=False, max_length=150, help_text="A field manager, as managedFields names it."
    )

    def validate_manager(self, name: str) -> str:
        """Refuse ourselves. Raises ValidationError."""
        if name == MANAGER:
            raise ValidationError("This is KubeNova itself. Name another manager.", code="own")
        return name

    def validate(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Refuse a rule that says nothing. Raises ValidationError."""
        if not (values.get("pointer") or values.get("manager")):
            fault = "Name the field here, or who owns it in `manager`."
            raise ValidationError({"pointer": [fault]}, code="required")
        return values
