"""Bodies of tokens, of oneself, of grants and of the audit log."""

from typing import Any

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from access.intents import VERBS_OF_ROLE, Verbs
from access.models import AuditRecord
from reconcile.api.fields import IntegerField, NameField, StringField
from reconcile.api.serializers import DeclaredSerializer, StrictSerializer
from tenancy.intents import Role
from tenancy.models import Membership

_MAX_NAMES = 500


class CredentialsSerializer(StrictSerializer):
    """What one signs in with."""

    username = StringField(max_length=150)
    password = StringField(max_length=1024, write_only=True)


class TokenSerializer(StrictSerializer):
    """A refresh token."""

    refresh = StringField(max_length=8192, write_only=True)


class PairSerializer(serializers.Serializer[Any]):
    """A pair of tokens."""

    access = serializers.CharField(help_text="Send it as `Authorization: Bearer …`.")
    refresh = serializers.CharField(help_text="Good for one use at `/token/refresh`.")
    token_type = serializers.CharField(help_text="Always Bearer.")
    expires_in = serializers.IntegerField(help_text="Seconds that the access token lives.")


class KeySerializer(serializers.Serializer[Any]):
    """A public key (RFC 7517)."""

    kty = serializers.CharField()
    kid = serializers.CharField()
    use = serializers.CharField()
    alg = serializers.CharField()
    n = serializers.CharField()
    e = serializers.CharField()


class KeySetSerializer(serializers.Serializer[Any]):
    """The public keys."""

    keys = KeySerializer(many=True)


class RoleSerializer(serializers.Serializer[Membership]):
    """A role in a tenant."""

    tenant = serializers.CharField(source="tenant.name")
    role = serializers.ChoiceField(choices=list(Role))


class MeSerializer(serializers.Serializer[User]):
    """An account."""

    username = serializers.CharField()
    email = serializers.CharField(help_text="Empty where none is known.")
    operator = serializers.BooleanField(source="is_staff")
    tenants = serializers.SerializerMethodField()

    @extend_schema_field(RoleSerializer(many=True))
    def get_tenants(self, user: User) -> list[dict[str, Any]]:
        """Return the account's role in each of its tenants, as it is now, by name."""
        rows = (
            Membership.objects.filter(user=user).select_related("tenant").order_by("tenant__name")
        )
        return [dict(RoleSerializer(row).data) for row in rows]


class AskSerializer(StrictSerializer):
    """What a kubeconfig is to allow. All that the caller's role allows, unless said otherwise."""

    role = serializers.ChoiceField(
        choices=list(VERBS_OF_ROLE), required=False, help_text="All verbs of this role."
    )
    verbs = serializers.ListField(
        child=serializers.ChoiceField(choices=list(Verbs)),
        required=False,
        max_length=len(Verbs),
        help_text="Or these alone.",
    )
    namespaces = serializers.ListField(
        child=StringField(max_length=63),
        required=False,
        max_length=_MAX_NAMES,
        help_text="These alone; by default those of the tenant or project, also later ones.",
    )
    clusters = serializers.ListField(
        child=StringField(max_length=63),
        required=False,
        max_length=_MAX_NAMES,
        help_text="These alone; by default every cluster of the tenant.",
    )
    ttl_seconds = IntegerField(
        required=False, help_text="How long it works; an hour by default, a day at the most."
    )
    description = StringField(required=False, allow_blank=True, max_length=300)


class GrantSerializer(DeclaredSerializer):
    """A grant: who may enter what until when. The kubeconfig itself is never shown again."""

    name = NameField(read_only=True)
    tenant = serializers.CharField(source="tenant.name", read_only=True)
    project = serializers.CharField(
        source="project.name", read_only=True, allow_null=True, default=None
    )
    subject = serializers.CharField(source="subject.username", read_only=True)
    description = StringField(required=False, allow_blank=True, max_length=300)
    verbs = serializers.ListField(child=serializers.CharField(), read_only=True)
    namespaces = serializers.ListField(
        child=serializers.CharField(), read_only=True, help_text="Empty: all, also later ones."
    )
    clusters = serializers.ListField(child=serializers.CharField(), read_only=True)
    ttl_seconds = serializers.IntegerField(read_only=True)
    state = serializers.ChoiceField(
        choices=["Pending", "Active", "Revoked", "Expired", "Ended"], read_only=True
    )
    issued_at = serializers.DateTimeField(read_only=True, allow_null=True)
    expires_at = serializers.DateTimeField(
        read_only=True, help_text="As the first cluster to end it said."
    )
    revoked_at = serializers.DateTimeField(read_only=True, allow_null=True)
    revoked_by = serializers.CharField(read_only=True)
    closed_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="When nothing of it was left on any cluster."
    )
    seen_dead = serializers.DictField(
        child=serializers.DateTimeField(),
        read_only=True,
        help_text="By cluster, when its TokenReview first refused the token. Only of a token that "
        "was in use at the access proxy when the grant ended, or later: no token is stored.",
    )


class IssuedSerializer(serializers.Serializer[Any]):
    """What is shown once."""

    grant = GrantSerializer()
    kubeconfig = serializers.CharField(help_text="A file for kubectl, as YAML.")
    expires_at = serializers.DateTimeField()


class AuditSerializer(serializers.ModelSerializer[AuditRecord]):
    """Something that somebody did or tried."""

    class Meta:
        model = AuditRecord
        fields = ("id", "at", "source", "status", *AuditRecord.texts, "more")
