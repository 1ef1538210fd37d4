"""Attachments: whom a policy set binds, at which version, and how hard."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import OuterRef, QuerySet, Subquery

from clusters.models import Cluster
from clusters.models.cluster import ALL_LABELS
from policies.models.fitting import clusters_of, places_of, refuse_unfit
from policies.models.policyset import PolicySet, governs
from policies.models.progress import restless
from policies.models.sparing import Sparing
from policies.models.validators import (
    unknown_among,
    validate_clusters,
    validate_projects,
    validate_selector,
    validate_tenants,
)
from policies.models.version import PolicyVersion
from policies.rules.binding import Attached
from reconcile.grammar import validate_name
from reconcile.loop import Outcome
from reconcile.models import Lease
from reconcile.models.rows import read
from reconcile.refusals import Conflicting, Deleting
from reconcile.selectors import Selector
from reconcile.values import Condition, Phase, Status
from tenancy.models import Project, Tenant, TenantPlacement
from tenancy.models.imposed import TENANT_LABELS
from tenancy.rules.modes import Mode

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import ManyRelatedManager

    from policies.models.imposition import Imposition

_LOOK = 5.0
_HARDER = {Mode.AUDIT: Mode.WARN, Mode.WARN: Mode.ENFORCE}


class AttachmentQuerySet(QuerySet["Attachment"]):
    """Reading verbs."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Only for who writes policy sets: each names tenants of others."""
        return self if governs(user) else self.none()

    def standing(self) -> Self:
        """Those that bind, in the order in which they count, with all that resolving needs."""
        rules = PolicyVersion.objects.filter(
            policy_set=OuterRef("policy_set"), number=OuterRef("version")
        )
        rows = self.filter(deletion_requested_at=None, policy_set__deletion_requested_at=None)
        rows = rows.select_related("policy_set").prefetch_related("exceptions")
        rows = rows.annotate(pinned_rules=Subquery(rules.values("rules")[:1]))
        return rows.order_by("policy_set__name", "name")

    def binding(self, tenant: Tenant) -> "list[Attachment]":
        """Those of these that bind a tenant or one of its projects, reading the keys of each."""
        aimed = [row for row in self if row.attached.binds(tenant.name, tenant.labels)]
        attached = [row.attached for row in aimed]
        places = places_of(tenant, attached)
        self._read_clusters(tenant, attached)
        found = [row for row, each in zip(aimed, attached, strict=True) if each.holds_in(places)]
        for row in found:
            read(row.key)
            read(row.policy_set.key)
        return found

    @staticmethod
    def _read_clusters(tenant: Tenant, attached: Sequence[Attached]) -> None:
        """Read the keys of where the tenant is, as far as these ask."""
        if not all(each.everywhere for each in attached):
            read(tenant.clusters_key)
        if any(each.cluster_selector for each in attached):
            read(ALL_LABELS)

    def refuse_unfit(self, pointer: str) -> None:
        """Refuse what these impose where somebody whom they bind could not have it.

        Raises Invalid for what no single cluster can be told, Conflicting for a contradiction,
        naming both sources, and Unserved.
        """
        refuse_unfit([row.attached for row in self], Attachment.everything(), pointer)


