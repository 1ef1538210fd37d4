"""Which types of components and traits somebody can use: what their clusters serve and they may."""

from collections import defaultdict
from collections.abc import Iterator

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from clusters.definitions import ability_of
from clusters.models import Capability, Cluster
from delivery.adapters import APPS
from delivery.models.allowing import allowed_to
from delivery.models.published import PublishedDefinition
from delivery.rules.definitions import DIALECT, Definition, DefinitionKind, Serving, definitions
from delivery.rules.publishing import WORDS
from tenancy.models import Project, Tenant

_DELIVERY = "delivery."
_LACKING = tuple(f"{_DELIVERY}kubevela.{kind}." for kind in ("component", "trait"))


def clusters_of(user: User) -> "QuerySet[Cluster]":
    """The clusters that somebody may see, and those that their tenants and projects are on."""
    seen = Cluster.objects.visible_to(user).order_by()
    tenants = Tenant.objects.visible_to(user).order_by()
    projects = Project.objects.visible_to(user).order_by()
    theirs = Q(tenancy_tenantplacements__tenant__in=tenants)
    theirs |= Q(tenancy_projectplacements__project__in=projects)
    return Cluster.objects.filter(Q(pk__in=seen) | theirs).distinct()


def definitions_for(user: User, cluster: str = "") -> list[Definition]:
    """Return the types that one of somebody's clusters serves; with a name, that one alone.

    Those that none of their tenants may use are left out; operators see them all the same.
    """
    rows = Capability.objects.filter(cluster__in=clusters_of(user), name__startswith=_DELIVERY)
    if cluster:
        rows = rows.filter(cluster__name=cluster)
    adapters: dict[str, set[str]] = defaultdict(set)
    lacking = set()
    for where, name, served in rows.values_list("cluster__name", "name", "served"):
        word = name.removeprefix(_DELIVERY)
        if served and name in APPS:
            adapters[where].add(word)
        if not served and name.startswith(_LACKING):
            _, kind, type_ = word.split(".", 2)
            lacking.add((where, kind, type_))
    allowed = allowed_to(user)
    found = [*definitions(adapters, lacking), *_published(rows)]
    usable = (each for each in found if each.type in allowed.of(each.kind))
    return sorted(usable, key=lambda each: (each.kind, each.type))


def _published(rows: "QuerySet[Capability]") -> Iterator[Definition]:
    """The published types that one of the clusters serves by what was seen."""
    where: dict[str, list[str]] = defaultdict(list)
    for cluster, name in rows.filter(served=True).values_list("cluster__name", "name"):
        where[name].append(cluster)
    published = PublishedDefinition.objects.filter(kind__in=WORDS, shadows=False)
    for row in published.filter(deletion_requested_at=None):
        clusters = where[ability_of(WORDS[row.kind], row.name)]
        if clusters:
            serving = tuple(Serving(each, "kubevela") for each in sorted(clusters))
            yield Definition(
                DefinitionKind(WORDS[row.kind]),
                row.name,
                row.description,
                {"$schema": DIALECT, **(row.parameters or {"type": "object"})},
                serving=serving,
            )
