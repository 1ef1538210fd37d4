"""Objects that carry our label though we have no record of them.

One that is just being made is neither; one whose owner is known is extra and shown as drift of
that row; one of nobody is an orphan: reported, never removed.
"""

from collections import defaultdict

import structlog

from clusters.models import Cluster, Orphan
from clusters.watch.sightings import Key, Sighting
from reconcile.models import Event, Work, marking
from reconcile.models.convergent import Convergent
from reconcile.models.drift import Drift
from reconcile.models.rows import row_of
from reconcile.values import Kind, Ref

log = structlog.get_logger(__name__)


class Strays:
    """Notes strays and closes the notes. Remembers the keys of those that are open."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, Kind], set[Key]] = defaultdict(set)

    def learn(self, cluster_pk: int, kind: Kind) -> set[Key]:
        """Read which are open; other watchers may have noted some."""
        drift = Drift.objects.open().filter(
            drift_class=Drift.Class.EXTRA,
            work__cluster_id=cluster_pk,
            api_version=kind.api_version,
            object_kind=kind.name,
        )
        extras = drift.values_list("namespace", "object_name")
        orphans = Orphan.objects.there().of_kind(cluster_pk, kind).values_list("namespace", "name")
        found = {Key(cluster_pk, kind, namespace, name) for namespace, name in (*extras, *orphans)}
        self._open[cluster_pk, kind] = found
        return set(found)

    def note(self, seen: Sighting, work: Work | None) -> None:
        """Note an object without a record; `work` is that of its owner, None for nobody's."""
        key, ref = seen.key, _ref(seen.key)
        if seen.dependent:  # made by a controller for an object of ours, and goes with it
            return
        row = row_of(work) if work and work.cluster_id == key.cluster_pk else None
        if work is None or not isinstance(row, Convergent):
            self._note_orphan(seen, ref)
        elif not row.deleting:  # a deletion looks for what carries its label
            self._note_extra(seen, ref, row, work)

    def settle(self, key: Key) -> None:
        """Close what was noted of an object that is gone, or recorded by now."""
        if key not in self._open[key.cluster_pk, key.kind]:
            return
        self._open[key.cluster_pk, key.kind].discard(key)
        ref = _ref(key)
        Orphan.objects.close(key.cluster_pk, ref)
        with marking():
            for work in Work.objects.filter(pk__in=_noted_on(key, ref)):
                Drift.extra_gone(work, ref)
                Work.objects.filter(pk=work.pk).mark(by_the_way=True)

    def _note_extra(self, seen: Sighting, ref: Ref, row: Convergent, work: Work) -> None:
        Orphan.objects.close(seen.key.cluster_pk, ref)
        known = work.pk in _noted_on(seen.key, ref)
        with marking():
            Drift.extra(row, work, ref, seen.uid, actor=seen.actor)
            if not known:
                Work.objects.filter(pk=work.pk).mark(by_the_way=True)
        self._open[seen.key.cluster_pk, seen.key.kind].add(seen.key)
        if not known:
            log.warning("Extra object found", cluster=row.cluster_name, object=str(seen))

    def _note_orphan(self, seen: Sighting, ref: Ref) -> None:
        """Tell once, also across restarts."""
        cluster = Cluster.objects.filter(pk=seen.key.cluster_pk).first()
        if cluster is None:
            return
        news = Orphan.objects.note(cluster.pk, ref, seen.uid, seen.owner)
        self._open[seen.key.cluster_pk, seen.key.kind].add(seen.key)
        if not news:
            return
        log.warning("Orphan found", cluster=cluster.name, object=str(seen), owner=seen.owner)
        message = f"{seen} on {cluster} carries KubeNova's label but belongs to nothing known."
        data = {"object": str(seen), "uid": seen.uid, "owner": seen.owner}
        Event.record(cluster, "OrphanFound", message, warning=True, data=data)


def _ref(key: Key) -> Ref:
    return Ref(key.kind, key.namespace, key.name)


def _noted_on(key: Key, ref: Ref) -> set[int]:
    """The work whose open drift this extra object is."""
    extras = Drift.objects.open().at(ref).filter(drift_class=Drift.Class.EXTRA)
    return set(extras.filter(work__cluster_id=key.cluster_pk).values_list("work_id", flat=True))
