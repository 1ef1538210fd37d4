"""A workflow: steps that a project takes with its apps, one after the other, when it is run."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import QuerySet

from delivery.models.allowing import refuse_unlisted_steps
from delivery.models.in_project import InProject, InProjectQuerySet
from delivery.models.placement import AppPlacement
from delivery.models.published_types import hold_step_types, published_steps
from delivery.models.request_target import refuse_unlisted_requests
from delivery.models.serving import refuse_unserved_steps
from delivery.models.validators import errors_of
from delivery.models.workflow_version import WorkflowVersion
from delivery.rules.inputs import parameters_of
from delivery.rules.rolling import nameless
from delivery.rules.running import Mode, steps_of
from delivery.rules.workflow_types import CAPABILITY, TYPES, UNSERVED
from delivery.rules.workflows import each_step, step_problems
from reconcile.correlation import correlation_id
from reconcile.grammar import validate_name
from reconcile.models import Event, Work, marking
from reconcile.models.convergent import Convergent
from reconcile.models.work import Lease
from reconcile.refusals import Conflicting, Deleting, Fault, Unserved
from reconcile.values import JSON, Condition, Status, digest
from tenancy.models import Project

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

    from delivery.models.project_object import ProjectObject
    from delivery.models.workflow_run import WorkflowRun


class Workflow(InProject):
    """What a team does with its apps, step by step. A change of mode or steps is a new version.

    It is on no cluster: its runs change and watch apps, which are. One that is the own workflow of
    an `app` is written by that app alone, and run by each of its revisions.
    """

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="workflows")
    app = models.ForeignKey(
        "delivery.App", on_delete=models.PROTECT, null=True, editable=False, related_name="flows"
    )
    name = models.CharField(max_length=80, validators=[validate_name])
    description = models.CharField(max_length=300, blank=True, default="")
    mode = models.CharField(
        max_length=10, choices=[(mode, mode) for mode in Mode], default=Mode.STEP_BY_STEP
    )
    steps = models.JSONField(default=list)
    version = models.PositiveIntegerField(default=0, editable=False)

    objects = InProjectQuerySet.as_manager()

    spec_fields: ClassVar[tuple[str, ...]] = ("name", "description", "mode", "steps")

    if TYPE_CHECKING:
        versions: RelatedManager[WorkflowVersion]
        runs: RelatedManager[WorkflowRun]
        objects_applied: RelatedManager[ProjectObject]

    class Meta:
        ordering = ["project__tenant__name", "project__name", "name"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="workflow_once_per_project"),
            models.UniqueConstraint(fields=["app"], name="workflow_once_per_app"),
        ]

    def may(self, user: User | AnonymousUser, action: str) -> bool:
        """Whoever delivers into the project writes and runs them; every member sees them."""
        if self.app_id and action in {"change", "delete"}:
            return False  # the app says what its own workflow is
        return super().may(user, action)

    # --- What is declared.

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """As for any row; the name of an app's own one is none that people could give."""
        super().clean_fields({*(exclude or ()), *(["name"] if self.app_id else [])})

    def versioned(self) -> JSON:
        """What a version holds."""
        return {"mode": str(self.mode), "steps": self.steps}

    def clean(self) -> None:
        """Refuse steps that could not be taken."""
        published = published_steps(self.steps)
        if problems := step_problems(self.steps, self.mode, published):
            raise ValidationError({"steps": errors_of(problems)})

    def on_declared(self, *, by: str, created: bool) -> None:
        """Make the version, if mode or steps changed.

        Raises Unserved for steps that no engine of a cluster carries out, Unlisted for types that
        the tenant may not use, Invalid for clusters that its project is not placed on.
        """
        if Project.objects.filter(pk=self.project_id).exclude(deletion_requested_at=None).exists():
            raise Deleting(f"{self.project} is being deleted and takes no workflows.")
        self.refuse_cordoned()
        self._refuse_unserved()
        current = self.versions.filter(number=self.version).first()
        spec = self.versioned()
        if current and current.spec_hash == digest(spec):
            return
        before = current.spec["steps"] if current else []
        refuse_unlisted_steps(self.project.tenant, self.steps, before)
        refuse_unlisted_requests(self.project.tenant, self.steps, before)
        hold_step_types(self.steps)
        refuse_unserved_steps(self)
        self.version += 1
        self.versions.create(
            number=self.version,
            spec=spec,
            spec_hash=digest(spec),
            author=by,
            correlation_id=correlation_id(),
        )
        self.save(update_fields=["version"])
        self.versions.filter(number__lte=self.version - settings.REVISION_HISTORY).delete()
        message = f"{self} is at version {self.version}, by {by}."
        Event.record(self, "Versioned", message, actor=by, data={"version": self.version})

    def _refuse_unserved(self) -> None:
        faults = [
            Fault("unserved", f"Steps of type {step['type']} are not served.", _pointer(path))
            for path, step in each_step(self.steps)
            if step["type"] in UNSERVED
        ]
        if faults:
            raise Unserved(
                f"{faults[0].detail} They need a workflow engine on a cluster ({CAPABILITY}), and "
                f"KubeNova runs workflows by itself. Use {', '.join(sorted(TYPES))}.",
                errors=faults,
                capability=CAPABILITY,
                needed=CAPABILITY,
                found="none",
            )

    def placements_of(self) -> "QuerySet[Convergent]":
        """None: it is on no cluster."""
        none: QuerySet[Any] = AppPlacement.objects.none()
        return none

    def place(self, *, declared: bool) -> None:
        """There is nothing to place."""

    def sum_up(self, lease: Lease | None, rows: "Sequence[Convergent] | None" = None) -> None:
        """It is as it was declared."""
        synced = Condition("Synced", Status.TRUE, "Declared", "It can be run.")
        ready = Condition("Ready", Status.TRUE, "Declared", "It can be run.")
        self.record(lease, synced, ready, observed=self.generation)

    def forget(self) -> None:
        """As for any row; its runs go along, wherever they have got to."""
        with marking() as marks:
            runs = self.runs.order_by()
            if run := runs.first():
                pks = list(runs.values_list("pk", flat=True))
                marks.drop(Work.objects.filter(kind=run.label, object_id__in=pks))
                runs.all().delete()
            super().forget()
            if self.app:
                self.app.mark_to_sum_up()

    # --- What is run.

    def run(
        self, by: str, *, message: str = "", parameters: Mapping[str, object] | None = None
    ) -> "WorkflowRun":
        """Begin a run of the version that is declared now.

        Raises Deleting, Conflicting where the tenant is cordoned or a run is under way, Invalid for
        parameters that the steps do not take or that are lacking.
        """
        if self.app:
            raise Conflicting(f"{self} is run by each new revision of {self.app}. Declare one.")
        if steps := nameless(self.steps):
            raise Conflicting(
                f"Step {steps[0]} of {self} names no app: it rolls out apps whose `workflow` has "
                "this name. Declare such an app, or name one in the step."
            )
        run: WorkflowRun = self.runs.model.begin(
            self, by, message=message, parameters=dict(parameters or {})
        )
        return run

    def roll_out(self, by: str, revision: int, *, message: str) -> "WorkflowRun":
        """Begin the run that brings a revision of its app to the clusters."""
        run: WorkflowRun = self.runs.model.begin(
            self, by, message=message, parameters={}, revision=revision
        )
        return run

    @property
    def parameters(self) -> list[str]:
        """The parameters that a run has to be given."""
        return sorted(parameters_of(steps_of(self.steps, self.mode)))


def _pointer(path: Sequence[object]) -> str:
    return "/".join(["/steps", *map(str, path), "type"])
