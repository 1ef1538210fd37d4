"""Registers the delivery app with Django."""

from django.apps import AppConfig

from clusters.adapters.policies import contribute
from clusters.definitions import EXPECTED
from delivery.rules.applications import policies


class DeliveryConfig(AppConfig):
    """Delivery."""

    name = "delivery"
    verbose_name = "Delivery"

    def ready(self) -> None:
        """Have every cluster's baseline carry what guards KubeVela's Applications.

        Clusters are asked for the types that operators publish, and runs that carry these are told.
        """
        from clusters.models.bootstrap import AFTERWARDS, DEFINITIONS
        from clusters.models.carrying import arrived
        from delivery.models.published import Publication, expected

        contribute(policies)
        EXPECTED.append(expected)
        AFTERWARDS[DEFINITIONS] = arrived(Publication)
