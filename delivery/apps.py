"""Registers the delivery app with Django."""

from django.apps import AppConfig

from clusters.adapters.policies import contribute
from delivery.rules.applications import policies


class DeliveryConfig(AppConfig):
    """Delivery."""

    name = "delivery"
    verbose_name = "Delivery"

    def ready(self) -> None:
        """Have every cluster's baseline carry what guards KubeVela's Applications."""
        contribute(policies)
