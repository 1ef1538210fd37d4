"""What a tenant's ledger says, for people and machines: who has what, what moves, and why."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from tenancy.models import Project, ProjectPlacement, Tenant
from tenancy.models.book import Book
from tenancy.models.ledger import QuotaEntry
from tenancy.rules.ledger import Cell, units, written
from tenancy.rules.promises import Promise
from tenancy.rules.quantities import legible, unit_of

FULL = 100


@dataclass(frozen=True)
class Share:
    """What one project or cluster has of a resource; `promised` is its own total or its floor."""

    name: str
    promised: str
    granted: str
    used: str


@dataclass(frozen=True)
class Part:
    """One resource of one project on one cluster; `why` says what it waits for, if it moves."""

    resource: str
    cluster: str
    project: str
    namespace: str
    target: str
    granted: str
    held: str
    used: str
    why: str

    @property
    def moving(self) -> bool:
        """Whether it is on the way to something else."""
        return bool(self.why)


@dataclass(frozen=True)
class Line:
    """One resource over all clusters and projects.

    `total` is empty where only projects bound it. `promised` went to projects with totals of their
    own, `available` is what another may ask for. `granted` is what clusters may be told, `held` the
    most that they may allow.
    """

    resource: str
    total: str
    promised: str
    granted: str
    held: str
    used: str
    available: str
    percent: int
    text: str
    projects: tuple[Share, ...]
    clusters: tuple[Share, ...]


@dataclass(frozen=True)
class Statement:
    """The ledger of a tenant, or what of it is about one project."""

    division: str
    lines: tuple[Line, ...]
    parts: tuple[Part, ...]

    @property
    def moving(self) -> tuple[Part, ...]:
        """What is on the way to something else."""
        return tuple(part for part in self.parts if part.moving)


def statement(tenant: Tenant) -> Statement:
    """Read the ledger of a tenant: a few queries, however large it is."""
    book = Book.of(tenant)
    parts = _parts(book)
    lines = tuple(_line(promise, parts) for promise in tenant.promises())
    return Statement(tenant.quota_division, lines, parts)


def of_project(project: Project) -> Statement:
    """Read what of the ledger is about one project, and nothing of what its siblings have."""
    book = Book.of(project.tenant)
    parts = tuple(part for part in _parts(book) if part.project == project.name)
    names = sorted({part.resource for part in parts} | set(project.quota))
    lines = tuple(_line(Promise(name, project.quota.get(name, "")), parts) for name in names)
    return Statement(project.tenant.quota_division, lines, parts)


def _line(promise: Promise, every: Iterable[Part]) -> Line:
    name = promise.resource
    parts = [part for part in every if part.resource == name]
    used, granted = _sum(parts, "used"), _sum(parts, "granted")
    # Where only some projects are bounded, that is the whole.
    whole = promise.total_units or promise.sum(promise.projects) or granted
    return Line(
        resource=name,
        total=promise.total,
        promised=written(promise.sum(promise.projects), name),
        granted=written(granted, name, declared=promise.total),
        held=written(_sum(parts, "held"), name, declared=promise.total),
        used=written(used, name),
        available=written(max(0, promise.available()), name, declared=promise.total),
        percent=used * FULL // whole if whole else (FULL if used else 0),
        text=f"{_legible(used, name)} of {_legible(whole, name)}",
        projects=_shares(parts, promise.projects, lambda part: part.project),
        clusters=_shares(parts, promise.clusters, lambda part: part.cluster),
    )


def _shares(
    parts: Iterable[Part], promised: Mapping[str, str], name_of: Callable[[Part], str]
) -> tuple[Share, ...]:
    """Sum up what each project or cluster has."""
    found: dict[str, list[Part]] = {}
    for part in parts:
        found.setdefault(name_of(part), []).append(part)
    return tuple(
        Share(
            name=name,
            promised=promised.get(name, ""),
            granted=written(_sum(each, "granted"), each[0].resource),
            used=written(_sum(each, "used"), each[0].resource),
        )
        for name, each in sorted(found.items())
    )


def _sum(parts: Iterable[Part], column: str) -> int:
    return sum(units(getattr(part, column), part.resource) for part in parts)


def _parts(book: Book) -> tuple[Part, ...]:
    used = {resource: book.used(resource) for resource in book.resources}
    return tuple(
        _part(book, cell, row, used.get(resource, {}).get(cell, 0))
        for (resource, cell), row in sorted(book.entries.items(), key=lambda each: each[0])
    )


def _legible(amount: int, resource: str) -> str:
    return legible(Fraction(amount) * unit_of(resource), resource)


def _part(book: Book, cell: Cell, row: QuotaEntry, used: int) -> Part:
    placement = book.placements.get(cell)
    return Part(
        resource=row.resource,
        cluster=cell[1],
        project=cell[0],
        namespace=placement.namespace if placement else book.projects[cell[0]].namespace,
        target=row.target,
        granted=row.granted,
        held=row.held,
        used=written(used, row.resource),
        why=_why(row, cell, placement, used),
    )


def _why(row: QuotaEntry, cell: Cell, placement: ProjectPlacement | None, used: int) -> str:
    target, granted, held = (row.amount(name) for name in ("target", "granted", "held"))
    if placement is None:
        return f"Its namespace on {cell[1]} is about to be made."
    if placement.deleting:
        return f"It is being removed from {cell[1]}; the others get {row.held} once it is gone."
    if held > granted and used >= held:
        return f"{written(used, row.resource)} is used; the others get it once it is free."
    if held > granted:
        return f"{cell[1]} was told {row.granted} and may still allow {row.held}.{_said(placement)}"
    if target > granted:
        return f"It gets {row.target} as soon as others let go."
    return ""


def _said(placement: ProjectPlacement) -> str:
    """What keeps a cluster from taking less."""
    found = next((each for each in placement.conditions if each["type"] == "Synced"), None)
    if found is None or found["status"] == "True":
        return ""
    return f" {found['message'] or found['reason']}"
