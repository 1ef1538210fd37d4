"""An app: components that run in its project's namespace, on the clusters it is placed on."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F

from clusters.models import Cluster
from delivery.intents import HEALTH_DEADLINE
from delivery.models.allowing import refuse_unlisted
from delivery.models.flowing import Flowing
from delivery.models.freezing import BREAK_GLASS
from delivery.models.in_project import InProject, InProjectQuerySet
from delivery.models.overrides import Overridden
from delivery.models.published_types import hold_types
from delivery.models.retreating import OnFailure
from delivery.models.revision import Revision
from delivery.models.secret import ProjectSecret, hold_references
from delivery.models.serving import refuse_unserved
from delivery.models.validators import errors_of, validate_components
from delivery.rules.problems import names_of
from delivery.rules.schema import Problem
from delivery.rules.secrets import names_used, use_problems
from reconcile.grammar import validate_labels, validate_name
from reconcile.models.convergent import Convergent
from reconcile.models.rows import read
from reconcile.models.work import Lease
from reconcile.refusals import Deleting
from reconcile.values import Phase, RepairMode, digest
from tenancy.models import Project
from tenancy.models.validators import validate_placement


class App(InProject, Flowing, Overridden):
    """What a team runs. A change of what it consists of makes a new revision, nothing else does."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="apps")
    name = models.CharField(max_length=63, validators=[validate_name])
    description = models.CharField(max_length=300, blank=True, default="")
    labels = models.JSONField(default=dict, blank=True, validators=[validate_labels])
    components = models.JSONField(default=list, validators=[validate_components])
    placement = models.JSONField(default=dict, blank=True, validators=[validate_placement])
    health_deadline = models.PositiveIntegerField(
        default=HEALTH_DEADLINE, validators=[MinValueValidator(10), MaxValueValidator(3600)]
    )
    repair_mode = models.CharField(
        max_length=6,
        choices=[(mode, mode) for mode in RepairMode],
        blank=True,
        default="",
        help_text="Empty: as the tenant has it.",
    )

    objects = InProjectQuerySet.as_manager()

    spec_fields: ClassVar[tuple[str, ...]] = (
        "name",
        "description",
        "labels",
        "components",
        "environment",
        "overrides",
        "placement",
        "strategy",
        "workflow",
        "health_deadline",
        "on_failure",
        "repair_mode",
    )

    class Meta:
        ordering = ["project__tenant__name", "project__name", "name"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="app_once_per_project")
        ]

    def may(self, user: User | AnonymousUser, action: str) -> bool:
        """Whoever delivers into the project does anything with its apps; every member sees them.

        To break a freeze (`break_glass`) takes who may change the project itself.
        """
        wanted = {"view": "view", BREAK_GLASS: "change"}
        return self.project.may(user, wanted.get(action, "deliver"))

    # --- What is declared.

    def clean(self) -> None:
        """Refuse names that another app uses, and clusters that the project is not placed on."""
        if self.project_id is None:
            return
        known = set(self.project.placements.values_list("cluster__name", flat=True))
        faults = {
            "components": [*self._taken_names(), *self._unknown_secrets("components")],
            "environment": self._unknown_secrets("environment"),
            "overrides": [*self.override_faults(known), *self._unknown_secrets("overrides")],
            "placement": self._foreign_clusters(known),
            "strategy": self.strategy_faults(known),
            "workflow": self.workflow_faults(),
        }
        errors = {column: errors_of(found) for column, found in faults.items()}
        if found := {column: each for column, each in errors.items() if each}:
            raise ValidationError(found)

    def _taken_names(self) -> list[Problem]:
        """Components bear their names in the namespace that all apps of the project share.

        Those of an earlier revision too, as long as a cluster is to run it: its wave comes later.
        """
        others = App.objects.filter(project_id=self.project_id).exclude(pk=self.pk)
        waiting = Revision.objects.filter(app__in=others, number=F("app__placements__target"))
        earlier = waiting.exclude(number=F("app__revision")).order_by()
        owners = {
            name: app
            for app, components in (
                *earlier.values_list("app__name", "spec__components"),
                *others.values_list("name", "components"),
            )
            for name in names_of(components)
        }
        return [
            Problem((index, "name"), "taken", f"App {owners[name]} has a component of this name.")
            for index, name in enumerate(names_of(self.components))
            if name in owners
        ]

    def _unknown_secrets(self, column: str) -> list[Problem]:
        """What the column refers to has to be among the secrets of the project."""
        if not names_used(getattr(self, column)):
            return []
        rows = ProjectSecret.objects.filter(project=self.project_id, deletion_requested_at=None)
        return use_problems(getattr(self, column), dict(rows.values_list("name", "digests")))

    def _foreign_clusters(self, known: set[str]) -> list[Problem]:
        """A placement that stays as it is may outlive the project's own."""
        stored = App.objects.filter(pk=self.pk).values_list("placement", flat=True).first()
        names = self.placement.get("clusters", []) if isinstance(self.placement, dict) else []
        if stored == self.placement or not isinstance(names, list):
            return []
        text = "The project is not placed on this cluster."
        return [
            Problem(("clusters", index), "unknown", text)
            for index, name in enumerate(names)
            if name not in known
        ]

    def targets(self) -> Iterable[int]:
        """The clusters of its project that its placement selects now; all, if it selects none."""
        read(self.project.key)
        read(self.project.tenant.key)  # what binds it may keep a revision back, or let it go
        rows = self.project.placements.filter(unselected=False, deletion_requested_at=None)
        here = sorted(rows.values_list("cluster_id", flat=True))
        if not self.placement:
            return here
        there = Cluster.objects.filter(pk__in=here).order_by("name")
        chosen = {"clusters", "selector"} & set(self.placement)  # else only bounded in number
        wanted = self.placement.get("clusters", []), self.placement.get("selector", {})
        found = there.selected(*wanted) if chosen else list(there)
        return [each.pk for each in self.at_most(found)]

    def on_declared(self, *, by: str, created: bool) -> None:
        """Make the revision, if the components changed. Refuse what a cluster cannot serve."""
        if Project.objects.filter(pk=self.project_id).exclude(deletion_requested_at=None).exists():
            raise Deleting(f"{self.project} is being deleted and takes no apps.")
        self.refuse_cordoned()
        self._hold_secrets()
        hold_types(self.revised())
        clusters = list(Cluster.objects.filter(pk__in=self.targets()))
        self.refuse_clashes(clusters)
        refuse_unserved(self, clusters)
        self.prepare_flow(by)
        current = self.current_revision()
        if current is None or current.spec_hash != digest(self.revised()):
            self.refuse_blocked(digest(self.revised()))
            before = current.spec if current else {}
            refuse_unlisted(self.project.tenant, self.revised(), before)
            if set(names_of(self.components)) != set(names_of(before.get("components"))):
                self._claim_names()
            self.revise(by)
        self.retarget()

    def _hold_secrets(self) -> None:
        """Look once more, now that nobody can take away what is referred to."""
        if not names_used(self.revised()):
            return
        hold_references(self.project)
        for column in self.revised_fields:
            if unknown := self._unknown_secrets(column):
                raise ValidationError({column: errors_of(unknown)})

    def _claim_names(self) -> None:
        """Look for names that are taken once more, now that nobody else can take one."""
        Project.objects.select_for_update(no_key=True).get(pk=self.project_id)
        if taken := self._taken_names():
            raise ValidationError({"components": errors_of(taken)})

    # --- What the loop finds.

    @property
    def only_sums(self) -> bool:
        """Whether neither a wave, a run, a freeze nor a way back depends on its placements."""
        if self.strategy or self.workflow or self.on_failure != OnFailure.WAIT:
            return False
        return self.obstacle() is None and self.advised() is None

    @property
    def settles_when_created(self) -> bool:
        """Whether every cluster is told at once, and nothing else follows from a step."""
        return self.only_sums

    def sum_up(self, lease: Lease | None, rows: Sequence[Convergent] | None = None) -> None:
        """Sum the placements up; a revision that is deployed on all of them was healthy once.

        One that fails may make room for the last that was.
        """
        super().sum_up(lease, rows)
        if self.phase == Phase.DEPLOYED:
            self.revisions.filter(number=self.revision, healthy=False).update(healthy=True)
        else:
            self.retreat()
