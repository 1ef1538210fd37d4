"""KubeNova's own objects on a cluster, and the credential that it works there with."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from django.conf import settings
from django.db import models

from clusters.adapters.baseline import Baseline
from clusters.credentials import ending_soon
from clusters.intents import OWN_NAMESPACES, BaselineIntent
from clusters.kinds import NAMESPACE, SECRET, SERVICE_ACCOUNT
from clusters.models.capability import Capability
from clusters.models.projected import STANDING
from clusters.models.surveyed import Surveyed
from clusters.reachable import Reachable
from reconcile.errors import ClusterError, Forbidden, Refused, Unauthenticated
from reconcile.guard import Epoch, Reason
from reconcile.loop import Adapter, Outcome, reconcile
from reconcile.models import AppliedObject, Event, Lease, Work, marking
from reconcile.models.convergent import Wait
from reconcile.models.rows import read
from reconcile.plan import Task
from reconcile.values import MANAGED_BY, MANAGER, OWNER, Live, Plan, Ref

_DELETION_LOOK = 1.0
_REMOVAL = (
    "kubectl delete clusterrolebindings,clusterroles,validatingadmissionpolicybindings,"
    f"validatingadmissionpolicies -l {MANAGED_BY}={MANAGER}"
)


class BaselineDrifted(Refused):
    """The baseline differs and KubeNova's own credential may not repair it."""

    reason = "Drifted"


