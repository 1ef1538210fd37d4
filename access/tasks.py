"""What the queue runs for access: token keys rotate, ended sessions and old history go."""

import os
import time
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from access.keys import add_key, drop_keys, key_ring
from access.models import AuditRecord, KubeconfigGrant
from access.models.session import LONGEST, TokenSession

# (dotted name, minutes between two runs); the worker role registers them.
SCHEDULES = [
    ("access.tasks.rotate_if_due", 60),
    ("access.tasks.sweep_sessions", 60),
    ("access.tasks.prune_history", 60),
]
_GRANTS_AT_ONCE = 1000


def rotate_if_due() -> str:
    """Add a key when the newest is older than JWT_ROTATE_DAYS; drop those that nothing needs.

    Returns what happened, in words. A key file that this process may not write is left to whoever
    provides it, for example a mounted secret.
    """
    if not settings.JWT_ROTATE_DAYS:
        return "rotation is by hand"
    newest = key_ring().of(settings.JWT_ALGORITHM)[0]
    if not os.access(settings.JWT_KEY_FILE.parent, os.W_OK):
        return "the key file is provided from outside"
    age = time.time() - newest.signs_from
    if age > timedelta(days=settings.JWT_ROTATE_DAYS).total_seconds():
        add_key()
    gone = drop_keys(superseded_before=time.time() - LONGEST.total_seconds())
    return f"{len(gone)} keys dropped"


def sweep_sessions() -> int:
    """Delete sessions that ended a day ago or earlier; return how many."""
    ended = TokenSession.objects.filter(expires_at__lt=timezone.now() - timedelta(days=1))
    return ended.delete()[0]


def prune_history() -> str:
    """Delete old audit records and grants that ended long ago; return how many, in words."""
    records = 0
    while gone := AuditRecord.prune(settings.AUDIT_DAYS):
        records += gone
    before = timezone.now() - timedelta(days=settings.GRANT_HISTORY_DAYS)
    grants = KubeconfigGrant.objects.closed_before(before).order_by("pk")[:_GRANTS_AT_ONCE]
    for grant in (forgotten := list(grants)):
        grant.forget()
    return f"{records} audit records and {len(forgotten)} grants were history"
