"""The table of the fault cases, written by the suite itself from what its tests have measured."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.world import Audit

_CASE = re.compile(r"test_(f\d+)_")
_ROW = re.compile(r"^\| (F\d+|Idle|Soak) \|")
CONDITIONS = "{conditions}"  # where the heading says how the machine was
TITLES = {
    "F1": "Worker killed (SIGKILL) before and after each write of each operation",
    "F2": "Worker killed between an answer of the cluster and its own record of it",
    "F3": "Web role killed after its commit, before the answer",
    "F4": "Tasks of the queue delivered twice",
    "F5": "Several workers want the same object",
    "F6": "A worker stopped (SIGSTOP) with its lease, awake again after the tenant is gone",
    "F11": "429 with Retry-After",
    "F12": "Storms of 500, 502, 503 and 504",
    "F13": "Slow answers, dripping bytes, a black hole instead of TLS",
    "F14": "Connection reset after the request was carried out",
    "F15": "410 Gone: as status, as event, on a continue token",
    "F16": "A watch that is silently dead",
    "F17": "etcd restored from a backup",
    "F18": "Events doubled, reordered, lost, cut",
    "F19": "Conflict with another field manager, once and for ever",
    "F20": "A kind that is not served any more",
    "F22": "A namespace that does not end",
    "F24": "A cluster away for long, back with drift",
    "F28": "The database restored from a backup older than the cluster",
    "F29": "Another cluster behind the same URL",
    "F30": "Empty and partial lists",
    "F31": "A row that kills its worker each time",
    "F34": "SIGTERM during work",
    "F36": "One of two clusters of a placement is away",
    "Idle": "Tenants at rest while the status of their Deployments changes",
    "Soak": "Random faults, one after the other",
}


@dataclass
class Result:
    """What one case came to."""

    runs: int = 0
    worst: float = 0.0
    lost: int = 0
    doubled: int = 0
    orphans: int = 0
    failed: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)  # fails today, and why

    @property
    def told(self) -> bool:
        """Whether there is anything to tell: a case that was skipped measured nothing."""
        return bool(self.runs or self.failed or self.expected)

    @property
    def word(self) -> str:
        """held, fails (and which test), or what is known not to hold."""
        if self.failed:
            return f"**fails**: {', '.join(self.failed)}"
        return "; ".join(["held", *(f"but: {why}" for why in self.expected)])


class Table:
    """All cases of a session, by id."""

    def __init__(self) -> None:
        self.results: dict[str, Result] = {}
        self.conditions = f"{os.cpu_count()} cores with a load average of {os.getloadavg()[0]:.1f}"

    def of(self, case: str) -> Result:
        """The result of a case."""
        return self.results.setdefault(case, Result())

    def write(self, path: Path, heading: str) -> None:
        """Write the page; of cases that this session has not run the rows of the page stay."""
        rows = _rows_of(path) | {
            case: f"| {case} | {TITLES[case]} | {found.runs} | {found.worst:.1f} | "
            f"{found.lost} | {found.doubled} | {found.orphans} | {found.word} |"
            for case, found in self.results.items()
            if found.told
        }
        text = heading.rstrip("\n").replace(CONDITIONS, self.conditions)
        path.write_text("\n".join([text, *(rows[case] for case in sorted(rows, key=_order)), ""]))


@dataclass
class Ledger:
    """Where one test notes what it has measured."""

    result: Result

    def add(self, *, runs: int = 1, seconds: float = 0.0, audit: Audit | None = None) -> None:
        """Note faults, the seconds from the end of the worst to rest, and what was wrong then."""
        self.result.runs += runs
        self.result.worst = max(self.result.worst, seconds)
        if audit:
            self.result.lost += len(audit.lost)
            self.result.doubled += len(audit.doubled)
            self.result.orphans += len(audit.orphans)


def case_of(test: str) -> str:
    """The id of the case that a test is about, empty when it is about none."""
    if test.startswith("test_idle_"):
        return "Idle"
    if test.startswith("test_soak_"):
        return "Soak"
    found = _CASE.match(test)
    return found[1].upper() if found else ""


def _rows_of(path: Path) -> dict[str, str]:
    """The rows of a page that was written before, by case."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {found[1]: line for line in lines if (found := _ROW.match(line))}


def _order(case: str) -> tuple[int, str]:
    return (int(case[1:]), "") if case[1:].isdigit() else (999, case)
