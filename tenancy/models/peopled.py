"""What has members: users with a role in it, read at each request and never from a token."""

from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AnonymousUser, User

from reconcile.models import Event, marking, touch
from reconcile.models.declared import Declared
from reconcile.models.rows import read
from tenancy.intents import Role

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


class Peopled(Declared):
    """A tenant or a project, whose `memberships` are rows of user and role."""

    if TYPE_CHECKING:
        memberships: RelatedManager[Any]

    class Meta:
        abstract = True

    def role_of(self, user: User | AnonymousUser) -> Role | None:
        """The role of a member, None for everybody else."""
        found = self.memberships.filter(user__pk=user.pk or 0, user__is_active=True).first()
        return Role(found.role) if found else None

    def roles_of(self, user: User | AnonymousUser) -> frozenset[Role]:
        """All roles that reach into it."""
        role = self.role_of(user)
        return frozenset([role] if role else [])

    def admit(self, user: User, role: Role, *, by: str) -> bool:
        """Make a user a member, or change the role; False when nothing changed."""
        with marking():
            found = self.memberships.filter(user=user).first()
            if found and found.role == role:
                return False
            self.memberships.update_or_create(user=user, defaults={"role": Role(role)})
            message = f"{user.get_username()} is {role} of {self}."
            Event.record(self, "MemberChanged", message, actor=by)
            touch(self.members_key)
        return True

    def dismiss(self, user: User, *, by: str) -> bool:
        """End a membership; False when there was none."""
        with marking():
            if not self.memberships.filter(user=user).delete()[0]:
                return False
            message = f"{user.get_username()} is no longer a member of {self}."
            Event.record(self, "MemberRemoved", message, actor=by)
            touch(self.members_key)
        return True

    def keep_an_admin(self, username: str, by: User) -> None:
        """Refuse to take its only admin from what needs one. Raises Conflicting."""

    @property
    def members_key(self) -> str:
        """The key that a change of members touches."""
        return f"{self.key}/members"

    def members_by_role(self) -> dict[str, tuple[str, ...]]:
        """User names of active members per role, reading the key of the members."""
        read(self.members_key)
        found: dict[str, list[str]] = {}
        rows = self.memberships.filter(user__is_active=True).order_by("user__username")
        for role, username in rows.values_list("role", "user__username"):
            found.setdefault(role, []).append(username)
        return {role: tuple(names) for role, names in found.items()}
