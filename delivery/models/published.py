"""Definitions that operators publish, and where. An operator's credential carries them there."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone

from clusters.definitions import ability_of
from clusters.models import BootstrapRun, Cluster
from clusters.models.bootstrap import DEFINITIONS
from delivery.models.validators import errors_of
from delivery.rules.published_types import parameter_problems
from delivery.rules.publishing import (
    ASKED,
    KINDS,
    WORDS,
    PublishedKind,
    absence,
    definition_problems,
    manifest,
)
from delivery.rules.schema import Problem, within
from reconcile.refusals import Conflicting, Deleting, Fault, Invalid
from reconcile.values import JSON, Phase

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


class PublishedQuerySet(models.QuerySet["PublishedDefinition"]):
    """Reading verbs."""

    def visible_to(self, user: User | AnonymousUser) -> "PublishedQuerySet":
        """Operators alone: a template runs inside of KubeVela."""
        return self if user.is_active and user.is_staff else self.none()

    def named(self, names: Sequence[str]) -> list["PublishedDefinition"]:
        """Return those of these names (`components/canary`), or all where none is given.

        Raises Invalid for one that there is not, and where there is none at all.
        """
        known = {row.full_name: row for row in self}
        faults = [
            Fault("unknown", f"There is no definition {name[:130]}.", f"/definitions/{index}")
            for index, name in enumerate(names)
            if name not in known
        ]
        if not known and not names:
            faults = [Fault("required", "There is no definition to publish.", "/definitions")]
        if faults:
            raise Invalid("Parts of the request are wrong.", errors=faults)
        return [known[name] for name in dict.fromkeys(names)] if names else list(known.values())


class PublishedDefinition(models.Model):
    """A definition as it is to be on clusters; `version` counts what it was before."""

    kind = models.CharField(max_length=20, choices=[(each, each) for each in PublishedKind])
    name = models.CharField(max_length=63)
    description = models.CharField(max_length=300, blank=True, default="")
    spec = models.JSONField(blank=True)  # what it lacks is told by its place
    parameters = models.JSONField(
        null=True, blank=True, help_text="The JSON schema of its properties; empty: not known."
    )
    shadows = models.BooleanField(
        default=False, help_text="It stands in for a definition of KubeVela's own."
    )
    version = models.PositiveIntegerField(default=0, editable=False)
    changed_by = models.CharField(max_length=150, editable=False)
    changed_at = models.DateTimeField(auto_now=True)
    deletion_requested_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = PublishedQuerySet.as_manager()

    if TYPE_CHECKING:
        publications: RelatedManager["Publication"]

    class Meta:
        ordering = ["kind", "name"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "name"], name="definition_published_once")
        ]

    def __str__(self) -> str:
        return f"{KINDS[self.kind]} {self.name}"

    @property
    def full_name(self) -> str:
        """What the API calls it."""
        return f"{self.kind}/{self.name}"

    @property
    def kind_name(self) -> str:
        """The kind of the object on clusters."""
        return KINDS[self.kind]

    @property
    def deleting(self) -> bool:
        """Whether it is to leave its clusters."""
        return self.deletion_requested_at is not None

    @property
    def manifest(self) -> JSON:
        """The object as it is sent to clusters, or what takes it away from there."""
        if self.deleting:
            return absence(self.kind, self.name)
        return manifest(self.kind, self.name, self.description, self.spec)

    def may(self, user: User | AnonymousUser, action: str) -> bool:
        """Whoever sees it is an operator and may do anything."""
        return bool(user.is_active and user.is_staff)

    def clean(self) -> None:
        """Refuse what is no definition, and names of KubeVela's own. Raises ValidationError."""
        found = [
            *definition_problems(self.kind, self.name, self.spec, shadows=self.shadows),
            *within(("parameters",), self._parameter_problems()),
        ]
        errors: dict[str, list[ValidationError]] = {}
        for problem in found:
            column, *inside = problem.path
            told = problem._replace(path=tuple(inside))
            errors.setdefault(str(column), []).extend(errors_of([told]))
        if errors:
            raise ValidationError(errors)

    def _parameter_problems(self) -> Iterable[Problem]:
        return () if self.parameters is None else parameter_problems(self.parameters)

    @classmethod
    def put(
        cls,
        kind: str,
        name: str,
        *,
        by: str,
        spec: object,
        description: str,
        shadows: bool,
        parameters: JSON | None = None,
    ) -> "tuple[PublishedDefinition, bool]":
        """Keep a definition; whether it is new. Clusters get it by `publish` alone.

        Raises ValidationError, Deleting.
        """
        with transaction.atomic():
            row = cls.objects.select_for_update().filter(kind=kind, name=name).first()
            if row and row.deleting:
                raise Deleting(f"{row} is being deleted. Wait until it is off its clusters.")
            created = row is None
            row = row or cls(kind=kind, name=name)
            before = None if created else row.manifest
            row.spec, row.description, row.shadows = spec, description, shadows
            row.parameters = parameters
            row.changed_by = by
            row.full_clean(exclude=["changed_by"])
            row.version += row.manifest != before
            row.save()
        return row, created

    def request_deletion(self) -> bool:
        """Have it leave its clusters; True where nothing is left to do and it is gone.

        One that stands in for KubeVela's own stays on clusters: without it nothing would serve the
        type until KubeVela is installed anew. Raises Conflicting while apps use the type.
        """
        with transaction.atomic():
            row = type(self).objects.select_for_update().get(pk=self.pk)
            if using := row.used_by():
                more = f" and {len(using) - 5} more" if len(using) > 5 else ""
                listed = ", ".join(using[:5])
                text = f"{row} is used by {listed}{more}. Have them use another type first."
                raise Conflicting(text, apps=using[:100])
            if row.shadows:
                row.publications.all().delete()
            elif not row.deleting:
                row.deletion_requested_at = timezone.now()
                row.save(update_fields=["deletion_requested_at"])
            self.deletion_requested_at = row.deletion_requested_at or timezone.now()
            return row.finish()

    def finish(self) -> bool:
        """Forget it once it is on no cluster; whether it is gone."""
        if self.publications.exists():
            return False
        self.delete()
        return True

    def used_by(self) -> list[str]:
        """Name the apps that use its type now or are to run a revision that does, by path."""
        from delivery.models.using import apps_using

        return apps_using(WORDS.get(self.kind, ""), self.name)


