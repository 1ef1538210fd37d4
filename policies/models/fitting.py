"""Whether those whom attachments bind could have what they impose: asked before it is saved."""

from collections.abc import Iterable, Iterator, Sequence

from django.utils import timezone

from clusters.models import Cluster
from policies.models.celrule import hold_rules
from policies.rules.binding import Attached, Subject, conflicts, in_force
from reconcile.refusals import Conflicting, Fault
from reconcile.values import JSON
from tenancy.models import Tenant
from tenancy.models.namespaces import misfits
from tenancy.models.openings import misfit
from tenancy.models.serving import require
from tenancy.rules.freezing import without
from tenancy.rules.modes import Mode
from tenancy.rules.needs import imposed_needs, kind_needs
from tenancy.rules.network_bounds import NETWORK
from tenancy.rules.resolving import Conflict

_LISTED = 20
NAMESPACES = "namespaces"
_JUDGED = {NAMESPACES, NETWORK}


def subject_of(tenant: Tenant) -> Subject:
    """Return a tenant as policies see it."""
    names = tuple(sorted(project.name for project in tenant.projects.all()))
    return Subject(tenant.name, tenant.labels, tenant.restrictions, names)


def refuse_unfit(changed: Sequence[Attached], everything: Sequence[Attached], pointer: str) -> None:
    """Refuse attachments where somebody whom they bind could not have what they impose.

    Raises Conflicting for a contradiction, naming both sources and whom it hits, and Unserved for
    clusters that cannot do what the mode needs. What others contradict is not theirs to answer for.
    What projects of a tenant break already, such as their number, is refused as well.
    """
    if not changed:
        return
    hold_rules([each.rules for each in changed], pointer)
    bound = [tenant for tenant in _tenants() if _binds(changed, tenant)]
    titles = {each.title for each in changed}
    found = [
        (tenant.name, conflict)
        for tenant in bound
        for conflict in _contradictions(tenant, everything)
        if titles & set(conflict.sources)
    ]
    if found:
        raise _refusal(found, pointer)
    _refuse_misfits(bound, changed, everything, pointer)
    modes = sorted({each.mode.value for each in changed if without(each.rules)})
    rows = Cluster.objects.filter(
        tenancy_tenantplacements__tenant__in=bound, deletion_requested_at=None
    )
    needed = imposed_needs(modes) + kind_needs(*(each.rules for each in changed))
    require(rows.distinct().order_by("name"), "tenancy.native", needed)


def _refuse_misfits(
    bound: Sequence[Tenant],
    changed: Sequence[Attached],
    everything: Sequence[Attached],
    pointer: str,
) -> None:
    """A rule for projects holds for all of them: raise Conflicting where one breaks it already."""
    enforced = {kind for each in changed if each.mode is Mode.ENFORCE for kind in each.rules}
    for tenant in bound if enforced & _JUDGED else ():
        for kind, text in _misfits(tenant, everything):
            if kind in enforced:
                fault = Fault(kind, text, pointer)
                way = "Change that first, or make an exception."
                raise Conflicting(f"{text} {way}", errors=[fault])


def _misfits(tenant: Tenant, everything: Sequence[Attached]) -> Iterator[tuple[str, str]]:
    """Yield kinds of rules that a tenant or its projects would break, and how."""
    subject, now = subject_of(tenant), timezone.now()
    rules = in_force(subject, everything, now).rules
    yield from ((NAMESPACES, text) for text in misfits(tenant, rules.get(NAMESPACES, {})))
    for project in (None, *tenant.projects.all()):
        found = in_force(subject, everything, now, project.name if project else "")
        if opening := misfit(tenant, project, found.rules):
            sources = " and ".join(each.source for each in found.origins[NETWORK])
            yield NETWORK, f"{opening} The network would be bounded by {sources}."


def _tenants() -> Iterable[Tenant]:
    return Tenant.objects.filter(deletion_requested_at=None).prefetch_related("projects")


def _binds(attached: Sequence[Attached], tenant: Tenant) -> bool:
    return any(each.binds(tenant.name, tenant.labels) for each in attached)


def _contradictions(tenant: Tenant, everything: Sequence[Attached]) -> Iterator[Conflict]:
    found = conflicts(subject_of(tenant), everything, timezone.now())
    return (each for each in found if each.blocking)


def _refusal(found: Sequence[tuple[str, Conflict]], pointer: str) -> Conflicting:
    listed: list[JSON] = [
        {"tenant": name, "kind": each.kind, "sources": [*each.sources], "detail": each.text}
        for name, each in found[:_LISTED]
    ]
    name, first = found[0]
    more = f" So it is {len(found)} times." if len(found) > 1 else ""
    fault = Fault("contradiction", f"For tenant {name}, {first}", pointer)
    return Conflicting(
        f"For tenant {name}, {first} Change one of them, or make an exception.{more}",
        errors=[fault],
        conflicts=listed,
    )
