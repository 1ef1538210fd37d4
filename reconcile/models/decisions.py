"""What people decided about differences: to ignore a field for a while, to keep what was found."""

import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from django.apps import apps
from django.db import models
from django.db.models import Q, QuerySet
from django.utils import timezone

from reconcile.fields import at_pointer
from reconcile.models.events import Event
from reconcile.models.pruning import drop
from reconcile.models.work import marking, touch
from reconcile.omission import Rule
from reconcile.refusals import Fault, Invalid
from reconcile.values import Ref

if TYPE_CHECKING:
    from reconcile.models.declared import Declared


def decisions_key(parent: "Declared") -> str:
    """The key that a change of the decisions on a parent touches."""
    return f"{parent.key}/decisions"


class DecisionQuerySet(QuerySet["Decision"]):
    """Reading verbs."""

    def on(self, *parents: "Declared") -> Self:
        """Those that were made on these rows themselves."""
        made = Q(pk__in=[])
        for parent in parents:
            made |= Q(parent_kind=parent.label, parent_uid=parent.uid)
        return self.filter(made)

    def at(self, cluster: str) -> Self:
        """Those that speak of a cluster."""
        return self.filter(cluster__in=["", cluster])

    def ignoring(self, ref: Ref) -> bool:
        """Whether one of them leaves an object to others altogether."""
        rules = (made.rule for made in self.filter(verb=Decision.Verb.IGNORE))
        return any(rule.whole and rule.concerns(ref) for rule in rules)

    def standing(self) -> Self:
        """Those that hold now."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))


class Decision(models.Model):
    """One decision on a declared row; it binds the row itself and all that lives inside of it.

    Blank `cluster`, `object_kind` and `object_name` mean any. IGNORE: the field at `pointer` (RFC
    6901), or whatever `manager` owns, is left to others. ACCEPT: the object's field at `path` is
    kept at `value` for as long as the spec says `base` there; a spec that moves on wins.
    """

    class Verb(models.TextChoices):
        """What was decided."""

        IGNORE = "ignore"
        ACCEPT = "accept"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    verb = models.CharField(max_length=6, choices=Verb.choices)
    parent_kind = models.CharField(max_length=60)
    parent_uid = models.UUIDField(db_index=True)
    tenant = models.CharField(max_length=63, blank=True, default="", db_index=True)
    cluster = models.CharField(max_length=63, blank=True, default="")
    object_kind = models.CharField(max_length=63, blank=True, default="")
    object_name = models.CharField(max_length=253, blank=True, default="")
    pointer = models.CharField(max_length=1000, blank=True, default="")
    manager = models.CharField(max_length=150, blank=True, default="")
    path = models.CharField(max_length=1000, blank=True, default="")
    base = models.JSONField(null=True, blank=True)
    value = models.JSONField(null=True, blank=True)
    reason = models.CharField(max_length=300, blank=True, default="")
    author = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True, db_index=True)

    objects = DecisionQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        where = self.pointer or self.path or (self.manager and f"all of {self.manager}")
        what = " ".join(filter(None, [self.object_kind or "any object", self.object_name, where]))
        return f"{self.verb} {what}" + (f" on {self.cluster}" if self.cluster else "")

    @property
    def rule(self) -> Rule:
        """What it says to the loop, for IGNORE."""
        return Rule(self.object_kind, self.object_name, self.pointer, self.manager)

    @property
    def parent(self) -> "Declared | None":
        """The row that it was made on; None when that is gone."""
        rows = apps.get_model(self.parent_kind)._default_manager
        found: Declared | None = rows.filter(uid=self.parent_uid).first()
        return found

    @classmethod
    def ignore(
        cls,
        parent: "Declared",
        by: str,
        *,
        reason: str,
        pointer: str = "",
        manager: str = "",
        object_kind: str = "",
        object_name: str = "",
        cluster: str = "",
        expires_at: datetime | None = None,
        tell: bool = True,
    ) -> Self:
        """Leave fields to others from now on, on `parent` and all that lives inside of it.

        The same rule made again takes the place of the first. Raises Invalid without a reason, for
        what is no JSON pointer, for a rule about nothing and for an end that is past. `tell`:
        whether an event is written here, or by the caller for many at once.
        """
        _check(reason, pointer, expires_at)
        if not (pointer or manager or object_name):
            raise Invalid("A rule needs a pointer, a field manager or the name of an object.")
        made = cls(
            verb=cls.Verb.IGNORE,
            pointer=pointer,
            manager=manager,
            object_kind=object_kind,
            object_name=object_name,
            cluster=cluster,
            reason=reason[:300],
            expires_at=expires_at,
        )
        made._make(parent, by, tell=tell)
        return made

    @classmethod
    def accept(
        cls,
        parent: "Declared",
        by: str,
        *,
        path: str,
        base: object,
        value: object,
        tell: bool = True,
        **where: str,
    ) -> Self:
        """Keep `value` at a field of an object for as long as the spec says `base` there.

        `where`: object_kind, object_name, cluster and the reason.
        """
        made = cls(verb=cls.Verb.ACCEPT, path=path, base=base, value=value, **where)
        made._make(parent, by, tell=tell)
        return made

    def _make(self, parent: "Declared", by: str, *, tell: bool) -> None:
        self.parent_kind, self.parent_uid = parent.label, parent.uid
        self.tenant, self.author = parent.tenant_name, by[:150]
        same = ("verb", "cluster", "object_kind", "object_name", "pointer", "manager", "path")
        with marking():
            twins = type(self).objects.on(parent)
            twins.filter(**{name: getattr(self, name) for name in same}).delete()
            self.save(force_insert=True)
            touch(decisions_key(parent))
            if tell:
                self._tell(parent)

    def _tell(self, parent: "Declared") -> None:
        reason = "DriftIgnored" if self.verb == self.Verb.IGNORE else "DriftAccepted"
        because = f": {self.reason}" if self.reason else "."
        ends = self.expires_at.isoformat() if self.expires_at else None
        data = {"decision": str(self.uid), "expires_at": ends}
        message = f"{self.author} decided to {self}{because}"
        Event.record(parent, reason, message, actor=self.author, data=data)

    def revoke(self, by: str) -> None:
        """Take it back: what differs is drift again."""
        self._end("DecisionRevoked", f"{by} took back: {self}.", by)

    def become_obsolete(self) -> None:
        """The spec says something else by now: it wins."""
        self._end("DecisionObsolete", f"The spec has moved on: {self} is void.", "")

    def _end(self, reason: str, message: str, by: str) -> None:
        with marking():
            parent = self.parent
            if type(self).objects.filter(pk=self.pk).delete()[0] and parent:
                touch(decisions_key(parent))
                data = {"decision": str(self.uid), "author": self.author}
                Event.record(parent, reason, message, actor=by, data=data)

    @classmethod
    def forget(cls, parent: "Declared") -> None:
        """Drop all that was decided on a row that is going away."""
        cls.objects.on(parent).delete()

    @classmethod
    def prune(cls, days: int, batch: int = 5000) -> int:
        """Delete up to `batch` decisions that ended so many days ago; return how many went."""
        ended = cls.objects.filter(expires_at__lt=timezone.now() - timedelta(days=days))
        return drop(ended, batch)


def _check(reason: str, pointer: str, expires_at: datetime | None) -> None:
    faults = []
    if not reason.strip():
        faults.append(Fault("required", "Say why: a reason is required.", "/reason"))
    try:
        at_pointer(pointer)
    except ValueError as error:
        faults.append(Fault("invalid", f"{error}.", "/pointer"))
    if expires_at and expires_at <= timezone.now():
        faults.append(Fault("invalid", "The end has to lie ahead.", "/expires_at"))
    if faults:
        raise Invalid("The rule is not valid.", errors=faults)


def above(parent: "Declared") -> "Iterator[Declared]":
    """The row itself and all that it lives inside of."""
    here: Declared | None = parent
    while here is not None:
        yield here
        here = here.above()


def earliest_end(decisions: Iterable[Decision]) -> float | None:
    """Seconds until the first of them ends; None when none does."""
    ends = [decision.expires_at for decision in decisions if decision.expires_at]
    return max((min(ends) - timezone.now()).total_seconds(), 0.0) if ends else None
