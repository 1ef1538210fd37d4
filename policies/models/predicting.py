"""What no dry run tells of rules: it is computed from what is declared."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import F, Q

from delivery.models import Revision
from reconcile.values import JSON
from tenancy.models import Tenant
from tenancy.models.namespaces import misfits
from tenancy.rules.freezing import FREEZE, open_at
from tenancy.rules.network_bounds import NETWORK, isolation_of

Scope = Mapping[str, Sequence[str] | None]  # tenants, with some of their projects or None: all


class Prediction(NamedTuple):
    """An object that breaks a rule, by what is declared."""

    tenant: str
    kind: str
    name: str
    rule: str
    message: str
    project: str = ""
    namespace: str = ""


def within(scope: Scope, path: str) -> Q:
    """Return what finds rows of these tenants and projects; `path` leads to the project."""
    whole = [tenant for tenant, projects in scope.items() if projects is None]
    wanted = Q(**{f"{path}__tenant__name__in": whole})
    for tenant, projects in scope.items():
        if projects is not None:
            names = {f"{path}__tenant__name": tenant, f"{path}__name__in": projects}
            wanted |= Q(**names)
    return wanted


def predictions(rules: JSON, scope: Scope, since: datetime | None) -> Iterator[Prediction]:
    """Yield what breaks rules that no cluster is told of.

    `since`: of revisions only those count that came later.
    """
    if options := rules.get("namespaces"):
        yield from _misfits(options, scope)
    if NETWORK in rules:
        yield from _opened(rules, scope)
    if windows := rules.get(FREEZE):
        yield from _in_windows(windows, scope, since)


def _misfits(options: Any, scope: Scope) -> Iterator[Prediction]:
    """How many projects a tenant has, and their labels."""
    for tenant in Tenant.objects.filter(name__in=scope).prefetch_related("projects"):
        if texts := list(misfits(tenant, options)):
            message = " ".join(texts)[:1000]
            yield Prediction(tenant.name, "Tenant", tenant.name, "namespaces", message)


def _opened(rules: JSON, scope: Scope) -> Iterator[Prediction]:
    """Tenants whose preset leaves open what the rule would close."""
    for tenant in Tenant.objects.filter(name__in=scope).order_by("name"):
        closed = isolation_of(tenant.isolation, rules)
        if closed != tenant.isolation:
            message = f"Its isolation is {tenant.isolation} and would become {closed}."
            yield Prediction(tenant.name, "Tenant", tenant.name, NETWORK, message)


def _in_windows(windows: Any, scope: Scope, since: datetime | None) -> Iterator[Prediction]:
    """Apps whose current revision came while a window was open."""
    rows = Revision.objects.filter(within(scope, "app__project"), number=F("app__revision"))
    rows = rows.filter(app__deletion_requested_at=None)
    if since:
        rows = rows.filter(created_at__gte=since)
    for row in rows.select_related("app__project__tenant").order_by("pk"):
        if found := open_at(windows, row.created_at):
            project = row.app.project
            yield Prediction(
                *(project.tenant.name, "App", row.app.name, FREEZE),
                f"Revision {row.number} by {row.author} came in a freeze ({found.text}: "
                f"{found.reason}).",
                project=project.name,
                namespace=project.namespace,
            )
