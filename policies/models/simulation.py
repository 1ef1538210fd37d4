"""Simulations: what a version of a policy set would refuse of what runs now."""

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from django.apps import apps
from django.contrib.auth.models import AnonymousUser, User
from django.db import models, transaction
from django.db.models import Count, QuerySet
from django.utils import timezone

from clusters.models import Cluster
from policies.models.fitting import clusters_of
from policies.models.policyset import PolicySet, governs
from policies.models.predicting import predictions, within
from policies.rules.binding import Attached
from reconcile.correlation import correlation_id
from reconcile.models import Event, Work
from reconcile.models.pruning import drop
from reconcile.refusals import Fault, Invalid
from reconcile.values import JSON
from tenancy.models import ProjectPlacement, Tenant, TenantPlacement

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

    from policies.models.simulation_run import SimulationRun

_MOST_TENANTS = 1000


class Verdict(models.TextChoices):
    """How sure a finding is.

    denied: the cluster's own policy says so. predicted: computed from what is declared. unjudged:
    the cluster did not take the copy for another reason, so nobody knows.
    """

    DENIED = "denied"
    PREDICTED = "predicted"
    UNJUDGED = "unjudged"


class Source(models.TextChoices):
    """What was tried: what runs, or what the newest revision of an app would bring there."""

    LIVE = "live"
    NEXT_REVISION = "next_revision"


class SimulationQuerySet(QuerySet["Simulation"]):
    """Reading verbs."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Only for who writes policy sets: each names objects of others."""
        return self if governs(user) else self.none()

    def asked(self) -> Self:
        """Those that somebody has asked for; the others look for findings."""
        return self.filter(routine=False)

    def prune(self, days: int, batch: int = 200) -> int:
        """Delete up to `batch` that began more than `days` ago; return how many rows went."""
        old = self.filter(created_at__lt=timezone.now() - timedelta(days=days))
        keys = list(old.order_by("pk").values_list("pk", flat=True)[:batch])
        with transaction.atomic():
            run = apps.get_model("policies.simulationrun")
            runs = run._default_manager.filter(simulation__in=keys).values("pk")
            Work.objects.filter(kind=run._meta.label_lower, object_id__in=runs).delete()
            return drop(self.filter(pk__in=keys), batch)


