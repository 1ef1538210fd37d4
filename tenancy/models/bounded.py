"""How much a tenant may use: hard totals over all of its clusters, and how they are divided."""

from dataclasses import replace
from typing import TYPE_CHECKING

from django.db import models

from reconcile.locks import lock_alone
from reconcile.loop import Outcome
from reconcile.models import marking
from reconcile.models.declared import Declared
from reconcile.models.work import Lease
from reconcile.refusals import Deleting, Fault, OverQuota
from reconcile.values import JSON
from tenancy.intents import Division
from tenancy.models.book import Book
from tenancy.models.ledger import QuotaEntry
from tenancy.models.validators import validate_floors, validate_limits, validate_quota
from tenancy.rules.ledger import sums, written
from tenancy.rules.limits import default_limits
from tenancy.rules.promises import Promise, broken, promises
from tenancy.rules.usage import Usage, total

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

    from tenancy.models.ledger import UsageSample
    from tenancy.models.project import Project
    from tenancy.models.tenant import TenantPlacement

_TERMS = ("quota", "quota_floors", "quota_division", "deletion_requested_at")


class Bounded(Declared):
    """The part of a tenant that is about quotas and limits."""

    quota = models.JSONField(default=dict, blank=True, validators=[validate_quota])
    quota_floors = models.JSONField(default=dict, blank=True, validators=[validate_floors])
    quota_division = models.CharField(
        max_length=6, choices=[(way, way) for way in Division], default=Division.EVEN
    )
    limits = models.JSONField(default=default_limits, blank=True, validators=[validate_limits])

    if TYPE_CHECKING:
        placements: RelatedManager[TenantPlacement]
        projects: RelatedManager[Project]
        quota_entries: RelatedManager[QuotaEntry]
        usage_samples: RelatedManager[UsageSample]

    # In how many seconds to divide anew by demand; None: when something moves.
    balance_in: float | None = None

    class Meta:
        abstract = True

    # --- The ledger.

    def take_turn(self) -> None:
        """As for any row: the ledger is held before any row of the tenant and its projects.

        A declaration changes placements, then divides the quota; a step writes down what its
        cluster holds of it, then its placement: one after the other they cannot meet half-way.
        """
        lock_alone(f"{self.key}/ledger")

    def hold_ledger(self) -> None:
        """Be the only one who divides the quota until the transaction ends, and see it as it is.

        Raises Deleting when the tenant is gone.
        """
        self.take_turn()
        try:
            self.refresh_from_db(fields=_TERMS)
        except type(self).DoesNotExist:
            raise Deleting(f"{self} was deleted meanwhile. Create it anew.") from None

    def balance(self) -> None:
        """Divide the quota over projects and clusters, as far as may be told now; idempotent."""
        self.balance_in = None
        if not self.bounds_anything():
            self.quota_entries.all().delete()
            return
        with marking():
            self.take_turn()
            book = Book.of(self, locked=True)
            book.balance()
            self.balance_in = book.look_in

    def bounds_anything(self) -> bool:
        """Whether it has a quota, or any of its projects."""
        return bool(self.quota or any(self.projects.values_list("quota", flat=True)))

    def place(self, *, declared: bool) -> None:
        """As for any row; where clusters come or go the quota is divided anew."""
        super().place(declared=declared)
        self.balance()

    def step(self, lease: Lease) -> Outcome:
        """As for any row; what is divided by demand is looked at again after a while."""
        self.balance_in = None
        outcome = super().step(lease)
        if self.balance_in is None:
            return outcome
        soon = self.balance_in if outcome.look_in is None else min(outcome.look_in, self.balance_in)
        return replace(outcome, look_in=soon)

    # --- What is promised to whom.

    def promises(self) -> list[Promise]:
        """What of each resource is promised to projects and clusters."""
        rows = self.projects.filter(deletion_requested_at=None).order_by("name")
        own = dict(rows.values_list("name", "quota"))
        return promises(self.quota, own, self.quota_floors)

    def keep_promises(self, project: str = "") -> None:
        """Refuse to promise more than there is; `project` is who asks, else the tenant itself.

        Raises OverQuota with the numbers.
        """
        if not project:
            self._keep_floors()
        faults, refused = [], []
        for promise in self.promises():
            for path, text in broken(promise, project):
                faults.append(Fault("quota", text, path))
                refused.append(promise.as_json(project))
        if faults:
            raise OverQuota(faults[0].detail, errors=faults, ledger=refused)

    def _keep_floors(self) -> None:
        """Refuse floors for clusters where it is not placed. Raises OverQuota."""
        placed = set(self.quota_floors) and set(
            self.placements.filter(deletion_requested_at=None).values_list(
                "cluster__name", flat=True
            )
        )
        if astray := sorted(set(self.quota_floors) - placed):
            text = f"A floor is for a cluster of the tenant, and it is not on {', '.join(astray)}."
            faults = [Fault("floor", text, f"/quota_floors/{name}") for name in astray]
            raise OverQuota(text, errors=faults, ledger=[])

    # --- What is used of it.

    def part_on(self, cluster_pk: int) -> dict[str, str]:
        """What of its quota is granted on one cluster, over all projects."""
        if not self.quota:
            return {}
        entries = QuotaEntry.granted_on(self.pk, cluster_pk)
        rows = [row for row in entries if row.resource in self.quota]
        return {**dict.fromkeys(self.quota, "0"), **QuotaEntry.granted_by(rows)}

    def usage(self) -> dict[str, list[Usage]]:
        """What its projects use of what is granted, by the name of the cluster."""
        if not self.quota:
            return {}
        names = {row.cluster_id: row.cluster_name for row in self.placements.all()}
        facts: dict[str, list[JSON]] = {name: [] for name in names.values()}
        for project in self.projects.all():
            for row in project.placements.all():
                facts.setdefault(row.cluster_name, []).append(row.facts)
        parts = self._parts(names)
        return {name: total(parts.get(name, {}), facts[name]) for name in sorted(facts)}

    def _parts(self, names: dict[int, str]) -> dict[str, dict[str, str]]:
        """What is granted of its quota on each cluster."""
        rows = [row for row in self.quota_entries.all() if row.resource in self.quota]
        found = {name: dict.fromkeys(self.quota, "0") for name in names.values()}
        for pk, name in names.items():
            granted = sums(
                (row.resource, row.amount("granted")) for row in rows if row.cluster_id == pk
            )
            for resource, amount in granted.items():
                declared = self.quota[resource]
                found[name][resource] = written(amount, resource, declared=declared)
        return found
