"""What has members: users with a role in it, read at each request and never from a token."""

from functools import cache
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib.auth.models import AnonymousUser, User

from reconcile.models import Event, marking, touch
from reconcile.models.declared import Declared
from reconcile.models.rows import read
from reconcile.prepared import Prepared
from tenancy.intents import Role

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


class Peopled(Declared):
    """A tenant or a project, whose `memberships` are rows of user and role."""

    if TYPE_CHECKING:
        memberships: RelatedManager[Any]

    class Meta:
        abstract = True

    @property
    def settles_when_created(self) -> bool:
        """It does: nothing but its placements, and their sum, is left to a step."""
        return True

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
        for role, username in _members(self.label).rows(pk=self.pk):
            found.setdefault(role, []).append(username)
        return {role: tuple(names) for role, names in found.items()}


@cache
def _members(label: str) -> Prepared:
    """Role and name of the active members of one row of a model."""
    relation = apps.get_model(label)._meta.get_field("memberships")
    rows = relation.related_model._default_manager.filter(user__is_active=True)
    told = rows.order_by("user__username").values_list("role", "user__username")
    key = relation.field.name
    return Prepared(lambda pk: (told.filter(**{key: pk}), {}), pk=int)
