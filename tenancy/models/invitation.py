"""Invitations to a tenant or a project, by user name, whether or not anybody bears it yet."""

import uuid
from datetime import timedelta
from enum import StrEnum
from typing import Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.db import IntegrityError, models, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from reconcile.models import Event, marking
from reconcile.refusals import Conflicting, Deleting, Fault, LimitReached
from tenancy.intents import Role
from tenancy.models.peopled import Peopled
from tenancy.models.project import Project
from tenancy.models.tenant import Tenant

_MOST = 200  # that are open at once for one tenant or project
_RANK = (Role.READ_ONLY, Role.DEV, Role.ADMIN)
_EXPIRED = "Expired"


class InvitationState(StrEnum):
    """What became of an invitation."""

    OPEN = "Open"
    ACCEPTED = "Accepted"
    DECLINED = "Declined"
    WITHDRAWN = "Withdrawn"


class InvitationQuerySet(QuerySet["Invitation"]):
    """Reading verbs."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Who is invited, and who manages the members of what it is to; operators see all."""
        if not user.is_active:
            return self.none()
        if user.is_staff:
            return self
        leading = {"memberships__user": user, "memberships__role": Role.ADMIN}
        tenants = Q(tenant__in=Tenant.objects.filter(**leading).order_by())
        projects = Q(project__in=Project.objects.filter(**leading).order_by())
        return self.filter(Q(username=user.get_username()) | tenants | projects)

    def open(self) -> Self:
        """Those that can be accepted now."""
        return self.filter(state=InvitationState.OPEN, expires_at__gt=timezone.now())

    def addressed_to(self, user: User | AnonymousUser) -> Self:
        """Those that a user can accept now, to what is not on its way out."""
        staying = Q(project=None) | Q(project__deletion_requested_at=None)
        rows = self.open().filter(staying, tenant__deletion_requested_at=None)
        return rows.filter(username=user.get_username()) if user.is_active else self.none()

    def of(self, team: Peopled) -> Self:
        """Those to a tenant itself or to a project."""
        return self.filter(**_columns_of(team))


def _columns_of(team: Peopled) -> dict[str, Peopled | None]:
    if isinstance(team, Project):
        return {"tenant": team.tenant, "project": team}
    return {"tenant": team, "project": None}


