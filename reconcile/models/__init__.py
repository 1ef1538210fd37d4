"""What the engine remembers: the dirty set, what it applied, what happened."""

from reconcile.models.applied import AppliedObject
from reconcile.models.decisions import Decision
from reconcile.models.deletions import InferredDeletion
from reconcile.models.drift import Drift
from reconcile.models.events import Event
from reconcile.models.idempotency import IdempotencyRecord
from reconcile.models.plans import PlanRecord
from reconcile.models.work import Lease, Read, Work, marking, touch

__all__ = [
    "AppliedObject",
    "Decision",
    "Drift",
    "Event",
    "IdempotencyRecord",
    "InferredDeletion",
    "Lease",
    "PlanRecord",
    "Read",
    "Work",
    "marking",
    "touch",
]
