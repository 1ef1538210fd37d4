"""Tenants for a benchmark: two projects each, with a quota, limits and isolation: 11 objects."""

from collections.abc import Iterator, Sequence
from typing import Any

JSON = dict[str, Any]
PROJECTS = ("shop", "blog")
QUOTA = {"pods": "40", "requests.cpu": "8", "requests.memory": "16Gi"}


def names(first: int, count: int, prefix: str = "bench") -> list[str]:
    """Names of tenants, from a number on."""
    return [f"{prefix}-{number:05}" for number in range(first, first + count)]


def declare(tenants: Sequence[str], clusters: Sequence[str]) -> None:
    """Declare tenants with their projects; nothing is done about them before a drain runs."""
    from tenancy.models import Project, Tenant

    for name in tenants:
        tenant = Tenant(name=name, quota=QUOTA, placement={"clusters": list(clusters)})
        tenant.declare(by="olga")
        for project in PROJECTS:
            Project(tenant=tenant, name=project).declare(by="olga")


def settled(tenants: Sequence[str]) -> bool:
    """Whether these and their projects are Deployed, their placements too, and nothing is due."""
    from reconcile.models import Work
    from tenancy.models import Project, Tenant

    if Work.objects.filter(tenant__in=tenants).exclude(due_at=None, lease_token=None).exists():
        return False
    rows = (
        Tenant.objects.filter(name__in=tenants),
        Project.objects.filter(tenant__name__in=tenants),
    )
    return all(not found.exclude(phase="Deployed").exists() for found in rows)


def placements(tenants: Sequence[str]) -> Iterator[Any]:
    """Their placements, of tenants first."""
    from tenancy.models import ProjectPlacement, TenantPlacement

    yield from TenantPlacement.objects.filter(tenant__name__in=tenants).order_by("pk")
    yield from ProjectPlacement.objects.filter(project__tenant__name__in=tenants).order_by("pk")


def manifests(tenants: Sequence[str]) -> list[JSON]:
    """Every object that is wanted for these tenants, with the owner's labels."""
    from reconcile.plan import stamped
    from reconcile.values import MANAGED_BY, MANAGER, OWNER

    return [
        stamped(each, {MANAGED_BY: MANAGER, OWNER: row.owner}, "0" * 32)
        for row in placements(tenants)
        for each in row.adapter().render(row.intent())
    ]


def comparable(found: Sequence[JSON]) -> list[JSON]:
    """Without the correlation id, which each declaration chooses anew."""
    bodies = []
    for each in found:
        meta = {key: value for key, value in each["metadata"].items() if key != "annotations"}
        bodies.append({**each, "metadata": meta})
    return bodies
