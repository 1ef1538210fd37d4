"""A registered cluster: what an operator declared of it."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, Self

from django.contrib.auth.models import AnonymousUser, User
from django.db import IntegrityError, models, transaction
from django.db.models import Q, QuerySet

from clusters.credentials import Given
from clusters.models.capability import Capability
from clusters.models.credentialed import Credentialed
from clusters.models.guarded import Guarded
from clusters.models.occupied import Occupied
from clusters.models.validators import validate_access_proxy
from clusters.probe import Ability, Findings
from reconcile.errors import Refused
from reconcile.grammar import validate_labels, validate_name
from reconcile.guard import ONLY_RIGHTS, Doomed
from reconcile.loop import Outcome
from reconcile.models import AppliedObject, Event, Lease, Work, marking, touch
from reconcile.models.convergent import Convergent
from reconcile.models.rows import read
from reconcile.refusals import InUse
from reconcile.values import Condition, Phase, Status

if TYPE_CHECKING:
    from clusters.models.baseline import ClusterBaseline

ALL_LABELS = "clusters/labels"
_CREDENTIAL_FIELDS = ("server", "credential_digest", "credential_generation")
_LISTED = 50
_IN_USE_LOOK = 15.0


class ClusterQuerySet(QuerySet["Cluster"]):
    """Reading verbs."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Operators and those with the view permission see clusters; nobody else does."""
        if user.is_active and (user.is_staff or user.has_perm("clusters.view_cluster")):
            return self
        return self.none()

    def selected(self, names: Iterable[str], match_labels: Mapping[str, str]) -> list["Cluster"]:
        """Return the clusters named or carrying all of `match_labels`, in order of their names.

        No names and no labels select nothing: an empty selector is no selector.
        """
        wanted = set(names)
        read(ALL_LABELS)
        return [
            cluster
            for cluster in self.filter(deletion_requested_at=None).order_by("name")
            if cluster.name in wanted
            or (match_labels and match_labels.items() <= cluster.labels.items())
        ]


class AlreadyRegistered(Refused):
    """The cluster is known under another name."""

    reason = "AlreadyRegistered"


