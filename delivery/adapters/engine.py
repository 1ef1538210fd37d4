"""Steps that KubeVela's workflow engine carries out: a WorkflowRun each, and what it tells."""

from collections.abc import Mapping, Sequence

from clusters.adapters.kubevela import WORKFLOW_RUN
from delivery.adapters.kubevela_words import told
from delivery.adapters.objects import ObjectIntent, rendered
from delivery.rules.workflow_types import CAPABILITY
from reconcile.values import JSON, Assessment, Health, Kind, Live, Ref

SUCCEEDED, FAILED, GONE = "Succeeded", "WorkflowRunFailed", "WorkflowRunGone"
# By these the engine has ended, well or not: it looks at what is finished no more.
ENDED = frozenset({SUCCEEDED, FAILED, GONE})
_ENDINGS = {"failed": "It has failed.", "terminated": "It was terminated on the cluster."}


class EngineSteps:
    """A WorkflowRun is made once: whoever makes one anew has the engine do it all again."""

    name = CAPABILITY
    kinds: Sequence[Kind] = (WORKFLOW_RUN,)

    def render(self, intent: ObjectIntent) -> list[JSON]:
        """The WorkflowRun, in the namespace of its project and with the labels of it."""
        return rendered(intent)

    def assess(self, intent: ObjectIntent, seen: Mapping[Ref, Live]) -> Assessment:
        """As the engine tells (`status.status` of core.oam.dev/v1alpha1)."""
        if intent.body is None:
            return Assessment(Health.READY, "NotWanted")
        live = seen.get(Ref(WORKFLOW_RUN, intent.namespace, intent.body["metadata"]["name"]))
        if live:
            return _assessed(live.body.get("status"))
        if intent.made:
            return Assessment(Health.FAILED, GONE, "Somebody has taken its WorkflowRun away.")
        return Assessment(Health.PROGRESSING, "Writing", "Its WorkflowRun is being written.")


def _assessed(status: object) -> Assessment:
    found: JSON = status if isinstance(status, dict) else {}
    state, message = found.get("status"), _message(found)
    if state == "succeeded":
        return Assessment(Health.READY, SUCCEEDED)
    if isinstance(state, str) and state in _ENDINGS:
        return Assessment(Health.FAILED, FAILED, message or _ENDINGS[state])
    if state == "suspending":
        text = "Suspending: the step waits on the cluster."
        return Assessment(Health.PROGRESSING, "Suspending", f"{text} {message}".strip())
    return Assessment(Health.PROGRESSING, "Running", message or "KubeVela is at work.")


def _message(status: JSON) -> str:
    """What the engine says of the one step, else of all of it."""
    steps = status.get("steps")
    step = steps[0] if isinstance(steps, list) and steps and isinstance(steps[0], dict) else {}
    words = (step.get("message"), step.get("reason"), status.get("message"))
    return next((text for each in words if (text := told(each))), "")
