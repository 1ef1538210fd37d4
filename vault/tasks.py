"""What the queue runs for the vault."""

from datetime import UTC, datetime, timedelta

import structlog
from django.conf import settings

from vault.keys import key_file
from vault.rotation import finish, rotate

# (dotted name, minutes between two runs); the worker role registers them.
SCHEDULES = [("vault.tasks.rotate_if_due", 60)]

log = structlog.get_logger(__name__)


def rotate_if_due() -> str:
    """Rotate when the active key is older than VAULT_ROTATE_DAYS, else finish what was begun.

    Returns what happened, in words. A run that is killed loses nothing: the next one goes on.
    Raises VaultError, so that the queue records a failure.
    """
    keys = key_file()
    if not keys.exists():
        return "nothing is sealed yet"
    if not settings.VAULT_ROTATE_DAYS:
        return "rotation is by hand"
    due_at = keys.ring().active.created_at + timedelta(days=settings.VAULT_ROTATE_DAYS)
    turn = rotate if datetime.now(UTC) >= due_at else finish
    outcome = turn(keys, _log_progress)
    return f"{outcome.rewrapped} values rewrapped"


def _log_progress(column: str, done: int) -> None:
    log.debug("vault rewraps", column=column, done=done)
