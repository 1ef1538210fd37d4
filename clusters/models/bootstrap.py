"""An operator's bundle on its way onto a cluster: one row per cluster and step of the runbook."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from django.db import models, transaction
from django.db.models.functions import Now
from django.utils import timezone

from clusters.bundles import Bundle, Item, Wave, read
from clusters.connect import connect
from clusters.credentials import Given, dump, load
from clusters.epoch import identity
from clusters.installing import (
    Placed,
    carry_out,
    chunks,
    homes,
    make_homes,
    missing_kinds,
    place,
    unready,
    unserved,
)
from clusters.kubeconfig import Credential
from clusters.models.cluster import Cluster
from clusters.models.located import Located
from clusters.preflight import Stage
from clusters.reachable import Reachable
from reconcile.errors import ClusterError, Held, Refused, Unauthenticated, Unreachable, Waiting
from reconcile.lanes import parallel
from reconcile.loop import Outcome
from reconcile.models import Event, Lease, marking
from reconcile.values import Condition, Live, Phase, Status, digest
from vault.errors import VaultError
from vault.fields import SealedTextField

if TYPE_CHECKING:
    from clusters.models.credentialed import SealedColumn

KEPT = timedelta(hours=1)  # so long an operator's credential is kept at most
_LOOK = 2.0
_PATIENCE = 5
_NAMESPACES = {Stage.DELIVERY: "vela-system"}
STEPS = (Stage.TENANCY, Stage.PROXY, Stage.DELIVERY)
# No steps of the runbook: what other parts send, in bundles that they make themselves.
DEFINITIONS = "definitions"  # KubeVela's types
RULES = "rules"  # admission policies of operators
CARRIED = (DEFINITIONS, RULES)


def usual_namespace(step: str) -> str:
    """Where objects of a step go that name no namespace, unless somebody says otherwise."""
    return _NAMESPACES.get(Stage(step), "capsule-system")


# What has to be noted once a step is done, in its transaction: the run, and what it left there.
AFTERWARDS: dict[str, Callable[["BootstrapRun", Sequence[Live]], None]] = {}


class Waits(Exception):
    """Nothing more can be done now; `message` says what has to happen first."""

    def __init__(self, told: Sequence[str]) -> None:
        self.message = " ".join(told[:5])
        super().__init__(self.message)


class BootstrapRun(Located):
    """A bundle that is applied once, wave by wave; afterwards its objects are the operator's.

    `applied` maps the key of each object that is there to the hash of what was sent. Bundle and
    credential are sealed, and dropped as soon as they are not needed any more.
    """

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="bootstrap_runs")
    step_name = models.CharField(
        max_length=30, choices=[(each, each) for each in (*STEPS, *CARRIED)]
    )
    generation = models.PositiveIntegerField(default=0, editable=False)
    namespace = models.CharField(max_length=63, blank=True, default="")
    force = models.BooleanField(default=False)
    bundle: "SealedColumn" = SealedTextField()
    bundle_digest = models.CharField(max_length=32, editable=False)
    credential: "SealedColumn" = SealedTextField()
    credential_until = models.DateTimeField(null=True, blank=True, editable=False)
    asked_by = models.CharField(max_length=150, blank=True, default="", editable=False)
    total = models.PositiveIntegerField(default=0, editable=False)
    applied = models.JSONField(default=dict, blank=True, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["cluster__name", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["cluster", "step_name"], name="bootstrap_once_per_step"
            ),
        ]

    def __str__(self) -> str:
        return f"Bootstrap of {self.cluster.name}: {self.step_name}"

    @property
    def adapter_name(self) -> str:
        """There is none: what is applied is the operator's, as it is."""
        return "bundle"

    @classmethod
    def ask(
        cls,
        cluster: Cluster,
        step: str,
        raw: bytes,
        *,
        credential: Credential,
        by: str,
        namespace: str = "",
        force: bool = False,
    ) -> Self:
        """Have a bundle applied; the same once more goes on where it stopped.

        Raises Malformed for what is no bundle.
        """
        bundle, text = read(raw, own=step in CARRIED), raw.decode()
        with marking():
            Cluster.locked().get(pk=cluster.pk)
            run = cls.objects.filter(cluster=cluster, step_name=step).first()
            run = run or cls(cluster=cluster, step_name=step)
            run._take(digest([text, namespace, force]))
            run.bundle, run.credential = text, dump(credential)
            run.namespace, run.force = namespace or usual_namespace(step), force
            run.credential_until, run.asked_by = timezone.now() + KEPT, by
            run.total, run.finished_at = len(bundle.items), None
            run.generation += 1
            run.save()
            message = f"{by} asked to apply {run.total} objects of {step} to {cluster}."
            Event.record(run, "BootstrapRequested", message, actor=by)
            run.enrol()
        return run

    def _take(self, found: str) -> None:
        """Begin anew with another bundle, or with one that was done before."""
        if found != self.bundle_digest or self.finished_at:
            self.applied, self.phase, self.conditions = {}, Phase.PENDING, []
        self.bundle_digest = found

    # --- The loop.

    def step(self, lease: Lease) -> Outcome:
        """Take it as far as it goes now. Level-triggered: what is there already is passed by."""
        if self.cluster.paused or self.bundle is None:
            return Outcome()
        try:
            with connect(self.cluster, self._opened()) as api:
                self._know(api)
                own = self.step_name in CARRIED
                bundle = read(self.bundle.reveal().encode(), own=own)
                self._advance(api, bundle, lease)
                seen = list(self._left(api, bundle)) if own else []
        except Waits as waits:
            return self._waiting(waits.message, lease)
        except ClusterError as error:
            return self._failed(error, lease)
        return self._done(lease, seen)

    def _opened(self) -> Credential:
        """Return the operator's credential. Raises Unauthenticated once it was dropped."""
        if self.credential_until and self.credential_until < timezone.now():
            self._drop("credential")
        if self.credential is None:
            raise Unauthenticated(
                "The credential was dropped after an hour. Send the bundle again with one."
            )
        try:
            return load(self.credential.reveal())
        except VaultError as error:
            raise Unauthenticated(f"The stored credential cannot be opened: {error}") from None

    def _know(self, api: Reachable) -> None:
        """Write to no other cluster than the registered one. Raises Held, Waits, Refused."""
        if self.cluster.stopped:
            raise Held(self.cluster.stopped)
        if not self.cluster.kube_system_uid:
            raise Waits(["The cluster was not looked at yet."])
        if identity(api) != self.cluster.kube_system_uid:
            raise Refused(f"The credential is one of another cluster than {self.cluster.name}.")

    def _advance(self, api: Reachable, bundle: Bundle, lease: Lease) -> None:
        kinds = api.kinds()
        make_homes(api, homes(bundle, kinds, self.namespace))
        for wave in Wave:
            if lacking := unserved(bundle, kinds, wave):
                raise lacking
            items = bundle.wave(wave)
            if coming := missing_kinds(items, kinds):
                raise Waits([f"{kind} is not served yet." for kind in coming])
            open_items = [item for item in items if self.applied.get(item.key) != item.hash]
            placed = [found for item in open_items if (found := place(item, kinds, self.namespace))]
            for chunk in chunks(placed):
                self._apply(api, chunk, lease)
            if wave is Wave.DEFINITIONS and placed:
                kinds = api.kinds()
            if told := unready(api, bundle, wave, kinds, self.namespace):
                raise Waits(told)

    def _apply(self, api: Reachable, chunk: Sequence[Placed], lease: Lease) -> None:
        """Apply a few at once and note what is there; raises the first error after that."""
        lease.check()

        def tried(placed: Placed) -> Item | ClusterError:
            try:
                carry_out(api, placed, force=self.force)
                return placed.item
            except ClusterError as error:
                return error

        results = parallel(tried, chunk)
        there = {each.key: each.hash for each in results if isinstance(each, Item)}
        self.applied = {**self.applied, **there}
        rows = type(self).objects.filter(lease.holds(), pk=self.pk, generation=self.generation)
        rows.update(applied=self.applied)
        for error in results:
            if isinstance(error, ClusterError):
                raise error

    def _left(self, api: Reachable, bundle: Bundle) -> Iterator[Live]:
        """What is there now of what was applied, for who wants to know it again later."""
        kinds = api.kinds()
        placed = (place(item, kinds, self.namespace) for item in bundle.items if not item.absent)
        yield from (live for each in placed if each and (live := api.get(each.ref)))

    # --- How it fares.

    def _progress(self, told: str) -> str:
        return f"{len(self.applied)} of {self.total} objects are applied. {told}".strip()

    def _waiting(self, told: str, lease: Lease) -> Outcome:
        message = self._progress(f"Waiting: {told}")
        self._under_way("Waiting", message, lease)
        return Outcome(_LOOK)

    def _under_way(self, reason: str, message: str, lease: Lease) -> None:
        synced = Condition("Synced", Status.UNKNOWN, reason, message)
        ready = Condition("Ready", Status.FALSE, "Progressing", message)
        self.record(lease, synced, ready, phase=Phase.APPLYING)

    def _failed(self, error: ClusterError, lease: Lease) -> Outcome:
        failures = lease.work.failures + 1
        outcome = Outcome(error.delay(failures), error)
        message = self._progress(error.message)
        patient = isinstance(error, Unreachable) and failures < _PATIENCE
        if patient or isinstance(error, Waiting):
            self._under_way(error.reason, message, lease)
            return outcome
        synced = Condition("Synced", Status.FALSE, error.reason, message)
        self.record(lease, synced, Condition("Ready", Status.UNKNOWN, error.reason, ""))
        return Outcome(None, error) if self.credential is None else outcome

    def _done(self, lease: Lease, seen: Sequence[Live]) -> Outcome:
        message = (
            f"All {self.total} objects were applied. They are the operator's from now on: KubeNova "
            "neither repairs nor removes them."
        )
        synced = Condition("Synced", Status.TRUE, "Applied", message)
        ready = Condition("Ready", Status.TRUE, "Installed", message)
        with marking(lease):
            if not type(self).locked().filter(pk=self.pk, generation=self.generation).exists():
                return Outcome(0)
            self._drop("credential", "bundle")
            type(self).objects.filter(pk=self.pk).update(finished_at=Now())
            self.record(lease, synced, ready, observed=self.generation)
            Event.record(self, "Bootstrapped", f"{self}: {message}")
            if afterwards := AFTERWARDS.get(self.step_name):
                afterwards(self, seen)
            self.cluster.baseline.mark()  # what it can do now
        return Outcome()

    def _drop(self, *names: str) -> None:
        """Forget what is sealed, unless somebody has sent it anew meanwhile."""
        with transaction.atomic():
            if type(self).locked().filter(pk=self.pk, generation=self.generation).exists():
                for name in names:
                    setattr(self, name, None)
                self.save(update_fields=names)


def credential_for(cluster: Cluster, given: Given | None) -> Credential | None:
    """Return what the operator gave now, else what is still at hand from the registration."""
    if given is not None:
        return given.credential
    try:
        return cluster.bootstrap_credential
    except VaultError:
        return None
