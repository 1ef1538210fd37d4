"""A kubeconfig grant: who may do what, where, until when. The token itself is never stored."""

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar, Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q, QuerySet
from django.utils import timezone

from access.adapters import CAPSULE_PROXY
from access.intents import VERBS_OF_ROLE, Verbs
from clusters.models import Cluster
from reconcile.loop import Outcome
from reconcile.models import Event, Lease, marking
from reconcile.models.declared import Declared
from reconcile.models.rows import read, reading
from reconcile.refusals import Deleting, LimitReached
from reconcile.values import Condition, Status
from tenancy.intents import Role
from tenancy.models import Project, Tenant
from tenancy.models.serving import require

_CLOSING_LOOK = 5.0


class GrantQuerySet(QuerySet["KubeconfigGrant"]):
    """Reading verbs."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Everybody sees their own grants, admins those of what they lead, operators all."""
        if not user.is_active:
            return self.none()
        if user.is_staff:
            return self
        leading = {"memberships__user": user, "memberships__role": Role.ADMIN}
        tenants, projects = Tenant.objects.filter(**leading), Project.objects.filter(**leading)
        led = Q(tenant__in=tenants.order_by()) | Q(project__in=projects.order_by())
        return self.filter(Q(subject=user) | led)

    def live(self) -> Self:
        """Those that open a door now, as far as their columns tell."""
        return self.filter(
            revoked_at=None,
            closed_at=None,
            deletion_requested_at=None,
            expires_at__gt=timezone.now(),
        )

    def closed_before(self, moment: datetime) -> Self:
        """Those that are history."""
        return self.filter(closed_at__lt=moment)


def grant_name() -> str:
    """Make the name of a grant, never used before; also its account's on clusters."""
    return f"grant-{uuid.uuid4().hex[:20]}"


def user_key(user_pk: int) -> str:
    """Return the key that a change of a user's account touches."""
    return f"user/{user_pk}"


