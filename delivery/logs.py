"""Logs of a component's pods: found, read and made harmless; nothing of them is kept."""

import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import chain

from django.conf import settings

from clusters.connect import connect
from clusters.reachable import Reachable
from delivery.models import App, AppPlacement
from delivery.pods import pods_of
from delivery.rules.printable import printable
from delivery.rules.problems import names_of
from reconcile.deadline import within
from reconcile.errors import ClusterError, Refused
from reconcile.refusals import Fault, Invalid, Unavailable
from reconcile.values import Live

MOST_LINES = 5_000
SOME_LINES = 200
MOST_PODS = 20
FOLLOWERS = 2  # of a web process at once: each holds one of its threads
_RETRY = "5"

_places = threading.BoundedSemaphore(FOLLOWERS)


@dataclass(frozen=True)
class Wanted:
    """Which part of which log: `tail` lines in all, `pod` is empty for every pod.

    `previous` is the log before the last restart, `since` seconds back, 0 for the beginning.
    """

    component: str = ""
    cluster: str = ""
    pod: str = ""
    tail: int = SOME_LINES
    previous: bool = False
    follow: bool = False
    since: int = 0


def placement_of(app: App, wanted: Wanted) -> AppPlacement:
    """Return where to look; the only cluster need not be named. Raises Invalid."""
    placements = {each.cluster.name: each for each in app.placements.all()}
    name = _chosen("cluster", wanted.cluster, sorted(placements))
    return placements[name]


def component_of(app: App, wanted: Wanted) -> str:
    """Return which component; the only one need not be named. Raises Invalid."""
    return _chosen("component", wanted.component, [str(name) for name in names_of(app.components)])


def _chosen(parameter: str, given: str, known: list[str]) -> str:
    if given in known:
        return given
    if not given and len(known) == 1:
        return known[0]
    listed = f"Use one of {', '.join(known)}." if known else "The app has none."
    text = f"There is no such {parameter}. {listed}" if given else f"Name it. {listed}"
    fault = Fault("unknown" if given else "required", text, parameter=parameter)
    raise Invalid("Parts of the query are wrong.", errors=[fault])


def lines_of(app: App, wanted: Wanted) -> Iterator[str]:
    """Yield the lines with their ends; the cluster has answered when this returns.

    Where several pods are read each line starts with the name of its pod in brackets, and they
    share the `tail`. One that is followed is one pod, by default the newest, and the end comes
    after LOG_FOLLOW_SECONDS. What a cluster refuses (a container that has not started), and what
    breaks off later, is said in a line that starts with dashes. Raises Invalid, Unavailable.
    """
    placement, component = placement_of(app, wanted), component_of(app, wanted)
    try:
        with within(settings.GRANT_ISSUE_SECONDS), connect(placement.cluster) as cluster:
            pods = _asked(pods_of(cluster, placement, component), wanted)
            if wanted.follow:
                return _Followed(_follow(cluster, pods[:1], wanted))
            lines = _read(cluster, pods[:MOST_PODS], wanted)
            first = next(lines, None)  # what is wrong from the start is a problem of its own
    except ClusterError as error:
        raise Unavailable(f"{placement.cluster} cannot tell: {error.message}") from None
    return iter(()) if first is None else chain((first,), lines)


def _asked(pods: list[Live], wanted: Wanted) -> list[Live]:
    if not wanted.pod:
        return pods
    found = [live for live in pods if live.ref.name == wanted.pod]
    if not found:
        fault = Fault("unknown", "The component has no such pod there.", parameter="pod")
        raise Invalid("Parts of the query are wrong.", errors=[fault])
    return found


def _read(cluster: Reachable, pods: list[Live], wanted: Wanted) -> Iterator[str]:
    """Read one pod after the other, all of them within the time that a request may take."""
    end = time.monotonic() + settings.GRANT_ISSUE_SECONDS
    share, told = max(1, wanted.tail // max(1, len(pods))), False
    for pod in pods:
        name = f"[{pod.ref.name}] " if len(pods) > 1 else ""
        try:
            stream = cluster.stream(
                pod.ref, tail_lines=share, previous=wanted.previous, since_seconds=wanted.since
            )
            for line in _begun(stream, end - time.monotonic()):
                yield f"{name}{printable(line)}\n"
                told = True
        except Refused as error:
            yield f"{name}--- {printable(error.message)}\n"
        except ClusterError as error:
            if not told:
                raise
            yield f"{name}--- {printable(error.message)}\n"
            return


def _begun(stream: Iterator[str], seconds: float) -> Iterator[str]:
    """Read the first line: a deadline counts from the moment when a stream is opened."""
    with within(seconds):
        first = next(stream, None)
    return iter(()) if first is None else chain((first,), stream)


def _follow(cluster: Reachable, pods: list[Live], wanted: Wanted) -> Generator[str]:
    end = time.monotonic() + settings.LOG_FOLLOW_SECONDS
    for pod in pods:
        try:
            stream = cluster.stream(
                pod.ref, tail_lines=wanted.tail, follow=True, since_seconds=wanted.since
            )
            for line in _begun(stream, settings.LOG_FOLLOW_SECONDS):
                yield f"{printable(line)}\n"
                if time.monotonic() > end:
                    return
        except ClusterError as error:
            if time.monotonic() < end:  # else it is the deadline that ended it, as was promised
                yield f"--- {printable(error.message)}\n"


class _Followed:
    """The lines of a log that is followed. It takes a place, and gives it back at the end or when
    it is closed, whether or not anything was read.
    """

    def __init__(self, lines: Generator[str]) -> None:
        if not _places.acquire(blocking=False):
            text = "Too many logs are followed at the moment. Read without `follow`, or retry."
            raise Unavailable(text, headers={"Retry-After": _RETRY})
        self._lines, self._open = lines, True

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines, None)
        if line is None:
            self.close()
            raise StopIteration
        return line

    def close(self) -> None:
        """End it; again is nothing."""
        if self._open:
            self._open = False
            _places.release()
            self._lines.close()
