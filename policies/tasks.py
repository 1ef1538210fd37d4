"""What the queue runs for policies: simulations go after a while."""

from django.conf import settings

from policies.models import Simulation

# (dotted name, minutes between two runs); the worker role registers them.
SCHEDULES = [("policies.tasks.tidy", 60)]


def tidy() -> int:
    """Delete simulations that began more than SIMULATION_DAYS ago; return how many rows went."""
    total = 0
    while gone := Simulation.objects.prune(settings.SIMULATION_DAYS):
        total += gone
    return total
