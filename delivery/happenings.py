"""What a cluster says of a component's objects and pods: asked for there and then, never kept."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings

from clusters.connect import connect
from clusters.kinds import (
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    EVENT,
    JOB,
    REPLICA_SET,
    STATEFUL_SET,
)
from clusters.reachable import Reachable
from delivery.logs import Wanted, component_of, placement_of
from delivery.models import App, AppPlacement
from delivery.pods import labels_of, pods_of
from delivery.rules.happenings import Happening, happenings
from delivery.topology import tree_on
from reconcile.deadline import within
from reconcile.errors import ClusterError
from reconcile.refusals import Unavailable
from reconcile.values import JSON

MOST = 200
_PAGE, _PAGES = 500, 10
# Whoever makes them names them as the component, and no two components of a project share a name.
_WORKLOADS = (DEPLOYMENT, STATEFUL_SET, DAEMON_SET, JOB, CRON_JOB)


@dataclass(frozen=True)
class Told:
    """What was told of a component on a cluster, newest first; `all` unless there is too much."""

    cluster: str
    component: str
    items: list[Happening]
    all: bool


def happenings_of(app: App, wanted: Wanted) -> Told:
    """Ask a cluster for the Events of a component. Raises Invalid, Unavailable.

    A namespace may have any number of them: of more than 5,000 the rest is not looked at.
    """
    placement, component = placement_of(app, wanted), component_of(app, wanted)
    about = _recorded(placement, component)
    try:
        with within(settings.GRANT_ISSUE_SECONDS), connect(placement.cluster) as cluster:
            about |= _made(cluster, placement, component)
            read = _Reading(cluster, placement.namespace)
            items = happenings(read, about, MOST)
    except ClusterError as error:
        raise Unavailable(f"{placement.cluster} cannot tell: {error.message}") from None
    return Told(placement.cluster.name, component, items, read.all)


def _recorded(placement: AppPlacement, component: str) -> set[tuple[str, str]]:
    """What KubeNova has applied of the component; of an app without such objects all it has."""
    tree = tree_on(placement)
    own = [each.objects for each in tree.components if each.state["name"] == component]
    found = [piece for objects in own for piece in objects] or tree.others
    return {(piece.ref.kind.name, piece.ref.name) for piece in found}


def _made(cluster: Reachable, placement: AppPlacement, component: str) -> set[tuple[str, str]]:
    """What controllers have made of it: workloads, pods, and ReplicaSets that are refused pods."""
    labels = labels_of(placement, component)
    sets = cluster.owned(REPLICA_SET, labels, namespace=placement.namespace)
    found = [*sets, *pods_of(cluster, placement, component)]
    workloads = {(kind.name, component) for kind in _WORKLOADS}
    return workloads | {(live.ref.kind.name, live.ref.name) for live in found}


class _Reading:
    """The Events of a namespace, page by page; `all` once the last page was read."""

    def __init__(self, cluster: Reachable, namespace: str) -> None:
        self._cluster, self._namespace = cluster, namespace
        self.all = False

    def __iter__(self) -> Iterator[JSON]:
        token = ""
        for _ in range(_PAGES):
            page = self._cluster.list_page(
                EVENT, namespace=self._namespace, limit=_PAGE, token=token
            )
            yield from (live.body for live in page.items)
            token = page.token
            if not token:
                self.all = True
                return
