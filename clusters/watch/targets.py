"""Which clusters are to be watched, as whom, and which kinds of objects on them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import structlog
from django.apps import apps
from django.db.models import Count, F, Max, Min, QuerySet

from clusters import metrics
from clusters.kubeconfig import Credential
from clusters.models import Capability, Cluster, ClusterBaseline
from reconcile.correlation import correlate
from reconcile.errors import ClusterError
from reconcile.models import AppliedObject, Event, Work, marking
from reconcile.models.convergent import Convergent
from reconcile.values import Kind
from vault.errors import VaultError
from vault.sealed import Sealed

log = structlog.get_logger(__name__)

Kinds = Mapping[int, Iterable[Kind]]  # by the primary key of the cluster

_UNWATCHED = frozenset({"Secret"})  # their values would pass through; checked by their steps


@dataclass(frozen=True)
class Target:
    """A cluster to be watched."""

    pk: int
    name: str
    credential: Credential
    kinds: frozenset[Kind]


def eligible() -> list[int]:
    """Return every cluster that is known to work, neither paused nor on its way out."""
    return list(_rows().values_list("pk", flat=True))


def targets(applied: Kinds, among: Collection[int]) -> list[Target]:
    """Return those of the eligible clusters `among` which this watcher follows.

    `applied` is what `applied_kinds` returned lately.
    """
    kinds = _kinds(applied)
    found = []
    for cluster in _rows().filter(pk__in=among).order_by("pk"):
        try:
            credential = cluster.own_credentials[0]
        except VaultError as error:
            log.error("Credential cannot be opened", cluster=cluster.name, error=str(error))
            continue
        watched = frozenset(kinds[cluster.pk])
        found.append(Target(cluster.pk, cluster.name, credential, watched))
    return found


def _rows() -> QuerySet[Cluster]:
    return Cluster.objects.filter(paused=False, deletion_requested_at=None, scoped__isnull=False)


def mark_baseline(cluster_pk: int) -> None:
    """Have the baseline of a cluster look whether the cluster is there, and what it can do."""
    kind = ClusterBaseline._meta.label_lower
    Work.objects.filter(kind=kind, cluster_id=cluster_pk).mark()


def mark_keepers_of_secrets(cluster_pk: int, slice: int, slices: int) -> int:
    """Have a part of the rows that own Secrets compare them; return how many."""
    secrets = AppliedObject.objects.filter(kind__in=_UNWATCHED, work__cluster_id=cluster_pk)
    works = secrets.alias(turn=F("work_id") % slices).filter(turn=slice).values("work_id")
    return Work.objects.filter(pk__in=works).mark(by_the_way=True)


def set_back(cluster_pk: int) -> None:
    """Have every row of a cluster that was restored look at it anew, and tell of it."""
    cluster = Cluster.objects.filter(pk=cluster_pk).first()
    if cluster is None:
        return
    message = (
        f"{cluster} was set back to an earlier state: its newest version is older than one seen "
        "before. Everything on it is compared anew."
    )
    metrics.RESTORED.labels(cluster.name).inc()
    with correlate(""), marking():
        Event.record(cluster, "ClusterRestored", message, warning=True)
        Work.objects.filter(cluster_id=cluster_pk).mark(by_the_way=True)


def applied_kinds() -> Kinds:
    """Return the kinds that were applied to each cluster; reads every record of an object."""
    found: dict[int, set[Kind]] = defaultdict(set)
    columns = ("work__cluster_id", "api_version", "kind", "plural", "namespaced")
    for cluster_pk, *kind in AppliedObject.objects.values_list(*columns).distinct():
        found[cluster_pk].add(Kind(*kind))
    return found


def _kinds(applied: Kinds) -> dict[int, set[Kind]]:
    """The kinds that were applied to each cluster, and all that the adapters of its rows own."""
    found: dict[int, set[Kind]] = defaultdict(set)
    for cluster_pk, kinds in applied.items():
        found[cluster_pk].update(kinds)
    for row in _one_of_each():
        try:
            found[row.cluster_pk or 0].update(row.adapter().kinds)
        except ClusterError:
            continue
    for kinds in found.values():
        kinds.difference_update({kind for kind in kinds if kind.name in _UNWATCHED})
    return found


def signature(among: Collection[int]) -> object:
    """Return something that changes when the targets may have: a few queries, however many rows."""
    rows = _rows().filter(pk__in=among).order_by("pk").values_list("pk", "scoped")
    sealed = [(pk, scoped.text) for pk, scoped in rows if isinstance(scoped, Sealed)]
    found = Capability.objects.aggregate(newest=Max("observed_at"), count=Count("pk"))
    return sealed, found, {model: list(_firsts(model)) for model in _models()}


def _one_of_each() -> Iterator[Convergent]:
    """One row of each convergent model on each cluster, whatever the models are."""
    for model in _models():
        pks = [first for _, first in _firsts(model)]
        yield from model._default_manager.order_by().filter(pk__in=pks)


def _models() -> Iterator[type[Convergent]]:
    return (model for model in apps.get_models() if issubclass(model, Convergent))


def _firsts(model: type[Convergent]) -> Iterable[tuple[int, int]]:
    """The first row on each cluster, in the order of the clusters."""
    rows = model._default_manager.order_by("cluster_id")
    return rows.values_list("cluster_id").annotate(first=Min("pk"))  # type: ignore[misc]
