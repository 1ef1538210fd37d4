"""A project: a namespace of its tenant on each of the tenant's clusters."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar, Self

from django.contrib.auth.models import AnonymousUser, User
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q, QuerySet

from clusters.models.projected import STANDING
from reconcile.grammar import validate_annotations, validate_labels, validate_name
from reconcile.loop import Adapter, Outcome
from reconcile.models import Lease, marking, touch
from reconcile.models.convergent import Wait
from reconcile.models.declared import Declared
from reconcile.models.rows import read
from reconcile.plan import Task
from reconcile.refusals import Deleting
from reconcile.values import Live, Ref, RepairMode
from tenancy.adapters import NATIVE, PROJECTS
from tenancy.intents import Division, ProjectIntent, Role
from tenancy.models.adoption import Adoptable
from tenancy.models.imposed import Ruled
from tenancy.models.led import allows
from tenancy.models.ledger import QuotaEntry
from tenancy.models.membership import Membership, ProjectMembership
from tenancy.models.namespaces import refuse_project
from tenancy.models.openings import refuse_openings
from tenancy.models.peopled import Peopled
from tenancy.models.tenant import Tenant, TenantPlacement
from tenancy.models.validators import validate_network, validate_quota
from tenancy.rules.names import namespace_of, subject_of
from tenancy.rules.usage import Usage, is_counting, usages

_COUNTING_LOOK = 10.0


class ProjectQuerySet(QuerySet["Project"]):
    """Reading verbs."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Operators see every project, members theirs and those of their tenants, others none."""
        if not user.is_active:
            return self.none()
        if user.is_staff:
            return self
        of_tenants = Membership.objects.filter(user__pk=user.pk).values("tenant")
        return self.filter(Q(tenant__in=of_tenants) | Q(pk__in=_joined(user)))

    def joined_by(self, user: User | AnonymousUser) -> Self:
        """Those that an active user is a member of, whatever the role in the tenant."""
        return self.filter(pk__in=_joined(user)) if user.is_active else self.none()

    def with_inside(self) -> "list[QuerySet[Any]]":
        """These and the rows that live inside of them, each kind by itself.

        Kinds are found by their foreign keys, so that no layer has to know the ones above it.
        """
        found: list[QuerySet[Any]] = [self]
        for relation in self.model._meta.related_objects:
            model = relation.related_model
            if isinstance(model, type) and issubclass(model, Declared):
                name = f"{relation.field.name}__in"
                found.append(model._default_manager.filter(**{name: self.order_by()}))
        return found


def _joined(user: User | AnonymousUser) -> "QuerySet[Any, Any]":
    return ProjectMembership.objects.filter(user__pk=user.pk or 0).values("project")


class Project(Ruled, Peopled):
    """What a team works on inside of a tenant. Names are unique in their tenant."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="projects")
    name = models.CharField(max_length=40, validators=[validate_name])
    description = models.CharField(max_length=300, blank=True, default="")
    labels = models.JSONField(default=dict, blank=True, validators=[validate_labels])
    annotations = models.JSONField(default=dict, blank=True, validators=[validate_annotations])
    quota = models.JSONField(default=dict, blank=True, validators=[validate_quota])
    weight = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(1000)]
    )
    network = models.JSONField(default=list, blank=True, validators=[validate_network])

    objects = ProjectQuerySet.as_manager()

    spec_fields: ClassVar[tuple[str, ...]] = (
        *("name", "description", "labels", "annotations", "quota", "weight", "network"),
    )
    own_fields: ClassVar[frozenset[str]] = frozenset(
        {"description", "labels", "annotations", "network"}
    )

    class Meta:
        ordering = ["tenant__name", "name"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="project_once_per_tenant")
        ]

    def __str__(self) -> str:
        return f"Project {self.tenant.name}/{self.name}"

    @property
    def tenant_name(self) -> str:
        """Its tenant."""
        return self.tenant.name

    @property
    def namespace(self) -> str:
        """Its namespace, the same on every cluster."""
        return namespace_of(self.tenant.name, self.name)

    @property
    def bounded(self) -> bool:
        """Whether it has its part of a quota."""
        return bool(self.quota or self.tenant.quota)

    def above(self) -> Tenant:
        """Its tenant."""
        return self.tenant

    def targets(self) -> Iterable[int]:
        """Every cluster that its tenant is placed on."""
        read(self.tenant.key)
        rows = self.tenant.placements.filter(unselected=False, deletion_requested_at=None)
        return list(rows.values_list("cluster_id", flat=True))

    def take_turn(self) -> None:
        """Its tenant's; of one that is gone there is nothing left to wait for."""
        with suppress(Tenant.DoesNotExist):
            self.tenant.take_turn()

    def on_declared(self, *, by: str, created: bool) -> None:
        """It takes its part of the quota from its siblings. Raises OverQuota, Deleting."""
        self.tenant.hold_ledger()
        if self.tenant.deleting:
            raise Deleting(f"{self.tenant} is being deleted and takes no projects.")
        touch(self.tenant.projects_key)
        refuse_project(self, created=created)
        refuse_openings(self.tenant, self)
        self.tenant.keep_promises(self.name)
        self.tenant.balance()

    def forget(self) -> None:
        """Its part of the quota goes back to its siblings."""
        with marking():
            super().forget()
            touch(self.tenant.projects_key)
            if self.bounded:
                self.tenant.mark_to_sum_up()

    def may(self, user: User | AnonymousUser, action: str) -> bool:
        """As in its tenant, where who may add projects may delete them, or by a role of its own.

        Its own tenant-admins change `own_fields` and its members; they do not delete it.
        """
        wanted = "add_project" if action in {"change", "delete"} else action
        if self.tenant.may(user, wanted):
            return True
        return user.is_active and allows(self.role_of(user), action)

    def roles_of(self, user: User | AnonymousUser) -> frozenset[Role]:
        """Its own and its tenant's: none takes from what the other gives."""
        return super().roles_of(user) | self.tenant.roles_of(user)

    def people(self) -> dict[str, tuple[str, ...]]:
        """The names by which clusters know who has a role here, by the role."""
        found: dict[str, set[str]] = {}
        for members in (self.tenant.members_by_role(), self.members_by_role()):
            for role, names in members.items():
                found.setdefault(role, set()).update(subject_of(name) for name in names)
        return {role: tuple(sorted(names)) for role, names in found.items()}

    def usage(self) -> dict[str, list[Usage]]:
        """What is used of what is granted, by the name of the cluster that counted it."""
        granted = {(row.cluster_id, row.resource): row.granted for row in self.quota_entries.all()}
        counted = {
            row.cluster_name: [
                replace(each, hard=granted.get((row.cluster_id, each.resource), each.hard))
                for each in usages(row.facts)
            ]
            for row in self.placements.all()
        }
        return {name: found for name, found in sorted(counted.items()) if found}


