"""What the queue runs by the clock: each app lists its own in `<app>/tasks.py`.

`SCHEDULES = [("vault.tasks.rotate_if_due", 60)]`: the dotted name of a function, and the minutes
from one run to the next.
"""

from importlib import import_module
from importlib.util import find_spec

from django.apps import apps
from django.core.cache import cache
from django_q.models import Schedule

PREFIX = "kubenova: "  # marks the schedules that are ours to change and remove
_LOCK, _LOCK_SECONDS = "kubenova:schedules", 10


def wanted() -> dict[str, int]:
    """Collect the functions to run and their minutes from every installed app."""
    found: dict[str, int] = {}
    for config in apps.get_app_configs():
        if find_spec(f"{config.name}.tasks"):
            found.update(getattr(import_module(f"{config.name}.tasks"), "SCHEDULES", ()))
    return found


def register() -> int:
    """Bring the queue's schedules to what the apps want; return how many there are.

    Several worker roles may start at once: one of them does it.
    """
    schedules = wanted()
    if not cache.add(_LOCK, 1, _LOCK_SECONDS):
        return len(schedules)
    names = {PREFIX + function: (function, minutes) for function, minutes in schedules.items()}
    Schedule.objects.filter(name__startswith=PREFIX).exclude(name__in=names).delete()
    for name, (function, minutes) in names.items():
        Schedule.objects.update_or_create(
            name=name,
            defaults={"func": function, "minutes": minutes, "schedule_type": Schedule.MINUTES},
        )
    cache.delete(_LOCK)
    return len(schedules)
