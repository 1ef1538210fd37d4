"""What a cluster's JSON columns may hold."""

from collections.abc import Mapping

from django.core.exceptions import ValidationError

from clusters.addresses import AddressDenied, parse_server
from clusters.certificates import Unfit, read_chain
from clusters.rules import address_rules

PROXY_KINDS = ("capsule-proxy", "kubenova-proxy")
_FIELDS = {"kind", "url", "ca_bundle"}


def validate_access_proxy(value: object) -> None:
    """Accept `{kind, url, ca_bundle}`: https only, the CA as PEM. Raises ValidationError."""
    if not isinstance(value, Mapping) or set(value) != _FIELDS:
        raise ValidationError("Give kind, url and ca_bundle.", code="access_proxy")
    if value["kind"] not in PROXY_KINDS:
        raise _fault("kind", f"Use one of {', '.join(PROXY_KINDS)}.")
    try:
        parse_server(str(value["url"]), address_rules())
    except AddressDenied as error:
        raise _fault("url", f"The URL {error.message}.") from None
    try:
        read_chain(str(value["ca_bundle"]).encode())
    except Unfit as error:
        raise _fault("ca_bundle", f"The CA bundle {error}.") from None


def _fault(key: str, message: str) -> ValidationError:
    return ValidationError(message, code="access_proxy", params={"path": (key,)})
