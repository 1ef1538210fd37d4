"""What a plan stands on: when it moves, the plan that was seen no longer holds. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from reconcile.plan import Task
from reconcile.values import JSON, Live, Ref, digest

Living = tuple[str, str]  # uid and fingerprint of a live object


@dataclass(frozen=True)
class Footing:
    """One row on one cluster: what is wanted there and what is there, by the names of objects.

    `basis` names the adapter and what the cluster offers it. `live` is None where the cluster was
    not asked: the plan holds then for whatever is found. Never a resource version, which counts
    changes of status too.
    """

    row: str
    cluster: str
    basis: str
    deleting: bool = False
    wanted: Mapping[str, str] = field(default_factory=dict)
    live: Mapping[str, Living] | None = None

    @classmethod
    def of(
        cls, row: str, cluster: str, basis: str, task: Task, seen: Mapping[Ref, Live] | None
    ) -> "Footing":
        """Note what a step would be made of."""
        wanted = {str(item.ref): item.hash for item in task.wanted}
        live = None if seen is None else {str(ref): living(seen[ref]) for ref in seen}
        return cls(row, cluster, basis, task.deleting, wanted, live)

    @classmethod
    def read(cls, stored: JSON) -> "Footing":
        """Return what `as_json` has written."""
        found = stored["live"]
        live = None if found is None else {name: (each[0], each[1]) for name, each in found.items()}
        return cls(**{**stored, "live": live})

    def as_json(self) -> JSON:
        """Return it as plain values."""
        live = None if self.live is None else {name: [*each] for name, each in self.live.items()}
        return {
            "row": self.row,
            "cluster": self.cluster,
            "basis": self.basis,
            "deleting": self.deleting,
            "wanted": dict(self.wanted),
            "live": live,
        }


def living(live: Live) -> Living:
    """Return the identity and content of a live object."""
    return live.uid, live.fp


def hash_of(footings: Iterable[Footing]) -> str:
    """Return the hash of a plan (32 hex digits), whatever the order of its parts."""
    return digest(sorted(digest(each.as_json()) for each in footings))


def moved(before: Iterable[Footing], now: Iterable[Footing]) -> list[str]:
    """Say in sentences what is different now; sorted, each once."""
    old, new = ({each.row: each for each in footings} for footings in (before, now))
    told = [f"{row} is no longer part of it." for row in old if row not in new]
    told += [f"{row} has become part of it." for row in new if row not in old]
    told += [text for row in old if row in new for text in difference(old[row], new[row])]
    return sorted(set(told))


def difference(before: Footing, now: Footing) -> Iterator[str]:
    """Say what is different of one row."""
    if before.basis != now.basis:
        yield f"What serves {now.row} has changed: {before.basis} is {now.basis} now."
    if before.deleting != now.deleting:
        yield f"{now.row} is {'now' if now.deleting else 'no longer'} to be removed."
    for name in sorted({*before.wanted, *now.wanted}):
        if before.wanted.get(name) != now.wanted.get(name):
            yield f"What is wanted of {name} on {now.cluster} has changed."
    if (before.live is None) != (now.live is None):
        answers = "could not be asked" if now.live is None else "answers again"
        yield f"Cluster {now.cluster} {answers}."
    elif before.live is not None and now.live is not None:
        yield from _on_cluster(now.cluster, before.live, now.live)


def _on_cluster(
    cluster: str, before: Mapping[str, Living], now: Mapping[str, Living]
) -> Iterator[str]:
    for name in sorted({*before, *now}):
        if name not in now:
            yield f"{name} is gone from {cluster}."
        elif name not in before:
            yield f"{name} has appeared on {cluster}."
        elif before[name] != now[name]:
            yield f"{name} was changed on {cluster}."
