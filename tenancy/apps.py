"""Registers the tenancy app with Django."""

from django.apps import AppConfig

from clusters.adapters.policies import contribute
from tenancy.rules.admission import policies
from tenancy.rules.guards import guards
from tenancy.rules.keeping import keeps


class TenancyConfig(AppConfig):
    """Tenancy."""

    name = "tenancy"
    verbose_name = "Tenancy"

    def ready(self) -> None:
        """Have every cluster's baseline carry what enforces the rules of tenants."""
        contribute(policies)
        contribute(guards)
        contribute(keeps)
