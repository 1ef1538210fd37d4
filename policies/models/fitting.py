"""Whether those whom attachments bind could have what they impose: asked before it is saved."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from django.utils import timezone

from clusters.models import Cluster
from policies.models.celrule import hold_rules
from policies.rules.binding import Attached, Place, Subject, conflicts, in_force, views
from reconcile.refusals import Conflicting, Fault, Invalid
from reconcile.values import JSON
from tenancy.models import Tenant, TenantPlacement
from tenancy.models.namespaces import misfits
from tenancy.models.openings import misfit
from tenancy.models.serving import Unmet, refuse, unmet_on
from tenancy.rules.freezing import FREEZE, without
from tenancy.rules.modes import Mode
from tenancy.rules.needs import Need, imposed_needs, kind_needs
from tenancy.rules.network_bounds import NETWORK
from tenancy.rules.resolving import Conflict

RULES = "/rules"
_LISTED = 20
NAMESPACES = "namespaces"
_JUDGED = {NAMESPACES, NETWORK}
# Kinds that KubeNova keeps to itself, for all clusters at once.
_ABOVE = {
    NAMESPACES: "it bounds the projects of a tenant, which are on all of its clusters",
    FREEZE: "it keeps back revisions of apps, which are on several clusters",
}


def subject_of(tenant: Tenant, attached: Sequence[Attached]) -> Subject:
    """Return a tenant as these see it: its clusters only where one of them asks."""
    return _subject(tenant, places_of(tenant, attached))


def places_of(tenant: Tenant, attached: Sequence[Attached]) -> Sequence[Place]:
    """Return the clusters of a tenant; none, and nothing is asked, where none of these asks."""
    return _places(attached, tenant=tenant.pk).get(tenant.pk, ())


def _subject(tenant: Tenant, places: Sequence[Place]) -> Subject:
    names = tuple(sorted(project.name for project in tenant.projects.all()))
    return Subject(tenant.name, tenant.labels, tenant.restrictions, names, tuple(places))


def _places(attached: Sequence[Attached], **whose: object) -> Mapping[int, Sequence[Place]]:
    """Return the clusters of tenants by their keys; nothing where none of these asks."""
    found: dict[int, list[Place]] = {}
    if all(each.everywhere for each in attached):
        return found
    rows = TenantPlacement.objects.filter(**whose).order_by("cluster__name")
    for tenant, name, labels in rows.values_list("tenant", "cluster__name", "cluster__labels"):
        found.setdefault(tenant, []).append(Place(name, labels))
    return found


def clusters_of(attached: Attached) -> list[int]:
    """Return the keys of the clusters that it holds on."""
    rows = Cluster.objects.order_by().values_list("pk", "name", "labels")
    return [pk for pk, name, labels in rows if attached.holds_on(Place(name, labels))]


def refuse_above(changed: Sequence[Attached], pointer: str) -> None:
    """Refuse clusters beside kinds of rules that hold on all of them or on none. Raises Invalid.

    Without a pointer it is told where the clusters are; one to rules leads on to the kind.
    """
    faults = []
    for each in changed:
        field = "/clusters" if each.clusters else "/cluster_selector"
        for kind in sorted(set(each.rules) & set(_ABOVE)) if not each.everywhere else ():
            text = (
                f"The rule {kind} cannot hold on some clusters alone: {_ABOVE[kind]}. "
                f"Attachment {each.name} of policy set {each.policyset} names or selects clusters."
            )
            at = f"{pointer}/{kind}" if pointer == RULES else pointer or field
            faults.append(Fault(kind, text, at))
    if faults:
        raise Invalid(faults[0].detail, errors=faults)


def refuse_unfit(changed: Sequence[Attached], everything: Sequence[Attached], pointer: str) -> None:
    """Refuse attachments where somebody whom they bind could not have what they impose.

    Raises Invalid as `refuse_above` does, Conflicting for a contradiction, naming both sources and
    whom it hits, and Unserved for clusters that cannot do what the mode needs. What others
    contradict is not theirs to answer for. What projects of a tenant break already, such as their
    number, is refused as well.
    """
    if not changed:
        return
    refuse_above(changed, pointer if pointer == RULES else "")
    hold_rules([each.rules for each in changed], pointer)
    places = _places(everything)
    subjects = ((tenant, _subject(tenant, places.get(tenant.pk, ()))) for tenant in _tenants())
    bound = [(tenant, subject) for tenant, subject in subjects if _binds(changed, subject)]
    titles = {each.title for each in changed}
    found = [
        (tenant.name, conflict)
        for tenant, subject in bound
        for conflict in _contradictions(subject, everything)
        if titles & set(conflict.sources)
    ]
    if found:
        raise _refusal(found, pointer)
    _refuse_misfits(bound, changed, everything, pointer)
    _refuse_unserved([tenant for tenant, _ in bound], changed)


def _refuse_unserved(bound: Sequence[Tenant], changed: Sequence[Attached]) -> None:
    """Ask each cluster of whoever is bound for what holds there, and no other for anything."""
    rows = Cluster.objects.filter(
        tenancy_tenantplacements__tenant__in=bound, deletion_requested_at=None
    )
    unmet: list[Unmet] = []
    for cluster in rows.distinct().order_by("name"):
        place = Place(cluster.name, cluster.labels)
        if here := [each for each in changed if each.holds_on(place)]:
            unmet += unmet_on([cluster], _needed(here))
    refuse(unmet)


def _needed(attached: Sequence[Attached]) -> list[Need]:
    modes = sorted({each.mode.value for each in attached if without(each.rules)})
    kinds = kind_needs(*(each.rules for each in attached))
    return [Need("tenancy.native"), *imposed_needs(modes), *kinds]


def _refuse_misfits(
    bound: Sequence[tuple[Tenant, Subject]],
    changed: Sequence[Attached],
    everything: Sequence[Attached],
    pointer: str,
) -> None:
    """A rule for projects holds for all of them: raise Conflicting where one breaks it already."""
    enforced = {kind for each in changed if each.mode is Mode.ENFORCE for kind in each.rules}
    for tenant, subject in bound if enforced & _JUDGED else ():
        for kind, text in _misfits(tenant, subject, everything):
            if kind in enforced:
                fault = Fault(kind, text, pointer)
                way = "Change that first, or make an exception."
                raise Conflicting(f"{text} {way}", errors=[fault])


def _misfits(
    tenant: Tenant, subject: Subject, everything: Sequence[Attached]
) -> Iterator[tuple[str, str]]:
    """Yield kinds of rules that a tenant or its projects would break, and how."""
    now = timezone.now()
    rules = in_force(subject, everything, now).rules
    yield from ((NAMESPACES, text) for text in misfits(tenant, rules.get(NAMESPACES, {})))
    for view in views(subject, everything):
        for project in (None, *tenant.projects.all()):
            named = project.name if project else ""
            found = in_force(subject, everything, now, named, view.place)
            if opening := misfit(tenant, project, found.rules):
                sources = " and ".join(each.source for each in found.origins[NETWORK])
                yield NETWORK, f"{opening} The network would be bounded by {sources}."


def _tenants() -> Iterable[Tenant]:
    return Tenant.objects.filter(deletion_requested_at=None).prefetch_related("projects")


def _binds(attached: Sequence[Attached], subject: Subject) -> bool:
    return any(
        each.binds(subject.name, subject.labels) and each.holds_in(subject.places)
        for each in attached
    )


def _contradictions(subject: Subject, everything: Sequence[Attached]) -> Iterator[Conflict]:
    found = conflicts(subject, everything, timezone.now())
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