class Simulation(models.Model):
    """One version, tried on what some tenants run; never changed once it is asked for.

    `scope` maps tenants to their projects, or to null for all of them. `spared` holds the triples
    of tenant, project (empty: all) and kind of rules that an exception spares. A `routine` one
    looks for what an attachment that only warns or audits has let pass.
    """

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    policy_set = models.ForeignKey(
        PolicySet, null=True, on_delete=models.SET_NULL, related_name="simulations"
    )
    number = models.PositiveIntegerField()
    attachment = models.CharField(max_length=63, blank=True, default="")
    rules = models.JSONField()
    scope = models.JSONField()
    spared = models.JSONField(default=list)
    asked_by = models.CharField(max_length=150)
    correlation_id = models.CharField(max_length=64, blank=True, default="")
    routine = models.BooleanField(default=False)
    harvested_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = SimulationQuerySet.as_manager()

    if TYPE_CHECKING:
        runs: RelatedManager[SimulationRun]
        findings: RelatedManager["SimulationFinding"]

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"Simulation of version {self.number} of {self.policy_set}"

    # --- Asking for it.

    @classmethod
    def begin(
        cls,
        policy_set: PolicySet,
        attached: Attached,
        by: str,
        *,
        since: datetime | None = None,
    ) -> "Simulation":
        """Have a version tried on whom it would bind, and where. Raises Invalid for nobody.

        With `since` it is a routine: in silence, and of rollouts only those count that came later.
        """
        held = None if attached.everywhere else clusters_of(attached)
        scope = dict(_scope(attached, held))
        if not scope:
            fault = Fault("nobody", "No tenant with projects is meant by this.", "/tenants")
            raise Invalid("There is nobody to simulate this for.", errors=[fault])
        if since is None and len(scope) > _MOST_TENANTS:
            text = f"This means {len(scope)} tenants; at most {_MOST_TENANTS} at once."
            raise Invalid(text, errors=[Fault("too_many", text, "/tenants")])
        now = timezone.now()
        spared = [[e.tenant, e.project, e.kind] for e in attached.exceptions if now < e.until]
        with transaction.atomic():
            row = cls._default_manager.create(
                **{"policy_set": policy_set, "number": attached.version, "asked_by": by},
                **{"attachment": attached.name, "rules": dict(attached.rules)},
                **{"scope": scope, "spared": spared, "correlation_id": correlation_id()},
                routine=since is not None,
            )
            row._predict(since)
            row._start(held)
            if row.routine:
                return row
            message = f"{by} simulates version {row.number} for {len(scope)} tenants."
            Event.record(policy_set, "SimulationStarted", message, actor=by)
        return row

    def _predict(self, since: datetime | None) -> None:
        """Find what no dry run tells."""
        found = [
            SimulationFinding(simulation=self, verdict=Verdict.PREDICTED, **each._asdict())
            for each in predictions(self.rules, self.scope, since)
            if not self.spares(each.tenant, each.project, each.rule)
        ]
        SimulationFinding.objects.bulk_create(found)

    def _start(self, held: list[int] | None) -> None:
        placed = self.places().order_by().values("cluster")
        rows = Cluster.objects.filter(pk__in=placed)
        if held is not None:
            rows = rows.filter(pk__in=held)
        for cluster in rows.order_by("name"):
            self.runs.create(cluster=cluster).enrol()

    # --- What it is about.

    def places(self) -> "QuerySet[ProjectPlacement]":
        """The namespaces of the tenants, on every cluster."""
        wanted = within(self.scope, "project")
        rows = ProjectPlacement.objects.filter(wanted, deletion_requested_at=None)
        return rows.select_related("project__tenant")

    def spares(self, tenant: str, project: str, rule: str) -> bool:
        """Whether an exception spares it this rule."""
        return any([tenant, of, rule] in self.spared for of in {"", project})

    # --- How it goes.

    @property
    def state(self) -> str:
        """`running`, `done`, or `failed` where a cluster could not be asked to the end."""
        runs = self.runs.all()
        if any(run.finished_at is None for run in runs):
            return "running"
        return "failed" if any(run.fault for run in runs) else "done"

    @property
    def objects_tried(self) -> int:
        """How many objects were tried, on all clusters."""
        return sum(run.tried for run in self.runs.all())

    @property
    def steps_done(self) -> int:
        """How many namespaces were looked through."""
        return sum(run.done for run in self.runs.all())

    @property
    def steps(self) -> int:
        """How many namespaces there are."""
        return sum(run.places for run in self.runs.all())

    def counted(self, *names: str) -> list[JSON]:
        """Return how many findings there are for each value of the columns, the most first."""
        rows = self.findings.order_by().values(*names).annotate(count=Count("pk"))
        return list(rows.order_by("-count", *names)[:_MOST_TENANTS])

    def totals(self) -> dict[str, int]:
        """Return how many findings there are by their verdict."""
        found = {each["verdict"]: each["count"] for each in self.counted("verdict")}
        return {verdict.value: found.get(verdict.value, 0) for verdict in Verdict}


class SimulationFinding(models.Model):
    """An object that breaks a rule of the version, or one that could not be judged.

    `app` and `revision` are those of what was rendered and does not run yet.
    """

    simulation = models.ForeignKey(Simulation, on_delete=models.CASCADE, related_name="findings")
    cluster = models.CharField(max_length=63, blank=True, default="")
    tenant = models.CharField(max_length=63)
    project = models.CharField(max_length=63, blank=True, default="")
    namespace = models.CharField(max_length=63, blank=True, default="")
    kind = models.CharField(max_length=63)
    name = models.CharField(max_length=253)
    rule = models.CharField(max_length=63, blank=True, default="")
    verdict = models.CharField(max_length=9, choices=Verdict.choices)
    source = models.CharField(max_length=13, choices=Source.choices, default=Source.LIVE)
    app = models.CharField(max_length=63, blank=True, default="")
    revision = models.PositiveIntegerField(null=True, blank=True)
    message = models.CharField(max_length=1000)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=[
                    *("simulation", "cluster", "namespace", "kind", "name", "rule"),
                    *("source", "app"),
                ],
                name="simulation_finding_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name} breaks {self.rule or 'something else'}"


def _scope(attached: Attached, held: list[int] | None) -> Iterator[tuple[str, list[str] | None]]:
    tenants = Tenant.objects.filter(deletion_requested_at=None).only("name", "labels")
    if held is not None:
        placed = TenantPlacement.objects.filter(cluster__in=held).order_by()
        tenants = tenants.filter(pk__in=placed.values("tenant"))
    for tenant in tenants.order_by("name"):
        if attached.via(tenant.name, tenant.labels):
            yield tenant.name, None
        elif named := attached.named(tenant.name):
            yield tenant.name, sorted(named)


def newest_of(policy_set: PolicySet, version: int) -> Simulation | None:
    """Return the last simulation of a version, for who is about to promote it."""
    rows = Simulation.objects.asked().filter(policy_set=policy_set, number=version)
    return rows.prefetch_related("runs").first()
