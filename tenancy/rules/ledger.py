"""How a hard total is divided over the projects and clusters of a tenant: exactly. Pure.

Amounts are whole numbers of the unit of the resource (`quantities.unit_of`): thousandths of a
CPU, bytes, pieces. Seats are given by D'Hondt's method: who gets how much never falls when there
is more to give, and the parts add up to the whole.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeVar

from tenancy.rules.quantities import is_bytes, measure, parse, unit_of, write

EVEN, WEIGHT, DEMAND = "even", "weight", "demand"
Cell = tuple[str, str]  # the name of a project, the name of a cluster
Key = TypeVar("Key")
MOST = 10**30  # units; whatever a cluster may answer is not counted as more
_PRESSED = Fraction(4, 5)  # of a part is used: it is worth looking whether others need theirs
_SLACK = Fraction(1, 20)  # of the whole: what moves less is not worth the move


@dataclass(frozen=True)
class Terms:
    """One resource of one tenant.

    `total` is the tenant's, None where it does not bound the resource: then only projects with a
    total of their `own` get anything. `weights` names every project, `clusters` where they are;
    both in the order in which they get what does not divide. `floors` are the least that a cluster
    gets, as far as there is enough. `kept` is what projects keep on clusters that take part no
    longer; `used` is what was counted last.
    """

    clusters: Sequence[str]
    weights: Mapping[str, int]
    total: int | None = None
    own: Mapping[str, int] = field(default_factory=dict)
    floors: Mapping[str, int] = field(default_factory=dict)
    division: str = EVEN
    used: Mapping[Cell, int] = field(default_factory=dict)
    kept: Mapping[Cell, int] = field(default_factory=dict)

    @property
    def parties(self) -> list[str]:
        """The projects that get some of it."""
        return [name for name in self.weights if self.total is not None or name in self.own]

    def kept_by(self, project: str) -> int:
        """What a project keeps on clusters that take part no longer."""
        return sum(amount for (name, _), amount in self.kept.items() if name == project)

    @property
    def kept_of_rest(self) -> int:
        """The same, of all projects that share the rest."""
        return sum(amount for (name, _), amount in self.kept.items() if name not in self.own)

    @property
    def left(self) -> int:
        """What of the total is promised to no project."""
        promised = sum(max(amount, self.kept_by(name)) for name, amount in self.own.items())
        return max(0, (self.total or 0) - promised - self.kept_of_rest)


def units(text: str, resource: str) -> int:
    """Read what somebody declared, rounded down to whole units."""
    return int(parse(text) // unit_of(resource))


def counted(text: str, resource: str) -> int:
    """Read what a cluster counted, rounded up to whole units; what is no quantity is nothing."""
    try:
        return min(MOST, int(-(-measure(text) // unit_of(resource))))
    except ValueError:
        return 0


def written(amount: int, resource: str, *, declared: str = "") -> str:
    """Write an amount, short where that is exact: 2 CPUs, 4Gi.

    The whole of what somebody declared is written as it was declared.
    """
    value = amount * unit_of(resource)
    if declared and parse(declared) == value:
        return declared
    if value.denominator > 1:
        return write(value, resource)
    for power, suffix in ((3, "Gi"), (2, "Mi")) if is_bytes(resource) and value else ():
        if value % 1024**power == 0:
            return f"{value // 1024**power}{suffix}"
    return str(value)


def apportion(amount: int, weights: Mapping[Key, int]) -> dict[Key, int]:
    """Divide an amount by weights: the parts add up to it exactly, and to 0 without any weight.

    No part is larger than its weight where the weights add up to at least the amount.
    """
    whole = sum(weights.values())
    if not whole or amount <= 0:
        return dict.fromkeys(weights, 0)
    parts = {key: amount * weight // whole for key, weight in weights.items()}
    queue = [
        (-Fraction(weight, parts[key] + 1), place, key)
        for place, (key, weight) in enumerate(weights.items())
        if weight
    ]
    heapq.heapify(queue)
    for _ in range(amount - sum(parts.values())):
        _, place, key = queue[0]
        parts[key] += 1
        heapq.heapreplace(queue, (-Fraction(weights[key], parts[key] + 1), place, key))
    return parts


def targets(terms: Terms) -> dict[Cell, int]:
    """Return what each project is to get on each cluster; never more than the total in sum.

    A project with a total of its own gets that, the rest shares what remains. Then every cluster
    gets its floor first. By demand nobody gets less than is used, as far as there is enough.
    """
    if not terms.clusters:
        return {}
    rows = _of_projects(terms)
    base = {name: _base(terms, name, amount) for name, amount in rows.items()}
    columns = _of_clusters(terms, sum(rows.values()), base)
    return _fill(rows, columns, _within(base, columns))


def _of_projects(terms: Terms) -> dict[str, int]:
    """What each project gets over all clusters that take part."""
    shared = {name: terms.weights[name] for name in terms.parties if name not in terms.own}
    if terms.division != WEIGHT:
        shared = dict.fromkeys(shared, 1)
    used = {name: sum(_used(terms, name).values()) for name in shared}
    base = apportion(min(terms.left, sum(used.values())), used)
    rest = apportion(terms.left - sum(base.values()), shared)
    own = _affordable(terms)
    return {name: own[name] if name in own else base[name] + rest[name] for name in terms.parties}


def _affordable(terms: Terms) -> dict[str, int]:
    """What projects with totals of their own get; less where a total was promised twice."""
    own = {
        name: max(0, terms.own[name] - terms.kept_by(name))
        for name in terms.parties
        if name in terms.own
    }
    if terms.total is None:
        return own
    left = max(0, terms.total - sum(terms.kept.values()))
    for name in own:
        own[name] = min(own[name], left)
        left -= own[name]
    return own


def _used(terms: Terms, name: str) -> dict[str, int]:
    """What a project uses by cluster, where that counts."""
    counts = terms.division == DEMAND
    return {
        cluster: terms.used.get((name, cluster), 0) if counts else 0 for cluster in terms.clusters
    }


def _base(terms: Terms, name: str, amount: int) -> dict[str, int]:
    """What of its part a project uses already, by cluster."""
    used = _used(terms, name)
    return apportion(min(amount, sum(used.values())), used)


def _of_clusters(terms: Terms, whole: int, base: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """What each cluster gets over all projects: its floor, then what is used, then evenly."""
    floors = {name: terms.floors.get(name, 0) for name in terms.clusters}
    columns = apportion(min(whole, sum(floors.values())), floors)
    more = {
        name: max(0, sum(row[name] for row in base.values()) - columns[name])
        for name in terms.clusters
    }
    for weights in (more, dict.fromkeys(terms.clusters, 1)):
        left = whole - sum(columns.values())
        most = sum(more.values()) if weights is more else left
        columns = _sum(columns, apportion(min(left, most), weights))
    return columns


def _within(
    base: Mapping[str, Mapping[str, int]], columns: Mapping[str, int]
) -> dict[str, dict[str, int]]:
    """What is used, where floors leave room for it."""
    found: dict[str, dict[str, int]] = {name: {} for name in base}
    for cluster, most in columns.items():
        column = {name: row[cluster] for name, row in base.items()}
        for name, amount in apportion(min(most, sum(column.values())), column).items():
            found[name][cluster] = amount
    return found


def _fill(
    rows: Mapping[str, int],
    columns: Mapping[str, int],
    base: Mapping[str, Mapping[str, int]],
) -> dict[Cell, int]:
    """Put amounts into the cells so that rows and columns add up, beginning with what is used."""
    room = {name: most - sum(row[name] for row in base.values()) for name, most in columns.items()}
    cells: dict[Cell, int] = {}
    for name, amount in rows.items():
        got = apportion(amount - sum(base[name].values()), room)
        room = {cluster: room[cluster] - got[cluster] for cluster in room}
        cells |= {(name, cluster): base[name][cluster] + got[cluster] for cluster in room}
    return cells


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one[name] + other[name] for name in one}


# --- By demand: what is divided stays so, until it is worth a move.


def chosen(
    terms: Terms, current: Mapping[Cell, int], *, rested: bool
) -> tuple[dict[Cell, int], bool]:
    """Return the targets, and whether to look again once the present ones have `rested`.

    By demand the present ones stay while they keep to the terms and nobody is pressed, or little
    would move: what is used moves all the time.
    """
    fresh = targets(terms)
    if terms.division != DEMAND or not _holds(terms, current, fresh):
        return fresh, False
    most = max((abs(fresh[cell] - current[cell]) for cell in fresh), default=0)
    if not _pressed(terms, current) or most <= _SLACK * sum(fresh.values()):
        return dict(current), False
    return (fresh, False) if rested else (dict(current), True)


def _holds(terms: Terms, current: Mapping[Cell, int], fresh: Mapping[Cell, int]) -> bool:
    """Whether the present targets are a division by the same terms, whatever is used."""
    if set(current) != set(fresh) or sum(current.values()) != sum(fresh.values()):
        return False
    own = {name for name in terms.own if _row(current, name) != _row(fresh, name)}
    short = [
        name
        for name, floor in terms.floors.items()
        if _column(current, name) < min(floor, _column(fresh, name))
    ]
    return not (own or short)


def _pressed(terms: Terms, current: Mapping[Cell, int]) -> bool:
    return any(terms.used.get(cell, 0) > _PRESSED * amount for cell, amount in current.items())


def _row(cells: Mapping[Cell, int], project: str) -> int:
    return sum(amount for (name, _), amount in cells.items() if name == project)


def _column(cells: Mapping[Cell, int], cluster: str) -> int:
    return sum(amount for (_, name), amount in cells.items() if name == cluster)


def sums(cells: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Add up amounts by name."""
    found: dict[str, int] = {}
    for name, amount in cells:
        found[name] = found.get(name, 0) + amount
    return found
