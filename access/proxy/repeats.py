"""Holds back what says the same again and again: a loop that uses a grant which has ended."""

import time
from dataclasses import dataclass

from access.models import AuditRecord

WINDOW = 10.0  # seconds in which one record stands for all that are alike


@dataclass
class _Held:
    until: float
    count: int = 0
    newest: AuditRecord | None = None


class Repeats:
    """Records that are alike: of the same grant, from the same peer."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], _Held] = {}

    def hold(self, record: AuditRecord) -> bool:
        """Whether one like it was let through lately; this one is counted then."""
        key = (record.grant, record.peer)
        held = self._held.get(key)
        if held is None:
            self._held[key] = _Held(time.monotonic() + WINDOW)
            return False
        held.count, held.newest = held.count + 1, record
        return True

    def due(self, *, all_of_them: bool = False) -> list[AuditRecord]:
        """Return the newest of each that was held long enough; `more` counts the others."""
        now, found = time.monotonic(), []
        for key, held in list(self._held.items()):
            if held.until > now and not all_of_them:
                continue
            del self._held[key]
            if held.newest is not None:
                held.newest.more = held.count - 1
                found.append(held.newest)
        return found
