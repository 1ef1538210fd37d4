"""Registers the reconcile app with Django."""

from django.apps import AppConfig
from django.utils.crypto import salted_hmac

from reconcile.fingerprints import fingerprint_secrets_under


class ReconcileConfig(AppConfig):
    """Reconciliation."""

    name = "reconcile"
    verbose_name = "Reconciliation"

    def ready(self) -> None:
        """What the database holds of Secrets is worth nothing without our SECRET_KEY."""
        key = salted_hmac("reconcile.fingerprint", "secrets", algorithm="sha256").digest()
        fingerprint_secrets_under(key)
