"""Follows the accounts of people: who is disabled loses what was granted."""

from collections.abc import Collection

from django.contrib.auth.models import User
from django.db.models.signals import post_save

from access.models.grant import user_key
from reconcile.models import touch

_NEVER_MATTERS = frozenset({"last_login", "password"})


def _changed(
    sender: object,
    instance: User,
    created: bool,
    update_fields: Collection[str] | None = None,
    **kwargs: object,
) -> None:
    if not created and not (update_fields and set(update_fields) <= _NEVER_MATTERS):
        touch(user_key(instance.pk))


def connect() -> None:
    """Mark an account's grants when it is saved: Django's own model has no verb to do it in."""
    post_save.connect(_changed, sender=User, dispatch_uid="access.subjects")