class KubeconfigGrant(Declared):
    """A grant to a tenant, or to one project. No `namespaces`: it follows those of the tenant.

    `issuance` counts its tokens: a newer one ends the older. `expires_at` is what the clusters
    returned, never what was asked for; until the first token it is a guess. `seen_dead` tells by
    cluster when it first refused the token, where the access proxy could ask.
    """

    name = models.CharField(max_length=40, unique=True, default=grant_name, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="grants")
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, null=True, blank=True, related_name="grants"
    )
    subject = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="grants"
    )
    description = models.CharField(max_length=300, blank=True, default="")
    verbs = models.JSONField(default=list)
    namespaces = models.JSONField(default=list, blank=True)
    clusters = models.JSONField(default=list)
    ttl_seconds = models.PositiveIntegerField()
    issuance = models.PositiveIntegerField(default=1, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.CharField(max_length=150, blank=True, default="")

    issued_at = models.DateTimeField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(db_index=True)
    closed_at = models.DateTimeField(null=True, blank=True, editable=False, db_index=True)
    seen_dead = models.JSONField(default=dict, blank=True, editable=False)

    objects = GrantQuerySet.as_manager()

    spec_fields: ClassVar[tuple[str, ...]] = (
        "description",
        "verbs",
        "namespaces",
        "clusters",
        "ttl_seconds",
        "issuance",
        "revoked_at",
        "revoked_by",
    )

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"Grant {self.name} of {self.subject.get_username()}"

    @property
    def tenant_name(self) -> str:
        """The tenant it opens."""
        return self.tenant.name

    @property
    def anchor(self) -> str:
        """The Secret that its newest token is bound to, of the same name on every cluster."""
        return f"{self.name}-{self.issuance}"

    @property
    def over(self) -> bool:
        """Whether it was revoked, has expired or ended otherwise, whatever its subject may do."""
        gone = self.revoked_at or self.closed_at or self.deletion_requested_at
        return gone is not None or self.expires_at <= timezone.now()

    @property
    def ended(self) -> bool:
        """Whether it opens nothing any more, or never will."""
        return self.over or not self.allowed()

    @property
    def state(self) -> str:
        """In one word: Pending (no token yet), Active, Revoked, Expired or Ended (any other)."""
        if self.revoked_at is not None:
            return "Revoked"
        if self.expires_at <= timezone.now():
            return "Expired"
        if self.over:
            return "Ended"
        return "Active" if self.issued_at else "Pending"

    def clean(self) -> None:
        """Refuse what is not in the catalogue."""
        unknown = sorted(set(self.verbs) - set(Verbs))
        if unknown:
            raise ValidationError({"verbs": f"Unknown: {', '.join(unknown)}."})

    def above(self) -> Tenant | Project:
        """What it gives access to."""
        return self.project or self.tenant

    def may(self, user: User | AnonymousUser, action: str) -> bool:
        """Whoever sees a grant may revoke it: its subject, tenant-admins, operators."""
        return user.is_active

    def allowed(self) -> frozenset[str]:
        """The verbs that its subject's role still covers, reading the keys it depends on."""
        read(self.tenant.members_key)
        read(self.above().members_key)
        read(user_key(self.subject_id))
        return frozenset(self.verbs) & verbs_of(self.subject, self.above())

    def targets(self) -> Iterable[int]:
        """The clusters it names, as long as it lives and what it opens is placed there."""
        if self.ended:
            return ()
        read(self.above().key)
        rows = self.above().placements_of().filter(unselected=False, deletion_requested_at=None)
        wanted = rows.filter(**{"cluster__name__in": self.clusters})
        return [row.cluster_pk for row in wanted if row.cluster_pk is not None]

    def on_declared(self, *, by: str, created: bool) -> None:
        """Refuse what cannot be granted, and more grants than one person may hold."""
        if not created:
            return
        above = self.above()
        if self.tenant.deleting or above.deleting:
            raise Deleting(f"{above} is being deleted and can no longer be entered.")
        require(self._behind_capsule(), "tenancy.capsule")
        # Whoever asks many times at once waits in line here, so that the count is right.
        subject = User.objects.select_for_update().get(pk=self.subject_id)
        held = type(self).objects.live().filter(subject=subject).count()
        if held > settings.GRANTS_PER_USER:
            raise LimitReached(
                f"You hold {held - 1} grants that are alive, and {settings.GRANTS_PER_USER} is the "
                "most. Revoke one with POST /api/v1/grants/{name}:revoke, or wait until one ends.",
                limit=settings.GRANTS_PER_USER,
            )

    def _behind_capsule(self) -> list[Cluster]:
        rows = Cluster.objects.filter(name__in=self.clusters)
        return [row for row in rows if (row.access_proxy or {}).get("kind") == CAPSULE_PROXY]

    def step(self, lease: Lease) -> Outcome:
        """As every declaration; an ended grant gives up its placements by itself."""
        with reading() as keys:
            ended = self.ended
        if self.deleting or not ended:
            outcome = super().step(lease)
            left = max(0.0, (self.expires_at - timezone.now()).total_seconds())
            return Outcome(min(left, outcome.look_in or left), outcome.error)
        self.watch_reads(keys, lease)
        with marking(lease):
            return self._close(lease)

    def carry_on(self) -> None:
        """As every declaration; an ended grant gives up its placements."""
        if not self.ended:
            super().carry_on()
            return
        for placement in self.placements.filter(deletion_requested_at=None):
            placement.request_deletion("kubenova", reason=f"{self} has ended.")

    def _close(self, lease: Lease) -> Outcome:
        self.carry_on()
        if self.placements.exists():
            self.sum_up(lease)
            return Outcome(_CLOSING_LOOK)
        if self.closed_at is None:
            self.closed_at = timezone.now()
            type(self).objects.filter(pk=self.pk).update(closed_at=self.closed_at)
            Event.record(self, "GrantClosed", f"{self} opens nothing any more.")
        ended = Condition("Synced", Status.TRUE, "Ended", "Nothing of it is left on any cluster.")
        ready = Condition("Ready", Status.TRUE, "Ended", "It opens nothing any more.")
        self.record(lease, ended, ready, observed=self.generation)
        return Outcome()

    def revoke(self, by: str) -> bool:
        """End it now, on every cluster; False when it had ended already."""
        if self.over:
            return False
        self.revoked_at, self.revoked_by = timezone.now(), by
        return self.declare(by)

    def record_dead(self, cluster: str, at: datetime) -> None:
        """Record that a cluster refuses the token, once it is over; the first time counts."""
        if not self.over or cluster in self.seen_dead:
            return
        moment = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.seen_dead = {**self.seen_dead, cluster: moment}
        type(self).objects.filter(pk=self.pk).update(seen_dead=self.seen_dead)
        Event.record(self, "TokenDead", f"{cluster} refuses the token of {self}.")

    def renew(self, by: str) -> None:
        """Make place for another token; the one before ends as soon as the clusters know."""
        self.issuance += 1
        self.declare(by)

    def record_issue(self, expires_at: datetime) -> None:
        """Record that its tokens were made, and the earliest expiry that a cluster returned."""
        self.issued_at, self.expires_at = timezone.now(), expires_at
        rows = type(self).objects.filter(pk=self.pk)
        rows.update(issued_at=self.issued_at, expires_at=expires_at)
        self.mark()
        where = ", ".join(self.clusters)
        until = expires_at.isoformat(timespec="seconds")
        message = f"{self.subject.get_username()} got a kubeconfig for {where} until {until}."
        Event.record(self, "KubeconfigIssued", message, actor=self.subject.get_username())


def verbs_of(user: User, above: Tenant | Project) -> frozenset[Verbs]:
    """Return all that a user may grant somewhere: by the roles there, or as an operator."""
    if not user.is_active:
        return frozenset()
    if user.is_staff:
        return frozenset(Verbs)
    roles = above.roles_of(user)
    return frozenset().union(*(VERBS_OF_ROLE[role] for role in roles))
