"""Drift of one app over HTTP: its verbs, and the decisions that were made on it."""

from delivery.api.views import AppView
from tenancy.api.drift_objects import DecisionVerbs, DriftVerbs


class AppDrift(DriftVerbs, AppView):
    """Of an app."""


class AppDecisions(DecisionVerbs, AppView):
    """On an app."""
