"""Registers the portal with Django."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """The portal."""

    name = "portal"
    verbose_name = "Portal"
