"""A tenant: one object, true on every cluster that it is placed on."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from django.contrib.auth.models import AnonymousUser, User
from django.db import models
from django.db.models import QuerySet

from reconcile.grammar import validate_name
from reconcile.loop import Adapter
from reconcile.models import marking, touch
from reconcile.models.convergent import Wait
from reconcile.models.rows import read
from reconcile.values import RepairMode
from tenancy.adapters import TENANTS
from tenancy.intents import TenantIntent
from tenancy.models.adapted import Adapted, refuse_half_installed
from tenancy.models.bounded import Bounded
from tenancy.models.imposed import Imposed, be_imposed
from tenancy.models.led import Led
from tenancy.models.namespaces import refuse_moving_in, refuse_tenant
from tenancy.models.openings import refuse_openings
from tenancy.models.placed import Placed
from tenancy.models.serving import refuse, refuse_unsafe, unmet_on, unsafe
from tenancy.rules.freezing import without
from tenancy.rules.needs import Need, needs


class TenantQuerySet(QuerySet["Tenant"]):
    """Reading verbs."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Operators see every tenant, members theirs, strangers none."""
        if not user.is_active:
            return self.none()
        if user.is_staff:
            return self
        return self.filter(members=user)


class Tenant(Led, Placed, Bounded, Imposed):
    """Who shares clusters with others: its people, places, quota and restrictions."""

    name = models.CharField(max_length=40, unique=True, validators=[validate_name])
    description = models.CharField(max_length=300, blank=True, default="")
    repair_mode = models.CharField(
        max_length=6, choices=[(mode, mode) for mode in RepairMode], default=RepairMode.AUTO
    )

    objects = TenantQuerySet.as_manager()

    spec_fields: ClassVar[tuple[str, ...]] = (
        "name",
        "description",
        "labels",
        "annotations",
        "owner_subjects",
        "role_bindings",
        "quota",
        "quota_floors",
        "quota_division",
        "limits",
        "isolation",
        "network",
        "restrictions",
        "placement",
        "repair_mode",
        "cordoned",
        "deletion_protection",
    )
    own_fields: ClassVar[frozenset[str]] = frozenset(
        {"description", "labels", "annotations", "isolation", "network", "repair_mode"}
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"Tenant {self.name}"

    @property
    def tenant_name(self) -> str:
        """Itself."""
        return self.name

    @property
    def projects_key(self) -> str:
        """The key that coming and going projects touch."""
        return f"{self.key}/projects"

    def on_declared(self, *, by: str, created: bool) -> None:
        """Refuse what a chosen cluster cannot serve, and carry the change to the projects.

        Raises Unserved, and OverQuota where more is promised than there is.
        """
        be_imposed(self, created=created)
        refuse_tenant(self, created=created)
        refuse_openings(self)
        self.keep_promises()
        self._refuse_unserved()
        fresh = self.placements.filter(observed_generation=0, deletion_requested_at=None)
        clusters = [row.cluster for row in fresh.select_related("cluster")]
        refuse_half_installed(clusters)
        refuse_moving_in(self, clusters)
        refuse_unsafe(self)
        for project in self.projects.filter(deletion_requested_at=None):
            project.place(declared=True)

    def on_joined(self) -> None:
        """Nothing comes to a cluster before what binds it there."""
        be_imposed(self, created=False, refusing=False)

    def _refuse_unserved(self) -> None:
        """Ask of each cluster what it would have to do, by what is imposed there."""
        chosen = self.chosen()
        unmet = unmet_on(chosen, [Need("tenancy.native"), *needs(self, self.imposed)])
        common = {*needs(self, self.imposed)}
        for cluster in (each for each in chosen if each.name in self.imposed_on):
            more = {*needs(self, self.imposed_at(cluster.name))} - common
            unmet += unmet_on([cluster], sorted(more))
        refuse(unmet)


class TenantPlacement(Adapted):
    """A tenant on a cluster."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="placements")

    parent_field: ClassVar[str] = "tenant"
    adapters: ClassVar[Mapping[str, Adapter[Any]]] = TENANTS

    class Meta:
        ordering = ["cluster__name"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "cluster"], name="tenant_once_per_cluster")
        ]

    def waits_for(self) -> Sequence[Wait]:
        """As for any row; a new one also for what an operator has to accept first."""
        return super().waits_for() or unsafe(self)

    @property
    def repair_mode(self) -> RepairMode:
        """The tenant's."""
        read(self.tenant.key)
        return RepairMode(self.tenant.repair_mode)

    def intent(self) -> TenantIntent:
        """The tenant as the cluster shall know it."""
        tenant = self.tenant
        return TenantIntent(
            name=tenant.name,
            labels=tenant.labels,
            annotations=tenant.annotations,
            quota=tenant.part_on(self.cluster_pk),
            limits=tenant.limits,
            isolation=tenant.isolation,
            network=tuple(tenant.network),
            restrictions=without(tenant.everywhere(self.cluster_name)),
            owners=tenant.owner_names(),
            owner_subjects=tuple(tenant.owner_subjects),
            role_bindings=tuple(tenant.role_bindings),
            cordoned=tenant.cordoned,
            protected=tenant.deletion_protection,
            features=self.features(),
        )

    def forget(self) -> None:
        """As for any row; what bound its tenant there alone binds it no more."""
        with marking():
            super().forget()
            touch(self.tenant.clusters_key)
