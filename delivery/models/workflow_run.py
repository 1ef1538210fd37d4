"""A run of a workflow: a row that takes its steps in the database alone, one move at a time."""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Max
from django.utils import timezone

from delivery.models import applying, requesting
from delivery.models.commanding import Commanding
from delivery.models.deploying import find_app, placed
from delivery.models.workflow import Workflow
from delivery.rules.inputs import parameter_faults, parameters_of
from delivery.rules.running import (
    LIVE,
    SUPERSEDED,
    RunState,
    Step,
    fresh,
    has_failed,
    is_over,
    moves,
    next_due,
)
from reconcile.correlation import correlate, correlation_id, new_correlation_id
from reconcile.errors import Stale
from reconcile.loop import Outcome
from reconcile.models import Lease, Work, marking
from reconcile.models.rows import read, reading
from reconcile.refusals import Fault, Invalid
from reconcile.spelling import escaped

_LOOK = 15.0  # waits are woken by what they read; this is for apps that are not there yet
_SOON = 1.0


class WorkflowRun(Commanding):
    """A run that takes its steps as Work.

    Each move is one transaction that holds the lease: a worker that dies leaves the run as it was
    before or after a move, and whoever comes next goes on from there.
    """

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["workflow", "number"], name="workflow_run_once_per_workflow"
            )
        ]

    # --- How it begins.

    @classmethod
    def begin(
        cls,
        workflow: Workflow,
        by: str,
        *,
        message: str,
        parameters: dict[str, object],
        revision: int | None = None,
    ) -> Self:
        """Make a run; see `Workflow.run` and `Workflow.roll_out`."""
        with marking() as marks:
            stored = cls.held_workflow(workflow)
            cls.refuse_second(stored)
            run = cls(workflow=stored, version=stored.version, spec=stored.versioned())
            run.revision = revision
            run._take(parameters)
            last = stored.runs.aggregate(last=Max("number"))["last"] or 0
            run.number, run.message, run.asked_by = last + 1, message, by
            run.correlation_id = correlation_id() or new_correlation_id()
            run.progress = {name: fresh() for name in run.steps}
            run.save(force_insert=True)
            run.tell("RunStarted", f"{run} was started by {by}.", actor=by)
            old = stored.runs.exclude(state__in=LIVE).order_by("-number")
            gone = list(old.values_list("pk", flat=True)[settings.WORKFLOW_RUN_HISTORY :])
            marks.drop(Work.objects.filter(kind=run.label, object_id__in=gone))
            cls._default_manager.filter(pk__in=gone).delete()
            run.enrol()
        return run

    def _take(self, parameters: dict[str, object]) -> None:
        problems = parameter_faults(parameters, parameters_of(self.steps))
        if problems:
            faults = [
                Fault(code, text, f"/parameters/{escaped(str(name))}")
                for (name,), code, text in problems
            ]
            raise Invalid("Parts of the request are wrong.", errors=faults)
        self.parameters = parameters

    # --- How it goes on.

    def step(self, lease: Lease) -> Outcome:
        """Make every move that is due, each in a transaction of its own."""
        try:
            with correlate(self.correlation_id):
                self._go_on(lease)
        except Stale as stale:
            return Outcome(stale.delay(1), stale)
        except type(self).DoesNotExist:
            return Outcome()
        return Outcome(self._look_in())

    def _go_on(self, lease: Lease) -> None:
        """A touch may come before a key is stored: then everything is looked at once more."""
        while True:
            while self._advance(lease) or requesting.send_due(self, lease):
                lease.check()
            with reading() as keys:
                self._read()
            if not self.watch_reads(keys, lease):
                return

    def _advance(self, lease: Lease) -> bool:
        """Make the next move that there is; False when there is none."""
        with marking(lease):
            self.hold_app()
            self.read_anew(locked=True)
            if self.over or self.workflow.deleting:
                return False
            if newer := self.superseded:
                self.cut(f"Revision {newer} has taken its place.", reason=SUPERSEDED)
                return True
            now, held = timezone.now(), bool(self.suspended_by)
            for move in moves(self.steps, self.progress, now, held=held):
                if self.make(move, now):
                    self.keep()
                    return True
            if is_over(self.progress):
                self.end(RunState.FAILED if has_failed(self.progress) else RunState.SUCCEEDED)
                return True
        return False

    def hold_app(self) -> None:
        """Hold the app whose rollout it is, before the run: as whoever declares it does."""
        if self.workflow.app:
            type(self.workflow.app).locked().filter(pk=self.workflow.app.pk).first()

    # --- When it is looked at again.

    def _read(self) -> None:
        """Read the keys of the apps that steps wait for, and of where these are."""
        for step in self.running():
            if found := self.progress[step.name]["data"].get("object"):
                self._read_object(step, found)
            name = self.progress[step.name]["data"].get("app")
            if name and "revision" not in self.progress[step.name]["data"]:
                read(self.workflow.project.tenant.key)  # it may be cordoned
            if name and (app := find_app(self.workflow.project, name)):
                read(app.key)
                for row in placed(app, ()):
                    read(row.key)

    def _read_object(self, step: Step, name: str) -> None:
        """Read the key of an object that a step waits for, and of where it is."""
        read(self.workflow.project.tenant.key)  # it may be cordoned
        if found := applying.find(self, name):
            read(found.key)
            for row in applying.placed(found, self.progress[step.name]["data"]):
                read(row.key)

    def _look_in(self) -> float | None:
        if self.over:
            return None
        due: datetime | None = next_due(self.steps, self.progress)
        looks = [max(0.0, (due - timezone.now()).total_seconds())] if due else []
        for step in self.running():
            data = self.progress[step.name]["data"]
            if "app" in data or "object" in data:
                looks.append(_SOON if data.get("soon") else _LOOK)
        return min(looks, default=None)
