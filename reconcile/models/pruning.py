"""How history goes: in batches, so that no transaction holds the database for long."""

from typing import Any

from django.db.models import QuerySet


def drop(rows: QuerySet[Any], batch: int) -> int:
    """Delete up to `batch` of `rows`, the first made first; return how many went."""
    keys = list(rows.order_by("pk").values_list("pk", flat=True)[:batch])
    return int(rows.model._default_manager.filter(pk__in=keys).delete()[0])
