"""What operators publish on clusters, and where it is: columns and verbs that all such things have.

KubeNova's own account may not write it, so an operator's credential carries it there, in a run of
the loop; the next run takes away what is being deleted.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.contrib.auth.models import AnonymousUser, User
from django.db import models, transaction
from django.utils import timezone

from clusters.models.bootstrap import BootstrapRun
from clusters.models.cluster import Cluster
from reconcile.refusals import Deleting, Fault, Invalid
from reconcile.values import JSON, Live, Phase

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


class PublishedRows(models.QuerySet[Any]):
    """Reading verbs."""

    def named(self, names: Sequence[str]) -> list[Any]:
        """Return those of these names, or all where none is given.

        Raises Invalid for one that there is not, and where there is none at all.
        """
        noun = self.model.noun
        known = {row.full_name: row for row in self}
        faults = [
            Fault("unknown", f"There is no {noun[:-1]} {name[:130]}.", f"/{noun}/{index}")
            for index, name in enumerate(names)
            if name not in known
        ]
        if not known and not names:
            text = f"There is no {noun[:-1]} to publish."
            faults = [Fault("required", text, f"/{noun}")]
        if faults:
            raise Invalid("Parts of the request are wrong.", errors=faults)
        return [known[name] for name in dict.fromkeys(names)] if names else list(known.values())


class Published(models.Model):
    """As it is to be on clusters; `version` counts what it was before.

    `step` are the runs that carry it, `verb` is what asks for one, `noun` what people call several.
    """

    version = models.PositiveIntegerField(default=0, editable=False)
    changed_by = models.CharField(max_length=150, editable=False)
    changed_at = models.DateTimeField(auto_now=True)
    deletion_requested_at = models.DateTimeField(null=True, blank=True, editable=False)

    step: ClassVar[str]
    verb: ClassVar[str]
    noun: ClassVar[str]
    stays = False  # on clusters, when it is deleted

    if TYPE_CHECKING:
        publications: RelatedManager[Any]

    class Meta:
        abstract = True

    @property
    def full_name(self) -> str:
        """What a request to publish calls it."""
        raise NotImplementedError

    @property
    def deleting(self) -> bool:
        """Whether it is to leave its clusters."""
        return self.deletion_requested_at is not None

    @property
    def manifests(self) -> Sequence[JSON]:
        """The objects as they are sent to clusters, or what takes them away from there."""
        raise NotImplementedError

    @property
    def ability(self) -> str:
        """The capability of clusters that have it; empty where they are not asked."""
        raise NotImplementedError

    def mark_in(self, seen: Sequence[Live]) -> str:
        """Return what changes when somebody changes it; empty where not all of it is there."""
        raise NotImplementedError

    def refuse_deletion(self) -> None:
        """Raise Conflicting while somebody uses it."""
        raise NotImplementedError

    def may(self, user: User | AnonymousUser, action: str) -> bool:
        """Operators do anything with it."""
        return bool(user.is_active and user.is_staff)

    @classmethod
    def keep(
        cls, key: Mapping[str, str], values: Mapping[str, object], *, by: str
    ) -> tuple[Self, bool]:
        """Keep one, found by `key`; whether it is new. Clusters get it by a publication alone.

        Raises ValidationError, Deleting.
        """
        with transaction.atomic():
            row = cls._default_manager.select_for_update().filter(**key).first()
            if row and row.deleting:
                raise Deleting(f"{row} is being deleted. Wait until it is off its clusters.")
            created = row is None
            row = row or cls(**key)
            before = None if created else row.manifests
            for name, value in values.items():
                setattr(row, name, value)
            row.changed_by = by
            row.full_clean(exclude=["changed_by"])
            row.version += row.manifests != before
            row.save()
        return row, created

    def request_deletion(self) -> bool:
        """Have it leave its clusters; True where nothing is left to do and it is gone.

        Raises Conflicting while somebody uses it.
        """
        with transaction.atomic():
            row = type(self)._default_manager.select_for_update().get(pk=self.pk)
            row.refuse_deletion()
            if row.stays:
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

    @classmethod
    def shown(cls) -> "tuple[models.Prefetch[str], ...]":
        """What a list of them reads at once; bundles are large, and sealed."""
        runs = BootstrapRun.objects.filter(step_name=cls.step).defer("bundle", "credential")
        place = "publications__cluster"
        return (
            models.Prefetch(place),
            models.Prefetch(f"{place}__bootstrap_runs", runs),
            models.Prefetch(f"{place}__capabilities"),
        )


class Sent(models.Model):
    """Something published on a cluster: the `version` last sent there, by which run of the loop.

    `there` once that run is done: what is on its way is read from the run itself. `mark` tells what
    it looked like then.
    """

    version = models.PositiveIntegerField()
    run_generation = models.PositiveIntegerField()
    there = models.BooleanField(default=False)
    mark = models.CharField(max_length=32, blank=True, default="")
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField(auto_now=True)

    if TYPE_CHECKING:
        cluster: models.ForeignKey[Cluster, Cluster]
        cluster_id: int

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.published} on {self.cluster.name}"

    @property
    def published(self) -> Published:
        """What was sent."""
        raise NotImplementedError

    @property
    def outdated(self) -> bool:
        """Whether it was changed since."""
        return self.version != self.published.version

    def state(self) -> tuple[Phase, str]:
        """Return how it fares, and what the run that carries it or the last look says."""
        if self.there:
            return self._found()
        runs = self.cluster.bootstrap_runs.all()
        run = next((each for each in runs if each.step_name == self.published.step), None)
        if run is None or run.generation != self.run_generation:
            return Phase.ERROR, "Another publication took its place before it was done."
        told = (each["message"] for each in run.conditions if each["type"] == "Synced")
        return Phase(run.phase), next(told, "")

    def _found(self) -> tuple[Phase, str]:
        if self.published.deleting:
            verb = f"POST /clusters/{self.cluster.name}:{self.published.verb}"
            told = f"It is to go: {verb} with an administrator's kubeconfig takes it off."
            return Phase.PENDING, told
        name = self.published.ability
        seen = next((each for each in self.cluster.capabilities.all() if each.name == name), None)
        if seen is None or not self.mark:
            return Phase.DEPLOYED, ""
        if not seen.served:
            return Phase.DRIFTED, "Somebody has deleted it there. Publish it again."
        if seen.version and seen.version != self.mark:
            return Phase.DRIFTED, "Somebody has changed it there. Publish it again to put it back."
        return Phase.DEPLOYED, seen.reason
