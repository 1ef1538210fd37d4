"""Registers the wiring with Django: checks and tracing start here, once per process."""

import os
import sys

from django.apps import AppConfig
from django.conf import settings

from kubenova.lifeline import tie


class KubenovaConfig(AppConfig):
    """KubeNova."""

    name = "kubenova"
    verbose_name = "KubeNova"

    def ready(self) -> None:
        """Tie this process to its parent if it is a role's, and start what watches it."""
        from kubenova import checks  # noqa: F401  (its models are loaded only now)

        tie(settings.ROLE)
        if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
            from kubenova import tracing  # costs every start a quarter of a second

            tracing.start(settings.ROLE)
        if settings.METRICS_BIND:
            from kubenova import metrics_port

            metrics_port.open_for(settings.ROLE, "".join(sys.argv[1:2]), settings.METRICS_BIND)
        if settings.LOCAL_QUEUE:  # this process is a worker role's queue
            from kubenova import drains  # with all the domains' models: only now, and only here

            drains.make_ready()
