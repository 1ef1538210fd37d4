"""The books of one tenant's quota: who gets what, who holds what, and the next move."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils import timezone

from reconcile.models import Work
from reconcile.values import JSON
from tenancy.models.ledger import QuotaEntry
from tenancy.rules.grants import Grant, moved
from tenancy.rules.ledger import Cell, Terms, chosen, counted, units, written

if TYPE_CHECKING:
    from tenancy.models.bounded import Bounded
    from tenancy.models.project import Project, ProjectPlacement
    from tenancy.models.tenant import TenantPlacement


@dataclass
class Book:
    """What is known at one moment, all of it by the names of projects and clusters.

    `look_in` is in how many seconds to balance again, None: when something moves.
    """

    tenant: "Bounded"
    projects: "dict[str, Project]"
    places: "dict[str, TenantPlacement]"
    placements: "dict[Cell, ProjectPlacement]"
    entries: dict[tuple[str, Cell], QuotaEntry]
    look_in: float | None = None
    _untold: frozenset[Cell] = frozenset()
    _moved: set[Cell] = field(default_factory=set)

    @classmethod
    def of(cls, tenant: "Bounded", *, locked: bool = False) -> "Book":
        """Read everything; with the entries `locked` whoever confirms one waits.

        Then it is known as well of which projects a cluster was never told anything: the first step
        of a placement chooses its platform, which waits here, before it reads what is granted.
        """
        projects = list(tenant.projects.order_by("name").prefetch_related("placements"))
        places = {
            row.cluster.name: row
            for row in tenant.placements.order_by("cluster__name").select_related("cluster")
        }
        clusters = {row.cluster_id: name for name, row in places.items()}
        names = {project.pk: project.name for project in projects}
        placements = {
            (project.name, clusters[row.cluster_id]): row
            for project in projects
            for row in project.placements.all()
            if row.cluster_id in clusters
        }
        rows = QuotaEntry.objects.filter(tenant_id=tenant.pk).order_by("pk")
        if locked:
            rows = rows.select_for_update(of=("self",), no_key=True)
        return cls(
            tenant=tenant,
            projects={project.name: project for project in projects},
            places=places,
            placements=placements,
            entries={
                (row.resource, (names[row.project_id], clusters.get(row.cluster_id, ""))): row
                for row in rows
                if row.project_id in names
            },
            _untold=_untold(placements) if locked else frozenset(),
        )

    @property
    def resources(self) -> list[str]:
        """Everything that somebody bounds."""
        own = {key for project in self.projects.values() for key in project.quota}
        return sorted(own | set(self.tenant.quota))

    def balance(self) -> None:
        """Divide every resource anew, move what may move, and write down what has."""
        before = {key: (row.target, row.granted, row.held) for key, row in self.entries.items()}
        known, resources = set(self.entries), set(self.resources)
        for resource in sorted(resources):
            self._balance(resource)
        gone = [key for key in known if key[0] not in resources or not self._stays(*key)]
        self._write(before, gone)
        self._mark()

    def used(self, resource: str) -> dict[Cell, int]:
        """What each project uses on each cluster, as far as it was counted."""
        return {
            cell: counted(_fact(row.facts, resource, "used"), resource)
            for cell, row in self.placements.items()
        }

    def terms(self, resource: str) -> Terms:
        """What the resource is to be divided by."""
        alive = {name: row for name, row in self.projects.items() if not row.deleting}
        total = self.tenant.quota.get(resource)
        floors = {
            name: units(quota[resource], resource)
            for name, quota in self.tenant.quota_floors.items()
            if resource in quota
        }
        return Terms(
            clusters=[name for name in self.places if self._takes_part(name)],
            weights={name: row.weight for name, row in alive.items()},
            total=None if total is None else units(total, resource),
            own={
                name: units(row.quota[resource], resource)
                for name, row in alive.items()
                if resource in row.quota
            },
            floors=floors,
            division=self.tenant.quota_division,
            used=self.used(resource),
            kept={
                cell: row.amount("granted")
                for cell, row in self._of(resource).items()
                if cell[0] in alive and self._keeps(cell[1])
            },
        )

    # --- Who takes part.

    def _takes_part(self, cluster: str) -> bool:
        place = self.places.get(cluster)
        return bool(place and not place.deleting and not place.unselected)

    def _keeps(self, cluster: str) -> bool:
        """Nothing is taken from where a tenant is no longer selected, until it is told to go."""
        place = self.places.get(cluster)
        return bool(place and not place.deleting and place.unselected)

    def _stays(self, resource: str, cell: Cell) -> bool:
        """Whether the entry of a cell is still of use: it has a target, or is held until gone."""
        project = self.projects[cell[0]]
        if project.deleting or not self._takes_part(cell[1]):
            return cell in self.placements
        return resource in self.tenant.quota or resource in project.quota

    def _of(self, resource: str) -> dict[Cell, QuotaEntry]:
        return {cell: row for (name, cell), row in self.entries.items() if name == resource}

    # --- One resource.

    def _balance(self, resource: str) -> None:
        terms, rows = self.terms(resource), self._of(resource)
        current = {cell: row.amount("target") for cell, row in rows.items()}
        wanted, again = chosen(
            terms,
            {cell: amount for cell, amount in current.items() if self._takes_part(cell[1])},
            rested=self._rest(rows.values()) <= 0,
        )
        if again:
            self._look(max(1.0, self._rest(rows.values())))
        grants = {cell: self._grant(resource, cell, amount) for cell, amount in wanted.items()}
        held = {cell: grant.held for cell, grant in grants.items()}
        staying = {cell: row for cell, row in rows.items() if cell not in wanted}
        for cell, row in staying.items():
            if self._stays(resource, cell):
                held[cell] = row.amount("held")
                row.target = row.granted if cell in terms.kept else self._text(0, resource, cell)
        own_free = {
            name: amount - sum(each for cell, each in held.items() if cell[0] == name)
            for name, amount in terms.own.items()
        }
        free = None if terms.total is None else terms.total - sum(held.values())
        for cell, grant in moved(grants, free, own_free).items():
            self._note(resource, cell, grant)

    def _grant(self, resource: str, cell: Cell, target: int) -> Grant:
        """What stands; where nothing does, a cluster may allow what it was told before.

        What it was never told is free to be divided anew: it holds nothing of it.
        """
        row = self.entries.get((resource, cell))
        if row is not None and cell not in self._untold:
            return Grant(target, row.amount("granted"), row.amount("held"))
        facts = self.placements[cell].facts if cell in self.placements else {}
        seen = (counted(_fact(facts, resource, name), resource) for name in ("hard", "used"))
        return Grant(target, 0, max(seen))

    def _note(self, resource: str, cell: Cell, grant: Grant) -> None:
        row = self.entries.get((resource, cell))
        if row is None:
            row = QuotaEntry(
                tenant_id=self.tenant.pk,
                project=self.projects[cell[0]],
                cluster_id=self.places[cell[1]].cluster_id,
                resource=resource,
            )
            self.entries[resource, cell] = row
        for column in ("target", "granted", "held"):
            setattr(row, column, self._text(getattr(grant, column), resource, cell))

    def _text(self, amount: int, resource: str, cell: Cell) -> str:
        own = self.projects[cell[0]].quota.get(resource, "")
        return written(amount, resource, declared=own or self.tenant.quota.get(resource, ""))

    def _rest(self, rows: Iterable[QuotaEntry]) -> float:
        """Seconds for which the targets of a resource stay as they are."""
        newest = max((row.updated_at for row in rows), default=None)
        if newest is None:
            return 0.0
        ends = newest + timedelta(seconds=settings.QUOTA_REBALANCE_SECONDS)
        return (ends - timezone.now()).total_seconds()

    def _look(self, seconds: float) -> None:
        self.look_in = seconds if self.look_in is None else min(self.look_in, seconds)

    # --- What has moved.

    def _write(
        self,
        before: dict[tuple[str, Cell], tuple[str, str, str]],
        gone: list[tuple[str, Cell]],
    ) -> None:
        dropped = [self.entries.pop(key) for key in gone]
        fresh: list[QuotaEntry] = []
        changed: list[QuotaEntry] = []
        now = timezone.now()
        for key, row in self.entries.items():
            old = before.get(key)
            if old == (row.target, row.granted, row.held):
                continue
            (changed if old else fresh).append(row)
            if old and old[0] != row.target:
                row.updated_at = now
            if old is None or old[1] != row.granted:
                self._moved.add(key[1])
        self._moved |= {cell for _, cell in gone}
        if dropped:
            QuotaEntry.objects.filter(pk__in=[row.pk for row in dropped]).delete()
        QuotaEntry.objects.bulk_create(fresh, batch_size=500)
        columns = ["target", "granted", "held", "updated_at"]
        QuotaEntry.objects.bulk_update(changed, columns, batch_size=100)

    def _mark(self) -> None:
        """Make due what its cluster is to be told anew."""
        rows = [self.placements[cell] for cell in self._moved if cell in self.placements]
        clusters = {cluster for _, cluster in self._moved}
        rows_of_tenant = [self.places[name] for name in clusters if name in self.places]
        for found in (rows, rows_of_tenant):
            if found:
                keys = [row.pk for row in found]
                works = Work.objects.filter(kind=found[0].label, object_id__in=keys)
                works.mark(by_the_way=True)


def _untold(placements: "Mapping[Cell, ProjectPlacement]") -> frozenset[Cell]:
    """Where no step has begun yet; none begins before the transaction ends."""
    new = {row.pk: cell for cell, row in placements.items() if not row.chosen_adapter}
    if not new:
        return frozenset()
    rows = type(placements[next(iter(placements))]).locked().filter(pk__in=new, chosen_adapter="")
    return frozenset(new[pk] for pk in rows.order_by("pk").values_list("pk", flat=True))


def _fact(facts: JSON, resource: str, name: str) -> str:
    found = facts.get("quota", {}).get(resource, {})
    return str(found.get(name, "0"))
