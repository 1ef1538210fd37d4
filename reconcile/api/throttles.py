"""How often one person may have plans made: each asks every cluster that it concerns."""

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView


class PlanThrottle(SimpleRateThrottle):
    """Counts by user, whatever is planned; the rate is KUBENOVA_PLAN_RATE."""

    scope = "plan"

    def get_cache_key(self, request: Request, view: APIView) -> str:
        """Return the key under which the request counts."""
        return f"throttle-plan-{request.user.pk}"


def count_plan(view: APIView, request: Request) -> None:
    """Count a plan that is about to be made. Raises Throttled when there were too many."""
    throttle = PlanThrottle()
    if not throttle.allow_request(request, view):
        view.throttled(request, throttle.wait() or 0.0)
