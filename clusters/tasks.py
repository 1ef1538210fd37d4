"""What the queue runs for clusters: what was seen gone long ago is forgotten."""

from django.conf import settings

from clusters.models import Orphan

# (dotted name, minutes between two runs); the worker role registers them.
SCHEDULES = [("clusters.tasks.tidy", 60)]


def tidy() -> int:
    """Delete orphans that went more than EVENT_DAYS ago; return how many."""
    total = 0
    while gone := Orphan.objects.prune(settings.EVENT_DAYS):
        total += gone
    return total
