"""How grants move towards their targets so that clusters never allow more than the total. Pure.

A cluster is told less at once. It is told more only as far as the others are known to hold less.
Amounts are whole units, as in `tenancy.rules.ledger`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tenancy.rules.ledger import Cell, apportion


@dataclass(frozen=True)
class Grant:
    """What a project is to get on a cluster, what the cluster is told, what it may still allow."""

    target: int
    granted: int
    held: int

    @property
    def need(self) -> int:
        """What it lacks, beyond what its cluster may allow already."""
        return max(0, self.target - self.held)


def moved(
    grants: Mapping[Cell, Grant],
    free: int | None,
    own_free: Mapping[str, int],
) -> dict[Cell, Grant]:
    """Return the grants after one move: shrink first, grow only into what is free.

    `free` is what nobody holds of the tenant's total (None: it has none), `own_free` the same of
    the totals of projects. Both may be negative where a total was lowered.
    """
    told = {cell: _within_held(grant) for cell, grant in grants.items()}
    needs = {cell: grant.need for cell, grant in told.items()}
    for name, most in own_free.items():
        own = {cell: need for cell, need in needs.items() if cell[0] == name}
        needs |= _as_far(own, most)
    got = needs if free is None else _as_far(needs, free)
    return {cell: _grown(grant, got[cell]) for cell, grant in told.items()}


def held_now(granted: int, told: int, seen: Iterable[int]) -> int:
    """Return what a cluster may allow once it has taken what it was `told`.

    `granted` is what it is to be told now, `seen` what it says that it allows and that is used:
    what is used beyond its part is used all the same.
    """
    return max(granted, told, *seen)


def _within_held(grant: Grant) -> Grant:
    """Told less at once; told more as far as its cluster allows that much anyway."""
    return replace(grant, granted=min(grant.target, max(grant.granted, grant.held)))


def _grown(grant: Grant, more: int) -> Grant:
    granted = grant.held + more if more else grant.granted
    return replace(grant, granted=granted, held=max(grant.held, granted))


def _as_far(needs: Mapping[Cell, int], free: int) -> dict[Cell, int]:
    return apportion(min(max(0, free), sum(needs.values())), needs)
