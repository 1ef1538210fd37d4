"""What goes with a tenant or project: shown before anything does."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet

from reconcile.models import AppliedObject, Work
from reconcile.models.declared import Declared
from reconcile.models.rows import hangs_on
from reconcile.refusals import Refusal
from tenancy.models import Invitation, Project, ProjectPlacement, Tenant

_NAMED = 200
_LISTED = 20


class Unconfirmed(Refusal):
    """What lives inside would go along, and nobody has said that they know."""

    code = "KN-CONFIRM"
    title = "The deletion has to be confirmed"


@dataclass(frozen=True)
class Inside:
    """Something that lives inside, by its qualified name."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.capitalize()} {self.name}"


@dataclass(frozen=True)
class OnCluster:
    """What goes on one cluster: namespaces with all that is in them, and objects of KubeNova's."""

    cluster: str
    namespaces: Sequence[str]
    objects: int


@dataclass(frozen=True)
class Deletion:
    """What a deletion takes along; `cut` says how many more are inside.

    `protected`: it is refused for now. `confirm` is the name to send, empty where nothing inside
    has to be confirmed.
    """

    row: Tenant | Project
    protected: bool
    confirm: str
    counts: Mapping[str, int]
    inside: Sequence[Inside]
    cut: int
    clusters: Sequence[OnCluster]

    def on_page(self) -> dict[str, object]:
        """What the page that asks for the name shows."""
        more = max(0, len(self.inside) + self.cut - _LISTED)
        return {"deletion": self, "inside": self.inside[:_LISTED], "more": more}


def deletion_of(row: Tenant | Project) -> Deletion:
    """Return what would go with a row. Reads only; asks no cluster."""
    kinds = [rows for rows in _inside(row) if rows.exists()]
    full = (rows.select_related(*hangs_on(rows.model._meta.label_lower)) for rows in kinds)
    each = (row for rows in full for row in rows[:_NAMED])
    named = [Inside(_kind(one), str(one).partition(" ")[2]) for one in each]
    counts = {_kind(rows.model): rows.count() for rows in kinds}
    people = {"member": row.memberships.count(), "invitation": _invitations(row).open().count()}
    return Deletion(
        row=row,
        protected=isinstance(row, Tenant) and row.deletion_protection,
        confirm=row.name if needs_confirmation(row) else "",
        counts=counts | {kind: count for kind, count in people.items() if count},
        inside=named,
        cut=sum(counts.values()) - len(named),
        clusters=list(_clusters(row, kinds)),
    )


def needs_confirmation(row: Tenant | Project) -> bool:
    """Whether anything inside would go along that is not on its way out already."""
    return any(rows.filter(deletion_requested_at=None).exists() for rows in _inside(row))


def confirm(row: Tenant | Project, given: str | None) -> None:
    """Refuse a deletion of which nobody has said what it takes along. Raises Unconfirmed."""
    if given == row.name or (given is None and (row.deleting or not needs_confirmation(row))):
        return
    path = f"/api/v1{path_of(row)}"
    inside = {kind: count for kind, count in deletion_of(row).counts.items() if kind != "member"}
    along = ", ".join(f"{count} {kind}{'s' * (count > 1)}" for kind, count in inside.items())
    raise Unconfirmed(
        f"With {row} goes all that is inside: {along or 'nothing'}. Look at GET {path}/deletion, "
        f"then send DELETE {path}?confirm={row.name}.",
        counts=inside,
        confirm=row.name,
    )


def path_of(row: Tenant | Project) -> str:
    """Return the path of a row below the root of the API."""
    if isinstance(row, Project):
        return f"/tenants/{row.tenant.name}/projects/{row.name}"
    return f"/tenants/{row.name}"


def _inside(row: Tenant | Project) -> list[QuerySet[Any]]:
    """Return the rows that live inside, each kind by itself."""
    if isinstance(row, Project):
        return Project.objects.filter(pk=row.pk).with_inside()[1:]
    found = {rows.model: rows for rows in row.projects.all().with_inside()}
    for relation in row._meta.related_objects:
        model = relation.related_model
        if isinstance(model, type) and issubclass(model, Declared):
            found[model] = model._default_manager.filter(**{relation.field.name: row})
    return list(found.values())


def _invitations(row: Tenant | Project) -> Any:
    whose = {"project": row} if isinstance(row, Project) else {"tenant": row}
    return Invitation.objects.filter(**whose)


def _kind(model: Any) -> str:
    return str(model._meta.verbose_name)


def _clusters(row: Tenant | Project, kinds: Sequence[QuerySet[Any]]) -> Iterator[OnCluster]:
    works, own = Q(pk__in=[]), type(row)._default_manager.filter(pk=row.pk)
    for rows in (own, *kinds):
        placements: Any = rows.model.placements.rel.related_model
        placed = placements._default_manager.filter(**{f"{placements.parent_field}__in": rows})
        label = placements._meta.label_lower
        works |= Q(kind=label, object_id__in=placed.order_by().values("pk"))
    found = AppliedObject.objects.filter(work__in=Work.objects.filter(works))
    counted = found.order_by().values_list("work__cluster_id").annotate(count=Count("pk"))
    objects: dict[int, int] = dict(counted)
    projects = [row] if isinstance(row, Project) else list(row.projects.all())
    homes = ProjectPlacement.objects.filter(project__in=projects).select_related("project__tenant")
    namespaces: dict[int, list[str]] = {}
    for home in homes:
        namespaces.setdefault(home.cluster_pk, []).append(home.namespace)
    for placement in row.placements.select_related("cluster").order_by("cluster__name"):
        pk = placement.cluster_pk
        names = sorted(namespaces.get(pk, []))
        yield OnCluster(placement.cluster.name, names, objects.get(pk, 0))
