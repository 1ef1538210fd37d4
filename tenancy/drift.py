"""Which drift a person may see and decide about: one scope for the API and the pages."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q, QuerySet

from reconcile.fields import parse, pointer
from reconcile.models import Decision, Drift, marking
from reconcile.models.declared import Declared
from reconcile.models.drift import DriftQuerySet
from reconcile.refusals import Fault, NotAllowed
from tenancy.intents import Role
from tenancy.models import Project, Tenant
from tenancy.models.led import allows
from tenancy.models.project import ProjectQuerySet

# What operators bound a tenant with, and what decides who may do what. Keeping somebody's change of
# these is a change of the bounds themselves.
BOUNDS = frozenset(
    {
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "LimitRange",
        "Namespace",
        "ResourceQuota",
        "Role",
        "RoleBinding",
        "Secret",
        "ServiceAccount",
    }
)
_LED = frozenset({Tenant._meta.label_lower, Project._meta.label_lower})


class Act(StrEnum):
    """What a person can do about drift."""

    REPAIR = "repair"
    ACCEPT = "accept"
    IGNORE = "ignore"


def drift_for(user: User | AnonymousUser) -> DriftQuerySet:
    """Return all drift for operators, that of what they belong to for members, else none."""
    if not user.is_active:
        return Drift.objects.none()
    if user.is_staff:
        return Drift.objects.all()
    return Drift.objects.filter(_theirs(user))


def decisions_for(user: User | AnonymousUser) -> QuerySet[Decision]:
    """Return all decisions for operators, those on what they belong to for members, else none."""
    if not user.is_active:
        return Decision.objects.none()
    if user.is_staff:
        return Decision.objects.all()
    return Decision.objects.filter(_theirs(user))


def _theirs(user: User | AnonymousUser) -> Q:
    """Select what is about the tenants that a user sees, and what is inside of joined projects."""
    found = Q(tenant__in=Tenant.objects.visible_to(user).values("name"))
    projects = Project.objects.joined_by(user)
    return found | within(projects) if projects.exists() else found


def within(projects: ProjectQuerySet, kind: str = "", **lookups: str) -> Q:
    """Select the drift of projects and of what lives inside: all of it, or one kind by columns."""
    found = Q(pk__in=[])
    for rows in projects.with_inside():
        if not kind or rows.model._meta.model_name == kind:
            found |= Q(parent_uid__in=rows.filter(**lookups).values("uid"))
    return found


@dataclass(frozen=True)
class About:
    """A declared row, as drift and decisions name it."""

    parent_kind: str
    parent_uid: UUID
    tenant: str


@dataclass(frozen=True)
class Powers:
    """What one person may decide: `roles` by the name of the tenant, `own` by the uid of a row.

    The latter are those in joined projects, for each of these and all that lives inside of it.
    """

    unbounded: bool
    roles: Mapping[str, Role]
    own: Mapping[UUID, Role] = field(default_factory=dict)

    @classmethod
    def of(cls, user: User) -> "Powers":
        """Return those of `user`, who sees what the decision is about."""
        if user.is_staff or user.has_perm("tenancy.add_tenant"):
            return cls(unbounded=user.is_active, roles={})
        found = user.memberships.values_list("tenant__name", "role") if user.is_active else ()
        roles = {name: Role(role) for name, role in found}
        return cls(unbounded=False, roles=roles, own=_own_roles(user) if user.is_active else {})

    def may(self, act: Act, drift: Drift) -> bool:
        """Whether the person may do this about one difference."""
        return self.reach(act, drift, drift.object_kind)

    def reach(self, act: Act, about: Drift | Decision | About, object_kind: str) -> bool:
        """Whether the person may decide about objects of a kind; a blank one stands for any.

        Tenants and projects are their admins', what is delivered into them whoever delivers. What
        bounds a tenant is accepted or ignored by operators alone.
        """
        if self.unbounded:
            return True
        led = about.parent_kind in _LED
        action = "change" if led else "deliver"
        roles = (self.roles.get(about.tenant), self.own.get(about.parent_uid))
        if not any(allows(role, action) for role in roles):
            return False
        return act is Act.REPAIR or not (object_kind in BOUNDS or (led and not object_kind))

    def may_revoke(self, decision: Decision) -> bool:
        """Whether the person could have made a decision: then they may take it back."""
        act = Act(decision.verb)
        return self.reach(act, decision, decision.object_kind)


def _own_roles(user: User) -> dict[UUID, Role]:
    """Roles in joined projects, by the uid of each row that they reach."""
    found: dict[UUID, Role] = {}
    for project, role in user.project_memberships.values_list("project", "role"):
        for rows in Project.objects.filter(pk=project).with_inside():
            found |= dict.fromkeys(rows.values_list("uid", flat=True), Role(role))
    return found


def resolve(
    user: User,
    act: Act,
    rows: Sequence[Drift],
    *,
    reason: str = "",
    expires_at: datetime | None = None,
) -> int:
    """Repair, accept or ignore what differs, all or none of it; return how many it concerns.

    `rows` are visible to `user`; what is resolved already is passed over. Raises NotAllowed, and
    what the verbs of Drift refuse.
    """
    refuse_foreign(Powers.of(user), act, rows)
    by, operator = user.get_username(), user.is_staff
    match act:
        case Act.REPAIR:
            return Drift.request_repair(rows, by, operator=operator)
        case Act.ACCEPT:
            return Drift.accept(rows, by, reason, operator=operator)
        case Act.IGNORE:
            return Drift.ignore(rows, by, reason, expires_at, operator=operator)


def refuse_foreign(powers: Powers, act: Act, rows: Iterable[Drift]) -> None:
    """Refuse a set that holds what the person may not decide about. Raises NotAllowed."""
    foreign = [row for row in rows if not powers.may(act, row)]
    if foreign:
        raise NotAllowed(
            f"You may not {act} drift of {placement_of(foreign[0])}: {rule(act, foreign[0])}"
        )


def rule(act: Act, drift: Drift) -> str:
    """Say who may do this about a difference."""
    if act is not Act.REPAIR and drift.object_kind in BOUNDS:
        return f"a {drift.object_kind} bounds the tenant, so an operator decides."
    who = "tenant-admins" if drift.parent_kind in _LED else "tenant-admins and tenant-devs"
    return f"this is for {who} of its tenant, and for operators."


def placement_of(drift: Drift) -> str:
    """Name what the object belongs to, such as `App acme/shop/site`."""
    return drift.row.removesuffix(f" on {drift.cluster}")


def repair_all(row: Declared, by: str) -> None:
    """Look at a row on all of its clusters anew; a plan that had become stale is given up."""
    with marking():
        for placement in row.placements_of():
            type(placement)._default_manager.filter(pk=placement.pk).update(pinned_plan=None)
            placement.mark()


def inside(row: Declared) -> DriftQuerySet:
    """Return the drift of a row and of all that lives inside of it."""
    if isinstance(row, Tenant):
        return Drift.objects.filter(tenant=row.name)
    if isinstance(row, Project):
        return Drift.objects.filter(within(Project.objects.filter(pk=row.pk)))
    return Drift.objects.filter(parent_uid=row.uid)


def rules_on(parent: Declared) -> QuerySet[Decision]:
    """Return the decisions that were made on `parent` itself, newest first."""
    return Decision.objects.on(parent)


def declare_rule(user: User, parent: Declared, rule: Mapping[str, Any]) -> tuple[Decision, bool]:
    """Leave fields to others from now on; return the rule, and whether it is a new one.

    `rule` holds `reason` and any of cluster, object (kind, name), pointer, manager, expires_at.
    Raises NotAllowed where it would reach what only operators decide about.
    """
    wanted = rule.get("object", {})
    columns = {
        **{name: rule.get(name, "") for name in ("cluster", "pointer", "manager")},
        **{f"object_{name}": wanted.get(name, "") for name in ("kind", "name")},
    }
    columns |= {"reason": rule["reason"], "expires_at": rule.get("expires_at")}
    kind = columns["object_kind"]
    about = About(parent.label, parent.uid, parent.tenant_name)
    if not Powers.of(user).reach(Act.IGNORE, about, kind):
        raise NotAllowed(
            "This rule would reach what bounds the tenant, which operators decide about. Name "
            "another kind of object in `object`.",
            errors=[Fault("forbidden", f"Not one of {', '.join(sorted(BOUNDS))}.", "/object/kind")],
        )
    same = rules_on(parent).filter(verb=Decision.Verb.IGNORE, **columns).first()
    if same is not None:
        return same, False
    return Decision.ignore(parent, user.get_username(), **columns), True


def at_field(rows: Iterable[Drift], path: str) -> list[Drift]:
    """Keep what is about a field or about anything inside of it; `path` as in `Drift.path`."""
    inside = (f"{path}.", f"{path}[")
    return [drift for drift in rows if drift.path == path or drift.path.startswith(inside)]


def pointer_of(drift: Drift) -> str:
    """Return the JSON pointer of its field; empty for the whole object."""
    return pointer(parse(drift.path))
