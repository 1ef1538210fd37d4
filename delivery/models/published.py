"""Definitions that operators publish, and where. An operator's credential carries them there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ValidationError
from django.db import models, transaction

from clusters.adapters.kubevela import DEFINITIONS_NAMESPACE
from clusters.models import BootstrapRun, Cluster
from clusters.models.bootstrap import DEFINITIONS
from clusters.models.bundling import Asked, apply_bundle
from delivery.models.validators import errors_of
from delivery.rules.publishing import KINDS, PublishedKind, bundle, definition_problems, manifest
from reconcile.refusals import Conflicting, Fault, Invalid
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
    shadows = models.BooleanField(
        default=False, help_text="It stands in for a definition of KubeVela's own."
    )
    version = models.PositiveIntegerField(default=0, editable=False)
    changed_by = models.CharField(max_length=150, editable=False)
    changed_at = models.DateTimeField(auto_now=True)

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
    def manifest(self) -> JSON:
        """The object as it is sent to clusters."""
        return manifest(self.kind, self.name, self.description, self.spec)

    def clean(self) -> None:
        """Refuse what is no definition, and names of KubeVela's own. Raises ValidationError."""
        found = definition_problems(self.kind, self.name, self.spec, shadows=self.shadows)
        errors: dict[str, list[ValidationError]] = {}
        for problem in found:
            column, *inside = problem.path
            told = problem._replace(path=tuple(inside))
            errors.setdefault(str(column), []).extend(errors_of([told]))
        if errors:
            raise ValidationError(errors)

    @classmethod
    def put(
        cls, kind: str, name: str, *, by: str, spec: object, description: str, shadows: bool
    ) -> "tuple[PublishedDefinition, bool]":
        """Keep a definition; whether it is new. Clusters get it by `publish` alone.

        Raises ValidationError.
        """
        with transaction.atomic():
            row = cls.objects.select_for_update().filter(kind=kind, name=name).first()
            created = row is None
            row = row or cls(kind=kind, name=name)
            before = None if created else row.manifest
            row.spec, row.description, row.shadows = spec, description, shadows
            row.changed_by = by
            row.full_clean(exclude=["changed_by"])
            row.version += row.manifest != before
            row.save()
        return row, created


class Publication(models.Model):
    """A definition on a cluster: the `version` that was last sent there, by which run of the loop.

    `there` once a later run has begun: what is on its way is read from the run itself.
    """

    definition = models.ForeignKey(
        PublishedDefinition, on_delete=models.CASCADE, related_name="publications"
    )
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="publications")
    version = models.PositiveIntegerField()
    run_generation = models.PositiveIntegerField()
    there = models.BooleanField(default=False)
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
        """Return how it fares, and what the run that carries it says."""
        if self.there:
            return Phase.DEPLOYED, ""
        run = _run(self.cluster)
        if run is None or run.generation != self.run_generation:
            return Phase.ERROR, "Another publication took its place before it was done."
        told = (each["message"] for each in run.conditions if each["type"] == "Synced")
        return Phase(run.phase), next(told, "")


@dataclass(frozen=True)
class Publishing:
    """Definitions for a cluster; `asked` says with whose credential, and by whom."""

    definitions: Sequence[PublishedDefinition]
    asked: Asked

    @classmethod
    def of(cls, definitions: Sequence[PublishedDefinition], asked: Asked) -> "Publishing":
        """Put the definitions into the bundle that is asked for."""
        raw = bundle(row.manifest for row in definitions)
        return cls(
            definitions,
            replace(asked, step=DEFINITIONS, raw=raw, namespace=DEFINITIONS_NAMESPACE),
        )

    def publish(self) -> BootstrapRun:
        """Have them applied by the loop. Raises Invalid without a credential, Conflicting."""
        cluster = self.asked.cluster
        with transaction.atomic():
            Cluster.locked().get(pk=cluster.pk)
            before = _run(cluster)
            self._settle(before)
            run = apply_bundle(self.asked)
            for row in self.definitions:
                values: JSON = {"version": row.version, "run_generation": run.generation}
                values |= {"there": False, "asked_by": self.asked.by}
                Publication.objects.update_or_create(
                    definition=row, cluster=cluster, defaults=values
                )
        return run

    def _settle(self, before: BootstrapRun | None) -> None:
        """Note what the last run brought. Raises Conflicting while it is on its way."""
        if before is None:
            return
        mine = Publication.objects.filter(
            cluster=before.cluster_id, run_generation=before.generation
        )
        if before.finished_at:
            mine.update(there=True)
        elif before.phase != Phase.ERROR and self._others(mine):
            raise Conflicting(
                f"Other definitions are on their way to {before.cluster}. "
                "Wait until they are there, or name those as well."
            )

    def _others(self, mine: "models.QuerySet[Publication]") -> bool:
        return not {*mine.values_list("definition", flat=True)} <= {
            row.pk for row in self.definitions
        }


def _run(cluster: Cluster) -> BootstrapRun | None:
    return BootstrapRun.objects.filter(cluster=cluster, step_name=DEFINITIONS).first()
