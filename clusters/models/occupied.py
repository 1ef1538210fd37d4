"""Which namespaces of a cluster stand in the way of projects, so that a request need not ask it."""

from collections.abc import Iterable

from django.db import models, transaction

from reconcile.models import AppliedObject, Work
from reconcile.values import OWNER, Live

_JOINED = "--"  # what names of projects' namespaces have and other names hardly ever do
_MOST = 5000


class Occupied(models.Model):
    """The part of a cluster that knows namespaces there which are not KubeNova's.

    `foreign_namespaces` are names, sorted, of those alone that a project could meet; kept fresh by
    each probe, and by each project that has met one.
    """

    foreign_namespaces = models.JSONField(default=list, blank=True, editable=False)

    class Meta:
        abstract = True

    def note_namespaces(self, found: Iterable[Live]) -> None:
        """Note what a look at all namespaces of the cluster told."""
        likely = [live for live in found if _JOINED in live.ref.name]
        names = sorted(live.ref.name for live in self._not_ours(likely))[:_MOST]
        if names != self.foreign_namespaces:
            type(self)._default_manager.filter(pk=self.pk).update(foreign_namespaces=names)
            self.foreign_namespaces = names

    def note_foreign(self, namespace: str) -> None:
        """Note one that was met."""
        with transaction.atomic():
            rows = type(self)._default_manager.select_for_update(no_key=True).filter(pk=self.pk)
            known = {*rows.values_list("foreign_namespaces", flat=True).get()}
            if namespace not in known:
                rows.update(foreign_namespaces=sorted({*known, namespace})[:_MOST])

    def _not_ours(self, found: list[Live]) -> list[Live]:
        """Those that carry the owner label of no row on the cluster and that none has on record."""
        if not found:
            return []
        applied = AppliedObject.objects.filter(work__cluster_id=self.pk, kind="Namespace")
        recorded = set(applied.values_list("uid", flat=True))
        works = Work.objects.filter(cluster_id=self.pk)
        owners = set(works.values_list("owner", flat=True))
        return [
            live
            for live in found
            if live.uid not in recorded and live.labels.get(OWNER) not in owners
        ]
