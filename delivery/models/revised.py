"""The part of an app that is about its revisions: when one is made, and which one runs where."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from django.conf import settings
from django.db import models, transaction

from delivery.models.block import Blocking
from delivery.models.revision import Revision
from reconcile.correlation import correlation_id
from reconcile.models import Event, Work
from reconcile.refusals import Conflicting, Deleting, Fault, Invalid
from reconcile.values import JSON, digest
from tenancy.models.counted import Counted

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


@dataclass(frozen=True)
class Change:
    """Why a new revision is made: `origin` is the number of the one that comes back.

    `at_once`: it leads back from what was under way, and no freeze keeps it.
    """

    message: str = ""
    origin: int | None = None
    at_once: bool = False


class Revised(Counted, Blocking):
    """A change of one of `revised_fields` makes a new revision, nothing else does."""

    revision = models.PositiveIntegerField(default=0, editable=False)

    revised_fields: ClassVar[tuple[str, ...]] = ("components", "environment", "overrides")
    change: Change = Change()

    if TYPE_CHECKING:
        components: list[JSON]
        revisions: RelatedManager[Revision]

    class Meta:
        abstract = True

    def revised(self) -> JSON:
        """What a revision holds, by field. Only `components` are there even when empty."""
        found = {name: getattr(self, name) for name in self.revised_fields}
        return {name: value for name, value in found.items() if value or name == "components"}

    def current_revision(self) -> Revision | None:
        """The newest revision; None before the first."""
        return self.revisions.filter(number=self.revision).first()

    def spec_of(self, number: int) -> JSON:
        """What it consists of at a revision, as `revised` has it. Raises Revision.DoesNotExist.

        The current one is what is declared, without another query; 0 is nothing.
        """
        if number == self.revision:
            return self.revised()
        if number == 0:
            return {"components": []}
        spec: JSON = self.revisions.get(number=number).spec
        return spec

    def revise(self, by: str) -> None:
        """Make a revision of what is declared."""
        self.revision += 1
        spec = self.revised()
        self.revisions.create(
            number=self.revision,
            spec=spec,
            spec_hash=digest(spec),
            author=by,
            message=self.change.message,
            origin=self.change.origin,
            correlation_id=correlation_id(),
        )
        self.save(update_fields=["revision"])
        back = f", a rollback to revision {self.change.origin}" if self.change.origin else ""
        message = f"{self} is at revision {self.revision}{back}, by {by}."
        data = {"revision": self.revision, "origin": self.change.origin}
        Event.record(self, "Revised", message, actor=by, data=data)
        self._forget_old()

    def _forget_old(self) -> None:
        """Keep so many revisions as a setting says, and all that are of use."""
        old = self.revisions.filter(number__lte=self.revision - settings.REVISION_HISTORY)
        columns: tuple[str, ...] = ("target", "revision")
        used = self.placements_of().values_list(*columns)
        healthy = self.revisions.filter(healthy=True, block=None).order_by("-number").first()
        kept = {number for pair in used for number in pair} | {healthy.number if healthy else 0}
        old.filter(block=None).exclude(number__in=kept).delete()

    # --- What runs where.

    def place(self, *, declared: bool) -> None:
        """As for any row; a placement that is new is told what to run."""
        super().place(declared=declared)
        if not declared:
            self.aim_joined()  # a declaration makes the revision first

    def aim_joined(self) -> None:
        """Let the placements that are new run the current revision."""
        if self.placements_of().filter(**{"target": 0}).exists():
            self.aim(self.revision, only=0)

    def retarget(self) -> None:
        """Let every cluster run the current revision."""
        self.aim(self.revision)

    def aim(
        self, number: int, *, only: int | None = None, on: Collection[str] | None = None
    ) -> None:
        """Let its clusters run a revision and mark who moves.

        `only` those that were to run that one, `on` only the clusters of these names.
        """
        rows = self.placements_of().exclude(**{"target": number})
        rows = rows if on is None else rows.filter(**{"cluster__name__in": on})
        found = rows if only is None else rows.filter(**{"target": only})
        moving = list(found.values_list("pk", flat=True))
        if not moving:
            return
        model = found.model
        model._default_manager.filter(pk__in=moving).update(**{"target": number})
        Work.objects.filter(kind=model._meta.label_lower, object_id__in=moving).mark()

    # --- Going back.

    def rollback(
        self, number: int | None, *, by: str, message: str = "", at_once: bool = False
    ) -> bool:
        """Declare the spec of an earlier revision anew, as a new one; False if it runs already.

        Without a number it is the last before the current one that was healthy. The one that is
        left is blocked, unless the way leads forward again. Raises Invalid for a number that there
        is not, Conflicting without any healthy one, and what `declare` raises.
        """
        if self.deleting:
            raise Deleting(f"{self} is being deleted.")
        target = self._healthy_before() if number is None else self._numbered(number)
        if target.spec == self.revised():
            return False
        left = self.current_revision()
        self._restore(target.spec)
        message = message or f"Rollback to revision {target.number}."
        self.change = Change(message, target.number, at_once)
        try:
            with transaction.atomic():
                changed = self.declare(by=by)
                if changed and left and target.number < (left.origin or left.number):
                    self.block(left, by=by, reason=message)
                return changed
        finally:
            self.change = Change()

    def _restore(self, spec: JSON) -> None:
        for name in self.revised_fields:
            empty = cast("models.Field[object, object]", self._meta.get_field(name)).get_default()
            setattr(self, name, spec.get(name, empty))

    def _numbered(self, number: int) -> Revision:
        found = self.revisions.filter(number=number).first()
        if found is None:
            fault = Fault("unknown", "There is no such revision.", "/revision")
            raise Invalid("Parts of the request are wrong.", errors=[fault])
        return found

    def standing_revision(self) -> int:
        """The number of the last before the current one that was healthy and may run; 0: none."""
        return self._standing().values_list("number", flat=True).first() or 0

    def _standing(self) -> "models.QuerySet[Revision]":
        earlier = self.revisions.filter(number__lt=self.revision, healthy=True, block=None)
        return earlier.order_by("-number")

    def _healthy_before(self) -> Revision:
        found = self._standing().first()
        if found is None:
            raise Conflicting(
                f"No revision before {self.revision} was healthy and is not blocked. "
                "Name the one to go back to."
            )
        return found
