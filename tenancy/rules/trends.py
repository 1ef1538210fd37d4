"""What was used over time, as a line that can be drawn. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from tenancy.rules.ledger import counted
from tenancy.rules.quantities import legible, unit_of

WIDTH, HEIGHT = 240, 40
_MOST = 120  # points of a line: more cannot be told apart


@dataclass(frozen=True)
class Reading:
    """What was used and allowed at one time, in Unix seconds; quantities as they were stored."""

    at: float
    used: str
    hard: str


@dataclass(frozen=True)
class Trend:
    """One resource on one cluster over time, oldest first."""

    cluster: str
    resource: str
    readings: Sequence[Reading]

    @property
    def points(self) -> str:
        """The line for an SVG of WIDTH × HEIGHT: the top is what was allowed or used at most."""
        shown = _thinned(self.readings)
        if not shown:
            return ""
        top = max(self._most("used"), self._most("hard")) or 1
        begin, span = shown[0].at, (shown[-1].at - shown[0].at) or 1.0
        across = ((each.at - begin) / span * WIDTH for each in shown)
        down = (HEIGHT - self._units(each) / top * HEIGHT for each in shown)
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True))

    @property
    def text(self) -> str:
        """The line in words, for whoever does not see it."""
        if not self.readings:
            return f"{self.resource} on {self.cluster}: nothing was counted."
        last, least = self.readings[-1], min(self._units(each) for each in self.readings)
        now, most = self._units(last), self._most("used")
        hard = counted(last.hard, self.resource)
        return (
            f"{self.resource} on {self.cluster}: {self._legible(now)} of {self._legible(hard)} "
            f"used now, between {self._legible(least)} and {self._legible(most)} before."
        )

    @property
    def now(self) -> str:
        """What is used of what is allowed, as counted last."""
        if not self.readings:
            return ""
        last = self.readings[-1]
        hard = counted(last.hard, self.resource)
        return f"{self._legible(self._units(last))} of {self._legible(hard)}"

    @property
    def peak(self) -> str:
        """The most that was used."""
        return self._legible(self._most("used"))

    def _units(self, reading: Reading) -> int:
        return counted(reading.used, self.resource)

    def _most(self, column: str) -> int:
        found = (counted(getattr(each, column), self.resource) for each in self.readings)
        return max(found, default=0)

    def _legible(self, amount: int) -> str:
        return legible(Fraction(amount) * unit_of(self.resource), self.resource)


def _thinned(readings: Sequence[Reading]) -> Sequence[Reading]:
    """Every so many-th, and always the last."""
    every = -(-len(readings) // _MOST) or 1
    return [*readings[: len(readings) - 1 : every], *readings[-1:]]
