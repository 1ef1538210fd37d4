"""Registers the policies app with Django."""

from django.apps import AppConfig


class PoliciesConfig(AppConfig):
    """Policies."""

    name = "policies"
    verbose_name = "Policies"

    def ready(self) -> None:
        """Have every tenant that is declared be bound by what is attached to it."""
        from policies.models.imposition import network_sources, settle
        from tenancy.models.imposed import contribute
        from tenancy.models.openings import tell_sources

        contribute(settle)
        tell_sources(network_sources)
