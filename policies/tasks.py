"""What the queue runs for policies: looking around, and old simulations and findings go."""

from django.conf import settings

from policies import limits
from policies.models import Finding, Simulation
from policies.watching import look_around

# (dotted name, minutes between two runs); the worker role registers them.
SCHEDULES = [("policies.tasks.tidy", 60), ("policies.tasks.look", 1)]


def tidy() -> int:
    """Delete simulations and findings that are old enough; return how many rows went.

    Simulations count from their begin, findings from when they were resolved.
    """
    total = 0
    while gone := Simulation.objects.prune(settings.SIMULATION_DAYS):
        total += gone
    while gone := Finding.objects.prune(limits.FINDING_DAYS):
        total += gone
    return total


def look() -> int:
    """Keep findings up to date; return how many routines began."""
    return look_around()
