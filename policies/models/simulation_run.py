"""A simulation on one cluster: page after page, each in a step of its own."""

from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from clusters.connect import connect
from clusters.models.located import Located
from clusters.reachable import Reachable
from policies.models.simulation import Simulation, SimulationFinding
from policies.models.simulation_page import Page
from policies.rules.replaying import (
    behind,
    holds,
    parameters,
    parameters_at,
    replayed,
    trials,
)
from policies.rules.values import Broken
from reconcile.errors import ClusterError, Refused
from reconcile.lanes import parallel
from reconcile.loop import Outcome
from reconcile.models import Event, Lease, marking
from reconcile.values import JSON, Condition, Phase, Ref, Status
from tenancy.models import ProjectPlacement
from tenancy.rules.modes import Mode
from tenancy.rules.needs import rule_needs

_LOOK = 5.0  # seconds, until others are done
_SOON = 0.2  # seconds; parameters just written take a moment to be seen
_DEFECT = (
    "It ended by a defect of KubeNova, which an operator finds with its traceback in the admin "
    "(Work). Simulate anew."
)
_NEEDED = ("admission.policies", "baseline.5")


class SimulationRun(Located):
    """One at a time on each cluster: they share the namespace in which copies are tried.

    `cursor` is the placement whose namespace is looked through, the kind there, and the page to
    begin with. A page is kept together with the cursor behind it: a worker that dies repeats one.
    """

    simulation = models.ForeignKey(Simulation, on_delete=models.CASCADE, related_name="runs")
    cluster = models.ForeignKey(
        "clusters.Cluster", on_delete=models.CASCADE, related_name="simulation_runs"
    )
    cursor = models.JSONField(default=dict)
    places = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    tried = models.PositiveIntegerField(default=0)
    fault = models.CharField(max_length=1000, blank=True, default="")
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["cluster__name"]
        constraints = [
            models.UniqueConstraint(
                fields=["simulation", "cluster"], name="simulation_once_per_cluster"
            )
        ]

    def __str__(self) -> str:
        return f"{self.simulation} on {self.cluster.name}"

    @property
    def adapter_name(self) -> str:
        """The policies are the native ones, on every cluster."""
        return "native"

    def step(self, lease: Lease) -> Outcome:
        """Try one page of objects, or wait until this may begin."""
        if self.finished_at:
            return Outcome()
        if self._late:
            return self._finish(lease, "It did not come to an end in time.")
        if self.paused or self._earlier().exists():
            return Outcome(_LOOK)
        needed = (*_NEEDED, *(each.capability for each in rule_needs(self.simulation.rules)))
        if unserved := [name for name in needed if not self.cluster.serves(name)]:
            named = ", ".join(unserved)
            return self._finish(lease, f"The cluster lacks {named}: see its capabilities.")
        try:
            with connect(self.cluster) as api:
                return self._advance(api, lease)
        except ClusterError as error:
            self._under_way(error.reason, error.message, lease)
            return Outcome(error.delay(lease.work.failures + 1), error)

    @property
    def _late(self) -> bool:
        ends = self.simulation.created_at + timedelta(seconds=settings.SIMULATION_SECONDS)
        return timezone.now() > ends

    def _earlier(self) -> "models.QuerySet[SimulationRun]":
        """Those whose turn it is first: what somebody waits for goes before every routine."""
        rows = type(self)._default_manager.filter(cluster=self.cluster_id, finished_at=None)
        routine = self.simulation.routine
        first = Q(pk__lt=self.pk, simulation__routine=routine)
        return rows.filter(first | Q(simulation__routine=False) if routine else first)

    def _advance(self, api: Reachable, lease: Lease) -> Outcome:
        kinds, places = replayed(self.simulation.rules), list(self._namespaces())
        if not kinds:
            return self._finish(lease, places=len(places))
        if (place := self._place(places)) is None:
            self._clear(api, lease)
            return self._finish(lease, places=len(places))
        if not (self._parametrised(api, lease) and self._warns(api)):
            return Outcome(_SOON)
        kind = kinds[min(self._at("kind"), len(kinds) - 1)] if self._is_at(place) else kinds[0]
        token = str(self.cursor.get("token", "")) if self._is_at(place) else ""
        page = Page(api, self.cluster.name, self.simulation, place, kind)
        found, tried, token = page.tried(lease, token)
        if not self._warns(api):
            return Outcome(_SOON)
        cursor = behind(place.pk, kinds.index(kind), token, len(kinds))
        done = sum(each.pk < cursor["place"] for each in places)
        self._keep(lease, found, cursor, tried=self.tried + tried, done=done, places=len(places))
        if self.tried >= settings.SIMULATION_OBJECTS:
            self._clear(api, lease)
            return self._finish(lease, f"It ended at {self.tried} objects: simulate for fewer.")
        return Outcome(0.0)

    # --- Where it is.

    def _namespaces(self) -> "models.QuerySet[ProjectPlacement]":
        """Those that are there; what has yet to be made holds nothing."""
        rows = self.simulation.places().filter(cluster=self.cluster_id)
        return rows.exclude(observed_generation=0).order_by("pk")

    def _at(self, name: str) -> int:
        return int(self.cursor.get(name, 0))

    def _place(self, places: Iterable[ProjectPlacement]) -> ProjectPlacement | None:
        """The one that is looked through; what has gone meanwhile is passed over."""
        return next((each for each in places if each.pk >= self._at("place")), None)

    def _is_at(self, place: ProjectPlacement) -> bool:
        return place.pk == self._at("place")

    # --- The parameters that copies are judged by.

    def _parametrised(self, api: Reachable, lease: Lease) -> bool:
        """Whether the rules lie in the namespace; where they do not, they are written."""
        wanted = [
            (ref, body)
            for ref, body in parameters(self.simulation.rules)
            if (live := api.get(ref)) is None or live.body.get("data", {}) != body["data"]
        ]
        for ref, body in wanted:
            lease.check()
            api.apply(ref, body, force=True)
        return not wanted

    def _warns(self, api: Reachable) -> bool:
        """Whether the cluster judges by the rules: what is known to break them is warned of."""

        def told(trial: tuple[Ref, JSON, Broken]) -> bool:
            ref, manifest, expected = trial
            try:
                return holds(expected, api.apply(ref, manifest, dry_run=True).warnings)
            except Refused:
                return False

        return all(parallel(told, trials(self.simulation.rules)))

    def _clear(self, api: Reachable, lease: Lease) -> None:
        """Take the parameters away: without them nothing can be made in the namespace."""
        for mode in (Mode.WARN, Mode.ENFORCE):
            lease.check()
            if live := api.get(parameters_at(mode)):
                api.delete(live.ref, live.uid)

    # --- Writing it down.

    def _keep(
        self, lease: Lease, found: Iterable[SimulationFinding], cursor: JSON, **counts: int
    ) -> None:
        with marking(lease):
            SimulationFinding.objects.bulk_create(found, ignore_conflicts=True)
            self._write(cursor=cursor, **counts)
            message = f"{self.done} of {self.places} namespaces, {self.tried} objects."
            self._under_way("Simulating", message, lease)

    def _finish(self, lease: Lease, fault: str = "", places: int | None = None) -> Outcome:
        """It is over; its place in the dirty set goes."""
        with marking(lease) as marks:
            counts = {} if places is None else {"places": places, "done": places}
            self._write(finished_at=timezone.now(), fault=fault[:1000], **counts)
            synced = Condition("Synced", Status.FALSE if fault else Status.TRUE, "Over", fault)
            ready = Condition("Ready", synced.status, "Over", fault)
            self.record(lease, synced, ready, phase=Phase.ERROR if fault else Phase.DEPLOYED)
            marks.drop(self.work)
            self._tell_the_end()
        return Outcome()

    def record_quarantine(self) -> None:
        """As for any row; it is over, and holds up neither who waits for it nor a later one."""
        super().record_quarantine()
        if self.finished_at is None:
            self._write(finished_at=timezone.now(), fault=_DEFECT)
            self._tell_the_end()

    def _write(self, **columns: object) -> None:
        rows = type(self)._default_manager.filter(pk=self.pk)
        rows.update(updated_at=timezone.now(), **columns)
        for name, value in columns.items():
            setattr(self, name, value)

    def _under_way(self, reason: str, message: str, lease: Lease) -> None:
        synced = Condition("Synced", Status.UNKNOWN, reason, message)
        ready = Condition("Ready", Status.UNKNOWN, reason, message)
        self.record(lease, synced, ready, phase=Phase.APPLYING)

    def _tell_the_end(self) -> None:
        row = self.simulation
        if row.policy_set is None or row.routine or row.runs.filter(finished_at=None).exists():
            return
        found = row.totals()
        told = ", ".join(f"{count} {verdict}" for verdict, count in found.items())
        Event.record(row.policy_set, "SimulationEnded", f"{row} is over: {told}.", data=found)

    def tell_phase(self, event: Event) -> None:
        """Its set tells when all of them are over."""