class ProjectPlacement(Adoptable):
    """A project on a cluster."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="placements")

    parent_field: ClassVar[str] = "project"
    counting = False  # in the step under way: whether the cluster still counts by an earlier quota
    adapters: ClassVar[Mapping[str, Adapter[Any]]] = PROJECTS

    class Meta:
        ordering = ["cluster__name"]
        constraints = [
            models.UniqueConstraint(fields=["project", "cluster"], name="project_once_per_cluster")
        ]

    @property
    def repair_mode(self) -> RepairMode:
        """Its tenant's."""
        read(self.project.tenant.key)
        return RepairMode(self.project.tenant.repair_mode)

    @property
    def namespace(self) -> str:
        """Its namespace on this cluster."""
        return self.adopted or self.project.namespace

    def intent(self) -> ProjectIntent:
        """The namespace with all that its tenant's rules ask for."""
        project, tenant = self.project, self.project.tenant
        read(tenant.key)
        return ProjectIntent(
            tenant=tenant.name,
            name=project.name,
            namespace=self.namespace,
            labels={**tenant.labels, **project.labels},
            annotations={**tenant.annotations, **project.annotations},
            quota=self.granted(),
            limits=tenant.limits,
            isolation=tenant.isolation,
            network=(*tenant.network, *project.network),
            **project.rules(self.cluster_name),
            owner_subjects=tuple(tenant.owner_subjects),
            role_bindings=tuple(tenant.role_bindings),
            cordoned=tenant.cordoned,
            protected=tenant.deletion_protection,
            adopted=bool(self.adopted),
            deployer=self.has_kubevela,
            members=project.people(),
        )

    def waits_for(self) -> Sequence[Wait]:
        """As for any row; a new namespace of a platform's tenant needs one that is ready."""
        found = super().waits_for()
        if found or self.deleting or self.observed_generation or self.choice == NATIVE:
            return found
        row = self.project.tenant.placed_on(self.cluster_pk)
        if row is None or row.phase in STANDING:
            return ()
        return (Wait("WaitingForTenant", f"{row} is {row.phase}."),)

    def granted(self) -> dict[str, str]:
        """What of the quota its cluster may be told: nothing of what nobody has divided yet."""
        if not self.project.bounded:
            return {}
        keys = {*self.project.quota, *self.project.tenant.quota}
        found = QuotaEntry.granted_to(self.project.pk, self.cluster_pk)
        return {key: found.get(key, "0") for key in sorted(keys)}

    def record_success(
        self, task: Task, seen: Mapping[Ref, Live], generation: int, lease: Lease
    ) -> Outcome:
        """As for any row; what its cluster has let go of is there for others.

        The watcher tells when a cluster has counted anew; without it, it is looked at again.
        """
        with marking(lease):
            self.project.take_turn()
            if isinstance(task.intent, ProjectIntent) and not task.drift.held:
                self._confirm(task.intent, seen)
            self.counting = is_counting(seen)
            return super().record_success(task, seen, generation, lease)

    def _look_in(self, task: Task, progress: float | None) -> float | None:
        soon = super()._look_in(task, progress)
        return _COUNTING_LOOK if self.counting and soon is None else soon

    def _confirm(self, intent: ProjectIntent, seen: Mapping[Ref, Live]) -> None:
        if not intent.quota:
            return
        facts = self.adapter().assess(intent, seen).facts
        held = QuotaEntry.held_by(self.project.pk, self.cluster_pk)
        lowered = all(drift.ref.kind.name != "ResourceQuota" for drift in self.drifted)
        released = QuotaEntry.confirm(held, intent.quota, facts, lowered=lowered)
        if released or self.project.tenant.quota_division == Division.DEMAND:
            self.project.tenant.mark_to_sum_up()

    def forget(self) -> None:
        """As for any row; what its cluster held is there for others."""
        with marking():
            super().forget()
            if self.project.bounded:
                self.project.tenant.mark_to_sum_up()

    def likely(self) -> str:
        """What serves its tenant there: the two are never on different platforms."""
        row = self.project.tenant.placed_on(self.cluster_pk)
        return row.choice if isinstance(row, TenantPlacement) else super().likely()
