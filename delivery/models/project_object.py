"""Objects that steps of workflows have applied: rows that converge, as all that is on clusters."""

from collections.abc import Collection, Iterable
from typing import ClassVar, Self

from django.core.exceptions import ValidationError
from django.db import models

from delivery.models.in_project import InProject, InProjectQuerySet
from delivery.models.validators import errors_of
from delivery.models.workflow import Workflow
from delivery.rules.engine_steps import ROWS
from delivery.rules.objects import object_problems
from reconcile.models import marking
from reconcile.models.rows import read
from reconcile.refusals import Conflicting, Deleting, LimitReached
from reconcile.values import JSON
from tenancy.models import Project

MAX_OBJECTS = 200  # of a project
EVERYWHERE = ""


class ProjectObject(InProject):
    """An object in the namespace of a project, applied by a step; it goes with its workflow.

    `bodies` holds what is wanted by the name of a cluster, under `EVERYWHERE` for all the others
    of the project. So a step for one cluster leaves alone what an earlier one has brought to
    another. `name` is the kind and the object's own name, such as `configmap-settings`.

    What KubeVela's engine carries out is one as well, by its step (`by_engine`): for the clusters
    that there were when the step began, and None on those where it was taken away again.
    """

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="objects_applied")
    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, related_name="objects_applied")
    name = models.CharField(max_length=100)
    bodies = models.JSONField(default=dict)

    objects = InProjectQuerySet.as_manager()

    # Whether the declaration under way takes away: that holds in a cordoned tenant as well.
    dropping = False

    spec_fields: ClassVar[tuple[str, ...]] = ("name", "bodies")

    class Meta:
        ordering = ["project__tenant__name", "project__name", "name"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="object_once_per_project")
        ]

    @property
    def kind(self) -> str:
        """As people know it."""
        return "Object"

    @property
    def by_engine(self) -> bool:
        """Whether it is a WorkflowRun: no kind that steps apply has a name that begins so."""
        return self.name.startswith(ROWS)

    def body_on(self, cluster: str) -> JSON | None:
        """What is wanted on a cluster; None for nothing."""
        found: JSON | None = self.bodies.get(cluster, self.bodies.get(EVERYWHERE))
        return found

    @property
    def wanted(self) -> list[JSON]:
        """What is wanted where: each body once, with its clusters; without any, everywhere else."""
        found: list[JSON] = []
        for cluster, body in sorted(self.bodies.items()):
            if body is None:
                continue
            names = [cluster] if cluster else []
            same = next((each for each in found if names and each["value"] == body), None)
            if same and same["clusters"]:
                same["clusters"] += names
            else:
                found.append({"clusters": names, "value": body})
        return found

    def want(self, body: JSON, clusters: Collection[str]) -> None:
        """Want this body on these clusters; without any, on all of them and nothing else.

        What the engine is to carry out takes the place of all that it had before.
        """
        named = dict.fromkeys(clusters, body)
        kept = {} if self.by_engine else self.bodies
        self.bodies = {**kept, **named} if named else {EVERYWHERE: body}

    def drop(self, name: str, but: Collection[str], *, by: str) -> None:
        """Want the object of that name no more, but on these clusters."""
        left = {
            cluster: body if cluster in but or body is None else _unless(body, name)
            for cluster, body in self.bodies.items()
        }
        if left != self.bodies:
            self.bodies, self.dropping = left, True
            self.declare(by)

    # --- What is declared.

    def clean(self) -> None:
        """Refuse what no step may apply; what the engine gets, steps do not say."""
        if self.by_engine:
            return
        for body in self.bodies.values():
            if problems := list(object_problems(body)):
                raise ValidationError({"bodies": errors_of(problems)})

    def targets(self) -> Iterable[int]:
        """The clusters of its project on which it is wanted."""
        read(self.project.key)
        rows = self.project.placements.filter(unselected=False, deletion_requested_at=None)
        if EVERYWHERE not in self.bodies:
            rows = rows.filter(cluster__name__in=self.bodies)
        return sorted(rows.values_list("cluster_id", flat=True))

    def on_declared(self, *, by: str, created: bool) -> None:
        """Refuse what cannot be made: too many, or in a project or workflow that goes."""
        if Project.objects.filter(pk=self.project_id).exclude(deletion_requested_at=None).exists():
            raise Deleting(f"{self.project} is being deleted and takes no objects.")
        if Workflow.objects.filter(pk=self.workflow_id, deletion_requested_at=None).count() == 0:
            raise Deleting(f"{self.workflow} is being deleted and applies nothing.")
        if not self.dropping:
            self.refuse_cordoned()
        known = ProjectObject.objects.filter(project=self.project_id)
        if created and known.count() > MAX_OBJECTS:
            text = f"Steps may apply {MAX_OBJECTS} objects in a project."
            raise LimitReached(text, limit=MAX_OBJECTS)

    def forget(self) -> None:
        """As for any row; its workflow may wait for that."""
        with marking():
            super().forget()
            self.workflow.mark_to_sum_up()

    @classmethod
    def apply(cls, workflow: Workflow, name: str, body: JSON, clusters: Collection[str]) -> Self:
        """Return the object as a step of the workflow wants it; not declared yet.

        Raises Conflicting where another workflow has applied one of this kind and name.
        """
        rows = cls.locked().select_related("project__tenant", "workflow__project__tenant")
        found = rows.filter(project=workflow.project, name=name).first()
        if found and found.workflow_id != workflow.pk:
            raise Conflicting(f"{found} belongs to {found.workflow}. Use another name.")
        row = found or cls(project=workflow.project, workflow=workflow, name=name)
        row.want(body, clusters)
        return row


def _unless(body: JSON, name: str) -> JSON | None:
    return None if body["metadata"]["name"] == name else body
