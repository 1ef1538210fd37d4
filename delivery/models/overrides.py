"""The part of an app that is about its clusters: what each of them gets of the components."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import models

from clusters.models import Cluster
from clusters.models.cluster import ALL_LABELS
from delivery.models.published_types import published_for
from delivery.models.validators import errors_of
from delivery.rules.environment import environment_problems
from delivery.rules.overrides import (
    components_on,
    matching,
    override_problems,
    together_problems,
)
from delivery.rules.schema import Path, Problem, within
from reconcile.models.rows import read
from reconcile.values import JSON


def validate_environment(value: object) -> None:
    """Refuse wrong variables; what is no list is refused anyway. Raises ValidationError."""
    if isinstance(value, list) and (problems := environment_problems(value)):
        raise ValidationError(errors_of(problems))


class Overridden(models.Model):
    """`environment` is given to every component; `overrides` say what differs on some clusters."""

    environment = models.JSONField(default=list, blank=True, validators=[validate_environment])
    overrides = models.JSONField(default=list, blank=True)

    if TYPE_CHECKING:
        components: list[JSON]

    class Meta:
        abstract = True

    def override_faults(self, known: set[str]) -> list[Problem]:
        """Return what is wrong with each override; `known` are the clusters of its project."""
        if not isinstance(self.overrides, list):
            return []  # which is refused already
        published = published_for(self.components, *_changes(self.overrides))
        found = override_problems(self.overrides, self.components, published)
        return found or list(self._foreign(known))

    def refuse_clashes(self, clusters: Iterable[Cluster]) -> None:
        """Judge together what applies to the same cluster. Raises ValidationError."""
        if problems := list(self._together(clusters)):
            raise ValidationError({"overrides": errors_of(problems)})

    def _foreign(self, known: set[str]) -> Iterator[Problem]:
        text = "The project is not placed on this cluster."
        stored = type(self)._default_manager.filter(pk=self.pk)
        before = stored.values_list("overrides", flat=True).first() or []
        kept = {name for each in before for name in each.get("clusters", ())}
        for index, override in enumerate(self.overrides):
            for place, name in enumerate(override.get("clusters", ())):
                if name not in known | kept:
                    yield Problem((index, "clusters", place), "unknown", text)

    def _together(self, clusters: Iterable[Cluster]) -> Iterator[Problem]:
        judged: set[Path] = set()
        for cluster in clusters:
            found = matching(self.overrides, cluster.name, cluster.labels)
            indexes = tuple(self.overrides.index(each) for each in found)
            if len(found) < 2 or indexes in judged:
                continue
            judged.add(indexes)
            for path, code, text in _clashes(self.components, found):
                told = f"Together with what else applies to {cluster.name}: {text}"
                yield from within((indexes[-1],), [Problem(path, code, told)])


def components_at(spec: JSON, cluster: Cluster) -> list[JSON]:
    """Return the components of a revision's spec as a cluster gets them, reading its labels."""
    _read_labels(spec)
    return components_on(spec, cluster.name, cluster.labels)


def clash_at(spec: JSON, cluster: Cluster) -> str:
    """Say why the overrides of a cluster do not go together; empty when they do.

    Each alone was judged when it was declared. Labels that came later may bring others together.
    """
    found = matching(spec.get("overrides", ()), cluster.name, cluster.labels)
    if len(found) < 2:
        return ""
    _read_labels(spec)
    return " ".join(problem.text for problem in _clashes(spec["components"], found)[:3])


def _clashes(components: list[JSON], overrides: list[JSON]) -> list[Problem]:
    published = published_for(components, *_changes(overrides))
    return together_problems(components, overrides, published)


def _changes(overrides: list[JSON]) -> list[object]:
    return [each.get("components") for each in overrides if isinstance(each, dict)]


def _read_labels(spec: JSON) -> None:
    if any(each.get("selector") for each in spec.get("overrides", ())):
        read(ALL_LABELS)
