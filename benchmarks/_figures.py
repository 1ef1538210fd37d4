"""What a run found, as numbers for people and machines: pure, so that it can be judged by tests."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JSON = dict[str, Any]


@dataclass(frozen=True)
class Spread:
    """A series of times in milliseconds: how many, the middle, the 99th of a hundred, the worst."""

    n: int
    p50: float
    p99: float
    max: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Spread":
        """Sum up a series of seconds. Raises ValueError for none at all."""
        if not seconds:
            raise ValueError("nothing was measured")
        times = sorted(value * 1000 for value in seconds)
        p50, p99 = (rounded(percentile(times, share)) for share in (0.5, 0.99))
        return cls(len(times), p50, p99, rounded(times[-1]))


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of them do not exceed (nearest rank)."""
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def middle(values: Sequence[float]) -> float:
    """Return the median of a few rounds; of an even number the lower one of the two."""
    return percentile(sorted(values), 0.5)


def rounded(value: float) -> float:
    """Three significant digits: what lies below is noise."""
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, 2 - math.floor(math.log10(abs(value))))


def ratio(product: float, floor: float) -> float:
    """Return how many times the floor that is; infinite where the floor is nothing."""
    return rounded(product / floor) if floor else math.inf


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Lay out rows as a table of Markdown, which people can read as it is."""
    lines = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    ruled = [lines[0], ["-" * width for width in widths], *lines[1:]]
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in ruled
    )


def spreads(rows: Mapping[str, Spread]) -> str:
    """Lay out named series."""
    head = ("", "n", "p50 ms", "p99 ms", "max ms")
    return table(head, [(name, s.n, s.p50, s.p99, s.max) for name, s in rows.items()])


def write(path: Path, figures: JSON) -> None:
    """Write the figures as JSON; whoever reads it while it is written sees the old or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".fresh")
    fresh.write_text(json.dumps(figures, indent=1, sort_keys=True, default=vars) + "\n")
    fresh.replace(path)
