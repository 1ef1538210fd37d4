"""The part of an app that has a workflow bring each new revision to its clusters.

Its own workflow is a row below it (`flows`), whose steps are those that the app declares or refers
to. Until the run of a revision has succeeded, its steps alone say which cluster gets it; then all
of them do. What goes back by itself goes everywhere at once, without a run.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from django.db import models

from delivery.models.published_types import published_steps
from delivery.models.retreating import Retreating
from delivery.models.validators import validate_workflow
from delivery.rules.rolling import SUFFIX, own_steps, rolling_problems, workflow_problems
from delivery.rules.running import LIVE, Mode, RunState
from delivery.rules.schema import Problem
from reconcile.models import Lease, Work
from reconcile.refusals import Fault, Refusal
from reconcile.values import Condition, Phase, Status

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

    from delivery.models.app import App
    from delivery.models.workflow import Workflow
    from delivery.models.workflow_run import WorkflowRun

FAILED, RUNNING, WAITING = "WorkflowFailed", "WorkflowRunning", "WorkflowSuspended"


class Flowing(Retreating):
    """With a workflow, each new revision is brought to its clusters by a run of it."""

    workflow = models.JSONField(default=dict, blank=True, validators=[validate_workflow])

    if TYPE_CHECKING:
        name: models.CharField[str, str]
        project_id: int
        flows: RelatedManager[Workflow]

    class Meta:
        abstract = True

    # --- What is declared.

    def workflow_faults(self) -> list[Problem]:
        """Return why it cannot be rolled out so: by waves as well, or by what is not there."""
        if not self.workflow:
            return []
        if workflow_problems(self.workflow, published_steps(self.workflow.get("steps"))):
            return []  # which is refused already
        if self.change.at_once:
            return []  # it leads back without a run, whatever became of a workflow
        if self.strategy:
            text = "Waves or a workflow: take one of them away."
            return [Problem((), "conflict", text)]
        if "name" not in self.workflow:
            found = rolling_problems(self.workflow.get("steps", []), self.name)
            return [Problem(("steps", *path), code, text) for path, code, text in found]
        referred = self._referred()
        if referred is None:
            text = "The project has no workflow of this name."
            return [Problem(("name",), "unknown", text)]
        found = rolling_problems(referred.steps, self.name)
        return [Problem(("name",), code, f"{referred}: {text}") for _, code, text in found[:1]]

    def _referred(self) -> "Workflow | None":
        rows = self._flow_model().objects.filter(project=self.project_id, app=None)
        return rows.filter(name=self.workflow["name"], deletion_requested_at=None).first()

    def _flow_model(self) -> "type[Workflow]":
        return cast("type[Workflow]", self._meta.get_field("flows").related_model)

    def own_flow(self) -> "Workflow | None":
        """Its own workflow; None without one."""
        return self.flows.filter(deletion_requested_at=None).first()

    def prepare_flow(self, by: str) -> None:
        """Let its own workflow have the steps that are declared; away with one that is not.

        Raises what `Workflow.declare` does, pointing into the app. What leads back at once needs
        none.
        """
        if self.change.at_once:
            return
        if not self.workflow:
            if known := self.own_flow():
                known.request_deletion(by)
            return
        row = self.flows.first() or self._flow_model()(
            project=self.project, app=cast("App", self), name=f"{self.name}{SUFFIX}"
        )
        declared: Any = self.workflow
        if "name" in self.workflow:
            declared = self._referred()
            declared = declared.versioned() if declared else {}
        row.mode = declared.get("mode", Mode.STEP_BY_STEP)
        row.steps = own_steps(declared.get("steps", []), self.name)
        try:
            row.declare(by)
        except Refusal as refusal:
            whole = "name" in self.workflow
            refusal.errors = tuple(_pointing(fault, whole=whole) for fault in refusal.errors)
            raise

    def revise(self, by: str) -> None:
        """As for any revision; a run begins that brings it to its clusters."""
        super().revise(by)
        known = self.own_flow() if self.workflow else None
        if known is None:
            return
        live = list(known.runs.filter(state__in=LIVE).values_list("pk", flat=True))
        label = known.runs.model._meta.label_lower
        Work.objects.filter(kind=label, object_id__in=live).mark()  # each ends by itself
        if not self.change.at_once:
            known.roll_out(by, self.revision, message=self.change.message)

    # --- What runs where.

    def current_run(self) -> "WorkflowRun | None":
        """The run that the current revision comes by; None where it came without."""
        known = self.own_flow() if self.workflow else None
        return known.runs.filter(revision=self.revision).first() if known else None

    def rolling(self) -> "WorkflowRun | None":
        """The run whose steps say which clusters get the current revision, until it succeeds."""
        found = self.current_run()
        return found if found and found.state != RunState.SUCCEEDED else None

    def aim_joined(self) -> None:
        """As for any app; while a run says who gets it, new clusters get what was healthy last."""
        if not self.rolling():
            super().aim_joined()
        elif base := self.standing_revision():
            self.aim(base, only=0)

    def retarget(self) -> None:
        """Let every cluster run the current revision, unless a run says which."""
        if self.rolling():
            self.aim_joined()
        else:
            super().retarget()

    def record(
        self, lease: Lease | None, synced: Condition, ready: Condition, **status: Any
    ) -> bool:
        """As for any app; it is not deployed before its workflow has succeeded."""
        found = None if self.deleting else self.rolling()
        if found and self._is_between(status.get("phase")):
            reason = FAILED if found.over else RUNNING
            reason = WAITING if found.state == RunState.SUSPENDING else reason
            text = f"Run {found.number} of its workflow is {found.state}. {_WAYS[reason]}"
            ready = Condition("Ready", Status.FALSE, reason, text)
            status["phase"] = Phase.ERROR if found.over else Phase.APPLYING
        return super().record(lease, synced, ready, **status)


_WAYS = {
    FAILED: "Retry it, go back to an earlier revision, or declare a new one.",
    RUNNING: "It brings the revision to the clusters.",
    WAITING: "Somebody has to resume it, or its time has to come.",
}


def _pointing(fault: Fault, *, whole: bool) -> Fault:
    """Point into the app's own field; at the name, where the steps are another row's."""
    return replace(fault, pointer="/workflow/name" if whole else f"/workflow{fault.pointer}")
