"""The guards: when the engine stops writing to a cluster and asks a person. Pure.

A cluster that is not the one we know, a database older than what it wrote, and more deletions in a
short time than anybody would mean (threats F28, F29, F30).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from reconcile.values import Plan, Step, Verb, Why

# Taking rights away destroys nothing and must not wait for anybody: such kinds do not count.
ONLY_RIGHTS = frozenset({"RoleBinding"})
_NUMBER = re.compile(r"\d{1,15}")
_STAMP = re.compile(r"[0-9a-f]{32}")


class Reason(StrEnum):
    """Why a cluster is held until an operator confirms, the gravest first."""

    IDENTITY = "ClusterIdentityChanged"
    EPOCH = "EpochBehind"
    DELETIONS = "TooManyDeletions"


# Nothing at all is written for these; for the third only the deletions wait.
REPORT_ONLY = frozenset({Reason.IDENTITY, Reason.EPOCH})


@dataclass(frozen=True)
class Bounds:
    """How many deletions nobody asked for are borne on one cluster in `seconds`."""

    least: int = 20
    percent: int = 10
    seconds: int = 600

    def most(self, objects: int) -> int:
        """The number for a cluster on which we have so many objects."""
        return max(self.least, objects * self.percent // 100)


class Doomed(NamedTuple):
    """An object that goes because of a change of something else; `row` is whose it is."""

    uid: str
    object: str
    row: str


@dataclass(frozen=True)
class Epoch:
    """How often a database has begun to write to a cluster, and a stamp of the last time.

    Number 0: never. A copy of the database reaches the same numbers with other stamps.
    """

    number: int = 0
    stamp: str = ""

    @classmethod
    def of(cls, data: Mapping[str, object]) -> "Epoch":
        """Read the data of a ConfigMap; what is not to be understood counts as never."""
        number, stamp = str(data.get("epoch", "")), str(data.get("stamp", ""))
        if not _NUMBER.fullmatch(number) or not _STAMP.fullmatch(stamp):
            return cls()
        return cls(int(number), stamp)

    @property
    def data(self) -> dict[str, str]:
        """The data of the ConfigMap."""
        return {"epoch": str(self.number), "stamp": self.stamp}

    def is_behind(self, theirs: "Epoch") -> bool:
        """Whether another database than ours, or a later state of it, has written meanwhile."""
        if self.number == theirs.number:
            return self.stamp != theirs.stamp
        return self.number < theirs.number


def deletions(plan: Plan) -> tuple[Step, ...]:
    """The deletions of a plan that destroy something and that nobody has asked for by name."""
    return tuple(
        step
        for step in plan.steps
        if step.verb is Verb.DELETE
        and step.why is not Why.EXTRA
        and step.ref.kind.name not in ONLY_RIGHTS
    )
