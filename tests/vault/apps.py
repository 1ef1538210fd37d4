"""An app that exists in tests alone: rows with sealed columns."""

from django.apps import AppConfig


class VaultTests(AppConfig):
    """Registered by the settings while pytest runs."""

    name = "tests.vault"
    label = "vault_tests"
