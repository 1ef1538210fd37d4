"""Which servers the settings let KubeNova talk to."""

from django.conf import settings

from clusters.addresses import AddressRules


def address_rules() -> AddressRules:
    """Return the rules of this installation."""
    return AddressRules(
        allow_loopback=settings.CLUSTER_ALLOW_LOOPBACK,
        allow_private=settings.CLUSTER_ALLOW_PRIVATE,
    )
