"""An app that exists in tests alone: rows that converge on clusters in memory."""

from django.apps import AppConfig


class ReconcileTests(AppConfig):
    """Registered by the settings while pytest runs."""

    name = "tests.reconcile"
    label = "toys"
