"""Registers the access app with Django."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """Access."""

    name = "access"
    verbose_name = "Access"

    def ready(self) -> None:
        """Register the system checks, and hear of sign-ins and of accounts that change."""
        from access import audit, checks, preparing, subjects  # noqa: F401
        from access.api import prepared

        audit.connect()
        subjects.connect()
        preparing.connect()
        prepared.connect()
