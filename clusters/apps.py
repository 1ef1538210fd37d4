"""Registers the clusters app with Django."""

from django.apps import AppConfig


class ClustersConfig(AppConfig):
    """Clusters."""

    name = "clusters"
    verbose_name = "Clusters"
