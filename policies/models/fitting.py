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
from tenancy.models.serving import require
from tenancy.rules.freezing import without
from tenancy.rules.modes import Mode
from tenancy.rules.needs import imposed_needs, kind_needs
from tenancy.rules.resolving import Conflict

_LISTED = 20


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
    if not any(each.mode is Mode.ENFORCE and "namespaces" in each.rules for each in changed):
        return
    for tenant in bound:
        rules = in_force(subject_of(tenant), everything, timezone.now()).rules
        if text := next(misfits(tenant, rules.get("namespaces", {})), ""):
            fault = Fault("namespaces", text, pointer)
            raise Conflicting(f"{text} Change that first, or make an exception.", errors=[fault])


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
