"""The part of a run that people command: suspend, resume or approve, terminate, retry."""

from django.utils import timezone

from delivery.models.stepping import Stepping
from delivery.rules.running import (
    RunState,
    Step,
    StepPhase,
    again,
    to_retry,
)
from reconcile.correlation import correlate, correlation_id, new_correlation_id
from reconcile.models import marking
from reconcile.refusals import Conflicting, Fault, Invalid


class Commanding(Stepping):
    """Verbs of a run. Each is one transaction, and is refused in a state where it does not fit."""

    class Meta:
        abstract = True

    def suspend(self, by: str, *, message: str = "") -> bool:
        """Begin no further step; what is under way goes on. False when it is suspended already.

        Raises Conflicting once it is over.
        """
        with marking():
            self._hold("suspended")
            if self.suspended_by:
                return False
            self.suspended_by = by
            self.tell("RunSuspended", _told(f"{self} was suspended by {by}", message), actor=by)
            self.keep()
            self.mark()
        return True

    def resume(self, by: str, *, step: str = "", message: str = "") -> str:
        """Go on; or approve the step that waits, and note who said so and why.

        Without a step: a run that was suspended as a whole goes on, else the one step that waits
        is approved. Returns the name of the approved step, empty for the run. Raises Invalid for a
        step that there is not, Conflicting where nothing waits, or several do.
        """
        with marking():
            self.held_workflow(self.workflow)
            self._hold("resumed")
            if not step and self.suspended_by:
                self.suspended_by = ""
                self.tell("RunResumed", _told(f"{self} was resumed by {by}", message), actor=by)
                approved = ""
            else:
                approved = self._waiting(step)
                self._approve(self.steps[approved], by, message)
            self.keep()
            self.mark()
        return approved

    def _waiting(self, name: str) -> str:
        if name and name not in self.progress:
            fault = Fault("unknown", "The run has no such step.", "/step")
            raise Invalid("Parts of the request are wrong.", errors=[fault])
        phases = {key: record["phase"] for key, record in self.progress.items()}
        if name and phases[name] != StepPhase.SUSPENDING:
            text = f"Step {name} of {self} is {phases[name]}: it does not wait for an approval."
            raise Conflicting(text, state=phases[name])
        found = [key for key in self.steps if phases[key] == StepPhase.SUSPENDING]
        if not found:
            text = f"{self} is {self.state}, and no step waits for an approval."
            raise Conflicting(text, state=self.state)
        if not name and len(found) > 1:
            text = f"Several steps wait. Name one as `step`: {', '.join(found)}."
            raise Conflicting(text, state=self.state, candidates=found)
        return name or found[0]

    def _approve(self, step: Step, by: str, message: str) -> None:
        self.progress[step.name] |= {"by": by, "comment": message}
        text = _told(f"Step {step.name} of {self} was approved by {by}", message)
        self.tell("StepApproved", text, actor=by, data={"step": step.name})
        told = _told(f"Approved by {by}", message)
        with correlate(self.correlation_id):  # the end of a step belongs to the story of the run
            self.finish(step, StepPhase.SUCCEEDED, timezone.now(), told)

    def terminate(self, by: str, *, message: str = "") -> None:
        """End it now: what is under way has failed, the rest is skipped. Apps stay as they are.

        Raises Conflicting once it is over.
        """
        with marking():
            self._hold("terminated")
            told = _told(f"Terminated by {by}", message)
            self.tell(
                "RunTerminationAsked", _told(f"{self}: terminated by {by}", message), actor=by
            )
            self.cut(told, by=by)
            self.mark()

    def retry(self, by: str, *, message: str = "") -> list[str]:
        """Run what failed anew, and all that waited for it; return the names of these steps.

        Raises Conflicting unless it has failed, and while another run is under way.
        """
        with marking():
            workflow = self.held_workflow(self.workflow)
            self.read_anew(locked=True)
            if self.state not in {RunState.FAILED, RunState.TERMINATED}:
                text = f"{self} is {self.state}: only one that has failed can be retried."
                raise Conflicting(text, state=self.state)
            self.refuse_second(workflow)
            self.refuse_superseded()
            anew = to_retry(self.steps, self.progress)
            for name in anew:
                self.progress[name] = again(self.progress[name])
            self.state, self.finished_at = RunState.RUNNING, None
            self.correlation_id = correlation_id() or new_correlation_id()
            names = [name for name in self.steps if name in anew]
            text = _told(f"{self} is retried by {by}: {', '.join(names)}", message)
            self.tell("RunRetried", text, actor=by, data={"steps": names})
            self.keep()
            self.mark()
        return names

    def _hold(self, what: str) -> None:
        self.read_anew(locked=True)
        if self.over:
            raise Conflicting(
                f"{self} is over, it {_IS[RunState(self.state)]}: it cannot be {what} any more.",
                state=self.state,
            )


_IS = {
    RunState.SUCCEEDED: "succeeded",
    RunState.FAILED: "failed",
    RunState.TERMINATED: "was terminated",
}


def _told(text: str, message: str) -> str:
    return f"{text}: {message}" if message else f"{text}."
