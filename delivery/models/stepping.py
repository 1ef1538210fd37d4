"""The part of a run that takes steps: what each type of step does, and when it is over."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property

from delivery.models import applying, engine, requesting, rolling
from delivery.models.deploying import (
    Fares,
    Undeployable,
    change,
    cordon_of,
    fares,
    find_app,
    refused_for_long,
)
from delivery.models.published_types import published_steps
from delivery.models.run_record import RunRecord
from delivery.rules.engine_steps import by_engine
from delivery.rules.inputs import PARAMETERS, Missing, filled
from delivery.rules.running import FAILED, Act, Move, Step, StepPhase
from delivery.rules.waves import written
from delivery.rules.workflow_types import (
    APPLY,
    DEPENDS,
    DEPLOY,
    GROUP,
    NOTIFICATION,
    REQUEST,
    SUSPEND,
    seconds_of,
)
from delivery.rules.workflows import property_problems
from reconcile.values import JSON

_EVENTS = {
    StepPhase.SUCCEEDED: "StepSucceeded",
    StepPhase.FAILED: "StepFailed",
    StepPhase.SKIPPED: "StepSkipped",
}


class Stepping(RunRecord):
    """Moves of a run. Whoever makes one holds the row and writes it down afterwards."""

    class Meta:
        abstract = True

    @cached_property
    def sending(self) -> set[str]:
        """The tokens of requests that this very step of the run has begun to send."""
        return set()

    def make(self, move: Move, now: datetime) -> bool:
        """Make a move; False when there was nothing to it after all."""
        step = move.step
        if move.act == Act.BEGIN:
            self.begin_step(step, now)
        elif move.act == Act.LOOK:
            return self._look(step, now)
        elif move.act == Act.END:
            self.finish(step, StepPhase.SUCCEEDED, now)
        else:
            phase = StepPhase.SKIPPED if move.act == Act.SKIP else StepPhase.FAILED
            self.finish(step, phase, now, move.message, reason=move.reason)
        return True

    def finish(
        self,
        step: Step,
        phase: StepPhase,
        now: datetime,
        message: str = "",
        *,
        reason: str = "",
    ) -> None:
        """A step is over; told once."""
        record = self.progress[step.name]
        record |= {"phase": phase.value, "finished": written(now), "reason": reason}
        record["message"] = message
        if phase == StepPhase.FAILED and by_engine(step.type):
            self.stop_engine(step.name, self.asked_by)
        if phase == StepPhase.SUCCEEDED:
            told = {**record["data"], "by": record["by"], "comment": record["comment"]}
            record["outputs"] = {name: told.get(word) for name, word in step.outputs}
        text = f"Step {step.name} of run {self.number} {_BECAME[phase]}."
        bad, data = phase == StepPhase.FAILED, {"step": step.name}
        self.tell(_EVENTS[phase], f"{text} {message}".strip(), warning=bad, data=data)

    def stop_engine(self, name: str, by: str) -> None:
        """Take away what KubeVela's engine is at for a step of that name."""
        engine.stop(self, name, by)

    def begin_step(self, step: Step, now: datetime) -> None:
        """Begin a step with its inputs in their places."""
        self.progress[step.name] |= {"phase": StepPhase.RUNNING.value, "started": written(now)}
        try:
            properties = filled(step, self.values())
        except Missing as error:
            self.finish(step, StepPhase.FAILED, now, str(error), reason=FAILED)
            return
        published = published_steps([{"type": step.type}])
        if wrong := property_problems(step.type, properties, published):
            place = "".join(f"/{key}" for key in wrong[0].path)
            message = f"properties{place}: {wrong[0].text}"
            self.finish(step, StepPhase.FAILED, now, message, reason=FAILED)
            return
        _BEGINNINGS.get(step.type, engine.begin)(self, step, properties, now)

    def values(self) -> JSON:
        """What inputs may take: outputs by name, and parameters."""
        found = {f"{PARAMETERS}{name}": value for name, value in self.parameters.items()}
        for record in self.progress.values():
            found |= {key: value for key, value in record["outputs"].items() if value is not None}
        return found

    def _look(self, step: Step, now: datetime) -> bool:
        return _LOOKS.get(step.type, engine.look)(self, step, now)

    # --- Types that wait for somebody, or for nothing.

    def _begin_group(self, step: Step, properties: JSON, now: datetime) -> None:
        """Its sub-steps may begin."""

    def _begin_suspend(self, step: Step, properties: JSON, now: datetime) -> None:
        record = self.progress[step.name]
        record["phase"] = StepPhase.SUSPENDING.value
        if duration := properties.get("duration"):
            record["data"]["until"] = written(now + timedelta(seconds=seconds_of(duration)))
        record["message"] = properties.get("message", "") or "Waiting for an approval."
        text = f"Step {step.name} of run {self.number} waits: {record['message']}"
        self.tell("StepSuspended", text, data={"step": step.name})

    def _look_suspend(self, step: Step, now: datetime) -> bool:
        until = self.progress[step.name]["data"].get("until")
        if until is None or datetime.fromisoformat(until) > now:
            return False
        self.finish(step, StepPhase.SUCCEEDED, now, "Its time has come.")
        return True

    def _begin_notification(self, step: Step, properties: JSON, now: datetime) -> None:
        self.tell("Notified", str(properties["message"]), data={"step": step.name})
        self.finish(step, StepPhase.SUCCEEDED, now, str(properties["message"]))

    # --- Types that wait for an app.

    def _begin_deploy(self, step: Step, properties: JSON, now: datetime) -> None:
        """Declare, and remember the revision that is waited for, in one transaction.

        While the tenant is cordoned nothing can be declared: the step waits for that.
        """
        if self.workflow.app:
            rolling.begin(self, step, properties, now)
            return
        if text := cordon_of(self.workflow):
            self.progress[step.name] |= {"message": text, "data": {"app": properties["app"]}}
            return
        why = f"Workflow {self.workflow.name}, run {self.number}, step {step.name}."
        try:
            app, changed = change(self.workflow.project, properties, by=self.asked_by, why=why)
        except Undeployable as error:
            self.finish(step, StepPhase.FAILED, now, str(error), reason=FAILED)
            return
        self.progress[step.name]["data"] = {
            "app": app.name,
            "revision": app.revision,
            "generation": app.generation,
            "clusters": properties.get("clusters", []),
            "new": changed,
        }
        self.progress[step.name]["message"] = f"Waiting for revision {app.revision} of {app}."

    def _look_deploy(self, step: Step, now: datetime) -> bool:
        if self.workflow.app:
            return rolling.look(self, step, now)
        record = self.progress[step.name]
        data = record["data"]
        if "revision" not in data:
            if cordon_of(self.workflow):
                return False
            self.begin_step(step, now)
            return True
        app = find_app(self.workflow.project, data["app"])
        if app is None:
            gone = f"App {data['app']} is being deleted."
            self.finish(step, StepPhase.FAILED, now, gone, reason=FAILED)
            return True
        if app.revision != data["revision"]:
            newer = app.current_revision()
            who = f" of {newer.author}" if newer else ""
            why = f" {newer.message}" if newer and newer.message else ""
            text = f"Revision {app.revision}{who} has taken the place of {data['revision']}.{why}"
            self.finish(step, StepPhase.FAILED, now, text, reason=FAILED)
            return True
        found = fares(app, data["revision"], data["generation"], data["clusters"])
        began = datetime.fromisoformat(record["started"])
        told = "" if found.deployed else refused_for_long(app, data["clusters"], began, now)
        if told or (found.failed and not data["new"]):  # what failed before may yet come up
            found = Fares(failed=bool(told), message=told or found.message)
        return self.note(step, found, now)

    def _begin_depends(self, step: Step, properties: JSON, now: datetime) -> None:
        self.progress[step.name]["data"] = {"app": properties["name"]}

    def _look_depends(self, step: Step, now: datetime) -> bool:
        data = self.progress[step.name]["data"]
        app = find_app(self.workflow.project, data["app"])
        if app is None:
            return self.note(step, Fares(message=f"There is no app {data['app']} yet."), now)
        found = fares(app, app.revision, app.generation)
        if found.deployed:
            data["revision"] = app.revision
        return self.note(step, Fares(found.deployed, False, found.message, found.soon), now)

    def note(self, step: Step, found: Fares, now: datetime) -> bool:
        """Write down how the app fares; whether that is news."""
        record = self.progress[step.name]
        if found.deployed or found.failed:
            phase = StepPhase.SUCCEEDED if found.deployed else StepPhase.FAILED
            self.finish(step, phase, now, found.message, reason=FAILED if found.failed else "")
            return True
        told = {"message": found.message, "soon": found.soon}
        known = {"message": record["message"], "soon": record["data"].get("soon", False)}
        record["message"], record["data"]["soon"] = found.message, found.soon
        return told != known


_BECAME = {
    StepPhase.SUCCEEDED: "succeeded",
    StepPhase.FAILED: "failed",
    StepPhase.SKIPPED: "was skipped",
}
_BEGINNINGS: dict[str, Callable[[Stepping, Step, JSON, datetime], None]] = {
    DEPLOY: Stepping._begin_deploy,
    DEPENDS: Stepping._begin_depends,
    SUSPEND: Stepping._begin_suspend,
    APPLY: applying.begin,
    REQUEST: requesting.begin,
    NOTIFICATION: Stepping._begin_notification,
    GROUP: Stepping._begin_group,
}
_LOOKS: dict[str, Callable[[Stepping, Step, datetime], bool]] = {
    DEPLOY: Stepping._look_deploy,
    DEPENDS: Stepping._look_depends,
    SUSPEND: Stepping._look_suspend,
    APPLY: applying.look,
    REQUEST: requesting.look,
}
