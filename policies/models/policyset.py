"""A policy set: named rules for whoever it is attached to."""

from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.contrib.auth.models import AnonymousUser, User
from django.db import models
from django.db.models import Q, QuerySet

from policies.models.celrule import hold_rules
from policies.models.version import PolicyVersion
from reconcile.correlation import correlation_id
from reconcile.grammar import validate_name
from reconcile.models import Lease
from reconcile.models.declared import Declared
from reconcile.values import JSON, Condition, Phase, Status, worst
from tenancy.models import Project, Tenant
from tenancy.models.validators import validate_restrictions

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

    from policies.models.attachment import Attachment


def governs(user: User | AnonymousUser) -> bool:
    """Whether somebody writes policy sets: operators, and users with the permission."""
    return user.is_active and (user.is_staff or user.has_perm("policies.add_policyset"))


def tenants_of(user: User | AnonymousUser) -> "QuerySet[Tenant]":
    """The tenants that a user sees, or has a project in."""
    joined = Project.objects.joined_by(user).order_by().values("tenant")
    seen = Tenant.objects.visible_to(user).order_by().values("pk")
    return Tenant.objects.filter(Q(pk__in=seen) | Q(pk__in=joined)).order_by()


class PolicySetQuerySet(QuerySet["PolicySet"]):
    """Reading verbs."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """All for who writes them; members see those that bind a tenant of theirs."""
        if not user.is_active:
            return self.none()
        if governs(user):
            return self
        bound = self.model._default_manager.filter(
            attachments__impositions__tenant__in=tenants_of(user)
        )
        return self.filter(pk__in=bound.order_by().values("pk"))


class PolicySet(Declared):
    """Rules, as restrictions of tenants have them. Each change of them makes a new version."""

    name = models.CharField(max_length=63, unique=True, validators=[validate_name])
    description = models.CharField(max_length=300, blank=True, default="")
    rules = models.JSONField(default=dict, blank=True, validators=[validate_restrictions])
    version = models.PositiveIntegerField(default=0, editable=False)

    objects = PolicySetQuerySet.as_manager()

    spec_fields: ClassVar[tuple[str, ...]] = ("name", "description", "rules")

    if TYPE_CHECKING:
        attachments: RelatedManager[Attachment]
        versions: RelatedManager[PolicyVersion]

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"PolicySet {self.name}"

    def may(self, user: User | AnonymousUser, action: str) -> bool:
        """Who writes policy sets does all of it; members read."""
        return action == "view" or governs(user)

    def rules_at(self, number: int | None) -> JSON:
        """Return the rules of a version; None is the newest. Raises PolicyVersion.DoesNotExist."""
        if number is None or number == self.version:
            found: JSON = self.rules
            return found
        return self.versions.get(number=number).rules  # type: ignore[no-any-return]

    def on_declared(self, *, by: str, created: bool) -> None:
        """Number new rules, and refuse what whoever is bound by them could not have.

        Raises Invalid for rules in CEL that there are not, Conflicting, Unserved.
        """
        hold_rules([self.rules], "/rules")
        newest = self.versions.order_by("-number").first()
        if newest is not None and newest.rules == self.rules:
            return
        self.version += 1
        self.versions.create(
            number=self.version, rules=self.rules, author=by, correlation_id=correlation_id()
        )
        self.save(update_fields=["version"])
        self.attachments.standing().filter(version=None).refuse_unfit("/rules")  # type: ignore[attr-defined]

    # --- It is placed on no cluster: tenants are bound by its attachments.

    def placements_of(self) -> "QuerySet[Any]":
        """None of its own."""
        return self.attachments.none()

    def place(self, *, declared: bool) -> None:
        """There is nowhere to."""

    def sum_up(self, lease: Lease | None, rows: Any = None) -> None:
        """It is what its attachments are."""
        found = list(self.attachments.all())
        if not found:
            message = "It binds nobody: attach it to tenants or projects."
            synced = Condition("Synced", Status.TRUE, "NotAttached", message)
            ready = Condition("Ready", Status.TRUE, "NotAttached", message)
            self.record(lease, synced, ready, observed=self.generation)
            return
        phase = worst([Phase(row.phase) for row in found])
        if phase == Phase.DEPLOYED:
            synced = Condition("Synced", Status.TRUE, "Attached")
            ready = Condition("Ready", Status.TRUE, "Settled")
        else:
            message = "Not all tenants that it binds have followed yet."
            synced = Condition("Synced", Status.UNKNOWN, "Settling", message)
            ready = Condition("Ready", Status.UNKNOWN, "Settling", message)
        self.record(lease, synced, ready, observed=self.generation, phase=phase)