class Invitation(models.Model):
    """An offer of a role to a user name; who signs in under that name takes or declines it."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.CASCADE, related_name="invitations"
    )
    project = models.ForeignKey(
        "tenancy.Project",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="invitations",
    )
    username = models.CharField(max_length=150)
    role = models.CharField(max_length=20, choices=[(role, role) for role in Role])
    state = models.CharField(
        max_length=9,
        choices=[(state, state) for state in InvitationState],
        default=InvitationState.OPEN,
    )
    invited_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "username"],
                condition=Q(state="Open", project=None),
                name="tenant_invitation_open_once",
            ),
            models.UniqueConstraint(
                fields=["project", "username"],
                condition=Q(state="Open") & ~Q(project=None),
                name="project_invitation_open_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.username} as {self.role} of {self.project or self.tenant}"

    @property
    def team(self) -> Tenant | Project:
        """What it is to."""
        return self.project or self.tenant

    @property
    def shown_state(self) -> str:
        """Its state, and Expired for what nobody took in time."""
        late = self.state == InvitationState.OPEN and self.expires_at <= timezone.now()
        return _EXPIRED if late else str(self.state)

    @classmethod
    def invite(
        cls, team: Tenant | Project, username: str, role: Role, *, by: str
    ) -> "tuple[Invitation, bool]":
        """Return the open invitation of a user name, and whether it is a new one.

        Whether such a user exists is neither asked nor told. Raises ValidationError for what no
        user name can be, Conflicting for a member and for another role, LimitReached, Deleting.
        """
        name = User.normalize_username(username)
        UnicodeUsernameValidator()(name)
        if team.deleting:
            raise Deleting(f"{team} is being deleted.")
        if member := team.memberships.filter(user__username=name).first():
            raise Conflicting(f"{name} is {member.role} of {team} already. Change the role there.")
        if found := cls._standing(team, name, role):
            return found, False
        if cls.objects.of(team).open().count() >= _MOST:
            text = f"{_MOST} invitations are open. Withdraw some, or wait until they are answered."
            raise LimitReached(text, limit=_MOST)
        try:
            return cls._invite(team, name, role, by), True
        except IntegrityError:  # somebody was faster
            found = cls._standing(team, name, role)
            if found is None:
                raise Conflicting("It was answered meanwhile. Ask once more.") from None
            return found, False

    @classmethod
    def _standing(cls, team: Tenant | Project, name: str, role: Role) -> "Invitation | None":
        """Return the open invitation of that name and role. Raises Conflicting for another role."""
        found = cls.objects.of(team).open().filter(username=name).first()
        if found and found.role != role:
            fault = Fault("differs", f"It is {found.role} there.", "/role")
            raise Conflicting(f"{name} is invited already. Withdraw that first.", errors=[fault])
        return found

    @classmethod
    @transaction.atomic
    def _invite(cls, team: Tenant | Project, name: str, role: Role, by: str) -> Self:
        late = cls.objects.of(team).filter(username=name, state=InvitationState.OPEN)
        late.filter(expires_at__lte=timezone.now()).update(
            state=InvitationState.WITHDRAWN, settled_at=timezone.now()
        )
        until = timezone.now() + timedelta(days=settings.INVITATION_DAYS)
        columns = {"username": name, "role": role, "invited_by": by, "expires_at": until}
        made = cls.objects.create(**_columns_of(team), **columns)
        message = f"{by} invited {name} as {role} to {team}."
        Event.record(team, "MemberInvited", message, actor=by)
        return made

    def may(self, user: User | AnonymousUser, action: str) -> bool:
        """Who is invited may accept and decline, who manages the members may withdraw."""
        if action in {"accept", "decline"}:
            return user.is_active and user.get_username() == self.username
        return self.team.may(user, "manage_members")

    def accept(self, user: User) -> bool:
        """Make the user a member, unless the role there reaches further already; False if done.

        Raises Conflicting when it is no longer open or whoever invited may do so no longer, and
        Deleting.
        """
        with marking():
            if not self._settle(InvitationState.ACCEPTED):
                return False
            self._check_inviter()
            role, before = Role(self.role), self.team.role_of(user)
            if before is None or _RANK.index(before) < _RANK.index(role):
                self.team.admit(user, role, by=user.get_username())
            self._tell("Accepted", user.get_username())
        return True

    def decline(self, user: User) -> bool:
        """Give it back; False if that was done. Raises Conflicting when it is no longer open."""
        return self._end(InvitationState.DECLINED, user.get_username())

    def withdraw(self, by: str) -> bool:
        """Take it back; False if that was done. Raises Conflicting when it is no longer open."""
        return self._end(InvitationState.WITHDRAWN, by)

    def _end(self, state: InvitationState, by: str) -> bool:
        with transaction.atomic():
            settled = self._settle(state)
            if settled:
                self._tell(state, by)
        return settled

    def _settle(self, state: InvitationState) -> bool:
        """Claim its end: whoever is first decides, the row count says who that is."""
        now = timezone.now()
        rows = type(self).objects.filter(pk=self.pk)
        if rows.open().update(state=state, settled_at=now):
            self.state, self.settled_at = state, now
            return True
        self.refresh_from_db()
        if self.state == state:
            return False
        raise Conflicting(f"The invitation is {self.shown_state.lower()}. Ask for a new one.")

    def _check_inviter(self) -> None:
        """An invitation is worth what its author may do now: nobody leaves a door behind."""
        if self.team.deleting or self.tenant.deleting:
            raise Deleting(f"{self.team} is being deleted.")
        author = User.objects.filter(username=self.invited_by).first()
        if author is None or not self.team.may(author, "manage_members"):
            raise Conflicting(
                f"{self.invited_by} no longer manages the members of {self.team}. Ask an admin of "
                "it for a new invitation."
            )

    def _tell(self, how: str, by: str) -> None:
        message = f"The invitation of {self.username} as {self.role} to {self.team} was "
        Event.record(self.team, f"Invitation{how}", f"{message}{how.lower()}.", actor=by)