def expected() -> dict[str, list[str]]:
    """Name the types that clusters are asked for, by the word of their kind."""
    found: dict[str, list[str]] = {}
    for kind, name in PublishedDefinition.objects.values_list("kind", "name"):
        found.setdefault(ASKED[kind], []).append(name)
    return found


class Publication(models.Model):
    """A definition on a cluster: the `version` that was last sent there, by which run of the loop.

    `there` once that run is done: what is on its way is read from the run itself. `mark` tells what
    the object looked like then.
    """

    definition = models.ForeignKey(
        PublishedDefinition, on_delete=models.CASCADE, related_name="publications"
    )
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="publications")
    version = models.PositiveIntegerField()
    run_generation = models.PositiveIntegerField()
    there = models.BooleanField(default=False)
    mark = models.CharField(max_length=32, blank=True, default="")
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["cluster__name"]
        constraints = [
            models.UniqueConstraint(
                fields=["definition", "cluster"], name="publication_once_per_cluster"
            )
        ]

    def __str__(self) -> str:
        return f"{self.definition} on {self.cluster.name}"

    @property
    def outdated(self) -> bool:
        """Whether the definition was changed since."""
        return self.version != self.definition.version

    def state(self) -> tuple[Phase, str]:
        """Return how it fares, and what the run that carries it or the last look says."""
        if self.there:
            return self._found()
        run = next(iter(self._runs()), None)
        if run is None or run.generation != self.run_generation:
            return Phase.ERROR, "Another publication took its place before it was done."
        told = (each["message"] for each in run.conditions if each["type"] == "Synced")
        return Phase(run.phase), next(told, "")

    def _found(self) -> tuple[Phase, str]:
        where = self.cluster.name
        if self.definition.deleting:
            way = f"POST /clusters/{where}:publish with an administrator's kubeconfig"
            return Phase.PENDING, f"It is to go: {way} takes it off."
        name = ability_of(ASKED[self.definition.kind], self.definition.name)
        seen = next((each for each in self.cluster.capabilities.all() if each.name == name), None)
        if seen is None or not self.mark:
            return Phase.DEPLOYED, ""
        if not seen.served:
            return Phase.DRIFTED, "Somebody has deleted it there. Publish it again."
        if seen.version and seen.version != self.mark:
            return Phase.DRIFTED, "Somebody has changed it there. Publish it again to put it back."
        return Phase.DEPLOYED, ""

    def _runs(self) -> "list[BootstrapRun]":
        runs = self.cluster.bootstrap_runs.all()
        return [each for each in runs if each.step_name == DEFINITIONS]


def run_on(cluster: Cluster) -> BootstrapRun | None:
    """The run that carries definitions to a cluster, the last or the one under way."""
    return BootstrapRun.objects.filter(cluster=cluster, step_name=DEFINITIONS).first()


def shown() -> "tuple[models.Prefetch[str], ...]":
    """What a list of definitions reads at once; bundles are large, and sealed."""
    runs = BootstrapRun.objects.filter(step_name=DEFINITIONS).defer("bundle", "credential")
    place = "publications__cluster"
    return (
        models.Prefetch(place),
        models.Prefetch(f"{place}__bootstrap_runs", runs),
        models.Prefetch(f"{place}__capabilities"),
    )
