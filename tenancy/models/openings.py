"""Network rules of tenants and projects that open more than restrictions let them: refused."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconcile.refusals import Conflicting, Fault
from tenancy.rules.network import opened
from tenancy.rules.network_bounds import NETWORK
from tenancy.rules.network_judging import Home, outside

if TYPE_CHECKING:
    from tenancy.models.project import Project
    from tenancy.models.tenant import Tenant

Rules = Mapping[str, Any]
# Says who bounds the network of a tenant, or of one of its projects: names of sources.
Teller = Callable[["Tenant", str], list[str]]
_tellers: list[Teller] = []


def tell_sources(teller: Teller) -> None:
    """Have a part that this one does not know name what it bounds the network by."""
    if teller not in _tellers:
        _tellers.append(teller)


@dataclass(frozen=True)
class Opening:
    """A network rule, by its place in its list, that opens what is not to be opened."""

    row: "Tenant | Project"
    place: int
    opened: str

    def __str__(self) -> str:
        return f"Network rule {self.place + 1} of {self.row} opens {self.opened}."


def openings(row: "Tenant | Project", restrictions: Rules) -> Iterator[Opening]:
    """Yield which of the rules of a tenant or a project restrictions would not let be."""
    if not restrictions.get(NETWORK):
        return
    home = Home(row.tenant_name)
    for place, rule in enumerate(row.network):
        spec = {rule["direction"]: [opened(rule)]}
        if text := next(outside(spec, restrictions, home), ""):
            yield Opening(row, place, text)


def misfit(tenant: "Tenant", project: "Project | None", restrictions: Rules) -> Opening | None:
    """Return the first rule of a tenant, or in one of its projects, that these would not let be.

    What a tenant opens is opened in each of its projects.
    """
    rows: list[Tenant | Project] = [tenant] if project is None else [project, tenant]
    return next((each for row in rows for each in openings(row, restrictions)), None)


def refuse_openings(tenant: "Tenant", project: "Project | None" = None) -> None:
    """Raise Conflicting for rules that open more than what is in force lets them.

    `project` is who is declared, else the tenant itself, whose projects are asked about as well.
    """
    asked: list[Project | None] = [project]
    if project is not None and (tenant.network or project.network):
        tenant = type(tenant).objects.get(pk=tenant.pk)  # what binds it may have changed
    if project is None:
        asked += tenant.projects.filter(deletion_requested_at=None).order_by("name")
    for each in asked:
        if not (tenant.network or (each and each.network)):
            continue
        if each:
            each.refresh_from_db(fields=["imposed", "imposed_on"])
            each.tenant = tenant
        views = (each or tenant).in_force_anywhere()
        if found := next(filter(None, (misfit(tenant, each, rules) for rules in views)), None):
            ours = found.row is (project or tenant)
            pointer = f"/network/{found.place}" if ours else "/restrictions/network"
            raise _refusal(found, tenant, each.name if each else "", pointer)


def _refusal(found: Opening, tenant: "Tenant", project: str, pointer: str) -> Conflicting:
    own = [f"{tenant}"] if NETWORK in tenant.restrictions else []
    sources = [*own, *(name for teller in _tellers for name in teller(tenant, project))]
    by = " and ".join(sources) or "what is in force"
    text = f"{found} Restrictions of the network do not let it ({by})."
    fault = Fault("network", text, pointer)
    conflict = {"kind": NETWORK, "sources": [f"{found.row}", *sources], "detail": text}
    raise Conflicting(
        f"{text} Change the rule or the restriction, or have an operator make an exception.",
        errors=[fault],
        conflicts=[conflict],
    )
