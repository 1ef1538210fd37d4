"""The body of grants that are prepared with a new tenant."""

from typing import Any

from rest_framework import serializers

from access.intents import VERBS_OF_ROLE, Verbs
from access.preparing import NAME
from reconcile.api.fields import IntegerField, NameField, StringField
from reconcile.api.serializers import StrictSerializer
from tenancy.api.onboarding import contribute


class PreparedGrantSerializer(StrictSerializer):
    """What somebody will ask for with one click; nothing is issued before."""

    username = StringField(max_length=150)
    project = NameField(required=False, max_length=40, help_text="One project instead of all.")
    role = serializers.ChoiceField(choices=list(VERBS_OF_ROLE), required=False)
    verbs = serializers.ListField(
        child=serializers.ChoiceField(choices=list(Verbs)), required=False, max_length=len(Verbs)
    )
    ttl_seconds = IntegerField(required=False, min_value=1)
    description = StringField(required=False, allow_blank=True, max_length=300)

    def validate(self, attrs: Any) -> Any:
        """Refuse a role together with verbs."""
        if "role" in attrs and "verbs" in attrs:
            raise serializers.ValidationError({"role": "Give a role or verbs, not both."})
        return attrs


def connect() -> None:
    """Let the body of a new tenant carry grants."""
    contribute(NAME, PreparedGrantSerializer)