class Attachment(Sparing):
    """A policy set for tenants, by name or by their labels, or for projects.

    On every cluster of theirs, or on those named or selected.
    """

    policy_set = models.ForeignKey(PolicySet, on_delete=models.PROTECT, related_name="attachments")
    name = models.CharField(max_length=63, validators=[validate_name])
    mode = models.CharField(
        max_length=7, choices=[(mode, mode) for mode in Mode], default=Mode.AUDIT
    )
    version = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    every_tenant = models.BooleanField(default=False)
    tenants = models.JSONField(default=list, blank=True, validators=[validate_tenants])
    tenant_selector = models.CharField(
        max_length=1000, blank=True, default="", validators=[validate_selector]
    )
    projects = models.JSONField(default=list, blank=True, validators=[validate_projects])
    clusters = models.JSONField(default=list, blank=True, validators=[validate_clusters])
    cluster_selector = models.CharField(
        max_length=1000, blank=True, default="", validators=[validate_selector]
    )

    objects = AttachmentQuerySet.as_manager()

    spec_fields: ClassVar[tuple[str, ...]] = (
        *("name", "mode", "version", "every_tenant", "tenants", "tenant_selector", "projects"),
        *("clusters", "cluster_selector"),
    )
    pinned_rules: Any = None  # annotated by `standing`

    if TYPE_CHECKING:
        impositions: ManyRelatedManager[Imposition, Any]

    class Meta:
        ordering = ["policy_set__name", "name"]
        constraints = [
            models.UniqueConstraint(fields=["policy_set", "name"], name="attachment_once_per_set")
        ]

    def __str__(self) -> str:
        return f"Attachment {self.policy_set.name}/{self.name}"

    @classmethod
    def everything(cls) -> list[Attached]:
        """All that binds anybody."""
        return [row.attached for row in cls.objects.standing()]

    @property
    def attached(self) -> Attached:
        """The part that binding is resolved with."""
        rules = self.pinned_rules
        if rules is None:
            rules = self.policy_set.rules_at(self.version)
        return Attached(
            policyset=self.policy_set.name,
            version=self.version or self.policy_set.version,
            name=self.name,
            mode=Mode(self.mode),
            rules=rules,
            every_tenant=self.every_tenant,
            tenants=frozenset(self.tenants),
            selector=_selector(self.tenant_selector),
            projects=frozenset(self.projects),
            clusters=frozenset(self.clusters),
            cluster_selector=_selector(self.cluster_selector),
            exceptions=tuple(each.exempt for each in self.exceptions.all()) if self.pk else (),
        )

    @property
    def harder(self) -> Mode | None:
        """The mode that it is promoted to: audit, then warn, then enforce."""
        return _HARDER.get(Mode(self.mode))

    def may(self, user: User | AnonymousUser, action: str) -> bool:
        """As with its set."""
        return governs(user)

    def above(self) -> PolicySet:
        """Its set."""
        return self.policy_set

    # --- Declaring it.

    def clean(self) -> None:
        """Refuse versions, tenants, projects and clusters that there are not, and no aim at all."""
        faults: dict[str, list[str]] = {}
        if not (self.every_tenant or self.tenants or self.tenant_selector or self.projects):
            faults["tenants"] = ["Name tenants or projects, give a selector, or every tenant."]
        if self.version and not self.policy_set.versions.filter(number=self.version).exists():
            faults["version"] = ["There is no such version."]
        tenants, projects, clusters = self._named_before()
        known: Iterable[str] = Tenant.objects.values_list("name", flat=True)
        if unknown := unknown_among(self.tenants, chain(tenants, known)):
            faults["tenants"] = [f"There is no tenant {', '.join(unknown)}."]
        pairs = Project.objects.values_list("tenant__name", "name")
        known = (f"{tenant}/{name}" for tenant, name in pairs)
        if unknown := unknown_among(self.projects, chain(projects, known)):
            faults["projects"] = [f"There is no project {', '.join(unknown)}."]
        known = Cluster.objects.values_list("name", flat=True)
        if unknown := unknown_among(self.clusters, chain(clusters, known)):
            faults["clusters"] = [f"There is no cluster {', '.join(unknown)}."]
        if faults:
            raise ValidationError(faults)

    def _named_before(self) -> tuple[list[str], list[str], list[str]]:
        """The tenants, projects and clusters that it names already: they may be gone by now."""
        rows = type(self).objects.filter(pk=self.pk).order_by()
        return rows.values_list("tenants", "projects", "clusters").first() or ([], [], [])

    def on_declared(self, *, by: str, created: bool) -> None:
        """Refuse what somebody whom it binds could not have.

        Raises Invalid, Conflicting, Unserved, Deleting.
        """
        if (
            type(self.policy_set)
            .objects.exclude(deletion_requested_at=None)
            .filter(pk=self.policy_set_id)
        ):
            raise Deleting(f"{self.policy_set} is being deleted.")
        type(self).objects.standing().filter(pk=self.pk).refuse_unfit("/mode")
        self.policy_set.mark_to_sum_up()

    def promote(self, by: str, mode: Mode | None = None) -> bool:
        """Let it hold harder: in the next mode, or in the one that is given. Raises Conflicting."""
        wanted = mode or self.harder
        if wanted is None:
            raise Conflicting(f"{self} is enforced already.")
        self.mode = wanted
        return self.declare(by)

    # --- Binding: it is placed on no cluster, each tenant that it binds has a row of its own.

    def placements_of(self) -> "QuerySet[Any]":
        """None of its own."""
        return self.exceptions.none()

    def targets(self) -> Iterable[int]:
        """No cluster; whom it binds depends on labels of tenants, and of clusters if it asks."""
        read(TENANT_LABELS)
        if self.cluster_selector:
            read(ALL_LABELS)
        return ()

    def place(self, *, declared: bool) -> None:
        """Have every tenant that it binds, and is not bound by it yet, look at what binds it."""
        attached = type(self).objects.standing().filter(pk=self.pk).first()
        if attached is None:
            return
        bound, seen = self.impositions.order_by().values("tenant"), attached.attached
        rows = Tenant.objects.exclude(pk__in=bound).only("uid", "name", "labels")
        if not seen.everywhere:
            placed = TenantPlacement.objects.filter(cluster__in=clusters_of(seen)).order_by()
            rows = rows.filter(pk__in=placed.values("tenant"))
        self.impositions.model.enrol_all([row for row in rows if seen.binds(row.name, row.labels)])

    def sum_up(self, lease: Lease | None, rows: Sequence[Any] | None = None) -> None:
        """Settled once every tenant that it binds is as its rules want it on every cluster."""
        bound = Tenant.objects.filter(imposition__attachments=self).order_by()
        faulty = bound.filter(imposition__phase=Phase.ERROR).values_list("name", flat=True)
        if names := sorted(faulty):
            message = f"It contradicts what else binds {', '.join(names[:5])}."
            synced = Condition("Synced", Status.FALSE, "Contradiction", message)
            ready, phase = Condition("Ready", Status.UNKNOWN, "Contradiction"), Phase.ERROR
        elif restless(bound):
            message = "Not all tenants that it binds have followed yet."
            synced = Condition("Synced", Status.UNKNOWN, "Settling", message)
            ready, phase = Condition("Ready", Status.UNKNOWN, "Settling", message), Phase.APPLYING
        else:
            synced = Condition("Synced", Status.TRUE, "Resolved")
            ready, phase = Condition("Ready", Status.TRUE, "Settled"), Phase.DEPLOYED
        if self.record(lease, synced, ready, observed=self.generation, phase=phase):
            self.policy_set.mark_to_sum_up()

    def step(self, lease: Lease) -> Outcome:
        """As for any row; placements do not tell it when they have followed."""
        outcome = super().step(lease)
        if outcome.look_in is None:
            return outcome
        return replace(outcome, look_in=min(outcome.look_in, _LOOK))

    def _finish_deletion(self, lease: Lease) -> Outcome:
        if self.impositions.exists():
            message = "Waiting for the tenants that it binds to look."
            synced = Condition("Synced", Status.UNKNOWN, "Deleting", message)
            self.record(lease, synced, Condition("Ready", Status.FALSE, "Deleting", message))
            return Outcome(_LOOK)
        return super()._finish_deletion(lease)


def _selector(text: str) -> Selector | None:
    return Selector.parse(text) if text else None