class ReportOnly(Refused):
    """A guard holds the cluster; `reason` is its name."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ClusterBaseline(Surveyed):
    """The one placement of a cluster.

    The operator's credential writes it once and is dropped as soon as KubeNova's own works; that
    one may read the baseline but not change its roles and policies.
    """

    # Whether the cluster was seen to hold an epoch, so that one can be compared with.
    _told = False
    # The credential that could write it anew may be dropped before the step ends.
    records_waves = True
    settles_at_once = False

    class Meta:
        ordering = ["cluster__name"]
        constraints = [
            models.UniqueConstraint(fields=["cluster"], name="baseline_once_per_cluster"),
        ]

    def __str__(self) -> str:
        return f"Baseline of {self.cluster.name}"

    def intent(self) -> BaselineIntent:
        """The current baseline, and what needs an operator's eye."""
        expires = self.cluster.scoped_expires_at
        day = expires.date().isoformat() if expires and ending_soon(expires) else ""
        asks = self.cluster.report_only_message
        return BaselineIntent(expires=day, refused=self._refused, asks=asks)

    def adapter(self) -> Adapter[BaselineIntent]:
        """There is one."""
        return Baseline()

    def waits_for(self) -> Sequence[Wait]:
        """It goes last: everything on the cluster needs it."""
        if not self.deleting:
            return ()
        left = self.cluster.projections()
        for row in left:
            read(row.key)
        return [Wait("WaitingForPlacements", f"{row} has to go first.") for row in left]

    def step(self, lease: Lease) -> Outcome:
        """Look at the cluster, bring the baseline to its intent, keep the credential fresh."""
        if self.paused and not self.deleting:
            return Outcome()
        if self.deleting:
            return self._leave(lease)
        try:
            found = self._survey()
            self.cluster.recognise(found, lease)
            self._follow()
            Capability.objects.record(self.cluster, found.abilities)
            self._inspect(found)
            self._ask_guards()
            self._revoke(lease)
            if self._bootstrapping:
                self._take_over(lease)
        except ClusterError as error:
            return self.record_failure(error, self.generation, lease)
        return reconcile(self, self.connect, lease)

    # --- What stops all writes until an operator confirms.

    def _ask_guards(self) -> None:
        """Look, writing nothing, whether a guard holds the cluster. Raises ReportOnly if so.

        What a database that was restored does not know is looked for meanwhile.
        """
        if self.cluster.report_only != Reason.IDENTITY:
            with self.connect() as api:
                self._told = self.cluster.check_epoch(api) != Epoch()
                if self.cluster.report_only == Reason.EPOCH:
                    self.cluster.look_around(api)
        self.cluster.gauge()
        self._stop_if_held()

    def _stop_if_held(self) -> None:
        if self.cluster.stopped:
            raise ReportOnly(self.cluster.report_only, self.cluster.stopped)

    def _revoke(self, lease: Lease) -> None:
        """End the grants that this database does not know, as an operator has confirmed."""
        if not self.cluster.revoking:
            return
        self.cluster.before_writes(self.connect)
        kinds = {kind.name: kind for kind in (SECRET, SERVICE_ACCOUNT)}
        with self.connect() as api:
            for kind, namespace, name, uid in self.cluster.revoking:
                lease.check()
                api.delete(Ref(kinds[kind], namespace, name), uid)
        self.cluster.revoked()

    def allow(self, plan: Plan) -> None:
        """Begin to write; before the first time there is no place yet to say so."""
        if self._told:
            self.cluster.before_writes(self.connect)

    # --- Converge.

    def record_success(
        self, task: Task, seen: Mapping[Ref, Live], generation: int, lease: Lease
    ) -> Outcome:
        """As for any row, once KubeNova's own credential works."""
        try:
            self._keep_credential(lease)
            if not self._told:
                self.cluster.before_writes(self.connect)
        except ClusterError as error:
            return self.record_failure(error, generation, lease)
        Capability.objects.record_baseline(self.cluster)
        task = replace(task, intent=self.intent())  # the credential may be a newer one by now
        stood = self.phase in STANDING
        outcome = super().record_success(task, seen, generation, lease)
        self._spread(lease, stood=stood)
        soon = settings.CLUSTER_PROBE_SECONDS
        return Outcome(min(outcome.look_in or soon, soon))

    def record_failure(self, error: ClusterError, generation: int, lease: Lease) -> Outcome:
        """As for any row, with the way out in the words."""
        stood = self.phase in STANDING
        outcome = super().record_failure(self._explained(error), generation, lease)
        self._spread(lease, stood=stood)
        return outcome

    def _spread(self, lease: Lease, *, stood: bool) -> None:
        """Those who waited for the cluster, or have to wait now, do not come all at once."""
        if (self.phase in STANDING) != stood:
            placed = Work.objects.filter(cluster_id=self.cluster.pk).exclude(pk=lease.work.pk)
            placed.spread(settings.CLUSTER_ROWS_PER_SECOND)

    def _explained(self, error: ClusterError) -> ClusterError:
        if isinstance(error, ReportOnly):
            return error
        renew = f"PUT /api/v1/clusters/{self.cluster.name}/credential"
        forget = f"POST /api/v1/clusters/{self.cluster.name}:forget"
        if isinstance(error, Unauthenticated):
            hint = f" Or forget the cluster: {forget}." if self.deleting else ""
            return Unauthenticated(f"{error.message} Give a working credential: {renew}.{hint}")
        if isinstance(error, Forbidden) and self._using is None:
            hint = f" Or forget the cluster: {forget}." if self.deleting else ""
            lost = "KubeNova's own rights there are gone or were changed. Give a credential"
            return Forbidden(f"{error.message} {lost}: {renew}.{hint}")
        repairing = self._using is not None and not self._bootstrapping and not self.deleting
        if isinstance(error, Refused) and repairing:
            return BaselineDrifted(
                f"{error.message} KubeNova's own credential may not repair its baseline: {renew}."
            )
        return error

    # --- Deletion.

    def _leave(self, lease: Lease) -> Outcome:
        """Remove the baseline as far as the rights go, then the row; what stays is told."""
        if waits := self.find_waits():
            return self.record_waiting(waits, lease)
        if not AppliedObject.objects.filter(work=lease.work).exists():
            return self._left(lease)
        try:
            self.cluster.identify(self._survey().uid)
            self._stop_if_held()
            if self._bootstrapping:
                return reconcile(self, self.connect, lease)
            with self.connect() as api:
                going = self._remove_namespaces(api, lease)
        except ClusterError as error:
            return self.record_failure(error, self.generation, lease)
        return Outcome(_DELETION_LOOK) if going else self._left(lease)

    def _remove_namespaces(self, api: Reachable, lease: Lease) -> bool:
        """Delete our namespaces, the one that holds our own account last; True while any waits."""
        *others, last = OWN_NAMESPACES
        if any([self._remove(api, name, lease) for name in others]):
            return True
        self._remove(api, last, lease)
        return False

    def _remove(self, api: Reachable, name: str, lease: Lease) -> bool:
        """Delete a namespace of ours; False when it is not there."""
        lease.check()
        ref = Ref(NAMESPACE, "", name)
        live = api.get(ref)
        if live is None or live.labels.get(OWNER) != self.owner:
            return False
        if not live.terminating:
            api.delete(ref, live.uid)
        return True

    def _left(self, lease: Lease) -> Outcome:
        applied = AppliedObject.objects.filter(work=lease.work)
        gone = applied.filter(namespace__in=OWN_NAMESPACES) | applied.filter(
            kind=NAMESPACE.name, name__in=OWN_NAMESPACES
        )
        stays = sorted(str(row) for row in applied.exclude(pk__in=gone.values("pk")))
        with marking(lease):
            if stays:
                message = f"On {self.cluster} stay {', '.join(stays)}. To remove them: {_REMOVAL}"
                data = {"stays": stays}
                Event.record(self.cluster, "LeftBehind", message, warning=True, data=data)
            self.forget()
            self.cluster.mark()
        return Outcome()
