"""Definitions that operators publish, and where. An operator's credential carries them there."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ValidationError
from django.db import models

from clusters.definitions import ability_of, mark_of
from clusters.models import Cluster
from clusters.models.bootstrap import DEFINITIONS
from clusters.models.published import Published, PublishedRows, Sent
from delivery.models.validators import errors_by_column
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
from reconcile.refusals import Conflicting
from reconcile.values import JSON, Live

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


class PublishedQuerySet(PublishedRows):
    """Reading verbs."""

    def visible_to(self, user: User | AnonymousUser) -> "PublishedQuerySet":
        """Operators alone: a template runs inside of KubeVela."""
        return self if user.is_active and user.is_staff else self.none()


class PublishedDefinition(Published):
    """A definition as it is to be on clusters."""

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

    objects = PublishedQuerySet.as_manager()

    step = DEFINITIONS
    verb = "publish"
    noun = "definitions"

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
    def manifests(self) -> list[JSON]:
        """The one object, or what takes it away."""
        if self.deleting:
            return [absence(self.kind, self.name)]
        return [manifest(self.kind, self.name, self.description, self.spec)]

    @property
    def ability(self) -> str:
        """That of its type."""
        return ability_of(ASKED[self.kind], self.name)

    @property
    def stays(self) -> bool:  # type: ignore[override]
        """Without one that stands in for KubeVela's own nothing would serve the type.

        That is so until KubeVela is installed anew.
        """
        return self.shadows

    def mark_in(self, seen: Sequence[Live]) -> str:
        """Return the mark of the object."""
        mine = (self.kind_name, self.name)
        found = (each for each in seen if (each.ref.kind.name, each.ref.name) == mine)
        return next((mark_of(each) for each in found), "")

    def clean(self) -> None:
        """Refuse what is no definition, and names of KubeVela's own. Raises ValidationError."""
        found = [
            *definition_problems(self.kind, self.name, self.spec, shadows=self.shadows),
            *within(("parameters",), self._parameter_problems()),
        ]
        if errors := errors_by_column(found):
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
        values = {"spec": spec, "description": description, "shadows": shadows}
        values["parameters"] = parameters
        return cls.keep({"kind": kind, "name": name}, values, by=by)

    def refuse_deletion(self) -> None:
        """Raise Conflicting while apps or workflows use the type."""
        if using := self.used_by():
            more = f" and {len(using) - 5} more" if len(using) > 5 else ""
            listed = ", ".join(using[:5])
            text = f"{self} is used by {listed}{more}. Have them use another type first."
            if self.kind == PublishedKind.STEP:
                raise Conflicting(text, workflows=using[:100])
            raise Conflicting(text, apps=using[:100])

    def used_by(self) -> list[str]:
        """Name the apps that use its type now or are to run a revision that does, by path.

        Of a type of steps: the workflows that have one, or are being run with one.
        """
        from delivery.models.using import apps_using, workflows_using

        if self.kind == PublishedKind.STEP:
            return workflows_using(self.name)
        return apps_using(WORDS.get(self.kind, ""), self.name)


def expected() -> dict[str, list[str]]:
    """Name the types that clusters are asked for, by the word of their kind."""
    found: dict[str, list[str]] = {}
    for kind, name in PublishedDefinition.objects.values_list("kind", "name"):
        found.setdefault(ASKED[kind], []).append(name)
    return found


class Publication(Sent):
    """A definition on a cluster."""

    definition = models.ForeignKey(
        PublishedDefinition, on_delete=models.CASCADE, related_name="publications"
    )
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="publications")

    class Meta:
        ordering = ["cluster__name"]
        constraints = [
            models.UniqueConstraint(
                fields=["definition", "cluster"], name="publication_once_per_cluster"
            )
        ]

    @property
    def published(self) -> PublishedDefinition:
        """The definition."""
        return self.definition
