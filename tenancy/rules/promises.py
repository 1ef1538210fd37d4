"""What of a tenant's totals is promised: to projects with totals of their own, and to clusters.

Pure. Nothing may be promised twice.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from reconcile.values import JSON
from tenancy.rules.ledger import units, written

Quota = Mapping[str, str]


@dataclass(frozen=True)
class Promise:
    """One resource: its total (empty: the tenant does not bound it), and who was promised what."""

    resource: str
    total: str = ""
    projects: Quota = field(default_factory=dict)
    clusters: Quota = field(default_factory=dict)

    @property
    def total_units(self) -> int:
        """Its total in units of the resource."""
        return units(self.total or "0", self.resource)

    def available(self, project: str = "") -> int:
        """What a project may have, in units; without one, what nobody was promised.

        Floors of clusters are made of what projects get: they are no promise beside it.
        """
        others = {name: text for name, text in self.projects.items() if name != project}
        return self.total_units - self.sum(others)

    def sum(self, promised: Quota) -> int:
        """Add amounts up, in units."""
        return sum(units(text, self.resource) for text in promised.values())

    def as_json(self, project: str = "") -> JSON:
        """Return it as refusals tell it; `project` is who asks."""
        others = {name: text for name, text in self.projects.items() if name != project}
        left = max(0, self.available(project))
        return {
            "resource": self.resource,
            "total": self.total,
            "promised": [
                *({"project": name, "amount": text} for name, text in sorted(others.items())),
                *(
                    {"cluster": name, "amount": text}
                    for name, text in sorted(self.clusters.items())
                ),
            ],
            "available": written(left, self.resource),
        }


def promises(
    quota: Quota, projects: Mapping[str, Quota], floors: Mapping[str, Quota]
) -> list[Promise]:
    """Put together what is promised of each resource, in the order of their names."""
    named = {key for each in (*projects.values(), *floors.values()) for key in each}
    return [
        Promise(
            resource,
            quota.get(resource, ""),
            {name: own[resource] for name, own in projects.items() if resource in own},
            {name: floor[resource] for name, floor in floors.items() if resource in floor},
        )
        for resource in sorted({*quota, *named})
    ]


def broken(promise: Promise, project: str = "") -> Iterator[tuple[str, str]]:
    """Yield (JSON pointer, what is wrong) where more is promised than there is."""
    if project:
        yield from _of_project(promise, project)
        return
    key = promise.resource.replace("~", "~0").replace("/", "~1")
    if not promise.total:
        for name in sorted(promise.clusters):
            text = f"{promise.resource} has a floor on {name} and no total in the quota."
            yield f"/quota_floors/{name}/{key}", text
        return
    total = units(promise.total, promise.resource)
    for path, who, promised in (
        ("quota", "projects", promise.projects),
        ("quota_floors", "clusters", promise.clusters),
    ):
        if (amount := promise.sum(promised)) > total:
            told = written(amount, promise.resource)
            yield (
                f"/{path}/{key}" if path == "quota" else f"/{path}",
                f"{promise.resource}: {told} is promised to {who} ({_told(promised)}), "
                f"and the total is {promise.total}.",
            )


def _of_project(promise: Promise, project: str) -> Iterator[tuple[str, str]]:
    asked = promise.projects.get(project)
    if not promise.total or asked is None:
        return
    left = promise.available(project)
    if units(asked, promise.resource) <= left:
        return
    others = {name: text for name, text in promise.projects.items() if name != project}
    beside = f" ({_told(others)} are promised)" if others else ""
    free = written(max(0, left), promise.resource)
    key = promise.resource.replace("~", "~0").replace("/", "~1")
    yield (
        f"/quota/{key}",
        f"{promise.resource}: {asked} is asked for, and {free} of the tenant's {promise.total} "
        f"is available{beside}.",
    )


def _told(promised: Quota) -> str:
    """The largest promises by name."""
    found = [f"{name} {text}" for name, text in sorted(promised.items())]
    more = len(found) - 10
    return ", ".join([*found[:10], *([f"{more} more"] if more > 0 else [])])
