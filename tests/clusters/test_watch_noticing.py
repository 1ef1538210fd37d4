"""Whether a cluster is there: a list says so, a watch that breaks is no sign that it is gone.

Each look of a baseline reads all of its objects; balancers cut connections all day.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from clusters.kinds import CONFIG_MAP
from clusters.models import Cluster
from clusters.transport import Limits
from clusters.watch.cluster_watch import ClusterWatch
from clusters.watch.follower import Rhythm
from clusters.watch.inbox import Inbox
from clusters.watch.targets import Target
from clusters.watch.threads import in_database
from reconcile.errors import Unauthenticated, Unreachable
from reconcile.models import Work
from tests.clusters.hostile_server import Exchange, HostileServer
from tests.clusters.scripted_watch import begin, chunk, page, status

pytestmark = pytest.mark.django_db(transaction=True)
WAYS = {
    "a line is cut": b'{"type": "MODI',
    "nothing was said": b"",
    "no event": b'{"type": 7}\n',
}


class Api:
    """Empty. Breaks as many watches as it is told to, and refuses lists by a code if it has one."""

    def __init__(self) -> None:
        self.breaks, self.last_words, self.code = 0, b"", 0
        self.lists = self.refused = 0

    def __call__(self, exchange: Exchange) -> None:
        ours = "configmaps" in exchange.target
        if "watch=true" in exchange.target:
            self.watch(exchange, ours=ours)
        elif ours and self.code:
            self.refused += 1
            exchange.reply(self.code, json.dumps(status(self.code, "", "not now")))
        else:
            self.lists += ours
            exchange.reply(200, json.dumps(page()))

    def watch(self, exchange: Exchange, *, ours: bool) -> None:
        begin(exchange)
        while not (exchange.server.over.is_set() or (ours and self.breaks)):
            exchange.wait(0.02)
        self.breaks -= ours
        if self.last_words:
            chunk(exchange, self.last_words)
        exchange.sock.close()


@pytest.fixture
def api(monkeypatch) -> Api:
    for error in (Unreachable, Unauthenticated):
        monkeypatch.setattr(error, "first", 0.05)
    return Api()


@pytest.fixture
def cluster(fleet) -> Cluster:
    return fleet.register("prod-a")


def looks(cluster: Cluster) -> int:
    """How often the baseline was told to look."""
    work = Work.objects.get(kind="clusters.clusterbaseline", cluster_id=cluster.pk)
    return work.marks


def play(api: Api, cluster: Cluster, scenario: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        target = Target(cluster.pk, "prod-a", server.credential(), frozenset({CONFIG_MAP}))
        watch = ClusterWatch(target, Inbox(), Limits(connect=1, read=1, total=2), Rhythm())
        task = asyncio.create_task(watch.run())
        try:
            await asyncio.wait_for(scenario(), 15)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    with HostileServer(api) as server:
        asyncio.run(run())


async def reached(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("last_words", WAYS.values(), ids=WAYS.keys())
def test_f18_watches_that_break_have_nobody_look(last_words, api, cluster):
    before = looks(cluster)

    async def scenario() -> None:
        await reached(lambda: api.lists >= 1)
        api.last_words, api.breaks = last_words, 3
        await reached(lambda: api.lists >= 4 and not api.breaks)
        assert await in_database(looks, cluster) == before

    play(api, cluster, scenario)


@pytest.mark.parametrize("code", [503, 401])
def test_a_list_that_fails_has_the_baseline_look_once_and_once_more_when_it_succeeds(
    code, api, cluster
):
    before = looks(cluster)

    async def scenario() -> None:
        await reached(lambda: api.lists >= 1)
        api.code, api.breaks = code, 1
        await reached(lambda: api.refused >= 3)
        assert await in_database(looks, cluster) == before + 1
        api.code, lists = 0, api.lists
        await reached(lambda: api.lists > lists)
        while await in_database(looks, cluster) == before + 1:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        assert await in_database(looks, cluster) == before + 2

    play(api, cluster, scenario)
