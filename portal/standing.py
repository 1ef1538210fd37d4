"""Why a row is as it is."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.dateparse import parse_datetime

from reconcile.models.rows import Row


@dataclass(frozen=True)
class Standing:
    """Why a row is as it is, and since when."""

    reason: str
    message: str
    since: datetime


def standing(row: Row) -> Standing:
    """Return what the first condition says that is not True, else the last one."""
    conditions = sorted(row.conditions, key=lambda each: each["status"] == "True")
    if not conditions:
        return Standing("Pending", "Not observed yet.", row.created_at)
    first = conditions[0]
    since = parse_datetime(first["last_transition"]) or row.created_at
    return Standing(first["reason"], first["message"], since)
