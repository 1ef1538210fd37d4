"""Registers the policies app with Django."""

from django.apps import AppConfig

from clusters.definitions import EXPECTED


class PoliciesConfig(AppConfig):
    """Policies."""

    name = "policies"
    verbose_name = "Policies"

    def ready(self) -> None:
        """Have every tenant that is declared be bound by what is attached to it.

        Clusters are asked for the rules that operators publish, and runs that carry these are told.
        """
        from clusters.models.bootstrap import AFTERWARDS, RULES
        from clusters.models.carrying import arrived
        from policies.models.celrule import RulePublication, expected
        from policies.models.imposition import network_sources, settle
        from tenancy.models.imposed import contribute
        from tenancy.models.openings import tell_sources

        contribute(settle)
        EXPECTED.append(expected)
        AFTERWARDS[RULES] = arrived(RulePublication)
        tell_sources(network_sources)
