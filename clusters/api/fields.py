"""The kubeconfig in a body: read as hostile data, never shown again."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework.exceptions import ValidationError

from clusters.credentials import Given
from clusters.kubeconfig import KubeconfigRefused, parse
from clusters.rules import address_rules
from reconcile.api.fields import StringField


@extend_schema_field(OpenApiTypes.BYTE)
class KubeconfigField(StringField):
    """A kubeconfig in base64, as `base64 < ~/.kube/config` writes it; fills `given` of a row."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"write_only": True, "source": "given", **kwargs})

    def to_internal_value(self, data: object) -> Given:  # type: ignore[override]
        """Return the credential. Raises ValidationError that names the field inside."""
        text = super().to_internal_value(data)
        try:
            return Given.of(parse(text, address_rules()))
        except KubeconfigRefused as error:
            message = f"`{error.field}` {error.message}."
            raise ValidationError(message, code="kubeconfig") from None
