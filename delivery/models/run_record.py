"""What a run of a workflow is: its own copy of the steps, and a record of each."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from django.db import models
from django.utils import timezone

from delivery.models.workflow import Workflow
from delivery.rules.engine_steps import by_engine
from delivery.rules.running import (
    FAILED,
    LIVE,
    OVER,
    TERMINATED,
    UNDER_WAY,
    RunState,
    Step,
    StepPhase,
    is_waiting,
    steps_of,
)
from delivery.rules.waves import written
from reconcile.models import Event
from reconcile.models.rows import Row
from reconcile.refusals import Conflicting, Deleting
from reconcile.values import JSON, Condition, Phase, Status

_PHASES = {
    RunState.RUNNING: Phase.APPLYING,
    RunState.SUSPENDING: Phase.APPLYING,
    RunState.SUCCEEDED: Phase.DEPLOYED,
    RunState.FAILED: Phase.ERROR,
    RunState.TERMINATED: Phase.ERROR,
}
_ENDED = {
    RunState.SUCCEEDED: "succeeded",
    RunState.FAILED: "failed",
    RunState.TERMINATED: "been terminated",
}


class RunRecord(Row):
    """One run. What is declared later does not change it; `progress` holds a record per step.

    `revision` is that of the app whose rollout it is, None for a run by request.
    """

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="runs")
    number = models.PositiveIntegerField()
    version = models.PositiveIntegerField()
    spec = models.JSONField()
    revision = models.PositiveIntegerField(null=True, blank=True, editable=False)
    message = models.CharField(max_length=300, blank=True, default="")
    parameters = models.JSONField(default=dict, blank=True)
    asked_by = models.CharField(max_length=150)
    correlation_id = models.CharField(max_length=64, blank=True, default="")
    state = models.CharField(
        max_length=10,
        choices=[(state, state) for state in RunState],
        default=RunState.RUNNING,
        db_index=True,
    )
    progress = models.JSONField(default=dict)
    suspended_by = models.CharField(max_length=150, blank=True, default="")
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"Run {self.number} of {self.workflow}"

    @property
    def tenant_name(self) -> str:
        """The tenant of its workflow."""
        return self.workflow.tenant_name

    @property
    def adapter_name(self) -> str:
        """There is none: nothing but the database is written."""
        return "native"

    @cached_property
    def steps(self) -> Mapping[str, Step]:
        """Its steps by name."""
        return steps_of(self.spec["steps"], self.spec["mode"])

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state not in LIVE

    @property
    def parts(self) -> JSON:
        """What a page shows of it besides its phase."""
        return {"steps": self.progress, "state": self.state, "held": self.suspended_by}

    def told(self) -> list[JSON]:
        """Tell how each step fares, in their order, sub-steps inside of their group."""
        return [self._told(step) for step in self.steps.values() if not step.group]

    def _told(self, step: Step) -> JSON:
        shown = {key: value for key, value in self.progress[step.name].items() if key != "data"}
        inside = [self._told(self.steps[name]) for name in step.inside]
        return {"name": step.name, "type": step.type, **shown, "subSteps": inside}

    def running(self) -> list[Step]:
        """The steps that wait for something to happen."""
        phases = {name: record["phase"] for name, record in self.progress.items()}
        return [step for step in self.steps.values() if phases[step.name] == StepPhase.RUNNING]

    # --- Writing it down.

    def read_anew(self, *, locked: bool = False) -> None:
        """As for any row; nothing is remembered of the steps."""
        super().read_anew(locked=locked)
        self.__dict__.pop("steps", None)

    def end(self, state: RunState) -> None:
        """It is over; told once."""
        self.state, self.finished_at = state, timezone.now()
        self.suspended_by = ""
        bad = state != RunState.SUCCEEDED
        failed = [name for name in self.steps if self.progress[name]["phase"] == StepPhase.FAILED]
        told = f" Failed: {', '.join(failed)}." if failed else ""
        self.tell(f"Run{state.capitalize()}", f"{self} has {_ENDED[state]}.{told}", warning=bad)
        self.keep()

    def stop_engine(self, name: str, by: str) -> None:
        """Take away what KubeVela's engine is at for a step of that name."""

    def cut(self, told: str, *, by: str = "", reason: str = TERMINATED) -> None:
        """It ends now: what is under way has failed, the rest is skipped."""
        now = written(timezone.now())
        for name, record in self.progress.items():
            if record["phase"] in OVER:
                continue
            begun = record["phase"] in UNDER_WAY
            if begun and by_engine(self.steps[name].type):
                self.stop_engine(name, by or self.asked_by)
            phase = StepPhase.FAILED if begun else StepPhase.SKIPPED
            record |= {"phase": phase.value, "reason": reason if begun else FAILED}
            record |= {"finished": now, "message": told, "by": by if begun else ""}
        self.end(RunState.TERMINATED)

    def keep(self) -> None:
        """Write down how it fares; whoever calls it holds the row."""
        if not self.over:
            waiting = self.suspended_by or is_waiting(self.steps, self.progress)
            self.state = RunState.SUSPENDING if waiting else RunState.RUNNING
        names = ("state", "progress", "suspended_by", "finished_at", "correlation_id")
        rows = type(self)._default_manager.filter(pk=self.pk)
        if self.workflow.app and not rows.filter(state=self.state).exists():
            self.workflow.app.mark_to_sum_up()
        rows.update(updated_at=timezone.now(), **{name: getattr(self, name) for name in names})
        status = Status.UNKNOWN if not self.over else Status.TRUE
        good = self.state == RunState.SUCCEEDED
        ready = Status.TRUE if good else Status.FALSE if self.over else Status.UNKNOWN
        reason, message = self.state.capitalize(), self._summary()
        self.record(
            None,
            Condition("Synced", status, reason, message),
            Condition("Ready", ready, reason, message),
            phase=_PHASES[RunState(self.state)],
        )

    def _summary(self) -> str:
        over = sum(each["phase"] in OVER for each in self.progress.values())
        return f"{over} of {len(self.progress)} steps are over."

    def tell_phase(self, event: Event) -> None:
        """Its own events say more."""

    def tell(self, reason: str, message: str, **more: Any) -> None:
        """Write down in the history of the workflow what happened in this run."""
        data = {"run": self.number, **more.pop("data", {})}
        Event.record(self.workflow, reason, message, data=data, **more)

    # --- What it belongs to.

    @property
    def superseded(self) -> int:
        """The number of the revision that has come since, where it rolls out another; else 0."""
        app = self.workflow.app
        return app.revision if app and app.revision != self.revision else 0

    def refuse_superseded(self) -> None:
        """Raise Conflicting where the app is at another revision by now."""
        if newer := self.superseded:
            raise Conflicting(
                f"{self} rolls out revision {self.revision}, and {self.workflow.app} is at "
                f"{newer}. Roll back to revision {self.revision} instead.",
                revision=newer,
            )

    @classmethod
    def held_workflow(cls, workflow: Workflow) -> Workflow:
        """Return the workflow as it is now, held. Raises Deleting, Conflicting if cordoned."""
        stored = Workflow.locked().select_related("project__tenant").filter(pk=workflow.pk).first()
        if stored is None or stored.deleting:
            raise Deleting(f"{workflow} is being deleted and is run no more.")
        stored.refuse_cordoned()
        return stored

    @classmethod
    def refuse_second(cls, workflow: Workflow) -> None:
        """Raise Conflicting while a run is under way: two would undo each other's changes.

        Runs of an app's own end by themselves when another revision is there.
        """
        if workflow.app_id:
            return
        if found := workflow.runs.filter(state__in=LIVE).first():
            raise Conflicting(
                f"{found} is {found.state}. Wait for its end, or terminate it: POST "
                f"…/workflows/{workflow.name}/runs/{found.number}:terminate.",
                state=found.state,
                run=found.number,
            )