class Cluster(Credentialed, Guarded, Occupied):
    """A Kubernetes cluster that KubeNova projects onto. Its one placement is its baseline."""

    name = models.CharField(max_length=40, unique=True, validators=[validate_name])
    labels = models.JSONField(default=dict, blank=True, validators=[validate_labels])
    access_proxy = models.JSONField(null=True, blank=True, validators=[validate_access_proxy])
    paused = models.BooleanField(default=False)

    version = models.CharField(max_length=63, blank=True, default="", editable=False)
    platforms = models.JSONField(default=dict, blank=True, editable=False)

    objects = ClusterQuerySet.as_manager()

    spec_fields: ClassVar[tuple[str, ...]] = (
        "name",
        "labels",
        "access_proxy",
        "paused",
        *_CREDENTIAL_FIELDS,
    )

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["kube_system_uid"],
                condition=~Q(kube_system_uid=""),
                name="cluster_registered_once",
            ),
        ]

    def __str__(self) -> str:
        return f"Cluster {self.name}"

    @property
    def cluster_name(self) -> str:
        """Itself."""
        return self.name

    @property
    def cluster_pk(self) -> int:  # type: ignore[override]
        """Itself, for the slots of the drain."""
        return self.pk

    @property
    def capabilities_key(self) -> str:
        """The key that a change of its capabilities touches."""
        return f"cluster/{self.name}/capabilities"

    @property
    def findings_key(self) -> str:
        """The key that a change of its findings touches."""
        return f"cluster/{self.name}/findings"

    @property
    def baseline(self) -> "ClusterBaseline":
        """Its one placement."""
        found: ClusterBaseline = self.placements.get()
        return found

    def targets(self) -> Iterable[int]:
        """A cluster's baseline is placed on the cluster itself."""
        return (self.pk,)

    def on_declared(self, *, by: str, created: bool) -> None:
        """Keep a new credential; selectors of tenants may see the cluster differently now."""
        if not created:
            self.save(update_fields=["bootstrap"])
        if created or "labels" in self.changed:
            touch(ALL_LABELS)

    def may(self, user: User | AnonymousUser, action: str) -> bool:
        """Only operators change clusters."""
        return user.is_active and user.is_staff

    def serves(self, capability: str) -> bool:
        """Whether the capability was discovered, reading the key that its change touches."""
        read(self.capabilities_key)
        return Capability.objects.serve(self, capability)

    def lacking(self, names: Iterable[str]) -> list[Ability]:
        """Return those capabilities that it is known not to serve, reading the key of all."""
        read(self.capabilities_key)
        return Capability.objects.lacking(self, names)

    def give(self, given: Given, by: str) -> bool:
        """Take a new credential of an operator's, also for a deletion that lacks one.

        Returns False when it is the one that is at hand already.
        """
        before = self.credential_generation
        self.given = given
        if not self.deleting:
            return self.declare(by)
        if self.credential_generation == before:
            return False
        with marking():
            self.save(update_fields=[*_CREDENTIAL_FIELDS, "bootstrap", "updated_at"])
            Event.record(self, "Changed", f"{by} gave {self} a new credential.", actor=by)
            self.baseline.mark()
        return True

    def pause(self, by: str) -> bool:
        """Leave the cluster as it is for now; False when it is paused already."""
        self.paused = True
        return self.declare(by)

    def resume(self, by: str) -> bool:
        """End the pause and look at everything on the cluster; False when it was not paused."""
        self.paused = False
        with marking():
            resumed = self.declare(by)
            if resumed:
                Work.objects.filter(cluster_id=self.pk).revive()
        return resumed

    def reprobe(self, by: str) -> None:
        """Look now what the cluster can do."""
        Event.record(self, "ProbeRequested", f"{by} asked to look at {self} anew.", actor=by)
        self.baseline.mark()

    def projections(self, **filters: object) -> list[Convergent]:
        """Return the rows that are projected onto it, its baseline excepted.

        They are found by their foreign keys, so that no layer has to know the ones above it.
        """
        found: list[Convergent] = []
        for relation in self._meta.related_objects:
            model = relation.related_model
            if (
                isinstance(model, type)
                and issubclass(model, Convergent)
                and relation.get_accessor_name() != "placements"
            ):
                found += model._default_manager.filter(**{relation.field.name: self}, **filters)
        return found

    def doomed(self) -> list[Doomed]:
        """What will go from it because rows on it are going that nobody asked to delete."""
        going = self.projections(deletion_requested_at__isnull=False)
        rows = {row.owner: str(row) for row in going if not row.parent.deleting}
        applied = AppliedObject.objects.filter(work__owner__in=rows).select_related("work")
        return [
            Doomed(each.uid, str(each), rows[each.work.owner])
            for each in applied.exclude(kind__in=ONLY_RIGHTS)
        ]

    def request_deletion(self, by: str) -> None:
        """Ask for its deletion. Raises InUse, naming what is still placed on it."""
        if left := self.projections():
            names = sorted(str(row) for row in left)
            raise InUse(
                f"{len(names)} placements are still on {self}. Delete or move them first, or "
                f"forget the cluster with POST /api/v1/clusters/{self.name}:forget.",
                placements=names[:_LISTED],
            )
        super().request_deletion(by)

    def step(self, lease: Lease) -> Outcome:
        """As any declared row, but not gone before everything on it is."""
        if self.deleting and (left := self.projections()):
            names = ", ".join(sorted(str(row) for row in left)[:5])
            synced = Condition("Synced", Status.UNKNOWN, "InUse", f"Waiting for {names} to go.")
            self.record(lease, synced, Condition("Ready", Status.FALSE, "Deleting", ""))
            return Outcome(_IN_USE_LOOK)
        if self.deleting and self.placements.filter(phase=Phase.ERROR).exists():
            self.sum_up(lease)  # why it does not go
            return Outcome(_IN_USE_LOOK)
        return super().step(lease)

    def compare(self, found: Findings) -> None:
        """Make sure that a new one is no other row's. Raises AlreadyRegistered."""
        if self.kube_system_uid:
            return
        others = type(self).objects.filter(kube_system_uid=found.uid).exclude(pk=self.pk)
        if other := others.first():
            raise AlreadyRegistered(f"This is the same cluster as {other.name}.")

    def recognise(self, found: Findings, lease: Lease) -> None:
        """Note who it is and what it runs, as a probe found; held when it is another than before.

        Raises as `compare` does.
        """
        self.identify(found.uid)
        uid = self.kube_system_uid or found.uid
        if (self.kube_system_uid, self.version) == (uid, found.version):
            return
        try:
            with transaction.atomic():
                rows = type(self).objects.filter(lease.holds(), pk=self.pk)
                rows.update(kube_system_uid=uid, version=found.version)
        except IntegrityError:  # somebody registered it under another name at this very moment
            self.compare(found)
            raise
        self.kube_system_uid, self.version = uid, found.version

    def begin_anew(self) -> None:
        """What KubeNova has on the cluster of before stays that one's: here it begins anew."""
        for baseline in self.placements.all():
            baseline.begin_anew()

    def forget(self) -> None:
        """As for any row; bundles on their way to it are forgotten with it."""
        with marking():
            for run in self.bootstrap_runs.all():
                run.forget()
            super().forget()

    def abandon(self, by: str) -> list[str]:
        """Drop the cluster and all rows on it without touching it; return what stays there.

        For clusters that are gone for good, or that are to go on without KubeNova.
        """
        with marking():
            stays = self.left_behind()
            for row in self.projections():
                parent = row.parent
                row.forget()
                parent.mark_to_sum_up()
            for baseline in self.placements.all():
                baseline.forget()
            message = f"{by} had {self} forgotten; {len(stays)} objects stay on it."
            Event.record(self, "Forgotten", message, actor=by, data={"stays": stays})
            self.forget()
            touch(ALL_LABELS)
        return stays

    def left_behind(self) -> list[str]:
        """Return every object that KubeNova is known to have on it, as text."""
        applied = AppliedObject.objects.filter(work__cluster_id=self.pk)
        return sorted(str(row) for row in applied)
