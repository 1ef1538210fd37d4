"""Who leads a tenant and belongs to it: owners, members, and what their roles reach."""

from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser, User
from django.db import models

from reconcile.models import marking
from reconcile.refusals import Conflicting
from tenancy.intents import Role
from tenancy.models.membership import Membership
from tenancy.models.peopled import Peopled
from tenancy.models.validators import validate_bindings, validate_subjects
from tenancy.rules.names import subject_of

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

_MEMBER_ACTIONS = {
    "view": {Role.ADMIN, Role.DEV, Role.READ_ONLY},
    "deliver": {Role.ADMIN, Role.DEV},
    "change": {Role.ADMIN},
    "add_project": {Role.ADMIN},
    "manage_members": {Role.ADMIN},
}


class Led(Peopled):
    """The part of a tenant that is about people."""

    owner_subjects = models.JSONField(default=list, blank=True, validators=[validate_subjects])
    role_bindings = models.JSONField(default=list, blank=True, validators=[validate_bindings])
    members = models.ManyToManyField(
        "auth.User", through="tenancy.Membership", related_name="tenants", blank=True
    )

    if TYPE_CHECKING:
        memberships: RelatedManager[Membership]

    class Meta:
        abstract = True

    @property
    def owners(self) -> list[str]:
        """User names of its tenant-admins; set them before `declare()` to change who they are."""
        pending: list[str] | None = self.__dict__.get("pending_owners")
        if pending is not None or not self.pk:
            return pending or []
        rows = self.memberships.all()
        return sorted(row.user.get_username() for row in rows if row.role == Role.ADMIN)

    @owners.setter
    def owners(self, names: list[str]) -> None:
        self.__dict__["pending_owners"] = names

    def declare(self, by: str) -> bool:
        """As every declaration; pending owners become tenant-admins in the same transaction.

        Whoever creates a tenant without naming owners, and is no operator, owns it.
        """
        created = self.pk is None
        with marking():
            changed = super().declare(by)
            names = self.__dict__.pop("pending_owners", None)
            creator = User.objects.filter(username=by, is_staff=False) if created else None
            if not names and creator is not None:
                names = list(creator.values_list("username", flat=True))
            return self._settle_owners(names, by) or changed

    def _settle_owners(self, names: list[str] | None, by: str) -> bool:
        if names is None:
            return False
        changed = False
        for user in User.objects.filter(username__in=names, is_active=True):
            changed |= self.admit(user, Role.ADMIN, by=by)
        gone = self.memberships.filter(role=Role.ADMIN).exclude(user__username__in=names)
        for row in gone.select_related("user"):
            changed |= self.dismiss(row.user, by=by)
        return changed

    def may(self, user: User | AnonymousUser, action: str) -> bool:
        """Whether a user who sees the tenant may do something with it.

        Actions: view, deliver, change (own fields), add_project, manage_members; `administer`
        (quota, limits, placement) and `delete` are for operators and holders of the permission.
        """
        if not user.is_active:
            return False
        if user.is_staff or user.has_perm("tenancy.add_tenant"):
            return True
        return allows(self.role_of(user), action)

    def keep_an_admin(self, username: str, by: User) -> None:
        """Refuse to take its only admin from a tenant; an operator may. Raises Conflicting."""
        admins = self.memberships.filter(role=Role.ADMIN, user__is_active=True)
        names = set(admins.values_list("user__username", flat=True))
        if names == {username} and not by.is_staff:
            raise Conflicting("This is the last tenant-admin. Make somebody else one first.")

    def owner_names(self) -> tuple[str, ...]:
        """The user names by which clusters know its active tenant-admins."""
        return tuple(subject_of(name) for name in self.members_by_role().get(Role.ADMIN, ()))


def allows(role: Role | None, action: str) -> bool:
    """Whether a role in a tenant reaches as far as an action (see `Tenant.may`)."""
    return role in _MEMBER_ACTIONS.get(action, set())
