"""Registers the vault app with Django."""

from django.apps import AppConfig


class VaultConfig(AppConfig):
    """Sealed secrets."""

    name = "vault"
    verbose_name = "Sealed secrets"

    def ready(self) -> None:
        """Register the system checks."""
        from vault import checks  # noqa: F401
